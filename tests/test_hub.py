"""A model for a hub opens and answers alike where skymm is not, and its card says what was recorded and measured."""

from __future__ import annotations

import ast
import difflib
import json
import os
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
import yaml
from PIL import Image
from transformers import pipeline

from skymm.answering.skymm_model import SkyMMAnswerer
from skymm.evaluation.run import run
from skymm.hub import export_hub
from skymm.model.build import open_model
from skymm.recipe import EvalRecipe
from skymm.train.loop import train

# torch, transformers, safetensors, Pillow and what these need: nothing else of ours is to be had.
ELSEWHERE = """
import json, sys
from importlib.machinery import BuiltinImporter, FrozenImporter, PathFinder
refused = {"skymm", "peft", "accelerate", "jieba", "pydantic", "opencc", "openai", "av", "scipy", "imagehash", "gguf"}
class Others(PathFinder):
    @staticmethod
    def find_spec(name, path=None, target=None):
        return None if name.split(".")[0] in refused else PathFinder.find_spec(name, path, target)
sys.meta_path[:] = [BuiltinImporter, FrozenImporter, Others]
import transformers
from PIL import Image
picture, *names = sys.argv[1:]
options = {"trust_remote_code": True}
for name in names:
    model = transformers.AutoModelForImageTextToText.from_pretrained(name, **options)
    processor = transformers.AutoProcessor.from_pretrained(name, **options)
    inputs = processor(images=Image.open(picture), text="What is it?")
    ids = model.generate(**inputs, max_new_tokens=12, do_sample=False).tolist()
    pipe = transformers.pipeline("image-text-to-text", model=name, **options)
    said = pipe(images=picture, text="What is it?", max_new_tokens=12, return_full_text=False)[0]["generated_text"]
    print(json.dumps([type(model).__module__, ids, said, isinstance(model.config, type(model).config_class)]))
"""


@pytest.fixture(scope="module")
def exported(tmp_path_factory, tiny_model_recipe, tiny_data):
    """A trained model, its answers to a benchmark, and what `export_hub` made of both; a second tower is the embedded one."""
    from skymm.recipe import StageRecipe, parse

    directory = tmp_path_factory.mktemp("hub")
    model = tiny_model_recipe.model_dump() | {"towers": [*tiny_model_recipe.towers, "efficientnet-lite0"]}
    data = {"instructions": {"shards": str(tiny_data / "stage2")}}
    stage = {"out": str(directory / "run"), "model": model, "data": data, "steps": 3, "batch_size": 4}
    train(parse(stage | {"learning_rate": 0.05, "warmup_steps": 1}, StageRecipe))
    asked = EvalRecipe(benchmark="mme", root=str(tiny_data / "bench" / "en"), max_new_tokens=2)
    answers = run(asked, SkyMMAnswerer(*open_model(directory / "run")), directory / "answers", mode="logits")
    options = {"scores": [answers], "licence": "apache-2.0", "limits": ["It knows six things."]}
    export_hub(directory / "run", directory / "tiny", **options)
    Image.radial_gradient("L").resize((70, 50)).save(directory / "picture.png")
    return directory


def here(directory, name):
    model, processor = open_model(directory / name)
    inputs = processor(images=Image.open(directory / "picture.png"), text="What is it?")
    return model.generate(**inputs, max_new_tokens=12, do_sample=False), processor


def test_it_answers_alike_where_skymm_is_not(exported, tmp_path):
    """From its directory, and as it lies where it was fetched from a hub."""
    (expected, processor), (trained, _) = here(exported, "tiny"), here(exported, "run")
    answer = expected[0, -12:].tolist()
    assert answer == trained[0, -12:].tolist()
    environment = os.environ | {"HF_HOME": str(tmp_path / "home"), "PYTHONPATH": ""}
    cache, commit = tmp_path / "home" / "hub" / "models--org--tiny", "0" * 40
    shutil.copytree(exported / "tiny", cache / "snapshots" / commit)
    (cache / "refs").mkdir()
    (cache / "refs" / "main").write_text(commit)
    command = [sys.executable, "-c", ELSEWHERE, str(exported / "picture.png"), str(exported / "tiny"), "org/tiny"]
    done = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    for line in done.stdout.splitlines()[-2:]:
        module, ids, said, one_class = json.loads(line)
        assert module.startswith("transformers_modules.") and one_class
        assert ids == expected.tolist() and said == processor.decode(answer, skip_special_tokens=True)


def test_the_code_is_skymms_own_but_for_imports(exported):
    files = sorted((exported / "tiny" / "code").glob("*.py"))
    changed = 0
    for file in files:
        if file.stem == "skymm_model":
            continue
        spec = find_spec(f"skymm.model.{file.stem}") or find_spec(f"skymm.{file.stem}")
        lines = (Path(one).read_text("utf-8").splitlines() for one in (spec.origin, file))
        for line in difflib.unified_diff(*lines, n=0, lineterm=""):
            if line[:2] not in ("--", "++", "@@"):
                assert line[1:].lstrip().startswith(("from skymm", "from .")), line
                changed += 1
        names = {one.module for one in ast.walk(ast.parse(file.read_text("utf-8"))) if isinstance(one, ast.ImportFrom)}
        assert not any(name and name.startswith("skymm.") for name in names), file
    assert changed > 40 and "assets" not in {file.stem for file in files}


def test_the_card_says_what_was_recorded_and_measured(exported):
    _, header, body = (exported / "tiny" / "README.md").read_text("utf-8").split("---\n", 2)
    header = yaml.safe_load(header)
    assert header["license"] == "apache-2.0" and header["language"] == ["en", "zh"]
    assert header["pipeline_tag"] == "image-text-to-text" and "base_model" not in header, "paths are no names on a hub"
    metrics = [one["metrics"][0] for one in header["model-index"][0]["results"]]
    assert metrics[0]["name"] == "perception (of 2000)" and isinstance(metrics[0]["value"], float)
    assert f"| {metrics[0]['value']:.2f} |" in body and "(bench/en: 44 questions, the release has 2374)" in body
    assert "| run | 3 x 4 | instructions | 24 | 5" in body and "CC-BY-SA 4.0" in body
    assert "It knows six things." in body and "320 x 320 pixels and read as 6 positions" in body
    assert "skymm export run --hub --out tiny --scores" in body and "transformers" in body.rpartition("seed 0")[2]
    assert str(exported) not in body


def test_scores_of_other_weights_are_refused(exported, tmp_path):
    shutil.copytree(exported / "answers", tmp_path / "answers")
    (file,) = (tmp_path / "answers").glob("*.jsonl")
    lines = [json.loads(line) | {"weights": "0" * 16} for line in file.read_text("utf-8").splitlines()]
    file.write_text("".join(json.dumps(line) + "\n" for line in lines), "utf-8")
    with pytest.raises(ValueError, match="other weights than"):
        export_hub(exported / "run", tmp_path / "again", scores=[file])
    assert not (tmp_path / "again").exists()


def test_the_decision_pipeline_decides_as_our_logits_do(exported):
    decide = pipeline("decision", model=str(exported / "tiny"))
    assert decide.decision_config.labels == {"noul": ["Y", "N"]}, "of this tokenizer Yes is three tokens"
    picture = Image.open(exported / "picture.png").convert("RGB")
    questions = {"dog": {"type": "noul", "instructions": "Is there a dog?"}}
    said = decide({"state": "<it>", "assets": {"<it>": picture}, "questions": questions})["dog"]["noul"]
    processor, model = decide.processor, decide.model
    text = "\n\nIs there a dog?\nY: true\nN: false\nAnswer Y or N only."
    content = [{"type": "image", "image": picture}, {"type": "text", "text": text}]
    inputs = processor.apply_chat_template([{"role": "user", "content": content}], add_generation_prompt=True)
    two = model(**inputs).logits.detach()[0, -1, processor.tokenizer.convert_tokens_to_ids(["Y", "N"])]
    assert said == pytest.approx(two.softmax(-1)[0].item(), abs=1e-5)
    blank = Image.new("RGB", (9, 9))
    other = decide({"state": "<it>", "assets": {"<it>": blank}, "questions": questions})["dog"]["noul"]
    assert other != said, "it looks"


def test_engines_find_what_they_ask_for_by_name(exported):
    """As vLLM's backend for transformers' models asks: names, and what stands behind them."""
    model, processor = open_model(exported / "tiny")
    assert {"AutoConfig", "AutoModel", "AutoModelForImageTextToText", "AutoProcessor"} <= model.config.auto_map.keys()
    assert model.language_model is model.get_decoder() and model._supports_attention_backend
    assert model.get_encoder(modality="image") is model.towers
    pictures = [Image.open(exported / "picture.png"), Image.new("RGB", (9, 9), "red")]
    pixels = processor.image_processor(pictures)["pixel_values"]
    assert processor.image_processor.model_input_names == ("pixel_values",) and len(pixels) == len(model.towers)
    seen = model.get_image_features(pixel_values=pixels).pooler_output
    assert [tuple(one.shape) for one in seen] == [(6, model.get_input_embeddings().weight.shape[1])] * 2
    planned = processor._get_num_multimodal_tokens(image_sizes=[(9, 9), (500, 30)])
    assert planned.num_image_tokens == [6, 6] == [len(one) for one in seen] and planned.num_image_patches == [1, 1]
    inputs = processor(images=pictures[0], text="What is it?")
    assert int((inputs["input_ids"] == processor.image_token_id).sum()) == planned.num_image_tokens[0]


def test_tokens_that_others_add_are_never_taken_for_pictures(exported):
    _, processor = open_model(exported / "tiny")
    processor.tokenizer.add_tokens([f"<more {index}>" for index in range(16)])
    assert "pixel_values" in processor(images=Image.new("RGB", (9, 9)), text="What is it?")
    processor.tokenizer.add_tokens([f"<too many {index}>" for index in range(16)])
    with pytest.raises(ValueError, match="image positions have id"):
        processor(images=Image.new("RGB", (9, 9)), text="What is it?")

"""Adapters for other kits, called as these call them: by stand-ins with the names and signatures of their source."""

import importlib.util
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest
from PIL import Image

from skymm.model.build import build_model

ADAPTERS = Path(__file__).parent.parent / "eval" / "adapters"


@pytest.fixture
def adapter(monkeypatch):
    """Loads an adapter by its name, with `modules` (name -> attributes) as the kit."""

    def load(name, modules):
        for module, attributes in modules.items():
            stand_in = ModuleType(module)
            stand_in.__path__ = []
            vars(stand_in).update(attributes)
            monkeypatch.setitem(sys.modules, module, stand_in)
        spec = importlib.util.spec_from_file_location(name, ADAPTERS / f"{name}.py")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    return load


@pytest.fixture
def saved(tmp_path, tiny_model_recipe):
    model, processor = build_model(tiny_model_recipe)
    for part in (model, processor):
        part.save_pretrained(tmp_path / "model")
    Image.radial_gradient("L").save(tmp_path / "picture.png")

    def answer(content, tokens):
        inputs = processor.apply_chat_template([{"role": "user", "content": content}], add_generation_prompt=True)
        ids = model.generate(**inputs, max_new_tokens=tokens, do_sample=False)[0, inputs["input_ids"].shape[1] :]
        return processor.decode(ids, skip_special_tokens=True), ids

    return tmp_path, answer


@dataclass
class GenerationResult:
    text: str
    token_counts: object = None


class Lmms:
    def __init__(self):
        self.task_dict, self.cached = {}, []
        self.cache_hook = SimpleNamespace(add_partial=lambda *said: self.cached.append(said))


class ChatMessages:
    def __init__(self, *, messages):
        self.messages = messages

    def to_hf_messages(self):
        shown = {"image": lambda part: {"type": "image", "image": part["url"]}, "text": lambda part: part}
        return [one | {"content": [shown[part["type"]](part) for part in one["content"]]} for one in self.messages]


LMMS_EVAL = {
    "lmms_eval": {},
    "lmms_eval.api": {},
    "lmms_eval.models": {},
    "lmms_eval.api.instance": {"GenerationResult": GenerationResult, "TokenCounts": SimpleNamespace},
    "lmms_eval.api.model": {"lmms": Lmms},
    "lmms_eval.models.registry_v2": {"ModelManifest": lambda name, chat_class_path: (name, chat_class_path)},
    "lmms_eval.protocol": {"ChatMessages": ChatMessages},
}


def test_lmms_eval_gets_our_answers_in_its_order(adapter, saved):
    directory, answer = saved
    module = adapter("lmms_eval_skymm", LMMS_EVAL)
    assert module.manifest == ("skymm", "lmms_eval_skymm.SkyMM") and not module.SkyMM.is_simple
    asked = ["Is it red?", "What is it, in a word?", "有什么？", "Where?"]
    asker = module.SkyMM(str(directory / "model"), batch_size="2", device="cpu")
    picture = Image.open(directory / "picture.png")
    asker.task_dict = {"task": {"test": asked}}

    def messages(doc):
        return [{"role": "user", "content": [{"type": "image", "url": picture}, {"type": "text", "text": doc}]}]

    expected = [answer([{"type": "image", "image": picture}, {"type": "text", "text": one}], 8) for one in asked]
    stop = expected[3][0][2]
    decodings = [{"max_new_tokens": 8, "temperature": 0, "top_p": None, "until": ["\n\n\n"]}] * 3
    decodings.append({"max_new_tokens": 8, "until": stop, "do_sample": False})
    given = [dict(one) for one in decodings]
    requests = [
        SimpleNamespace(args=("said", messages, decoding, index, "task", "test"))
        for index, decoding in enumerate(decodings)
    ]
    found = asker.generate_until(requests)
    assert [one.text for one in found[:3]] == [text for text, _ in expected[:3]]
    assert found[3].text == expected[3][0].split(stop)[0] and decodings == given
    assert [one.token_counts.output_tokens for one in found[:3]] == [len(ids) for _, ids in expected[:3]]
    assert [said[2] for said in asker.cached] == [one.text for one in found]


def test_vlmevalkit_gets_our_answers_and_its_script_finds_the_model(adapter, saved, monkeypatch, capsys):
    directory, answer = saved
    known = {}
    kit = {"vlmeval": {}, "vlmeval.vlm": {}, "vlmeval.vlm.base": {"BaseModel": object}}
    module = adapter("vlmevalkit_skymm", kit | {"vlmeval.config": {"supported_VLM": known}})
    picture = str(directory / "picture.png")
    script = "import json, sys\nfrom vlmeval.config import supported_VLM\nprint(json.dumps(sys.argv))\n"
    (directory / "run.py").write_text(script + "print(supported_VLM['model'].keywords['model_path'])")
    monkeypatch.setattr(sys, "argv", ["x", str(directory / "run.py"), str(directory / "model"), "--data", "MME"])
    monkeypatch.setattr(sys, "path", list(sys.path))
    module.main()
    printed = capsys.readouterr().out.splitlines()
    assert json.loads(printed[-2])[1:] == ["--model", "model", "--data", "MME"]
    assert printed[-1] == str(directory / "model")
    asker = known["model"](max_new_tokens=8, device="cpu")
    message = [("image", picture), ("text", "Is it red?"), ("image", picture), ("text", "And it?")]
    found = asker.generate_inner([{"type": kind, "value": value} for kind, value in message], dataset="MME")
    expected, _ = answer([{"type": kind, kind if kind == "text" else "path": value} for kind, value in message], 8)
    assert found == expected

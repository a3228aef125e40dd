"""`skymm eval` as users type it: what there is, a VLM of transformers' own and an endpoint on three benchmarks, judge,
gain and report, and a data build that leaves out what is judged with.
"""

import base64
import io
import json
import re
import sys
from collections import Counter
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from curation.sources import miniatures
from endpoint import Endpoint, prompt_of
from parrot import Parrot
from PIL import Image

from skymm.cli import main
from skymm.data.shards import expand, read_shard
from skymm.evaluation.benchmark import Answer, Answers, Question, benchmark, coverage_line, covered_scores, names
from skymm.evaluation.predictions import read_lines
from skymm.evaluation.run import ask_of, questions_of, run, write_leakage_index
from skymm.evaluation.table import score_table
from skymm.recipe import EvalRecipe, load

EVAL = Path(__file__).parents[2] / "eval"


@dataclass
class Finished:
    returncode: int
    stdout: str
    stderr: str


def skymm(*arguments):
    """The console entry itself, in this process: importing transformers anew for every command would take minutes."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["skymm", *map(str, arguments)])
        with redirect_stdout(io.StringIO()) as stdout, redirect_stderr(io.StringIO()) as stderr:
            try:
                main()
                code = 0
            except SystemExit as end:
                code = end.code or 0
    return Finished(code, stdout.getvalue(), stderr.getvalue())


def done(*arguments):
    """What a command printed that has to succeed."""
    finished = skymm(*arguments)
    assert finished.returncode == 0, finished.stderr
    return finished.stdout


def picture(colour):
    data = io.BytesIO()
    Image.new("RGB", (40, 30), colour).save(data, "JPEG")
    return data.getvalue()


@pytest.fixture(scope="session")
def releases(tmp_path_factory, tiny_data):
    """name -> overrides of its recipe: MME, POPE and MMBench in their official layouts, small."""
    root = tmp_path_factory.mktemp("releases")
    coco, pope = root / "val2014", root / "pope"
    coco.mkdir(), pope.mkdir()
    lines = []
    for number, colour in enumerate(("red", "green", "blue")):
        name = f"COCO_val2014_{number:012d}.jpg"
        (coco / name).write_bytes(picture(colour))
        for thing, label in (("dog", "yes"), ("car", "no")):
            text = f"Is there a {thing} in the image?"
            lines.append({"question_id": len(lines) + 1, "image": name, "text": text, "label": label})
    for split in ("random", "popular", "adversarial"):
        (pope / f"coco_pope_{split}.json").write_text("".join(json.dumps(line) + "\n" for line in lines))
    header = ["index", "question", "hint", "A", "B", "C", "answer", "category", "l2-category", "split", "image"]
    rows = ["\t".join(header)]
    options = ["a red square", "a green square", "a blue square"]
    for group, colour in enumerate(("red", "green", "blue")):
        for turn in range(3):
            turned = options[turn:] + options[:turn]
            answer = "ABC"[turned.index(f"a {colour} square")]
            encoded = base64.b64encode(picture(colour)).decode()
            index = group + 1 + turn * 10**6
            cells = [index, "What is shown?", "", *turned, answer, "color", "perception", "dev", encoded]
            rows.append("\t".join(map(str, cells)))
    (root / "mmbench_dev_en.tsv").write_text("\n".join(rows) + "\n")
    return {
        "mme": [f"root={tiny_data / 'bench' / 'en'}"],
        "pope": [f"root={pope}", f"images={coco}"],
        "mmbench": [f"root={root / 'mmbench_dev_en.tsv'}"],
    }


NUM_QUESTIONS = {"pope": 18, "mmbench": 9}
MAIN = {"mme": "perception", "pope": "acc", "mmbench": "circular"}


# --- what there is ------------------------------------------------------------------------------------------------------


def test_everything_that_can_be_asked_is_listed_with_what_to_get(tmp_path):
    listed = json.loads(done("eval", "list", "--json"))
    assert [one["name"] for one in listed] == names()
    assert {"mme", "pope", "chair", "mmstar", "mmvp", "mmbench", "mmmu", "hallusionbench", "amber"} <= set(names())
    for one in listed:
        assert all(len(one[field]) >= 3 for field in ("title", "size", "licence", "download", "layout")), one
    shown = done("eval", "list", "mmvp-vlm")
    assert "download:" in shown and "root holds:" in shown and "mmvp_vlm" in done("eval", "list")
    nearly = skymm("eval", "score", "mmstarr", "x")
    assert nearly.returncode == 1 and "did you mean 'mmstar'?" in nearly.stderr
    for name in names():
        one = benchmark(name)
        assert one.name == name and one.metrics and len({metric.key for metric in one.metrics}) == len(one.metrics)
        # As many captions as somebody lists; made on this machine; as many rotations as a question has options; about so many.
        uncounted = (
            *("chair", "chinese_scenes", "held_out", "held_out_captions", "mmbench", "phd", "seed_bench", "trust"),
            "videohallucer",
        )
        assert bool(one.sizes) is (name not in uncounted), f"{name}: `sizes`, or none and its name among {uncounted}"
        numbers = set(map(int, re.findall(r"\d+", one.size)))
        assert not one.sizes or numbers & {*one.sizes.values(), sum(one.sizes.values())}, name
        if name not in ("chinese_scenes", "trust"):  # these draw what is missing
            recipe = load(EVAL / f"{name}.toml", EvalRecipe, [f"root={tmp_path / 'nowhere'}", f"images={tmp_path}"])
            with pytest.raises(ValueError, match=r"nowhere|no file at"):
                one.load(recipe)


def answer(name, split="random", **more):
    fields = {"split": split, "source": "coco", "image": "1.jpg"}
    return Answer(Question(name, "?", "yes", "1.jpg", (), ("yes", "no"), fields), "Yes", **more)


def test_a_part_is_never_scored_as_if_it_were_all(capsys):
    one = benchmark("pope")
    for answers, asked, counts, line in (
        ([answer("1"), answer("2")], 2, (2, 2, None), ""),
        ([answer("1"), answer("2")], 3, (2, 3, None), "only 2 of 3 questions are answered (66.7%): scored on these"),
        ([answer("1"), answer("2", failed=True)], 2, (1, 2, None), "only 1 of 2 questions are answered (50.0%)"),
        ([answer("1")], None, (1, 3000, None), "only 1 of 3000 questions"),  # of the parts that are answered at all
        ([answer("1"), answer("2", "popular")], None, (2, 6000, None), "only 2 of 6000 questions"),
        (Answers([answer("1")], 1, 4), None, (1, 1, 4), "4 answers are to no question of the labels, and left out"),
    ):
        scores = covered_scores(one, answers, {}, asked)
        assert (scores["answered"], scores["expected"], scores.get("left_over")) == counts
        assert coverage_line(scores).startswith(line) and bool(coverage_line(scores)) is bool(line)
        score_table(replace(one, tables=()), scores)
        shown = capsys.readouterr().out
        assert f"answered: {counts[0]} of {counts[1]}" in shown and line in shown


# --- asking and scoring -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "mode"), [("mme", "generate"), ("pope", "logits"), ("mmbench", "generate"), ("mmbench", "logits")]
)
def test_a_vlm_of_transformers_own_runs_and_is_scored(name, mode, releases, tiny_vlm, tmp_path):
    arguments = [f"eval/{name}.toml", *releases[name], "batch_size=4", "--model", tiny_vlm, "--out", tmp_path]
    asked = skymm("eval", "run", *arguments, "--mode", mode, "--sample", 4)
    assert asked.returncode == 0, asked.stderr
    lines = read_lines(tmp_path)
    assert len(lines) == NUM_QUESTIONS.get(name, len(lines)) and len({line["id"] for line in lines}) == len(lines)
    assert all(set(line["logits"]) == set(line["choices"]) for line in lines), "both modes record the choices"
    if mode == "logits":
        assert "agree on" in asked.stderr and json.loads((tmp_path / "agreement.json").read_text())["num_sampled"] == 4
    scores = json.loads(done("eval", "score", name, tmp_path, "--json"))
    assert 0 <= scores[MAIN[name]] <= 2000 and 0 <= scores["strict"]["unknown"] <= 1
    assert "official" in done("eval", "score", name, tmp_path)


def test_contrast_is_a_switch_of_asking_and_stands_in_the_answers(releases, tiny_vlm, tmp_path):
    (tmp_path / "red.jpg").write_bytes(picture("red"))
    ask = ["ask", tiny_vlm, tmp_path / "red.jpg", "Is it red?"]
    few = ["--max-new-tokens", 8]
    plain, off, blind = (
        done(*ask, *few, *more)
        for more in ((), ("--contrast", "noised", "--strength", 0), ("--contrast", "blind", "--strength", 3))
    )
    assert plain == off != blind
    assert done(*ask, "--contrast", "calibrated").strip() in ("Yes", "No")
    run_it = ["eval", "run", "eval/pope.toml", *releases["pope"], "split=random", "--model", tiny_vlm, "--sample", 0]
    done(*run_it, "contrast.beta=0.2", "--out", tmp_path / "a", "--contrast", "blind", "--strength", 2, "--gate", 0.9)
    for line in read_lines(tmp_path / "a"):
        wanted = {"kind": "blind", "strength": 2.0, "gate": 0.9, "beta": 0.2, "noise_step": 500}
        assert line["decoding"]["contrast"] == line["recipe"]["contrast"] == wanted
        assert line["num_tokens"] >= 1 and line["seconds"] > 0
    for arguments, words in (
        ((*run_it, "--out", tmp_path / "b", "--contrast", "calibrated"), "use --mode logits"),
        ((*run_it, "--out", tmp_path / "b", "--strength", 1), "'contrast.kind' is missing"),
        (
            (*run_it[:-3], "openai:http://localhost:1/v1#m", "--out", tmp_path / "b", "--contrast", "blind"),
            "next token",
        ),
        (("ask", "openai:http://localhost:1/v1#m", *ask[2:], "--contrast", "blind"), "over the network"),
    ):
        refused = skymm(*arguments)
        assert refused.returncode == 1 and words in refused.stderr


def test_an_endpoint_that_knows_everything_gets_everything(releases, tmp_path):
    for name, best in (("mme", 1000.0), ("pope", 1.0), ("mmbench", 1.0)):
        recipe = load(f"eval/{name}.toml", EvalRecipe, releases[name])
        gold = {}
        for question in questions_of(recipe):
            ask = ask_of(question, recipe)
            gold[ask.prompt, base64.b64encode(ask.images[0]).decode()] = question.gold.capitalize()

        def knows(request, gold=gold):
            *pictures, text = request["messages"][0]["content"]
            return gold[text["text"], pictures[0]["image_url"]["url"].split(",")[1]]

        with Endpoint(knows) as server:
            model, out = f"openai:{server.url}#all-knowing", tmp_path / name
            done("eval", "run", f"eval/{name}.toml", *releases[name], "--model", model, "--out", out)
        scores = json.loads(done("eval", "score", name, out, "--json"))
        assert scores[MAIN[name]] == scores["strict"][MAIN[name]] == best


def test_an_endpoint_that_dies_half_way_is_asked_nothing_twice_and_its_key_is_written_nowhere(
    releases, tmp_path, monkeypatch
):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-very-secret")
    count = []

    def dies(request):
        count.append(prompt_of(request))
        return "Yes" if len(count) <= 7 else (401, {"error": {"message": "expired"}})

    with Endpoint(dies) as server:
        arguments = ["eval", "run", "eval/pope.toml", *releases["pope"], "--model", f"openai:{server.url}#m"]
        first = skymm(*arguments, "--out", tmp_path)
        assert first.returncode == 1 and "refuses the key in OPENAI_API_KEY" in first.stderr
        assert "Traceback" not in first.stderr and len(read_lines(tmp_path)) == 7
        before = len(server.requests)
        server.rule = lambda request: "No"
        second = skymm(*arguments, "--out", tmp_path)
        assert second.returncode == 0 and len(server.requests) - before == 18 - 7
    lines = read_lines(tmp_path)
    assert (
        Counter(line["response"] for line in lines) == {"Yes": 7, "No": 11} and len({one["id"] for one in lines}) == 18
    )
    assert set(server.keys) == {"Bearer sk-very-secret"}
    written = [path.read_text("utf-8") for path in tmp_path.rglob("*")]
    assert "sk-very-secret" not in "".join([*written, second.stdout, second.stderr, first.stdout, first.stderr])


def test_missing_pictures_are_told_before_any_model_is_loaded(releases, tmp_path):
    arguments = ["eval/pope.toml", releases["pope"][0], f"images={tmp_path}", "--model", "hf:no/model"]
    asked = skymm("eval", "run", *arguments, "--out", tmp_path)
    assert asked.returncode == 1 and "no image 'COCO_val2014_000000000000.jpg'" in asked.stderr


def test_an_export_that_is_not_complete_is_refused(tmp_path, tiny_data):
    recipe = EvalRecipe(benchmark="mme", root=str(tiny_data / "bench" / "en"))
    path = run(recipe, Parrot(lambda ask: "yes\tor no"), tmp_path / "run")
    assert "existence.txt" in done("eval", "export", "mme", tmp_path / "run", "--out", tmp_path / "official")
    ours, theirs = (json.loads(done("eval", "score", "mme", tmp_path / one, "--json")) for one in ("run", "official"))
    # The made-up release is a part of MME, and says so where nobody knows what was asked.
    assert ours.pop("expected") == ours["answered"] < theirs.pop("expected") == 2374 and ours == theirs
    path.write_text("".join(path.read_text("utf-8").splitlines(keepends=True)[:-2]), "utf-8")
    refused = skymm("eval", "export", "mme", tmp_path / "run", "--out", tmp_path / "other")
    assert refused.returncode == 1 and "2 of" in refused.stderr and not (tmp_path / "other").exists()
    scored = json.loads(done("eval", "score", "mme", path, "--json"))
    assert scored["expected"] - scored["answered"] == 2


def test_free_answers_are_graded_once_and_scored_from_the_grades(tmp_path):
    root = tmp_path / "mm-vet"
    (root / "images").mkdir(parents=True)
    questions = {}
    for number, colour in enumerate(("red", "green", "blue")):
        (root / "images" / f"{colour}.jpg").write_bytes(picture(colour))
        one = {"imagename": f"{colour}.jpg", "question": "What colour?", "answer": colour, "capability": ["rec"]}
        questions[f"v1_{number}"] = one
    (root / "mm-vet.json").write_text(json.dumps(questions))
    judged = []

    def model_and_judge(request):
        if isinstance(request["messages"][0]["content"], list):
            return "red"
        judged.append(prompt_of(request))
        return "1.0" if len(judged) == 1 else "0.4"

    with Endpoint(model_and_judge) as server:
        model = f"openai:{server.url}#m"
        done("eval", "run", "eval/mm_vet.toml", f"root={root}", "--model", model, "--out", tmp_path)
        before = skymm("eval", "score", "mm_vet", tmp_path)
        assert before.returncode == 1 and "graded by a judge" in before.stderr
        for _ in range(2):
            done("eval", "judge", tmp_path, "--judge", model)
    assert len(judged) == 3, "the second time there was nothing left to ask"
    scores = json.loads(done("eval", "score", "mm_vet", tmp_path, "--json"))
    assert scores["score"] == pytest.approx((1.0 + 0.4 + 0.4) / 3 * 100)


# --- gain, report -------------------------------------------------------------------------------------------------------


def test_gain_from_three_numbers_and_from_too_few():
    printed = json.loads(done("eval", "gain", "--sv", 53.6, "--swv", 45.1, "--st", 41.2, "--json"))
    assert (printed["mg"], printed["ml"]) == (8.5, 3.9)
    shown = done("eval", "gain", "--sv", 53.6, "--swv", 45.1, "--st", 48.2)
    assert "MG 8.5" in shown and "ML 0.0" in shown
    for arguments in (["--sv", 1], ["eval/mme.toml", "--sv", 1], ["eval/mme.toml", "--model", "m"]):
        result = skymm("eval", "gain", *arguments)
        assert result.returncode == 1 and "--out" in result.stderr and "Traceback" not in result.stderr


def test_three_passes_and_a_report_on_them(releases, tiny_vlm, tiny_llm, tmp_path):
    arguments = ["eval", "gain", "eval/pope.toml", *releases["pope"], "split=random", "--model", tiny_vlm]
    refused = skymm(*arguments, "--out", tmp_path / "gain")
    assert refused.returncode == 1 and "name it with --base" in refused.stderr
    gain = json.loads(done(*arguments, "--base", tiny_llm, "--out", tmp_path / "gain", "--mode", "logits", "--json"))
    assert gain["mg"] == pytest.approx(gain["sv"] - gain["swv"]) and gain["ml"] >= 0
    parts = (("sv", "with_images"), ("swv", "without_images"), ("st", "base_llm"))
    from_files = [f"--{name}={tmp_path / 'gain' / part}" for name, part in parts]
    assert json.loads(done("eval", "gain", *from_files, "--json")) == gain
    for language, words in (("en", "Does it see"), ("zh", "看")):
        page = tmp_path / f"{language}.html"
        done("eval", "report", tmp_path / "gain", "--out", page, "--language", language)
        text = page.read_text("utf-8")
        assert words in text and "POPE" in text and "http://" not in text.replace("http://www.w3.org", "")


# --- what is judged with is not trained on ------------------------------------------------------------------------------


def test_a_build_leaves_out_what_a_benchmark_shows(tmp_path):
    shown = tmp_path / "a benchmark" / "existence"
    shown.mkdir(parents=True)
    for number, data in enumerate([miniatures.picture(3), miniatures.picture(7)]):
        (shown / f"{number}.jpg").write_bytes(data)
        lines = [f"Is there a {thing}? Please answer yes or no." for thing in ("dog in this image", "cat")]
        (shown / f"{number}.txt").write_text(f"{lines[0]}\tYes\n{lines[1]}\tNo\n")
    fields = miniatures.pairs(tmp_path / "in", broken=False)
    lines = [f"{name} = {json.dumps(value)}" for name, value in fields.items() if not isinstance(value, dict)]
    columns = ", ".join(f"{name} = {json.dumps(value)}" for name, value in fields["caption_column"].items())
    lines = ["[sources.a]", 'tasks = ["captions"]', f"caption_column = {{{columns}}}", *lines]
    named = f"'{EVAL / 'mme.toml'}' 'root={shown.parent}'"
    recipe = tmp_path / "recipe.toml"
    recipe.write_text("\n".join([*lines, "[filters]", f"leakage = [{json.dumps(named)}]"]) + "\n", "utf-8")
    done("data", "build", recipe, "--out", tmp_path / "out", "--workers", "1")
    card = json.loads((tmp_path / "out" / "card.json").read_text("utf-8"))
    assert card["sources"]["a"]["left out"] == {"picture of an evaluation set": 2}
    keys = {sample.key for shard in expand(tmp_path / "out") for sample in read_shard(shard)}
    assert len(keys) == miniatures.GOOD - 2
    with pytest.raises(ValueError, match="nowhere"):
        write_leakage_index([f"{EVAL / 'mme.toml'} root={tmp_path / 'nowhere'}"], tmp_path / "index.npz")

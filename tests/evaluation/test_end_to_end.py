"""The commands as users type them: a VLM of transformers' own and an endpoint, three benchmarks, killed and resumed."""

import base64
import io
import json
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass

import pytest
from endpoint import Endpoint, prompt_of
from PIL import Image

from skymm.cli import main
from skymm.evaluation.predictions import read_lines


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


@pytest.mark.parametrize("benchmark", ["mme", "pope", "mmbench"])
@pytest.mark.parametrize("mode", ["generate", "logits"])
def test_a_vlm_of_transformers_own_runs_and_is_scored(benchmark, mode, releases, tiny_vlm, tmp_path):
    out = tmp_path / "out"
    arguments = [f"eval/{benchmark}.toml", *releases[benchmark], "batch_size=4"]
    asked = skymm("eval", "run", *arguments, "--model", tiny_vlm, "--out", out, "--mode", mode, "--sample", 4)
    assert asked.returncode == 0, asked.stderr
    lines = read_lines(out)
    assert len(lines) == NUM_QUESTIONS.get(benchmark, len(lines)) and len({line["id"] for line in lines}) == len(lines)
    assert all(set(line["logits"]) == set(line["choices"]) for line in lines), "both modes record the choices"
    if mode == "logits":
        assert "agree on" in asked.stderr and json.loads((out / "agreement.json").read_text())["num_sampled"] == 4
    scored = skymm("eval", "score", benchmark, out, "--json")
    assert scored.returncode == 0, scored.stderr
    scores = json.loads(scored.stdout)
    assert 0 <= scores[MAIN[benchmark]] <= 2000 and 0 <= scores["strict"]["unknown"] <= 1
    shown = skymm("eval", "score", benchmark, out)
    assert shown.returncode == 0 and "official" in shown.stdout


@pytest.mark.parametrize("benchmark", ["mme", "pope", "mmbench"])
def test_an_endpoint_that_knows_everything_gets_everything(benchmark, releases, tmp_path):
    """It is told the gold answers by a first run that another model answered."""
    from skymm.evaluation.run import ask_of, questions_of
    from skymm.recipe import EvalRecipe, load

    recipe = load(f"eval/{benchmark}.toml", EvalRecipe, releases[benchmark])
    gold = {}
    for question in questions_of(recipe):
        ask = ask_of(question, recipe)
        gold[ask.prompt, base64.b64encode(ask.images[0]).decode()] = question.gold.capitalize()

    def knows(request):
        *pictures, text = request["messages"][0]["content"]
        return gold[text["text"], pictures[0]["image_url"]["url"].split(",")[1]]

    with Endpoint(knows) as server:
        model = f"openai:{server.url}#all-knowing"
        asked = skymm(
            "eval", "run", f"eval/{benchmark}.toml", *releases[benchmark], "--model", model, "--out", tmp_path
        )
        assert asked.returncode == 0, asked.stderr
    scores = json.loads(skymm("eval", "score", benchmark, tmp_path, "--json").stdout)
    assert scores[MAIN[benchmark]] == {"mme": 1000.0, "pope": 1.0, "mmbench": 1.0}[benchmark]
    assert scores["strict"][MAIN[benchmark]] == scores[MAIN[benchmark]]


def test_killed_at_any_moment_an_endpoint_is_asked_nothing_twice(releases, tmp_path, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-very-secret")

    given, lock, run = Counter(), threading.Lock(), [0]

    def five_to_a_run_and_then_silence(request):
        mine = run[0]
        with lock:
            given[mine] += 1
            if given[mine] <= 5 or mine == 2:
                return "Yes"
        while run[0] == mine:
            time.sleep(0.01)
        return "to a dead client"

    def answered():
        path = tmp_path / "predictions.jsonl"
        return len(path.read_bytes().splitlines()) if path.exists() else 0

    with Endpoint(five_to_a_run_and_then_silence) as server:
        arguments = ["eval", "run", "eval/pope.toml", *releases["pope"], "--model", f"openai:{server.url}#m"]
        command = [sys.executable, "-m", "skymm.cli", *map(str, arguments), "--out", str(tmp_path)]
        for _ in range(2):
            process, known = subprocess.Popen(command, stderr=subprocess.DEVNULL), answered()
            while answered() == known and process.poll() is None:
                time.sleep(0.005)
            process.send_signal(signal.SIGKILL)
            assert process.wait() == -signal.SIGKILL, "killed on the way"
            run[0] += 1
        known, before = {line["id"] for line in read_lines(tmp_path)}, len(server.requests)
        assert 2 <= len(known) <= 10
        finished = skymm(*arguments, "--out", tmp_path)
        assert finished.returncode == 0, finished.stderr
        asked_again = Counter(prompt_of(request) for request in server.requests[before:])
    lines = read_lines(tmp_path)
    assert sorted(line["id"] for line in lines) == sorted({line["id"] for line in lines}) and len(lines) == 18
    assert sum(asked_again.values()) == 18 - len(known), "what had its answer was not asked again"
    assert set(server.keys) == {"Bearer sk-very-secret"}
    for path in tmp_path.rglob("*"):
        assert "sk-very-secret" not in path.read_text("utf-8")
    assert "sk-very-secret" not in finished.stdout + finished.stderr


def test_an_endpoint_that_dies_half_way_costs_nothing_and_a_second_run_completes(releases, tmp_path):
    count = []

    def dies(request):
        count.append(1)
        return "Yes" if len(count) <= 7 else (401, {"error": {"message": "expired"}})

    with Endpoint(dies) as server:
        arguments = ["eval", "run", "eval/pope.toml", *releases["pope"], "--model", f"openai:{server.url}#m"]
        first = skymm(*arguments, "--out", tmp_path)
        assert first.returncode == 1 and "refuses the key in OPENAI_API_KEY" in first.stderr
        assert "Traceback" not in first.stderr and len(read_lines(tmp_path)) == 7
        server.rule = lambda request: "No"
        assert skymm(*arguments, "--out", tmp_path).returncode == 0
    assert Counter(line["response"] for line in read_lines(tmp_path)) == {"Yes": 7, "No": 11}


def test_missing_pictures_are_told_before_any_model_is_loaded(releases, tmp_path):
    root, _ = releases["pope"]
    asked = skymm(
        "eval", "run", "eval/pope.toml", root, f"images={tmp_path}", "--model", "hf:no/model", "--out", tmp_path
    )
    assert asked.returncode == 1 and "no image 'COCO_val2014_000000000000.jpg'" in asked.stderr


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
        assert (
            skymm("eval", "run", "eval/mm_vet.toml", f"root={root}", "--model", model, "--out", tmp_path).returncode
            == 0
        )
        before = skymm("eval", "score", "mm_vet", tmp_path)
        assert before.returncode == 1 and "graded by a judge" in before.stderr
        for _ in range(2):
            graded = skymm("eval", "judge", tmp_path, "--judge", model)
            assert graded.returncode == 0, graded.stderr
    assert len(judged) == 3, "the second time there was nothing left to ask"
    scores = json.loads(skymm("eval", "score", "mm_vet", tmp_path, "--json").stdout)
    assert scores["score"] == pytest.approx((1.0 + 0.4 + 0.4) / 3 * 100)


def test_three_passes_and_a_report_on_them(releases, tiny_vlm, tiny_llm, tmp_path):
    arguments = ["eval", "gain", "eval/pope.toml", *releases["pope"], "split=random", "--model", tiny_vlm]
    refused = skymm(*arguments, "--out", tmp_path / "gain")
    assert refused.returncode == 1 and "name it with --base" in refused.stderr
    done = skymm(*arguments, "--base", tiny_llm, "--out", tmp_path / "gain", "--mode", "logits", "--json")
    assert done.returncode == 0, done.stderr
    gain = json.loads(done.stdout)
    assert gain["mg"] == pytest.approx(gain["sv"] - gain["swv"]) and gain["ml"] >= 0
    from_files = [
        f"--{name}={tmp_path / 'gain' / part}"
        for name, part in (("sv", "with_images"), ("swv", "without_images"), ("st", "base_llm"))
    ]
    assert json.loads(skymm("eval", "gain", *from_files, "--json").stdout) == gain
    for language, words in (("en", "Does it see"), ("zh", "看")):
        page = tmp_path / f"{language}.html"
        written = skymm("eval", "report", tmp_path / "gain", "--out", page, "--language", language)
        assert written.returncode == 0, written.stderr
        text = page.read_text("utf-8")
        assert words in text and "POPE" in text and "http://" not in text.replace("http://www.w3.org", "")

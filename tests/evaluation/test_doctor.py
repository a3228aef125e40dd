"""The doctor of benchmarks: POPE's known defects, planted defects in options and in shards, and what n can resolve."""

import io
import json
from dataclasses import replace

import numpy as np
import pytest
from official import oracle
from PIL import Image
from test_commands import done, skymm

from skymm.conversation import Conversation, Turn
from skymm.data.shard_writing import write_shard
from skymm.evaluation import doctor
from skymm.evaluation.benchmark import Question, benchmark
from skymm.evaluation.statistics import resolvable
from skymm.recipe import EvalRecipe


def png(number, blank=False):
    image = Image.new("RGB", (8, 8), (number % 256, number // 256, 0))
    if not blank:
        image.putpixel((0, 0), (255, 255, 0))  # blue stays the same
    data = io.BytesIO()
    image.save(data, "PNG")
    return data.getvalue()


def examined(*arguments):
    found = json.loads(done("eval", "doctor", *arguments, "--json"))
    return found, {one["name"]: one for one in found["findings"]}


def planted(monkeypatch, questions):
    """The findings on these questions, as if a benchmark had loaded them."""
    one = replace(benchmark("ai2d"), load=lambda recipe: questions)
    monkeypatch.setattr(doctor, "benchmark", lambda name: one)
    found = doctor.examine(EvalRecipe(benchmark="ai2d", root="nowhere"))
    return {one.name: one for one in found.findings}


def test_the_known_defects_of_pope_are_found(tmp_path):
    """Counted by others (arXiv 2504.15707): 139 wrong and 207 open of the 1,500 yes; 5 + 19, 39 + 66, 33 + 109 of the no."""
    questions = oracle("pope/coco_head")
    rows = (questions / "coco_pope_random.json").read_text().splitlines()
    for number, name in enumerate(sorted({json.loads(row)["image"] for row in rows})):
        (tmp_path / name).write_bytes(png(number))
    asked = ("eval/pope.toml", f"root={questions}", f"images={tmp_path}")
    found, of = examined(*asked, f"files.labels={oracle('repope')}")
    assert (found["questions"], found["pictures"]) == (9000, 500)
    assert (of["copies"]["value"], of["against"]["value"]) == (9000 - 5127, 0)
    assert of["wrong"]["value"] == 3 * 139 + 5 + 39 + 33 and of["undecided"]["value"] == 3 * 207 + 19 + 66 + 109
    assert (of["share"]["of"], round(of["share"]["value"] * 5127)) == (5127, 5127 - 1500)
    guessed = {one["kind"]: one["guessed"] for one in found["groups"]}
    # leaving one out, by the thing alone: 67.5, 86.9, 69.1; here half of the pictures teach the other half
    assert guessed == pytest.approx({"random": 0.675, "popular": 0.869, "adversarial": 0.691}, abs=0.025)
    shown = done("eval", "doctor", *asked)
    assert "3873 of 9000" in shown and "not compared" in shown and "github.com/YanNeu/RePOPE" in " ".join(shown.split())
    assert "Nothing found: " in shown and "of one colour" in shown


def test_planted_defects_of_options_are_found(monkeypatch):
    def ask(number, gold="A", options=None, image=None, text="Which one?"):
        options = options or {letter: f"{letter} {number}" for letter in "ABCD"}
        fields = {"options": options, "category": "x"}
        return Question(str(number), text, gold, f"c{number}", (image or png(number),), tuple(options), fields)

    golds = ["ABCD"[number % 4] for number in range(80)]
    sound = [
        ask(number, gold, {one: "a lamp" if one == gold else f"{one}{number}" for one in "ABCD"})
        for number, gold in enumerate(golds)
    ]
    same = {"A": "One", "B": "two", "C": " one"}
    bad = [
        replace(sound[0], id="again"),
        replace(sound[1], id="against", gold="A"),
        replace(ask(200), id="5"),
        ask(201, image=png(9999, blank=True)),
        ask(202, image=b"no picture at all"),
        ask(203, gold="?"),
        ask(204, gold="E"),
        ask(205, options=same),
        ask(206, options={"A": "", "B": ""}),
    ]
    of = planted(monkeypatch, sound + bad)
    names = ("copies", "against", "ids", "unreadable", "blank", "no_gold", "no_option", "equal")
    assert {name: of[name].value for name in names} == {**dict.fromkeys(names, 1), "copies": 2}
    found = [of[name].examples[0] for name in names]
    assert found == ["again", "1", "5", "202", "201", "203", "204", "205"]
    assert all(of[name].do for name in names)
    # "a lamp" is always right: halves by picture tell it, letters do not; of the others the few are told by nothing
    assert of["options"].do and planted(monkeypatch, sound)["options"].value == 1
    assert of["guessed"].value < 0.45 and not of["guessed"].do and of["share"].do == ""
    clean = planted(monkeypatch, [ask(number, gold) for number, gold in enumerate(golds)])
    assert not any(clean[name].value or clean[name].do for name in names) and clean["options"].do == ""


def test_shards_of_ones_own(tmp_path):
    """Who asks for a cat is answered yes, who asks for a dog no: the words give everything away, in both languages."""
    samples = []
    for number in range(80):
        said = (("Is there a cat?", "Yes"), ("Is there a dog?", "No"), ("有猫吗？", "有"), ("有狗吗？", "没有"))
        turns = [
            turn for one, other in said for turn in (Turn("user", one), Turn("assistant", other, kind="existence"))
        ]
        turns[0] = Turn("user", said[0][0], ("png",))
        samples.append((Conversation(f"{number:03}", tuple(turns)), {"png": png(number // 2)}))
    write_shard(tmp_path / "s.tar", samples)
    found, of = examined("eval/held_out.toml", f"root={tmp_path}/s.tar")
    assert (found["questions"], found["pictures"], of["copies"]["value"]) == (320, 40, 160)
    assert of["guessed"]["value"] == 1 and of["share"]["value"] == 0.5 and not of["share"]["do"]
    assert {(one["kind"], one["language"], one["answer_share"]) for one in found["groups"]} == {
        ("existence", "en", 0.5),
        ("existence", "zh", 0.5),
    }
    assert of["known"]["shown"] == "no list is known here"
    refused = skymm("eval", "doctor", "eval/chair.toml", f"root={tmp_path}")
    assert refused.returncode != 0


def test_free_text_is_refused(monkeypatch):
    with pytest.raises(
        ValueError, match="found 1 questions of ai2d, none with choices; expected a benchmark of yes/no"
    ):
        planted(monkeypatch, [Question("1", "Describe it.", "", "1")])


def test_what_can_be_resolved():
    # Miller, arXiv 2411.00640, section 5: 969 questions find 3 points where the paired variance is 1/9
    assert resolvable([1] * 969, 1 / 9, 0) == pytest.approx(0.03, abs=5e-6)
    assert resolvable([4] * 50, 0.2, 1) == pytest.approx(
        resolvable([1] * 50, 0.2, 0)
    )  # a picture decides all: 50 to ask
    with pytest.raises(ValueError, match="found no questions"):
        resolvable([], 0.2, 0)
    # Drawn: in a share `alike` of the pictures one coin decides all questions; the test finds the difference in 80 of 100
    generator, sizes, alike, right = np.random.default_rng(0), [2, 6, 12] * 60, 0.3, 0.6
    gap = resolvable(sizes, 2 * right * (1 - right), alike)

    def accuracies(chance, draws=3000):
        total = np.zeros(draws)
        for size in sizes:
            shared = generator.random(draws) < alike
            total += np.where(
                shared, size * (generator.random(draws) < chance), generator.binomial(size, chance, draws)
            )
        return total / sum(sizes)

    spread = accuracies(right).std() * 2**0.5
    found = np.abs(accuracies(right + gap / 2) - accuracies(right - gap / 2)) > 1.96 * spread
    assert found.mean() == pytest.approx(0.8, abs=0.025)

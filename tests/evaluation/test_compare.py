"""Runs compared: made-up answers whose AUROC, shares of yes and verdicts are known."""

import json
import re

import pytest
from test_commands import done

from skymm.answering.protocol import Reply
from skymm.evaluation.benchmark import YES_NO, Question
from skymm.evaluation.compare import compare, pairs_below, right_at_rate, sections
from skymm.evaluation.predictions import entry_of
from skymm.page.document import Page, write_page
from skymm.recipe import ContrastRecipe, EvalRecipe

NUM_PICTURES = 40


@pytest.fixture(autouse=True)
def few_resamples(monkeypatch):
    monkeypatch.setitem(compare.__kwdefaults__, "n", 80)  # each scores all answers anew


def write(directory, odds, *, logits=True, contrast=None, seconds=0.5, **setting):
    """Answers to two questions about each picture, the first deserving yes; `odds`: (picture, gold) -> log-odds of yes."""
    recipe = EvalRecipe(benchmark="held_out", root="shards", contrast=contrast)
    decoding = {"do_sample": False} | ({"contrast": contrast.model_dump()} if contrast else {})
    setting = {
        **{"benchmark": "held_out", "model": "m", "weights": "w", "mode": "generate", "images": True},
        **{"num_questions": 2 * NUM_PICTURES, "decoding": decoding, "recipe": recipe.model_dump()},
        **setting,
    }
    lines = []
    for picture in range(NUM_PICTURES):
        for gold in YES_NO:
            fields = {"language": "en", "kind": "existence"}
            question = Question(f"{picture}/{gold}", "Is there a cat?", gold, f"{picture}", (), YES_NO, fields)
            value = odds(picture, gold)
            said = Reply("Yes" if value > 0 else "No", {"yes": value, "no": 0.0} if logits else None, num_tokens=2)
            lines.append(entry_of(question, len(lines), question.text, said, setting) | {"seconds": seconds})
    directory.mkdir(parents=True)
    (directory / "predictions.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return directory


def leaning(picture, gold):
    """Knows three pictures in four; of the others it takes yes for no and no for yes. Says yes to half, then moved down."""
    knows = picture % 4 != 0
    return (1 if (gold == "yes") == knows else -1) * (1 + picture / NUM_PICTURES)


@pytest.mark.parametrize(
    ("odds", "positive", "rate", "right"),
    [
        ([3, 1, 2, 0], [1, 1, 0, 0], 0.5, 0.5),  # yes to 3 and 2
        ([3, 1, 2, 0], [1, 1, 0, 0], 0.25, 0.75),
        ([3, 1, 2, 0], [1, 1, 0, 0], 0.75, 0.75),
        ([3, 1, 2, 0], [1, 1, 0, 0], 0.0, 0.5),
        ([1, 1, 0, 0], [1, 0, 1, 0], 0.25, 0.5),  # the threshold falls on equals
        ([1, 1, 1, 0], [1, 1, 0, 0], 0.5, (2 * (2 / 3) + 1 * (1 / 3) + 1) / 4),
    ],
)
def test_how_much_is_right_at_a_share_of_yes(odds, positive, rate, right):
    assert right_at_rate(odds, positive, rate) == pytest.approx(right)


def test_a_shift_to_one_answer_is_told_from_knowing_more(tmp_path):
    cautious = write(tmp_path / "greedy", lambda *about: leaning(*about) - 1.8)
    contrast = ContrastRecipe(kind="noised", strength=0.5, gate=0.8)
    shifted = write(tmp_path / "shifted", leaning, contrast=contrast, seconds=1.0)
    knowing = write(tmp_path / "knowing", lambda _, gold: 0.5 if gold == "yes" else -3)
    first, second, third = found = compare([cautious, shifted, knowing])

    values = {one.name: {key: number.value for key, number in one.numbers.items()} for one in found}
    assert values["shifted"]["right"] == 0.75 and values["shifted"]["yes"] == 0.5
    # AUROC by its definition: pairs of a deserved and an undeserved yes in which the first has more
    assert values["greedy"]["auroc"] == pytest.approx(values["shifted"]["auroc"]) and values["knowing"]["auroc"] == 1
    ranks = [
        (leaning(one, "yes"), leaning(other, "no")) for one in range(NUM_PICTURES) for other in range(NUM_PICTURES)
    ]
    wins = sum((yes > no) + (yes == no) / 2 for yes, no in ranks) / len(ranks)
    assert values["greedy"]["auroc"] == pytest.approx(wins)
    rate = sum(leaning(picture, gold) > 1.8 for picture in range(NUM_PICTURES) for gold in YES_NO) / (2 * NUM_PICTURES)
    assert values["greedy"]["yes"] == pytest.approx(rate) and 0 < rate < 0.4
    assert values["greedy"]["right_at_equal_yes"] == pytest.approx(values["greedy"]["right"])
    assert values["knowing"]["right_at_equal_yes"] == pytest.approx(0.5 + rate)

    assert second.differences["right"].excludes(0) and not second.differences["auroc"].excludes(0)
    assert second.differences["right_at_equal_yes"].value == pytest.approx(0)
    assert second.notes[0].startswith("its share of yes moved by +41.2 points")
    assert second.notes[1] == "more is right, but not where both say yes equally often: a shift"
    better = "tells yes from no better than the first, whatever the threshold"
    assert third.notes[0] == better
    assert compare([shifted, knowing])[1].notes[-2:] == (
        better,
        "more is right, also where both say yes equally often",
    )
    only_first = sum(
        ((leaning(p, g) > 1.8) == (g == "yes")) > ((leaning(p, g) > 0) == (g == "yes"))
        for p in range(NUM_PICTURES)
        for g in YES_NO
    )
    assert second.test.only_b == only_first > 0 and second.test.only_a > only_first
    assert (first.tokens_per_second, second.tokens_per_second, second.answers_per_second) == (4, 2, 1)
    assert (first.decoding, second.decoding) == ("greedy", "greedy, noised contrast 0.5, gate 0.8")
    assert first.differences == {} and first.test is None

    page = write_page(
        Page("x", "en", "", sections(found, "held_out: accuracy", "rate")), tmp_path / "page.html"
    ).read_text()
    for told in ("noised contrast 0.5, gate 0.8", "right at equal share of yes", "AUROC", "moved by"):
        assert told in page
    printed = json.loads(
        done("eval", "compare", cautious, shifted, "--json", "--out", tmp_path / "b.html").rpartition("\n/")[0]
    )
    assert printed[1]["differences"]["auroc"]["value"] == pytest.approx(0) and (tmp_path / "b.html").exists()
    shown = done("eval", "compare", cautious, shifted)
    assert "AUROC" in shown and "tokens per second" in shown
    done("eval", "compare", cautious, shifted, "--language", "zh", "--out", tmp_path / "zh.html")
    chinese = (tmp_path / "zh.html").read_text("utf-8")
    for told in ("noised 对比 0.5，门限 0.8", "只是偏移", "答“是”的比例变化了 +41.2", "准确率", "每秒词元"):
        assert told in chinese, told


def test_without_log_probabilities_it_says_what_cannot_be_told(tmp_path):
    first = write(tmp_path / "a", leaning, contrast=ContrastRecipe(kind="blind"))
    other = write(tmp_path / "b", lambda *about: leaning(*about) + 5, logits=False, weights="v")
    found = compare([first, other])
    assert all(one.numbers["auroc"] is None and one.numbers["right_at_equal_yes"] is None for one in found)
    assert "whether a gain is more than a shift to one answer cannot be told" in found[0].notes[0]
    told = " ".join(found[1].notes)
    assert (
        "not plain greedy decoding" in told and "another model" in told and "less is right than with the first" in told
    )


def test_what_cannot_be_compared_is_refused(tmp_path):
    run = write(tmp_path / "a", leaning)
    part = write(tmp_path / "b", leaning)
    lines = (part / "predictions.jsonl").read_text().splitlines(keepends=True)
    (part / "predictions.jsonl").write_text("".join(lines[:-2]))
    other = write(tmp_path / "c", leaning, benchmark="mme")
    for paths, words in (
        ([run], "expected two or more"),
        ([run, part], "b answers 78 questions, a 80 or others"),
        ([run, other], "c is of mme, a of held_out"),
    ):
        with pytest.raises(ValueError, match=words):
            compare(paths)


def test_two_whole_runs_are_compared_benchmark_by_benchmark(tmp_path):
    """Those in the same place belong together, else those that are alone of their benchmark; the rest is named."""
    first, other = tmp_path / "one", tmp_path / "two"
    for place in ("en", "zh", "only"):
        write(first / place, leaning)
    for place in ("en", "zh"):
        write(other / place, lambda *about: leaning(*about) - 1.8 * (about[0] < 20))
    told = json.loads(done("eval", "compare", first, other, "--json"))
    assert list(told) == ["en", "zh"]
    assert told["en"] == json.loads(done("eval", "compare", first / "en", other / "en", "--json"))
    shown = done("eval", "compare", first, other, "--out", tmp_path / "page.html")
    shown = "".join(shown.split())  # a terminal breaks lines, long paths in the middle
    assert "2benchmarksarecompared" in shown and "one/only:theotherrunhasnosuchpredictions" in shown
    write(tmp_path / "three" / "here", leaning)
    write(tmp_path / "four" / "there", leaning)
    pairs, left = pairs_below(tmp_path / "three", tmp_path / "four")  # each the only one of its benchmark
    assert pairs == [(tmp_path / "three" / "here", tmp_path / "four" / "there")] and left == []
    done("eval", "compare", first, other, "--language", "zh", "--out", tmp_path / "zh.html")
    page = (tmp_path / "zh.html").read_text("utf-8")
    assert "共比较 2 个基准" in page and re.findall(r"<h2[^>]*>(.*?)</h2>", page) == ["en", "zh"], "each under its name"
    (tmp_path / "none").mkdir()
    with pytest.raises(ValueError, match=r"two has predictions of held_out, .*none of none; expected a benchmark in"):
        pairs_below(other, tmp_path / "none")

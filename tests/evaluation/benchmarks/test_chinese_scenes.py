"""The Chinese-scene benchmark: made on the spot, asked in twins, read strictly in both languages and scripts."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from parrot import Parrot
from PIL import Image

from skymm.evaluation.benchmark import Answer, Question, benchmark, value_of
from skymm.evaluation.benchmarks.chinese_scenes import BENCHMARK, load, said, short_right
from skymm.evaluation.kits.chinese_scenes import scenes as kit
from skymm.evaluation.run import run, score_predictions
from skymm.recipe import EvalRecipe

ALL_FAMILIES = dict(kit.FAMILIES)
WORDS = {"zh": {"yes": "是", "no": "否"}, "en": {"yes": "Yes.", "no": "No."}}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory):
    """Menus, cards and things only: every form, script and most kinds."""
    with pytest.MonkeyPatch.context() as patch:
        few = {name: kit.FAMILIES[name] for name in ("menus", "cards", "things")}
        patch.setattr(kit, "FAMILIES", few)
        yield tmp_path_factory.mktemp("bench") / "scenes"


@pytest.fixture(scope="module")
def questions(root: Path) -> list[Question]:
    return load(EvalRecipe(benchmark="chinese_scenes", root=str(root)))


right, score, strict = BENCHMARK.right, BENCHMARK.score, BENCHMARK.strict


def perfect(question: Question) -> str:
    return WORDS[question.fields["language"]].get(question.gold, question.gold)


def answered(questions: list[Question], rule: Callable[[Question], str] = perfect) -> list[Answer]:
    return [Answer(question, rule(question)) for question in questions]


def question(form: str, gold: str = "", language: str = "en", **fields) -> Question:
    fields = {"twin": "p/1", "language": language, "kind": "price", "form": form, "family": "menus", **fields}
    choices = {"yes_no": ("yes", "no"), "choice": ("A", "B", "C", "D"), "short": ()}[form]
    return Question(f"p/1/{language}", "?", gold, "c", (), choices, fields)


# --- loading --------------------------------------------------------------------------------------------------------------


def test_it_is_made_where_there_is_nothing(questions, root):
    assert (root / "manifest.json").is_file()
    assert len({one.id for one in questions}) == len(questions) > 600
    for one in questions:
        assert one.images[0].parent == root / "pictures" and one.images[0].is_file()
    with Image.open(questions[0].images[0]) as image:
        assert image.format == "PNG" and image.size == (448, 448)


def test_a_second_load_is_the_same_and_a_changed_file_is_refused(questions, root, tmp_path):
    recipe = EvalRecipe(benchmark="chinese_scenes", root=str(root))
    assert load(recipe) == questions
    other = kit.build(tmp_path / "scenes")
    card = json.loads((other / "manifest.json").read_text("utf-8"))
    (other / "manifest.json").write_text(json.dumps({**card, "version": 0}))
    with pytest.raises(
        ValueError, match=r"found version 0, expected \d+ of this skymm; remove .* or name another root"
    ):
        load(recipe.model_copy(update={"root": str(other)}))


def test_splits_and_pictures_elsewhere(questions, root, tmp_path):
    recipe = EvalRecipe(benchmark="chinese_scenes", root=str(root), split="cards")
    assert [one for one in questions if one.fields["family"] == "cards"] == load(recipe) != []
    with pytest.raises(ValueError, match="found split 'posters', expected one of menus, cards, things"):
        load(recipe.model_copy(update={"split": "posters"}))
    with pytest.raises(ValueError, match=r"no image 'cards-000\.png'"):
        load(recipe.model_copy(update={"images": str(tmp_path)}))


def test_the_declaration_says_the_size_of_the_whole_set(monkeypatch):
    assert benchmark("chinese-scenes") is BENCHMARK
    monkeypatch.setattr(kit, "FAMILIES", ALL_FAMILIES)
    assert f"{len(kit.questions())} questions, {len(kit.pictures())} pictures" == BENCHMARK.size


# --- what an answer says ----------------------------------------------------------------------------------------------------

ACCEPTED = {
    "sign": ("小心触电", "小心觸電"),
    "price": ("28元", "28", "28 yuan", "二十八元", "28.00"),
    "time": ("10:30", "10:30am", "十点半", "上午10:30"),
    "way": ("left", "to the left", "左", "左边", "往左", "向左走"),
    "thing": ("饺子", "a dumpling", "dumpling", "餃子"),
}


RIGHT = {
    "sign": (
        *("小心触电", "小心觸電。", " **小心触电** ", "“小心触电”", "小 心 触 电", "牌子上写的是“小心触电”。"),
        *("牌子上写着小心触电四个字", 'The sign says "小心触电", which warns of electricity.'),
        *("The characters on the sign are 小心觸電", "小心触电 (danger of electric shock)"),
        *("Danger of electric shock (小心触电)", "答案：小心触电", "Answer:\n小心触电"),
        *("小心触电\n\n这是一个警告标志，不是小心地滑。", "<think>It could be 小心地滑.</think>小心触电"),
    ),
    "price": (
        *("28", "￥28", "２８元", "¥28.00", "It costs 28 yuan.", "The menu charges 28 yuan"),
        *("价格是二十八元。", "价格：28元"),
    ),
    "time": ("10:30", "10:30 a.m.", "The train leaves at 10:30.", "上午10:30开车", "十点半"),
    "way": ("Left", "To the left.", "The zoo is to the left.", "去动物园应该往左。", "LEFT!"),
    "thing": ("A dumpling.", "It is a dumpling at the top left", "左上方是饺子。", "The dumpling"),
}


WRONG = {
    "sign": (
        *("", "小心", "小心触电危险", "小心地滑", "小心地滑、小心触电、小心碰头"),
        *("小心触电 / 小心地滑", "不是小心触电"),
        *("牌子上写的不是“小心触电”", "It is not 小心触电", 'The sign does not say "小心触电".'),
        *("Danger of electric shock", "小心地滑 (小心触电)", "小心地滑。小心触电。", "<think>小心触电"),
    ),
    "price": ("128", "2.8", "28 or 38 yuan", "82元", "10:28"),
    "time": ("10:30pm", "1:03"),
    "way": ("right", "left or right", "not left", "It isn't to the left"),
    "thing": ("a dumpling and a noodle soup", "no dumpling", "there are dumplings"),
}


def test_short_answers():
    for what, accepted in ACCEPTED.items():
        assert [said for said in RIGHT[what] if not short_right(said, accepted)] == []
        assert [said for said in WRONG[what] if short_right(said, accepted)] == []


def test_verdicts():
    choice = question("choice", "B", options={"A": "exit", "B": "入口", "C": "stairs", "D": "lift"})
    short = question("short", accepted=["28元", "28"])
    for asked, response, verdict in (
        (question("yes_no", "yes"), "是的。", "yes"),
        (question("yes_no", "yes", "zh"), "No, it does not.", "no"),
        (question("yes_no", "yes"), "小心触电", "unknown"),
        *((choice, "选B", "B"), (choice, "入口", "B"), (choice, "hm", "unknown")),
        *(
            (short, "28元", "right"),
            (short, "29", "wrong"),
            (short, " \n。", "unknown"),
            (short, "<think>28", "unknown"),
        ),
    ):
        answer = Answer(asked, response)
        assert said(answer) == verdict
        assert strict(answer) == (None if asked.fields["form"] == "short" else verdict)
        assert right(answer) == (verdict in ("right", asked.gold))


def test_every_accepted_form_is_read_as_right(questions):
    forms = 0
    for one in questions:
        for form in one.fields.get("accepted", ()):
            assert right(Answer(one, form)), (one.id, form)
            forms += 1
    assert forms > 2000


# --- scores -------------------------------------------------------------------------------------------------------------


def test_perfect_answers_in_both_languages(questions):
    scores = score(answered(questions), {})
    assert scores["acc"] == scores["strict"]["acc"] == 1 and scores["gap"] == 0 and scores["yes_ratio"] == 0.5
    assert scores["num_questions"] == len(questions) and scores["num_twins"] == len(questions) / 2
    assert set(scores["languages"]) == {"zh", "en"} and set(scores["forms"]) == {"yes_no", "choice", "short"}
    assert set(scores["scripts"]) == {"simplified", "traditional", "both"}
    assert set(scores["kinds"]) >= {"reading", "script", "price", "translation", "presence", "culture", "naming"}
    for table in BENCHMARK.tables:
        assert all(entry["acc"] == 1 for entry in scores[table].values())
    assert sum(entry["num_questions"] for entry in scores["scripts"].values()) < len(questions), "things show no script"
    assert all(value_of(scores, metric.key) is not None for metric in BENCHMARK.metrics)
    json.dumps(scores)


def test_strict_repeats_the_official_numbers_with_unknown(questions):
    scores = score(answered(questions, lambda one: perfect(one) if one.fields["kind"] == "price" else ""), {})
    rest, tables = dict(scores["strict"]), BENCHMARK.tables
    assert rest.pop("unknown") == pytest.approx(1 - scores["acc"])
    for table in tables:
        rest[table] = {
            name: {key: value for key, value in entry.items() if key != "unknown"}
            for name, entry in rest[table].items()
        }
    assert rest == {key: value for key, value in scores.items() if key != "strict"}
    assert scores["strict"]["kinds"]["price"] == {**scores["kinds"]["price"], "unknown": 0, "acc": 1}
    assert scores["strict"]["kinds"]["culture"]["unknown"] == 1


def test_the_gap_is_chinese_less_english_on_twins(questions):
    def better_in_chinese(one: Question) -> str:
        return perfect(one) if one.fields["language"] == "zh" or one.fields["form"] == "yes_no" else "?"

    scores = score(answered(questions, better_in_chinese), {})
    assert scores["languages"]["zh"]["acc"] == 1
    assert scores["gap"] == pytest.approx(1 - scores["languages"]["en"]["acc"]) and scores["gap"] > 0.3
    # English answers without their twins do not enter.
    more = [answer for answer in answered(questions, better_in_chinese) if answer.question.fields["language"] == "en"]
    pairs = answered(questions[:2])
    assert score(pairs + more[1:], {})["gap"] == 0 and score(pairs + more[1:], {})["num_twins"] == 1


def test_any_part_of_the_answers_can_be_scored(questions):
    for part in ([], answered(questions[:1]), answered([q for q in questions if q.fields["language"] == "en"])):
        scores = score(part, {})
        assert scores["num_twins"] == 0 and scores["gap"] is None
        assert scores["acc"] == (1 if part else None)
    assert score([], {})["yes_ratio"] is None


def test_a_cluster_drawn_twice_counts_twice(questions):
    cluster = questions[0].cluster
    mine = [one for one in questions if one.cluster == cluster]
    first = answered(mine, lambda one: perfect(one) if one.fields["language"] == "zh" else "?")
    second = [replace(answer, question=replace(answer.question, cluster=f"{cluster}#2")) for answer in answered(mine)]
    scores = score(first + second, {})
    assert scores["num_twins"] == len(mine) and scores["gap"] == pytest.approx(0.5)


def test_from_asking_to_scores(root, tmp_path):
    recipe = EvalRecipe(benchmark="chinese_scenes", root=str(root), split="cards")
    parrot = Parrot(lambda ask: "是" if "是或否" in ask.prompt else "Yes" if "yes or no" in ask.prompt else "B")
    scores = score_predictions(run(recipe, parrot, tmp_path / "out"))
    assert scores["forms"]["yes_no"]["acc"] == 0.5 and 0 < scores["forms"]["choice"]["acc"] < 0.5
    assert all(len(ask.images) == 1 for ask in parrot.asked)

"""Asking once, scoring from the file, going on after a kill."""

import json

import pytest

from skymm.evaluation.benchmarks import mme
from skymm.evaluation.page import write_page
from skymm.evaluation.run import PREDICTIONS, read_predictions, run, score_predictions, with_suffix
from skymm.evaluation.table import comparison_rows
from skymm.recipe import EvalRecipe


class Parrot:
    """Answers by rule and remembers what it was asked; `dies_after` batches it stops the run."""

    def __init__(self, rule=lambda image, question: "Yes", dies_after=10**9, name="parrot"):
        self.rule, self.dies_after, self.name = rule, dies_after, name
        self.asked: list[str] = []

    def answer(self, questions):
        if self.dies_after == 0:
            raise KeyboardInterrupt
        self.dies_after -= 1
        self.asked += [question for _, question in questions]
        assert all(data.startswith(b"\xff\xd8") for data, _ in questions)
        return [self.rule(*pair) for pair in questions]


@pytest.fixture
def recipe(tiny_data) -> EvalRecipe:
    return EvalRecipe(benchmark="mme", root=str(tiny_data / "bench" / "en"), batch_size=5)


def test_who_always_says_yes_is_half_right_and_shown_to(recipe, tmp_path):
    scores = score_predictions(run(recipe, Parrot(), tmp_path))
    assert all(
        (one["acc"], one["acc_plus"], one["yes_ratio"]) == (0.5, 0.0, 1.0) for one in scores["subtasks"].values()
    )
    assert scores["strict"]["yes_ratio"] == 1.0


def test_who_knows_everything_gets_everything(recipe, tmp_path):
    truth = {(one.image.read_bytes(), one.question): one.answer for one in mme.load(recipe.root)}
    scores = score_predictions(run(recipe, Parrot(lambda image, question: truth[image, question] + "."), tmp_path))
    assert scores["perception"] == 5 * 200 and scores["cognition"] == 2 * 200


def test_killed_and_started_again_asks_nothing_twice(recipe, tmp_path):
    whole = Parrot(lambda image, question: f"Yes {len(question)}")
    run(recipe, whole, tmp_path / "whole")
    first, second = Parrot(whole.rule, dies_after=2), Parrot(whole.rule)
    with pytest.raises(KeyboardInterrupt):
        run(recipe, first, tmp_path / "killed")
    path = tmp_path / "killed" / PREDICTIONS
    path.write_bytes(path.read_bytes() + b'{"id": "existence/0')  # killed while writing
    counted = []
    run(recipe, second, tmp_path / "killed", counted.append)
    assert first.asked + second.asked == whole.asked and sum(counted) == len(whole.asked)
    assert read_predictions(tmp_path / "killed") == read_predictions(tmp_path / "whole")


def test_answers_of_another_model_or_suffix_are_refused(recipe, tmp_path):
    run(recipe, Parrot(), tmp_path)
    with pytest.raises(ValueError, match="holds answers with model 'parrot', this run has 'owl'"):
        run(recipe, Parrot(name="owl"), tmp_path)
    with pytest.raises(ValueError, match="suffix"):
        run(recipe.model_copy(update={"suffix": ""}), Parrot(), tmp_path)


@pytest.mark.parametrize(
    ("suffix", "expected"),
    [(None, "Is it? Please answer yes or no."), ("", "Is it?"), ("One word.", "Is it? One word.")],
)
def test_suffix_is_replaced_or_left(recipe, suffix, expected):
    assert with_suffix("Is it? Please answer yes or no.", recipe.model_copy(update={"suffix": suffix})) == expected


def test_prompt_as_sent_and_question_as_published_are_both_kept(recipe, tmp_path):
    path = run(recipe.model_copy(update={"suffix": ""}), Parrot(), tmp_path)
    line = read_predictions(path)[0]
    assert line["question"] == f"{line['prompt']} Please answer yes or no."
    assert {"response", "answer", "model", "decoding", "versions"} <= set(line)


def test_predictions_of_another_benchmark_and_doubled_ids_are_refused(recipe, tmp_path):
    path = run(recipe, Parrot(), tmp_path)
    lines = path.read_text("utf-8").splitlines()
    path.write_text("\n".join([*lines, lines[0]]), "utf-8")
    with pytest.raises(ValueError, match="answered twice"):
        score_predictions(path)
    path.write_text(json.dumps({**json.loads(lines[0]), "benchmark": "pope"}), "utf-8")
    with pytest.raises(ValueError, match="'pope', expected 'mme'"):
        score_predictions(path)
    path.write_text("\n".join(["{broken", *lines]), "utf-8")
    with pytest.raises(ValueError, match="line 1: not JSON"):
        score_predictions(path)
    with pytest.raises(ValueError, match="no predictions at"):
        score_predictions(tmp_path / "nowhere")


def test_official_files_written_from_predictions_score_the_same(recipe, tmp_path):
    from skymm.evaluation.run import results_of

    path = run(recipe, Parrot(lambda image, question: "No\tway" if "a" in question else "yes, it is"), tmp_path)
    mme.write_results(results_of(read_predictions(path), str(path)), tmp_path / "official")
    assert mme.score(mme.read_results(tmp_path / "official")) == score_predictions(path)


def test_page_holds_pictures_questions_and_answers(recipe, tiny_data, tmp_path):
    for language in ("en", "zh"):
        asked = recipe.model_copy(update={"root": str(tiny_data / "bench" / language)})
        run(asked, Parrot(lambda image, question: "<b>是</b>"), tmp_path / "answers" / f"bench_{language}")
    scores = {
        "a model": {("bench", lang): score_predictions(tmp_path / "answers" / f"bench_{lang}") for lang in ("en", "zh")}
    }
    image = tiny_data / "bench" / "en" / "existence" / "000.jpg"
    page = write_page(
        tmp_path / "page.html",
        "A title",
        "An intro",
        comparison_rows(scores),
        {"a model": tmp_path / "answers"},
        {"bench/existence/000.jpg": image},
    ).read_text("utf-8")
    assert page.count("data:image/jpeg;base64,") == 1 and "http" not in page.replace("http-equiv", "")
    assert page.count("&lt;b&gt;是&lt;/b&gt;") == 4 and "<b>" not in page, "answers are text, not markup"
    assert "有" in page and "existence" in page

"""Asking once, scoring from the file, going on after a kill; how far comparing choices agrees with writing."""

import dataclasses
import json
import shutil

import pytest
from parrot import Parrot

from skymm.answering.protocol import Reply
from skymm.evaluation import run as module
from skymm.evaluation.benchmark import Question
from skymm.evaluation.benchmarks import mme
from skymm.evaluation.predictions import PREDICTIONS, is_predictions, read_lines, read_predictions
from skymm.evaluation.run import (
    AGREEMENT,
    agreement,
    prompt_of,
    questions_of,
    run,
    score_predictions,
    size_of,
    unanswered,
)
from skymm.evaluation.table import Shown, comparison_rows, write_comparison
from skymm.recipe import ContrastRecipe, EvalRecipe


@pytest.fixture
def recipe(tiny_data) -> EvalRecipe:
    return EvalRecipe(
        benchmark="mme",
        root=str(tiny_data / "bench" / "en"),
        official_suffix="Please answer yes or no.",
        batch_size=5,
    )


def test_who_always_says_yes_is_half_right_and_shown_to(recipe, tmp_path):
    scores = score_predictions(run(recipe, Parrot(), tmp_path))
    assert all(
        (one["acc"], one["acc_plus"], one["yes_ratio"]) == (0.5, 0.0, 1.0) for one in scores["subtasks"].values()
    )
    assert scores["strict"]["yes_ratio"] == 1.0 and scores["answered"] == scores["expected"] > 0


def test_who_knows_everything_gets_everything(recipe, tmp_path):
    truth = {(one.images[0].read_bytes(), one.text): one.gold for one in questions_of(recipe)}
    knows = Parrot(lambda ask: truth[ask.images[0], ask.prompt] + ".")
    scores = score_predictions(run(recipe, knows, tmp_path))
    assert scores["perception"] == 5 * 200 and scores["cognition"] == 2 * 200


def test_killed_and_started_again_asks_nothing_twice(recipe, tmp_path):
    whole = Parrot(lambda ask: f"Yes {len(ask.prompt)}")
    run(recipe, whole, tmp_path / "whole")
    first, second = Parrot(whole.rule, dies_after=9), Parrot(whole.rule)
    with pytest.raises(KeyboardInterrupt):
        run(recipe, first, tmp_path / "killed")
    path = tmp_path / "killed" / PREDICTIONS
    assert len(read_lines(path)) == 9, "every answer is written when it is there, not batch by batch"
    path.write_bytes(path.read_bytes() + b'{"id": "existence/0')  # killed while writing
    counted = []
    run(recipe, second, tmp_path / "killed", advance=counted.append)
    assert first.asked + second.asked == whole.asked and sum(counted) == len(whole.asked)
    assert read_predictions(tmp_path / "killed").answers == read_predictions(tmp_path / "whole").answers


def test_questions_about_one_image_are_asked_together(recipe, tmp_path):
    parrot = Parrot()
    run(recipe, parrot, tmp_path)
    assert len(parrot.batches) > 2
    for batch, following in zip(parrot.batches, parrot.batches[1:]):
        assert len(batch) == 6, "the first number of questions from five on that ends with an image"
        assert batch[-1].images != following[0].images


def test_answers_may_come_in_any_order(recipe, tmp_path):
    class Backwards(Parrot):
        def answer(self, asks, mode):
            yield from reversed(list(super().answer(asks, mode)))

    rule = lambda ask: f"{ask.id}"  # noqa: E731
    run(recipe, Parrot(rule), tmp_path / "forwards")
    run(recipe, Backwards(rule), tmp_path / "backwards")
    forwards, backwards = (read_predictions(tmp_path / name).answers for name in ("forwards", "backwards"))
    assert forwards == backwards and all(one.response == one.question.id for one in forwards)


def test_what_got_no_answer_counts_as_unknown_and_is_asked_again(recipe, tmp_path):
    refuses = Parrot(lambda ask: Reply("", error="400: too long") if ask.id.endswith("/2") else "yes")
    scores = score_predictions(run(recipe, refuses, tmp_path))
    half = len(refuses.asked) // 2
    assert scores["strict"]["unknown"] == 0.5 and scores["expected"] - scores["answered"] == half
    assert read_predictions(tmp_path).failed["existence/000.jpg/2"] == "400: too long"
    again = Parrot()
    scores = score_predictions(run(recipe, again, tmp_path))
    assert {ask.id[-2:] for ask in again.asked} == {"/2"} and len(again.asked) == half
    assert scores["answered"] == scores["expected"] and scores["strict"]["unknown"] == 0


def test_an_empty_answer_is_an_answer_and_unknown(recipe, tmp_path):
    scores = score_predictions(run(recipe, Parrot(lambda ask: ""), tmp_path))
    assert scores["strict"]["unknown"] == 1.0 and scores["answered"] == scores["expected"]
    silent = Parrot()
    run(recipe, silent, tmp_path)
    assert not silent.asked


def test_what_was_cut_or_refused_is_no_answer_and_is_asked_again_with_more_tokens(recipe, tmp_path):
    questions = questions_of(recipe)[:2]
    for number, reply in enumerate(
        (
            Reply("<think>Is there a dog? Yes,", finish_reason="length"),
            Reply("", finish_reason="length", reasoning_content="Is there a dog?"),
            Reply("", finish_reason="content_filter", refusal="I can't help with that."),
            Reply("Yes? No</think>"),
        )
    ):
        out = tmp_path / str(number)
        path = run(recipe, Parrot(lambda ask, reply=reply: reply), out, questions=questions)
        line = read_lines(path)[0]
        assert line["response"] == reply.text and line.get("reasoning_content") == reply.reasoning_content
        scores = score_predictions(path)
        assert (scores["answered"], scores["expected"]) == (0, 2)
        assert (scores["strict"]["unknown"], scores["strict"]["yes_ratio"]) == (1, 0)
        [sentence] = unanswered(path)
        assert sentence.startswith("2 of 2 questions got no answer") and "larger max_new_tokens" in sentence
        again = Parrot(lambda ask: Reply("Yes", finish_reason="stop"))
        run(recipe, again, out, questions=questions)
        assert not again.asked, "the same tokens give the same thoughts"
        run(recipe.model_copy(update={"max_new_tokens": 999}), again, out, questions=questions)
        assert len(again.asked) == 2 and unanswered(path) == []


def test_with_more_tokens_only_what_was_cut_is_asked_again(recipe, tmp_path):
    ends = iter(["length", *["stop"] * 999])
    path = run(recipe, Parrot(lambda ask: Reply("Yes, there is", finish_reason=next(ends))), tmp_path)
    assert unanswered(path) == [], "an answer without its end is one"
    more, again = recipe.model_copy(update={"max_new_tokens": 999}), Parrot()
    run(more, again, tmp_path)
    assert len(again.asked) == 1 and {line["decoding"]["max_new_tokens"] for line in read_lines(path)} == {999}
    with pytest.raises(ValueError, match="max_new_tokens 999, this run has"):
        run(recipe, again, tmp_path)


def test_a_picture_that_cannot_be_read_costs_its_questions_and_not_the_run(recipe, tiny_data, tmp_path):
    shutil.copytree(recipe.root, tmp_path / "root")
    recipe = recipe.model_copy(update={"root": str(tmp_path / "root")})
    questions = questions_of(recipe)
    bad = [question.id for question in questions if question.images == questions[0].images]
    for number, data in enumerate((b"", b"<html>404</html>", b"\xff\xd8\xff half")):
        questions[0].images[0].write_bytes(data)
        parrot = Parrot()
        path = run(recipe, parrot, tmp_path / str(number))
        assert len(parrot.asked) == len(questions) - len(bad) and set(read_predictions(path).failed) == set(bad)
        [sentence] = unanswered(path)
        assert sentence.startswith(f"{len(bad)} of {len(questions)} questions got no answer")
        assert bad[0] in sentence and "unreadable picture" in sentence


def test_without_images_nobody_sees_any(recipe, tmp_path):
    blind = Parrot()
    path = run(recipe, blind, tmp_path, images=False)
    assert all(ask.images == () for ask in blind.asked)
    assert read_predictions(path).images is False
    with pytest.raises(ValueError, match="holds answers with images False, this run has True"):
        run(recipe, Parrot(), tmp_path)


def test_answers_of_another_model_mode_or_suffix_are_refused(recipe, tmp_path):
    run(recipe, Parrot(), tmp_path)
    with pytest.raises(ValueError, match="holds answers with model 'parrot', this run has 'owl'"):
        run(recipe, Parrot(name="owl"), tmp_path)
    with pytest.raises(ValueError, match="holds answers with mode 'generate', this run has 'logits'"):
        run(recipe, Parrot(), tmp_path, mode="logits")
    with pytest.raises(ValueError, match="suffix"):
        run(recipe.model_copy(update={"suffix": ""}), Parrot(), tmp_path)
    trained = Parrot()
    trained.weights = "4567"
    with pytest.raises(ValueError, match="holds answers with weights None, this run has '4567'"):
        run(recipe, trained, tmp_path)
    silent = Parrot()
    run(recipe.model_copy(update={"batch_size": 99}), silent, tmp_path)
    assert not silent.asked, "how many are asked at a time makes no other run"


def test_another_release_under_the_same_answers_is_refused(recipe, tiny_data, tmp_path):
    run(recipe, Parrot(), tmp_path)
    with pytest.raises(ValueError, match=r"was asked as 'Are there .*, now it is '有.*not those of this run"):
        run(recipe.model_copy(update={"root": str(tiny_data / "bench" / "zh")}), Parrot(), tmp_path)


def test_suffix_is_replaced_or_left(recipe):
    question = Question("1", "Is it? Please answer yes or no.", "yes", "1")
    for suffix, expected in ((None, question.text), ("", "Is it?"), ("One word.", "Is it? One word.")):
        assert prompt_of(question, recipe.model_copy(update={"suffix": suffix})) == expected


def test_prompt_as_sent_and_question_as_published_are_both_kept(recipe, tmp_path):
    path = run(recipe.model_copy(update={"suffix": ""}), Parrot(), tmp_path)
    line = read_lines(path)[0]
    assert line["question"] == f"{line['prompt']} Please answer yes or no."
    assert {"response", "gold", "model", "mode", "decoding", "versions", "recipe"} <= set(line)
    assert line["decoding"] == {"by": "rule", "max_new_tokens": recipe.max_new_tokens}, (
        "as it was done, not as it is usual"
    )
    assert line["versions"].keys() >= {"skymm", "transformers", "torch"}


def test_what_is_no_predictions_file_of_one_run_is_named(recipe, tmp_path):
    path = run(recipe, Parrot(), tmp_path)
    lines = path.read_text("utf-8").splitlines()
    other = {name: json.dumps({**json.loads(lines[1]), name: "owl"}) for name in ("model", "benchmark")}
    for content, message in (
        ([*lines, lines[0]], "answered twice"),
        ([other["benchmark"]], "'owl', expected 'mme'"),
        ([lines[0], other["model"]], r"model is 'parrot' for .*, 'owl' for"),
        (["{broken", *lines], "line 1: not JSON"),
        (['{"id": 3}', ""], "line 1: no prediction of `skymm eval run`"),
        ([], "holds no answers yet"),
    ):
        path.write_text("\n".join(content), "utf-8")
        with pytest.raises(ValueError, match=message):
            read_predictions(path, mme.BENCHMARK)
    with pytest.raises(ValueError, match="no predictions at"):
        score_predictions(tmp_path / "nowhere")


def test_predictions_are_told_from_official_answer_files(recipe, tmp_path):
    path = run(recipe, Parrot(), tmp_path / "run")
    assert is_predictions(path) and is_predictions(tmp_path / "run")
    renamed = path.rename(tmp_path / "ours.jsonl")
    assert is_predictions(renamed)
    (tmp_path / "pope.jsonl").write_text('{"question": "Is there a dog?", "answer": "yes"}\n')
    assert not is_predictions(tmp_path / "pope.jsonl") and not is_predictions(tmp_path)


def test_a_question_that_stands_twice_is_refused(recipe, monkeypatch):
    twice = mme.load(recipe)[:1] * 2
    monkeypatch.setattr(module, "benchmark", lambda name: dataclasses.replace(mme.BENCHMARK, load=lambda recipe: twice))
    with pytest.raises(ValueError, match=r"existence/000\.jpg/1 of mme stands there twice"):
        questions_of(recipe)


def test_official_files_written_from_predictions_score_the_same(recipe, tmp_path):
    path = run(recipe, Parrot(lambda ask: "No\tway" if "a" in ask.prompt else "yes, it\nis"), tmp_path)
    mme.write_results(read_predictions(path).answers, tmp_path / "official")
    ours = score_predictions(path)
    assert ours.pop("answered") == ours.pop("expected")
    assert mme.BENCHMARK.score(mme.read([tmp_path / "official"], {}), {}) == ours


def test_page_holds_pictures_questions_and_answers(recipe, tiny_data, tmp_path):
    for language in ("en", "zh"):
        asked = recipe.model_copy(update={"root": str(tiny_data / "bench" / language)})
        run(asked, Parrot(lambda ask: "<b>是</b>"), tmp_path / "answers" / f"bench_{language}")
    scores = {
        "a model": {("bench", lang): score_predictions(tmp_path / "answers" / f"bench_{lang}") for lang in ("en", "zh")}
    }
    image = tiny_data / "bench" / "en" / "existence" / "000.jpg"
    page = write_comparison(
        tmp_path / "page.html",
        "A title",
        "An intro",
        comparison_rows(scores),
        [Shown("Answers", {"a model": tmp_path / "answers"}, {"bench/existence/000.jpg": image})],
    ).read_text("utf-8")
    assert page.count("data:image/jpeg;base64,") == 1 and "http" not in page.replace("http-equiv", "")
    assert page.count("&lt;b&gt;是&lt;/b&gt;") == 4 and "<b>" not in page, "answers are text, not markup"
    assert "有" in page and "existence" in page


def test_two_runs_never_write_into_one_directory(recipe, tmp_path):
    class Nosy(Parrot):
        def answer(self, asks, mode):
            with pytest.raises(ValueError, match="another run is writing its answers there"):
                run(recipe, Parrot(), tmp_path)
            yield from super().answer(asks, mode)

    run(recipe, Nosy(), tmp_path)
    run(recipe, Parrot(), tmp_path)


def test_a_file_cut_inside_a_character_and_doubled_lines_are_mended(recipe, tmp_path):
    path = run(recipe, Parrot(lambda ask: "没有"), tmp_path)
    data = path.read_bytes()
    lines = data.splitlines(keepends=True)
    path.write_bytes(b"".join([*lines[:4], lines[2], data[: data.index("没".encode()) + 1]]))
    again = Parrot(lambda ask: "没有")
    run(recipe, again, tmp_path)
    assert len(again.asked) == len(lines) - 4
    before = [json.loads(line) | {"seconds": 0} for line in lines]
    assert [line | {"seconds": 0} for line in read_lines(path)] == before and path.read_bytes()[-1:] == b"\n"


def test_half_a_character_in_an_answer_is_kept_as_its_code(recipe, tmp_path):
    path = run(recipe, Parrot(lambda ask: "yes \ud83d"), tmp_path)
    assert read_predictions(path).answers[0].response == "yes \ud83d"


def test_time_and_tokens_are_kept_and_files_without_them_are_read(recipe, tmp_path):
    path = run(recipe, Parrot(lambda ask: Reply("yes", num_tokens=3)), tmp_path)
    found = read_predictions(path)
    assert found.num_tokens == 3 * len(found.answers)
    assert 0 < found.seconds == pytest.approx(sum(line["seconds"] for line in read_lines(path)))
    lines = read_lines(path)
    first = min(lines, key=lambda line: line["index"])
    del lines[0]["seconds"], lines[1]["num_tokens"], first["decoding"]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    old = read_predictions(path)
    assert (old.seconds, old.num_tokens, old.decoding) == (None, None, {}) and old.answers == found.answers


def test_contrast_is_the_recipes_and_part_of_what_answers_are_of(recipe, tmp_path):
    blind = recipe.model_copy(update={"contrast": ContrastRecipe(kind="blind")})
    with pytest.raises(ValueError, match="parrot is no model whose next token this machine decides"):
        run(blind, Parrot(), tmp_path)
    parrot = Parrot()
    parrot.contrast = None
    path = run(blind, parrot, tmp_path)
    assert parrot.contrast == blind.contrast and read_predictions(path).recipe.contrast == blind.contrast
    with pytest.raises(ValueError, match=r"contrast \{'kind': 'blind'.* this run has None; give another --out"):
        run(recipe, parrot, tmp_path)
    calibrated = recipe.model_copy(update={"contrast": ContrastRecipe(kind="calibrated")})
    with pytest.raises(ValueError, match="use --mode logits"):
        questions_of(calibrated)
    assert questions_of(calibrated, "logits")
    growing = recipe.model_copy(update={"contrast": ContrastRecipe(kind="blind", growth=0.02)})
    with pytest.raises(ValueError, match="choices are compared before"):
        questions_of(growing, "logits")
    assert questions_of(growing)


def test_batches_without_images_have_an_end_too(recipe, tmp_path):
    blind = [dataclasses.replace(question, images=()) for question in mme.load(recipe)]
    same = [dataclasses.replace(question, images=(mme.load(recipe)[0].images[0],)) for question in blind]
    for questions, largest in ((blind, 5), (same, 10)):
        parrot = Parrot()
        run(recipe, parrot, tmp_path / str(largest), questions=questions)
        assert max(map(len, parrot.batches)) == largest


def test_files_that_moved_are_found_again(recipe, tmp_path):
    path = run(recipe, Parrot(), tmp_path)
    moved = recipe.model_copy(update={"files": {"labels": "elsewhere.json"}})
    run(moved, Parrot(), tmp_path)
    assert read_predictions(path).recipe.files == {"labels": "elsewhere.json"}


# --- logits against writing ---


class TwoFaced(Parrot):
    """Chooses yes; writes 是的, no, or nothing readable, in turn."""

    written = ("是的，有。", "No.", "blue")

    def answer(self, asks, mode):
        for index, ask in enumerate(asks):
            self.asked.append(ask)
            yield index, Reply(self.written[len(self.asked) % 3] if mode == "generate" else "Yes")


def test_agreement_counts_verdicts_not_letters_and_is_asked_once(recipe, tmp_path):
    answerer = TwoFaced()
    path = run(recipe, answerer, tmp_path, mode="logits")
    before = len(answerer.asked)
    found = agreement(recipe, answerer, path, num_sampled=9)
    assert (found.num_sampled, found.num_equal, found.num_unknown) == (9, 3, 3)
    assert "agree on 3 of 9" in found.sentence
    assert json.loads((tmp_path / AGREEMENT).read_text())["num_sampled"] == 9
    assert agreement(recipe, answerer, path, num_sampled=9) == found and len(answerer.asked) == before + 9
    # Of another sample, or of answers that changed, it is counted anew; never of more than there are.
    assert agreement(recipe, answerer, path, num_sampled=6).num_sampled == 6
    path.write_text(path.read_text("utf-8").replace('"response": "Yes"', '"response": "No"'), "utf-8")
    changed = agreement(recipe, Parrot(lambda ask: "yes"), path, num_sampled=10_000)
    assert (changed.num_equal, changed.num_sampled) == (0, len(read_lines(path)))


def test_batches_hold_what_is_alike_and_answers_stay_the_same(tiny_model, tmp_path, monkeypatch):
    """Trust has texts, one picture, two, and clips; its requests are written at length. Numbers of pictures by hand."""
    from skymm.answering.skymm_model import SkyMMAnswerer

    trust = EvalRecipe(benchmark="trust", root=str(tmp_path / "trust"), num_items=6, batch_size=4, max_new_tokens=5)
    chosen = [one for one in questions_of(trust) if "/000" in one.id or one.fields["form"] == "request"]
    chosen.sort(key=lambda one: one.fields["twin"][::-1])  # one of each cell, and again

    class Noting(Parrot):
        def answer(self, asks, mode):
            batches.append(asks)
            yield from ours.answer(asks, mode)

    def tokens(ask):
        return size_of(Question("", ask.prompt, "", "", ask.images))

    ours, found = SkyMMAnswerer(*tiny_model, max_new_tokens=5), {}
    for name, order in (("ours", module._longest_first), ("as they come", lambda these: [*enumerate(these)])):
        monkeypatch.setattr(module, "_longest_first", order)
        batches: list = []
        lines = read_lines(run(trust, Noting(), tmp_path / name, questions=chosen))
        answers = {line["id"]: line["response"] for line in lines}
        padded = sum(max(map(tokens, one)) * len(one) for one in batches) / sum(
            tokens(ask) for one in batches for ask in one
        )
        found[name] = answers, padded, batches
    assert found["ours"][0] == found["as they come"][0] and len({*found["ours"][0].values()}) > 5
    assert found["ours"][1] < 1.15 < 1.3 < found["as they come"][1]
    mixed = [[bool(ask.choices) for ask in one] for one in found["ours"][2]]
    assert sum(any(one) != all(one) for one in mixed) <= 1 and not all(mixed[0]), "requests are written apart, first"
    for batch, following in zip(found["ours"][2], found["ours"][2][1:]):
        assert not batch[-1].images or batch[-1].images != following[0].images


def test_a_run_that_has_enough_was_everywhere_and_goes_on(recipe, tmp_path):
    whole, few, batches = Parrot(), Parrot(), []
    run(recipe, whole, tmp_path / "whole")
    run(recipe, few, tmp_path / "few", enough=lambda batch: batches.append(batch) or len(batches) == 3)
    places = [whole.batches.index(one) for one in few.batches]
    assert len(places) == 3 < len(whole.batches) and min(places) < len(whole.batches) / 3
    assert max(places) >= len(whole.batches) * 0.6 and places[0] == len(whole.batches) // 2
    assert [question.id for question in batches[0]] == [ask.id for ask in few.batches[0]]
    run(recipe, few, tmp_path / "few")
    assert read_predictions(tmp_path / "few").answers == read_predictions(tmp_path / "whole").answers
    assert len(few.asked) == len(whole.asked)

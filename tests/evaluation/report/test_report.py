"""The page: complete in both languages, safe, alone, open in a browser; every number on it computed from the answers."""

from __future__ import annotations

import csv
import html
import re
from dataclasses import replace

import pytest
from made_up import ask, benchmark, pairs, reply, run
from official import oracle
from parrot import Parrot
from PIL import Image
from readable import assert_fits, assert_stands_alone, text_of

from skymm.evaluation.benchmark import Answer, Metric
from skymm.evaluation.benchmarks.mme import COGNITION, PERCEPTION, SUBTASKS
from skymm.evaluation.gain import PASSES
from skymm.evaluation.report.measure import Gain, Run
from skymm.evaluation.report.page import collect, short_names, write_report
from skymm.evaluation.report.sections import SOURCE, published
from skymm.evaluation.run import run as ask_all
from skymm.recipe import EvalRecipe


def pictures(directory, answers):
    """A benchmark's `load` that gives every question a picture of its own colour."""

    def load(recipe):
        found = []
        for index, answer in enumerate(answers):
            path = directory / f"{index}.png"
            if not path.exists():
                Image.new("RGB", (900, 600), (index % 256, 90, 160)).save(path)
            found.append(replace(answer.question, images=(path,)))
        return found

    return load


def mme_runs(tmp_path):
    """Two models with confidence on all of MME's subtasks: one mostly right, one that always says yes."""
    answers = pairs(28, lambda question: "Yes", SUBTASKS)
    of = benchmark("mme", load=pictures(tmp_path, answers))
    good = [
        reply(one.question, "Yes" if right else "No", 0.9 if right else 0.1)
        for one in answers
        for right in [(one.question.gold == "yes") != one.question.id.startswith(("position", "count"))]
    ]
    blind = [reply(one.question, "Yes", 0.97) for one in answers]
    return [
        Run("a", "sees", of, run([], of).recipe, good, len(good)),
        Run("b", "talks", of, run([], of).recipe, blind, len(blind)),
    ]


def twin_runs():
    """Twins in one run, without confidence."""
    answers = []
    for index in range(12):
        for language, text, says in (("en", "Is it there?", "Yes"), ("zh", "有吗？", "是的" if index % 3 else "没有")):
            question = ask(f"{index}/{language}", cluster=str(index), text=text, twin=str(index), language=language)
            answers.append(Answer(question, says))
    return run(answers, benchmark("twins"), model="sees")


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    """language -> the path of a page that has everything."""
    directory = tmp_path_factory.mktemp("report")
    runs = [*mme_runs(directory), twin_runs(), run(pairs(3, lambda question: "Yes")[:4], model="sees", expected=6)]
    gains = [Gain("looking", "sees", 18.4, 3.1, 52.3, 33.9, None)]
    return {
        language: write_report(runs, directory / "deep" / f"{language}.html", language=language, gains=gains)
        for language in ("en", "zh")
    }


def written(tmp_path, runs, **options):
    return write_report(runs, tmp_path / "page.html", **options).read_text("utf-8")


# Words

# Of benchmarks, metrics and models, and what was asked and answered.
NAMES = "MME Looking Twins MG ML Sv Swv St ECE Brier McNemar max sees talks p OCR yes Yes No no Is there it en zh"


def test_the_chinese_page_has_no_english_left(pages):
    page = text_of(pages["zh"].read_text("utf-8"))
    names = set(
        re.findall(r"[A-Za-z]+", f"{NAMES} {' '.join(SUBTASKS)} {[row['model'] for row in published()]} {SOURCE}")
    )
    left = set(re.findall(r"[A-Za-z]+", page)) - names
    assert not left
    assert "结论" in page and "Verdict" not in page


# The page stands alone


def test_the_page_needs_nothing_from_outside(pages):
    for language, path in pages.items():
        page = path.read_text("utf-8")
        assert_stands_alone(page)
        assert f'lang="{ {"zh": "zh-CN"}.get(language, language) }"' in page and page.count("<svg") > 10
        found = re.findall(r'src="data:image/jpeg;base64,([^"]+)"', page)
        assert 0 < len(found) <= 12 and all(len(one) < 20_000 for one in found), "pictures travel scaled down"


def test_a_browser_shows_it_and_nothing_sticks_out(pages):
    assert_fits(pages["en"], 1280)
    assert_fits(pages["zh"], 400, dark=True)


# Nothing that comes from data becomes markup


def test_answers_names_and_errors_are_escaped(tmp_path):
    evil = "<script>alert(1)</script>\"'&"

    def load(recipe):
        raise ValueError(evil)

    answers = [reply(ask(f"{evil}{index}", "no", text=evil), evil if index else "Yes", 0.9) for index in range(3)]
    of = benchmark("evil", title=evil, load=load, metrics=(Metric("acc", evil),))
    page = written(tmp_path, [run(answers, of, model=evil, name=evil)], gains=[Gain(evil, evil, 1, 1, 1, 1, 1)])
    assert "<script" not in page
    assert page.count(html.escape("<script>alert(1)</script>")) > 5


# What it says is computed


def test_what_a_model_that_talks_and_one_that_sees_are_told(tmp_path):
    page = text_of(written(tmp_path, [run(pairs(40, lambda question: "Yes"))]))
    assert "only talks" in page
    assert "Its yes does not depend on the picture: 100% where yes is right, 100% where no is right." in page
    assert "It answers yes 100% of the time where 50% is right: it leans to yes." in page
    assert "In 100% of the pictures it answers both questions alike" in page
    says = pairs(40, lambda question: "No" if question.id == "existence/0/1" else question.gold)
    page = text_of(written(tmp_path, [run(says)]))
    assert "sees Looking It says yes to 98% of the questions where yes is right, and to 0% where no is right." in page
    assert "It answers yes 49% of the time where 50% is right. In 2% of the pictures" in page and "leans" not in page


def test_an_incomplete_run_and_a_scorer_that_refuses_are_told(tmp_path):
    def refuses(answers, files):
        raise ValueError("expected 2 answers for every picture")

    answers = pairs(5, lambda question: "Yes")[:9]
    page = text_of(written(tmp_path, [run(answers, benchmark(score=refuses), expected=10)]))
    assert "Only 9 of 10 questions are answered." in page and "9 of 10" in page
    assert "model: the benchmark's scorer gave no scores: expected 2 answers for every picture" in page
    assert "only talks" in page, "what needs no scorer is there nevertheless"


def test_runs_without_answers_pictures_or_choices_make_a_page(tmp_path):
    captions = [Answer(ask(str(index), "", choices=()), "A dog.") for index in range(4)]
    of = benchmark("captions", right=lambda answer: None, strict=lambda answer: None)
    empty = run([], expected=8)
    page = text_of(written(tmp_path, [run(captions, of), empty]))
    assert "There are no answers." in page and "0 of 8" in page
    assert "Captions accuracy: 0.0%." in page
    assert "none recorded" in page and "No definite wrong answers." in page


def test_pictures_that_are_gone_leave_a_sentence(tmp_path):
    answers = pairs(3, lambda question: "Yes")
    gone = benchmark(load=lambda recipe: [replace(one.question, images=(tmp_path / "gone.png",)) for one in answers])
    page = text_of(written(tmp_path, [run(answers, gone)]))
    assert page.count("The picture is not here any more.") == 3
    broken = benchmark(load=lambda recipe: [replace(one.question, images=(b"no image",)) for one in answers])
    assert text_of(written(tmp_path, [run(answers, broken)])).count("The picture is not here any more.") == 3

    def load(recipe):
        raise KeyError("image")

    page = text_of(written(tmp_path, [run(answers, benchmark(load=load))]))
    assert "could not be read from the benchmark's files: KeyError: 'image'" in page


def test_two_models_are_compared_on_the_same_questions(tmp_path):
    good, blind = mme_runs(tmp_path)
    page = text_of(written(tmp_path, [good, blind]))
    # 28 pictures, 4 of them of the two subtasks that the good one gets all wrong; the other is right about one of two.
    assert "sees against talks 56 24 4 < 0.001 +1100.00" in page
    assert "MME, perception (of 2000): sees is 1100.00 points above talks [" in page
    assert "Skywork-MM-13B" in page and "1419.08" in page and "this report" in page


def test_other_questions_are_refused_and_runs_of_one_model_told_apart(tmp_path):
    first, second = pairs(6, lambda question: "Yes"), pairs(4, lambda question: "Yes")
    page = text_of(written(tmp_path, [run(first, model="a"), run(second, model="b")]))
    assert "a and b are not compared: they answered 12 and 8 questions, of which 8 are the same." in page
    assert "points above" not in page
    many = [run(pairs(3, lambda question, yes=yes: yes), model=yes + str(n)) for yes in ("Yes", "No") for n in (1, 2)]
    assert "cannot be told apart" not in text_of(written(tmp_path, many)), "that is for the table"
    page = text_of(written(tmp_path, [run(second, name="en"), run(second, name="zh"), run(second, name="zh")]))
    assert "model · en" in page and "model · zh" in page and "model · zh (3)" in page


def test_twins_in_two_languages(tmp_path):
    page = text_of(written(tmp_path, [twin_runs()]))
    assert "of 12 questions asked in both languages sees gets 67% right in Chinese and 100% in English" in page
    assert re.search(r"sees 12 66\.7% \[.*?\] 100\.0% \[.*?\] −33\.3 \[.*?\] 66\.7% 0\.125", page)


def test_the_same_answers_make_the_same_page(tmp_path):
    answers = pairs(10, lambda question: "Yes" if question.id.endswith("/1") else "Hm")
    assert written(tmp_path, [run(answers)]) == written(tmp_path, [run(list(answers))])
    backwards = text_of(written(tmp_path, [run(answers[::-1])]))
    assert backwards == text_of(written(tmp_path, [run(answers)])), "nor does their order matter"


def test_what_cannot_be_reported_is_said(tmp_path):
    with pytest.raises(ValueError, match="no runs"):
        write_report([], tmp_path / "page.html")
    with pytest.raises(ValueError, match="'fr', expected one of en, zh"):
        write_report([run(pairs(1, lambda question: "Yes"))], tmp_path / "page.html", language="fr")


# Published numbers


def test_published_numbers_are_those_of_the_leaderboard():
    files = {
        "2023-11-24": "leaderboard_last_with_skywork_20231124.csv",
        "2024-11-26": "leaderboard_latest_20241126.csv",
    }
    titles = {"Skywork-MM-13B": "Skywork-MM", "LLaVA (Vicuna-13B)": "LLaVA"}
    rows = published()
    assert len({row["model"] for row in rows}) == len(rows) == 11
    for row in rows:
        # Sums were published from unrounded subtasks.
        for total, subtasks in (("perception", PERCEPTION), ("cognition", COGNITION)):
            assert sum(float(row[name]) for name in subtasks) == pytest.approx(float(row[total]), abs=0.03)
        assert all(0 <= float(row[name]) <= 200 for name in SUBTASKS)
    for row in rows:
        with oracle(f"mme/{files[row['date']]}").open(encoding="utf-8") as file:
            known = {one["model"]: list(one.values()) for one in csv.DictReader(file)}
        expected = [float(cell) for cell in known[titles.get(row["model"], row["model"])][2:18]]
        assert [float(row[name]) for name in (*SUBTASKS, "perception", "cognition")] == expected


# Where runs lie


def test_names_are_as_short_as_tells_them_apart():
    for models, names in (
        (["runs/a/stage2", "runs/a/positives"], ["stage2", "positives"]),
        (["runs/a/stage2", "runs/b/stage2"], ["runs/a/stage2", "runs/b/stage2"]),
        (["hf:Qwen/Qwen2-VL-2B", "stage2/"], ["Qwen2-VL-2B", "stage2"]),
        (["openai:http://h/v1#org/m", "hf:other/m"], ["openai:http://h/v1#org/m", "hf:other/m"]),
    ):
        assert list(short_names(models).values()) == names


def test_directories_are_searched_and_passes_make_a_gain(tiny_data, tmp_path):
    recipe = EvalRecipe(benchmark="mme", root=str(tiny_data / "bench" / "en"))
    ask_all(recipe, Parrot(name="runs/one"), tmp_path / "all" / "one")
    for name, images in zip(PASSES, (True, False, False)):
        ask_all(recipe, Parrot(name="runs/two"), tmp_path / "all" / "two" / name, images=images)
    runs, gains = collect([tmp_path / "all", tmp_path / "all" / "one"])
    assert [(one.name, one.model) for one in runs] == [("one", "one"), ("with_images", "two")]
    assert [(one.benchmark, one.model, one.mg) for one in gains] == [("mme", "two", 0.0)]
    assert all(one.expected == len(one.answers) for one in runs)
    with pytest.raises(ValueError, match="half of a gain"):
        collect([tmp_path / "all" / "two" / "without_images"])
    with pytest.raises(ValueError, match=r"no predictions\.jsonl at or below"):
        collect([tmp_path / "nowhere"])


def test_how_answers_were_decoded_is_said(tmp_path):
    answers = pairs(4, lambda question: "Yes")
    runs = [
        run(answers, model=name, mode=mode, decoding=how)
        for name, mode, how in (
            ("a", "generate", {"do_sample": False}),
            ("b", "generate", {"temperature": 0.7}),
            ("c", "logits", {}),
            ("d", "generate", {}),  # does not say
        )
    ]
    for language, said in (
        ("en", "decoding greedy sampled choices compared –"),
        ("zh", "解码 贪心解码 采样 比较选项概率 –"),
    ):
        page = write_report(runs, tmp_path / f"{language}.html", language=language).read_text("utf-8")
        assert said in " ".join(re.sub("<[^>]*>", " ", page).split())

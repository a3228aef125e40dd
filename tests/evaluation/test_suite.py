"""A whole evaluation: its time is told before, nothing is asked twice, nothing is left out in silence, two can be compared."""

import json
import types

import pytest
from parrot import Parrot

from skymm.answering import opening
from skymm.evaluation import suite as module
from skymm.evaluation.compare import pairs_below
from skymm.evaluation.predictions import PREDICTIONS, read_lines
from skymm.evaluation.run import size_of
from skymm.evaluation.suite import suite
from skymm.recipe import parse
from skymm.recipe.suite import SuiteRecipe

LOADING = 100.0


class Clocked(Parrot):
    """Takes 0.01 seconds for every token as `size_of` counts them and for 24 more, and at first 100 seconds for loading."""

    def __init__(self, rule=lambda ask: "Yes", name="parrot", **more):
        super().__init__(rule, name=name, **more)
        self.now, self.max_new_tokens = 0.0, 1

    def answer(self, asks, mode):
        self.now += LOADING * (not self.asked)
        for index, reply in super().answer(asks, mode):
            self.now += 0.01 * (size_of(types.SimpleNamespace(text=asks[index].prompt, images=asks[index].images)) + 24)
            yield index, reply

    def base_llm(self):
        alone = Clocked(lambda ask: "", name=f"{self.name} (base LLM)")
        alone.asked = self.asked  # what is loaded is loaded
        alone.answer = types.MethodType(lambda _, asks, mode: Clocked.answer(self, asks, mode), alone)
        return alone


@pytest.fixture
def asking(monkeypatch):
    """Has the suite ask a parrot, by its clock; returns the rows of the table of times."""

    def ask(parrot):
        told = []
        monkeypatch.setattr(opening, "open_answerer", lambda *_, **__: parrot)
        monkeypatch.setattr(module, "time", types.SimpleNamespace(perf_counter=lambda: parrot.now))
        monkeypatch.setattr(module, "time_table", told.extend)
        monkeypatch.setattr(module, "MOST_BATCHES", 3)
        return told

    return ask


@pytest.fixture
def plan(tiny_data, tmp_path):
    (tmp_path / "mme.toml").write_text(f'benchmark = "mme"\nroot = "{tiny_data}/bench/en"\nbatch_size = 3\n')
    (tmp_path / "pope.toml").write_text('benchmark = "pope"\nroot = "nowhere"\nimages = "nowhere/pictures"\n')
    trust = {"recipe": "eval/trust.toml", "set": [f"root={tmp_path}/trust", "num_items=1", "split=code.causality"]}
    mme = {"recipe": "mme.toml", "without_pictures": True}
    return {"benchmarks": {"mme": mme, "pope": {"recipe": "pope.toml"}, "trust": trust}}


def start(plan, tmp_path, name="out", **options):
    return suite(parse(plan, SuiteRecipe), "parrot", tmp_path / name, beside=tmp_path, **options)


def test_the_time_is_told_before_and_met(plan, tmp_path, asking, capsys):
    parrot = Clocked()
    told = asking(parrot)
    with pytest.raises(ValueError, match=r"expected 0.01 at most; mme/with_images takes longest .*--only"):
        start(plan, tmp_path, at_most=0.01)
    seconds = {name: left for name, _, _, left in told}
    assert [name for name, *_ in told] == ["mme/with_images", "mme/without_images", "mme/base_llm", "trust"]
    spent, asked = parrot.now, len(parrot.asked)
    assert asked == sum(number - left for _, number, left, _ in told) < sum(number for _, number, *_ in told)
    for name, _, left, _ in told:  # three batches of each, with pictures' two questions together
        assert left == 0 or len(read_lines(tmp_path / "out" / name)) in (9, 12)
    monkey = Clocked(dies_after=10**9)
    monkey.asked.append(None)
    asking(monkey)
    page = start(plan, tmp_path)
    assert monkey.now == pytest.approx(sum(seconds.values())) and spent > LOADING
    assert asked + len(monkey.asked) - 1 == sum(number for _, number, *_ in told), "nothing is asked twice"
    assert read_lines(tmp_path / "out" / "mme" / "base_llm")[0]["model"] == "parrot (base LLM)"
    assert "pope: skipped" in capsys.readouterr().err and page == tmp_path / "out" / "report.html"


def test_killed_on_the_way_it_goes_on(plan, tmp_path, asking):
    for dies_after in (5, 20, 40):
        asking(parrot := Clocked(dies_after=dies_after))
        with pytest.raises(KeyboardInterrupt):
            start(plan, tmp_path)
    told = asking(parrot := Clocked())
    start(plan, tmp_path)
    assert 5 + 20 + 40 + len(parrot.asked) == sum(number for _, number, *_ in told)
    for name, number, _, _ in told:
        lines = read_lines(tmp_path / "out" / name)
        assert sorted(line["index"] for line in lines) == [*range(number)] and lines[0]["num_questions"] == number


def test_what_is_not_there_is_named_with_what_to_download_and_on_the_page(plan, tmp_path, asking, capsys):
    asking(Clocked())
    english = start(plan, tmp_path).read_text("utf-8")
    said = capsys.readouterr().err
    assert "images = nowhere/pictures, root = nowhere. Download questions: github.com/RUCAIBox/POPE" in said
    assert "Not asked, since their files were not there: pope." in english
    chinese = start(plan, tmp_path, language="zh").read_text("utf-8")
    assert "没有问的（文件不在）：pope。" in chinese
    for page, gain in ((english, "MG"), (chinese, "MG")):
        assert page.count("<h2") >= 4 and gain in page
    only = start(plan, tmp_path, "only", only=["trust"])
    assert "pope" not in only.read_text("utf-8") and not (tmp_path / "only" / "mme").exists()


def test_without_any_files_nothing_is_opened(plan, tmp_path, monkeypatch):
    monkeypatch.setattr(opening, "open_answerer", lambda *_, **__: pytest.fail("a model is opened"))
    with pytest.raises(ValueError, match="files of none of these"):
        start(plan, tmp_path, only=["pope"])
    with pytest.raises(ValueError, match=r"found no benchmark 'mmee', expected one of mme, pope, trust"):
        start(plan, tmp_path, only=["mmee"])
    (tmp_path / "pope.toml").write_text(f'benchmark = "pope"\nroot = "{tmp_path}"\n')
    with pytest.raises(ValueError):  # files that are there and wrong are no reason to go on
        start(plan, tmp_path)
    tower = {"recipe": "eval/mmvp_vlm.toml"}
    with pytest.raises(ValueError, match="judges towers"):
        start({"benchmarks": {"mmvp_vlm": tower}}, tmp_path)


def test_a_model_that_does_not_know_its_base_needs_it_named(plan, tmp_path, asking, monkeypatch):
    asking(parrot := Clocked())
    monkeypatch.delattr(Clocked, "base_llm")
    with pytest.raises(ValueError, match="name it with --base"):
        start(plan, tmp_path)
    start(plan, tmp_path, base="parrot")
    assert {line["images"] for line in read_lines(tmp_path / "out" / "mme" / "base_llm")} == {False}
    assert parrot.max_new_tokens == 32, "trust's, which comes last"


def test_two_suites_are_compared_benchmark_by_benchmark(plan, tmp_path, asking, monkeypatch, capsys):
    from skymm.cli import main

    for name, say in (("a", "Yes"), ("b", "No")):
        asking(Clocked(lambda ask, say=say: say, name=name))
        start(plan, tmp_path, name)
    pairs, left = pairs_below(tmp_path / "a", tmp_path / "b")
    assert not left and len(pairs) == len([*(tmp_path / "a").rglob(PREDICTIONS)]) == 4
    capsys.readouterr()
    monkeypatch.setattr("sys.argv", ["skymm", "eval", "compare", str(tmp_path / "a"), str(tmp_path / "b"), "--json"])
    with pytest.raises(SystemExit):
        main()
    found = json.loads(capsys.readouterr().out)
    assert set(found) == {"mme/with_images", "mme/without_images", "mme/base_llm", "trust"}
    assert [one["numbers"]["yes"]["value"] for one in found["mme/with_images"]] == [1.0, 0.0]
    assert found["mme/base_llm"][1]["differences"]["right"]["value"] == 0

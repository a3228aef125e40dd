"""DASH-B: the repository's two files, the official reading, and the numbers that it publishes for PaliGemma-3B."""

from __future__ import annotations

import pytest
from benchmark_tables import write_json

from skymm.evaluation.benchmark import Answer
from skymm.evaluation.benchmarks.dash_b import BENCHMARK, parse_official
from skymm.recipe import EvalRecipe


def repository(root):
    files = {"neg": {"coco": {"teddy bear": ["1.png", "2.png"]}}, "pos": {"openimages_common": {"vase": ["3.png"]}}}
    for part, tree in files.items():
        write_json(root / "images" / f"dash_benchmark_{part}.json", tree)
        for source, objects in tree.items():
            for thing, names in objects.items():
                for name in names:
                    path = root / "images" / part / source / thing / name
                    path.parent.mkdir(parents=True, exist_ok=True)
                    path.write_bytes(b"picture")
    return EvalRecipe(benchmark="dash_b", root=str(root))


def test_the_repository_loads_as_its_own_script_loads_it(tmp_path):
    bear, other, vase = BENCHMARK.load(repository(tmp_path))
    assert bear.text == "Can you see a teddy bear in this image? Please answer only with yes or no."
    assert (bear.gold, other.gold, vase.gold) == ("no", "no", "yes") and bear.id != other.id
    assert vase.images == (tmp_path / "images/pos/openimages_common/vase/3.png",)
    (tmp_path / "images/pos/openimages_common/vase/3.png").unlink()
    with pytest.raises(ValueError, match=r"no image '3\.png'"):
        BENCHMARK.load(EvalRecipe(benchmark="dash_b", root=str(tmp_path / "images")))


@pytest.mark.parametrize(
    ("said", "read"),
    [
        ("Yes.", "yes"),
        ("No, but yes", "yes"),
        ("eyes", "yes"),
        ("I do not know", "no"),
        ("没有", "unknown"),
        ("", "unknown"),
    ],
)
def test_the_official_reading_looks_for_yes_anywhere_and_then_for_no(said, read):
    assert parse_official(said) == read


def test_what_is_published_for_paligemma_comes_out_of_its_answers(tmp_path):
    """output/Paligemma-3b_dash_b_results.json; of 1341 each, 354 noes and 1158 yeses are right."""

    def row(number, gold, said):
        return {"img_id": f"{number}.png", "object_name": "vase", "gt": gold, "response": said, "answer": said.lower()}

    rows = [row(number, "no", "No" if number < 354 else "Yes") for number in range(1341)]
    rows += [row(1341 + number, "yes", "Yes" if number < 1158 else "No") for number in range(1341)]
    answers = BENCHMARK.read([write_json(tmp_path / "Paligemma-3b_answers.json", rows)], {})
    scores = BENCHMARK.score(answers, {})
    assert scores["acc"] == pytest.approx(0.5637583892617449, abs=1e-15)
    assert scores["tnr"] == pytest.approx(0.2639821029082774, abs=1e-15)
    assert scores["tpr"] == pytest.approx(0.8635346756152126, abs=1e-15)
    assert scores["harmonic"] == scores["objects"]["vase"]["harmonic"] == pytest.approx(0.40435353858172646, abs=1e-15)
    assert scores["yes_ratio"] == (987 + 1158) / 2682


def test_the_strict_column_reads_chinese_and_no_answer_is_wrong(tmp_path):
    bear, other, vase = BENCHMARK.load(repository(tmp_path))
    answers = [Answer(bear, "没有。"), Answer(other, "", failed=True), Answer(vase, "是的，有一个花瓶。")]
    scores = BENCHMARK.score(answers, {})
    assert (scores["tnr"], scores["tpr"], scores["harmonic"]) == (0, 0, 0)
    assert (scores["strict"]["tnr"], scores["strict"]["tpr"]) == (0.5, 1)
    assert scores["strict"]["harmonic"] == pytest.approx(2 / 3) and scores["strict"]["unknown"] == pytest.approx(1 / 3)
    assert not BENCHMARK.right(answers[1])

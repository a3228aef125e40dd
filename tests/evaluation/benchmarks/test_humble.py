"""HumbleBench: the rows of its published result files, its scorer's rule, and its two variants."""

from __future__ import annotations

import pytest
from benchmark_tables import picture, write_lines, write_parquet

from skymm.evaluation.benchmark import Answer
from skymm.evaluation.benchmarks.humble import BENCHMARK, INSTRUCTION, official
from skymm.recipe import EvalRecipe

CHANDELIER = "What color is the chandelier?\nA. Red\nB. Blue\nC. Black\nD. Gold\nE. None of the above"
CARS = "How many cars are parked on the street?\nA.1\nB.2\nC.3\nD.4\nE.None of the above"


def recipe(root, **options):
    return EvalRecipe(benchmark="humble", root=str(root), **options)


def asked(tmp_path, **options):
    rows = [(2, "Attribute", CHANDELIER, "E", 1), (16, "Object", CARS, "A", 2), (3, "Object", CARS, "B", 1)]
    table = [
        {
            "question_id": n,
            "type": of,
            "question": text,
            "label": gold,
            "image": {"bytes": picture(image), "path": "x.jpg"},
        }
        for n, of, text, gold, image in rows
    ]
    write_parquet(tmp_path / "train-0.parquet", table)
    return BENCHMARK.load(recipe(tmp_path, **options))


def test_pictures_inside_and_beside_the_table(tmp_path):
    chandelier, other, cars = asked(tmp_path)
    assert [chandelier.id, other.id, cars.id] == ["2", "3", "16"]  # one picture's questions stand together
    assert chandelier.text == f"{CHANDELIER}\n{INSTRUCTION}" and chandelier.images == (picture(1),)
    assert cars.fields["options"] == {"A": "1", "B": "2", "C": "3", "D": "4", "E": "None of the above"}
    folder = tmp_path / "folder"
    row = {"question_id": 16, "type": "Object", "question": CARS, "label": "A", "file_name": "images/198775.jpg"}
    write_lines(folder / "metadata.jsonl", [row])
    with pytest.raises(ValueError, match=r"no image 'images/198775\.jpg'"):
        BENCHMARK.load(recipe(folder))
    (folder / "images").mkdir()
    (folder / "images/198775.jpg").write_bytes(b"picture")
    (beside,) = BENCHMARK.load(recipe(folder))
    assert beside.images == (folder / "images/198775.jpg",) and beside.text == cars.text


def test_the_variants_take_the_right_option_or_the_picture_away(tmp_path):
    chandelier, other, cars = asked(tmp_path, split="nota")
    assert {one.gold for one in (chandelier, other, cars)} == {"E"}
    assert chandelier.text == f"{CHANDELIER}\n{INSTRUCTION}"  # none fitted before
    assert cars.text.startswith("How many cars are parked on the street?\nB.2\nC.3") and "A.1" not in cars.text
    assert cars.choices == ("B", "C", "D", "E") and cars.text.endswith(INSTRUCTION)
    noise = tmp_path / "noise_image.png"
    noise.write_bytes(b"noise")
    blind = asked(tmp_path, images=str(noise))
    assert {one.images for one in blind} == {(noise,)} and len({one.cluster for one in blind}) == 2
    assert [one.gold for one in blind] == ["E", "B", "A"]
    with pytest.raises(ValueError, match="found split 'none', expected one of common, nota"):
        asked(tmp_path, split="none")


@pytest.mark.parametrize(
    ("said", "read"),
    [
        ("E", "E"),
        ("e.", "E"),
        ("(B) Blue", "B"),
        ("A dog", "A"),
        ("E, a dog", "NA"),
        ("Blue", "NA"),
        ("选E", "NA"),
        ("", "NA"),
    ],
)
def test_a_letter_counts_where_it_is_the_only_one(said, read, tmp_path):
    assert official(Answer(asked(tmp_path)[0], said)) == read


def test_scores_by_hand(tmp_path):
    chandelier, other, cars = asked(tmp_path)
    answers = [Answer(chandelier, "E."), Answer(other, "答案是B"), Answer(cars, "A")]
    scores = BENCHMARK.score(answers, {})
    # Officially a right E with a full stop is right, but not among what is right about none of the above.
    assert (scores["correct"], scores["total"], scores["none_accuracy"]) == (2, 3, 0)
    assert scores["types"]["Object"]["accuracy"] == 0.5 and scores["types"]["Attribute"]["accuracy"] == 1
    assert scores["proportions"] == pytest.approx({"A": 1 / 3, "B": 0, "C": 0, "D": 0, "E": 1 / 3})
    assert scores["strict"]["accuracy"] == 1 and scores["strict"]["none_accuracy"] == 1
    assert scores["strict"]["unknown"] == 0
    failed = BENCHMARK.score([Answer(chandelier, "E", failed=True), Answer(cars, "A")], {})
    assert (failed["correct"], failed["none_accuracy"]) == (1, 0)


# The 80 published answers of Qwen2.5-VL (results/nota_only, commit 4e09c65), all to E: id, type, letter.
OFFICIAL = """
1RD 2AD 3OB 4RD 5OE 6RA 7AE 8RD 9OE 10RB 11AE 12OE 13OB 14RA 15AE 16OB 17RC 18RE 19AA 20RE 21OC 22OE 23RC 24AA 25AE
26AA 27OB 28OE 29RA 30RE 31OA 32RC 33RA 34OA 35OA 36OE 37AB 38AA 39AB 40OE 41RD 42AB 43AE 44OC 45OD 46RC 47AE 48OD
49RA 50AE 51AA 52RB 53OE 54AE 55OD 56OD 57OD 58OE 59AE 60AE 61AC 62AE 63RE 64AE 65AD 66RC 67OC 68RC 69RD 70OE 71AE
72AD 73OE 74OB 75AB 76OE 77OB 78OE 79RA 80RD
"""

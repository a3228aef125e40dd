"""Boxes in a file per picture: what is there, what is not, and what is neither."""

from __future__ import annotations

import pytest
from curation.sources.gathered import gather
from curation.sources.miniatures import COCO_80, picture

from skymm.curation.record import Facts, Thing

DOGS = "dog|dog|car:difficult|car", "dog:difficult|diningtable", "", "cat:iscrowd"


def xml(objects: str, file: str) -> str:
    """`name` or `name:mark` of each object."""
    inside = ""
    for each in filter(None, objects.split("|")):
        name, _, mark = each.partition(":")
        marks = f"<{mark}>1</{mark}>" if mark else "<difficult>0</difficult>"
        inside += f"<object><name>{name}</name><truncated>1</truncated>{marks}<part><name>head</name></part></object>"
    return f"<annotation><filename>{file}</filename><size><width>96</width></size>{inside}</annotation>"


def written(tmp_path, files: dict[str, str], num_pictures: int = 4) -> dict:
    for name, content in files.items():
        path = tmp_path / "labels" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, "utf-8")
    (tmp_path / "images").mkdir()
    for number in range(num_pictures):
        (tmp_path / "images" / f"{number}.jpg").write_bytes(picture(number))
    return {"format": "boxes", "annotations": str(tmp_path / "labels"), "images": str(tmp_path / "images")}


def things(*named: tuple[str, int | None]) -> tuple[Thing, ...]:
    return tuple(Thing(name, count) for name, count in named)


def test_pascal_voc(tmp_path):
    """The first says another name than its own, the second none that is there."""
    files = {f"{name}.xml": xml(said, file) for name, said, file in zip("a123", DOGS, ("0.jpg", "gone.jpg", "2", ""))}
    files["9.xml"], files["broken.xml"] = xml("dog", "9.jpg"), "<annotation><object/></annotation>"
    files["bomb.xml"] = "<!DOCTYPE a [<!ENTITY b 'c'>]><annotation/>"
    found = gather(fields := written(tmp_path, files))
    none = Facts(things(("car", None), ("dog", None)), absent=())
    assert [one.facts for one in found.records] == [Facts(things(("dining table", None)), absent=()), none]
    assert found.reasons() == ["nothing is annotated"] * 2 + ["picture is missing"] + ["row is broken"] * 2
    assert found.forms == {"Pascal VOC": 7}
    records = gather(fields, complete=True).by_key()
    assert {key: record.facts for key, record in records.items()} == {
        "a": Facts(things(("car", None), ("dog", 2)), absent=("cat", "dining table")),
        "1": Facts(things(("dining table", 1)), absent=("car", "cat")),
        "2": Facts(absent=("car", "cat", "dining table", "dog")),
        "3": Facts(absent=("car", "dining table", "dog")),
    }


@pytest.mark.parametrize("names", ["classes.txt", "data.yaml", "recipe"])
def test_yolo(tmp_path, names):
    labels = {"0.txt": "1 0.5 0.5 0.2 0.2\n1 0.1 0.1 0.1 0.1\n", "1.txt": "0 0.1 0.1 0.9 0.1 0.9 0.9\n", "2.txt": ""}
    labels |= {"3.txt": "7 0.5 0.5 0.2 0.2\n", "4.txt": "person 12 30 40 50\n"}
    beside = {"classes.txt": "cat\ndog\n", "data.yaml": "nc: 2\nnames: {0: cat, 1: dog}\n"}
    fields = written(tmp_path, labels | ({names: beside[names]} if names in beside else {}))
    if names == "recipe":
        with pytest.raises(ValueError, match=r"YOLO's classes are numbers, and no classes.txt.*names = \["):
            gather(fields)
        fields["names"] = ["cat", "dog"]
    found = gather(fields, complete=True)
    assert [one.facts for one in found.records] == [
        Facts(things(("dog", 2)), absent=("cat",)),
        Facts(things(("cat", 1)), absent=("dog",)),
        Facts(absent=("cat", "dog")),
    ]
    assert found.reasons() == ["row is broken"] * 2
    assert any("class 7, and there are names for 2" in one.detail for one in found.rejected)


def test_the_80_of_coco_are_their_vocabulary(tmp_path):
    found = gather(
        written(tmp_path, {"0.txt": f"{COCO_80.index('dog')} 0.5 0.5 0.2 0.2\n"}), names=COCO_80, complete=True
    )
    assert found.records[0].facts == Facts(things(("dog", 1)), complete="coco80")


def test_what_is_no_such_folder_is_told(tmp_path):
    with pytest.raises(ValueError, match=r"labels: found both .xml and .txt, expected files of Pascal VOC"):
        gather(written(tmp_path, {"0.txt": "", "0.xml": ""}))

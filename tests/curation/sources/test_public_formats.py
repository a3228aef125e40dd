"""Every public format in miniature: what comes out of it, and why what is broken does not."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from curation.sources import miniatures
from curation.sources.gathered import gather, source_of
from curation.sources.miniatures import CHINESE, ENGLISH, GOOD
from PIL import Image

from skymm.conversation import Turn
from skymm.curation.facts.picture_facts import facts_about
from skymm.curation.record import Caption, Facts, Thing

REJECTED = {
    "pairs": (
        "caption is missing|no known picture format|no known picture format|picture is empty|picture is missing|"
        "picture is outside of its directory|picture is outside of its directory|row is broken"
    ),
    "pairs_folder": "caption cannot be read|caption is missing|picture is missing",
    "pairs_parquet": "caption is missing|no known picture format|picture is empty|picture is missing",
    "img2dataset": (
        "bad json|caption cannot be read|caption is missing|caption is missing|key is there twice|"
        "no known picture format|picture is empty|picture is missing"
    ),
    "our_shards": "bad json|picture is missing",
    "llava": (
        "conversation is missing|markers and pictures differ|picture is empty|picture is missing|picture is missing|"
        "picture is outside of its directory|row is broken|turn is empty|turns out of order|unknown speaker"
    ),
    "lrv": "answer is missing|no known picture format|picture is missing|question is missing|row is broken",
    "minigpt4": "caption is missing|picture is missing|row is broken",
    # COCO: an image without a name (in both tables) and an annotation of no image
    "coco": (
        "picture has no name|picture is missing|picture is outside of its directory|row is broken|row is broken|"
        "row is broken|unknown category"
    ),
    "chinese_captions": "no caption of these kinds|picture is missing|row is broken",
    "visual_genome": "picture is missing|row is broken|row is broken|row is broken",
}


def content(record):
    pictures = tuple(picture.read() for picture in record.pictures.values())
    return pictures, record.captions, record.turns, record.facts


def texts(records):
    return [[caption.text for caption in record.captions] for record in records]


@pytest.mark.parametrize("write", miniatures.ALL, ids=lambda write: write.__name__)
def test_every_picture_gives_a_record_wherever_it_lies_and_broken_rows_change_nothing(write, tmp_path):
    whole = gather(write(tmp_path / "whole", broken=False))
    assert whole.rejected == [] and whole.licence
    shown = {picture.read() for record in whole.records for picture in record.pictures.values()}
    assert len(shown) == GOOD <= len(whole.records)
    fields = write(tmp_path / "a")
    found, elsewhere = gather(fields), gather(write(tmp_path / "there" / "and" / "deeper"), licence="mine")
    assert {content(record) for record in whole.records} <= {content(record) for record in found.records}
    assert elsewhere.licence == "mine" and "|".join(found.reasons()) == REJECTED[write.__name__]
    for one, other in ((found.records, elsewhere.records), (found.rejected, elsewhere.rejected)):
        assert [each.key for each in one] == [each.key for each in other], "keys do not know where the files lie"
    for name, value in fields.items():
        if name in ("table", "images", "captions", "instances", "root", "shards", "positive", "negative"):
            gone = str(tmp_path / "gone.json")
            with pytest.raises(ValueError, match=r"gone\.json"):
                gather({**fields, name: [gone] if isinstance(value, list) else gone})


def test_pairs_of_a_table(tmp_path):
    gathered = gather(miniatures.pairs(tmp_path))
    first = gathered.records[0]
    assert first.captions == (Caption(ENGLISH[0], "en"), Caption(CHINESE[0], "zh"))
    assert list(gathered.records[2].pictures) == ["png"], "its name says jpg"
    assert len(gathered.records) == GOOD
    assert any("an HTML page" in one.detail for one in gathered.rejected)
    for encoding in ("utf-8-sig", "gb18030", "utf-16"):
        fields = miniatures.pairs(tmp_path / encoding, encoding=encoding)
        assert [record.captions for record in gather(fields).records] == [one.captions for one in gathered.records]


def test_rows_about_one_picture_are_one_record(tmp_path):
    fields = miniatures.pairs(tmp_path, broken=False)
    lines = ["image\ttitle", "photos/000.jpg\tone", "photos/000.jpg\t二", 'photos/001.jpg\tthe "other" one']
    lines += ['photos/000.jpg\t"quoted ""well"""', 'photos/000.jpg\t"not closed']
    path = Path(fields["images"]) / "table.tsv"
    path.write_text("\r\n".join(lines), "utf-8")
    gathered = gather(fields, table=str(path), caption_column="title")
    assert texts(gathered.records) == [["one", "二"], ['the "other" one'], ['quoted "well"', '"not closed']]
    assert [caption.language for caption in gathered.records[0].captions] == ["en", "zh"]
    path.write_text("image\ttitle\n\tone\n\ttwo\n", "utf-8")
    nameless = gather(fields, table=str(path), caption_column="title")
    assert nameless.reasons() == ["picture is missing"] * 2, "rows without a name are no one picture"
    path.write_text("image\ttitle\n" + "".join(f"photos/000.jpg\tpart {number}\n" for number in range(101)))
    many = gather(fields, table=str(path), caption_column="title").records
    assert [len(record.captions) for record in many] == [100, 1]


def test_the_captions_of_flickr_as_published(tmp_path):
    """Two of each picture, with a comma in them, in every form in which they are around."""
    usual = miniatures.pairs(tmp_path, broken=False)
    bars = {"image_column": "image_name", "caption_column": "comment"}
    for name, header, line, fields in [
        ("captions.txt", "image,caption\n", '{0}.jpg,"{2} , so"\n', {}),
        ("results.csv", "image_name| comment_number| comment\n", "{0}.jpg| {1}| {2} , so\n", bars),
        ("Flickr8k.token.txt", "", "{0}.jpg#{1}\t{2} , so\n", {"format": "chinese_captions"}),
        ("flickr30k_cn.txt", "", "{0}.jpg#zhm#{1} {2} , so\n", {"format": "chinese_captions"}),
    ]:
        lines = [line.format(f"{picture:03d}", number, ENGLISH[picture]) for picture in (0, 1) for number in (0, 1)]
        table = Path(usual["images"]) / name
        table.write_text(header + "".join(lines), "utf-8")
        fields = {"format": "pairs", "table": str(table), "images": f"{usual['images']}/photos", **fields}
        assert texts(gather(fields).records) == [[f"{ENGLISH[picture]} , so"] for picture in (0, 1)], name
        if not header:
            with pytest.raises(ValueError, match=r'lines like `IMAGE#N caption`.*format = "chinese_captions" reads'):
                gather({**fields, "format": "pairs"})


def test_karpathys_splits(tmp_path):
    """Pictures for judging stay out, unless the recipe wants them; COCO's lie in a directory of their part."""
    photos = f"{miniatures.pairs(tmp_path, broken=False)['images']}/photos"
    images = [
        {"filename": "000.jpg", "split": "train", "sentences": [{"raw": "A dog ."}, {"raw": "So"}]},
        {"filename": "001.jpg", "split": "test", "sentences": [{"raw": "A cat"}]},
        {"filepath": "photos", "filename": "002.jpg", "split": "restval", "sentences": [{"raw": "A bus"}]},
        {"filename": "003.jpg", "split": "train"},
    ]
    table = tmp_path / "dataset_coco.json"
    table.write_text(json.dumps({"images": images, "dataset": "coco"}))
    fields = {"format": "pairs", "table": str(table), "images": photos}
    found = gather(fields)
    assert texts(found.records) == [["A dog .", "So"]]
    assert found.reasons() == ["of another split", "picture is missing", "row is broken"]
    found = gather(fields, images=str(Path(photos).parent), splits=["restval"])
    assert texts(found.records) == [["A bus"]]


def test_lvis_says_by_ids_what_is_absent_and_of_what_not_all_is_marked(tmp_path):
    Image.new("RGB", (8, 8)).save(tmp_path / "1.jpg")
    image = {"id": 1, "file_name": "1.jpg", "neg_category_ids": [3, 9], "not_exhaustive_category_ids": [2]}
    data = {
        "images": [image],
        "annotations": [{"image_id": 1, "category_id": kind} for kind in (1, 1, 2)],
        "categories": [{"id": number, "name": name} for number, name in enumerate(("dog", "cat", "alarm_clock"), 1)],
    }
    (tmp_path / "lvis.json").write_text(json.dumps(data))
    (one,) = gather({"format": "coco", "images": str(tmp_path), "instances": str(tmp_path / "lvis.json")}).records
    assert one.facts == Facts((Thing("cat", None), Thing("dog", 2)), absent=("alarm clock",))


def test_pairs_of_a_folder(tmp_path):
    gathered = gather(miniatures.pairs_folder(tmp_path))
    assert {tuple(said) for said in texts(gathered.records)} == set(zip(ENGLISH, CHINESE))
    assert any("encoding = 'gb18030'" in one.detail for one in gathered.rejected)
    old = gather(miniatures.pairs_folder(tmp_path / "old"), encoding="gb18030")
    assert ["很旧的说明"] in texts(old.records)


def test_pairs_of_parquet_with_pictures_inside(tmp_path):
    gathered = gather(miniatures.pairs_parquet(tmp_path))
    assert texts(gathered.records) == [list(said) for said in zip(ENGLISH, CHINESE)]
    assert all(record.pictures[next(iter(record.pictures))].data for record in gathered.records[:-1])


def test_parquet_rows_may_come_in_any_order(tmp_path):
    source = source_of(miniatures.pairs_parquet(tmp_path, broken=False))
    rows = list(source.rows())
    forward = [next(iter(source.records(row))) for row in rows]
    backward = [next(iter(source.records(row))) for row in rows[::-1]]
    assert forward == backward[::-1] and len(set(map(str, forward))) == GOOD


def test_shards_of_img2dataset(tmp_path):
    gathered = gather(miniatures.img2dataset(tmp_path))
    assert len(gathered.rows) == 2 and source_of(miniatures.img2dataset(tmp_path / "x")).rows_per_part == 1
    first = gathered.records[0]
    assert first.key == "00000-000000000" and first.captions == (Caption(CHINESE[0], "zh"),)
    assert first.extra["url"] == "https://example.org/0.jpg" and first.extra["similarity"] == 0.31
    picture = first.pictures["jpg"]
    assert picture.data is None and picture.path.endswith("00000.tar") and picture.offset > 0, "no bytes are copied"
    assert len(gathered.records) == GOOD
    assert any("pyd, npy" in one.detail for one in gathered.rejected), "what was there and not used is said"


def test_the_caption_may_be_in_the_json(tmp_path):
    fields = miniatures.img2dataset(tmp_path, broken=False)
    by_text, by_json = gather(fields), gather(fields, caption_member="json.caption", language="en")
    assert texts(by_text.records) == texts(by_json.records)
    assert {caption.language for record in by_json.records for caption in record.captions} == {"en"}


def test_shards_of_ours(tmp_path):
    gathered = gather(miniatures.our_shards(tmp_path))
    second = gathered.records[1]
    assert second.turns[0] == Turn("user", "Is there a zebra?", ("jpg",))
    assert second.turns[1] == Turn("assistant", "No.", (), "negative", "existence", "en")
    assert second.facts == Facts((Thing("cat", 1),)) and second.extra == {"licence": "CC0"}
    assert list(gathered.records[2].pictures) == ["png"] and gathered.records[2].turns[0].images == ("png",)


def test_llava(tmp_path):
    gathered = gather(miniatures.llava(tmp_path))
    records = gathered.by_key()
    said = ["What is there?", ENGLISH[0], "用中文说一遍。", CHINESE[0]]
    assert [turn.text for turn in records["000000000000-1"].turns] == said
    assert [turn.language for turn in records["000000000000-1"].turns] == [None, "en", None, "zh"]
    assert records["000000000001-2"].turns[0] == Turn("user", "Describe it briefly.", ("jpg",), places=(20,))
    assert records["000000000001-3"].turns[0] == Turn("user", "图里有什么？", ("png",), places=(6,)), (
        "the same id with another picture"
    )
    text = records[f"wNBG8Gp_0-{GOOD + 1}"]
    assert not text.pictures and text.turns[0].text == "What does <image> mean in SVG?"
    two = records[f"000000000020-{GOOD + 2}"]
    assert two.turns[0] == Turn("user", "What is different?", ("0.jpg", "1.png"))
    assert [turn.role for turn in records[f"000000000021-{GOOD + 3}"].turns] == ["system", "user", "assistant"]


def test_lrv(tmp_path):
    gathered = gather(miniatures.lrv(tmp_path))
    assert len(gathered.records) == GOOD
    turns = gathered.by_key()["2300007"].turns
    assert [turn.polarity for turn in turns if turn.role == "assistant"] == ["positive", "negative", "negative"]
    assert [turn.images for turn in turns] == [("jpg",), (), (), (), (), ()]
    assert turns[4:] == (
        Turn("user", "What is the penguin doing?"),
        Turn("assistant", "There is no penguin in the image.", (), "negative", None, "en"),
    )
    with pytest.raises(ValueError, match="lrv: no files; name some in `positive`"):
        gather({"format": "lrv", "images": str(tmp_path)})


def test_minigpt4(tmp_path):
    gathered = gather(miniatures.minigpt4(tmp_path))
    assert gathered.by_key()["2"].captions == (Caption(f"{ENGLISH[0]} The picture has many small details.", "en"),)


def test_absent_is_only_what_was_looked_for(tmp_path):
    Image.new("RGB", (8, 8)).save(tmp_path / "1.jpg")
    difficult = [("dog", {}), ("dog", {"difficult": 1})]
    listed = {"absent": ["diningtable"], "difficult_only": ["car"]}
    for image, boxes, recipe, things, absent in [
        ({}, [("dog", {})], {}, [("dog", None)], ()),
        ({}, [("dog", {})], {"complete": True}, [("dog", 1)], ("car", "dining table")),
        ({"absent": ["car", "dog"]}, [("dog", {})], {}, [("dog", 1)], ("car",)),
        ({}, difficult, {"complete": True}, [("dog", None)], ("car", "dining table")),
        ({}, [("dog", {}), ("car", {"ignore": 1})], {"complete": True}, [("dog", 1)], ("dining table",)),
        (listed, [("dog", {})], {}, [("dog", None)], ("dining table",)),
    ]:
        names = ["dog", "car", "diningtable", *(["_background_"] if recipe or image else [])]  # else some of the 80
        data = {
            "images": [{"id": 1, "file_name": "1.jpg", **image}],
            "categories": [{"id": number, "name": name} for number, name in enumerate(names)],
            "annotations": [{"image_id": 1, "category_id": names.index(name), **marks} for name, marks in boxes],
        }
        (tmp_path / "instances.json").write_text(json.dumps(data))
        paths = {"images": str(tmp_path), "instances": str(tmp_path / "instances.json")}
        (one,) = gather({"format": "coco", **paths, **recipe}).records
        assert one.facts == Facts(tuple(Thing(*thing) for thing in things), absent=absent), (image, boxes)
        assert Facts.from_json(json.loads(json.dumps(one.facts.to_json()))) == one.facts
        assert {word.en for word in facts_about(one).absent} == set(absent)


def test_coco(tmp_path):
    gathered = gather(miniatures.coco(tmp_path))
    records = gathered.by_key()
    first, second, last = (records[str(391895 + 11 * index)] for index in (0, 1, GOOD - 1))
    assert [caption.text for caption in first.captions] == [ENGLISH[0], "A dog outdoors."]
    assert first.facts == Facts((Thing("dog", 2), Thing("person", 1)), complete="coco80")
    assert second.facts == Facts((Thing("cat", 1), Thing("person", None)), complete="coco80"), "a crowd has no number"
    assert last.facts == Facts(complete="coco80"), "nothing of the 80 is there, and that is known"


def test_coco_with_one_of_its_tables(tmp_path):
    fields = miniatures.coco(tmp_path, broken=False)
    captions = gather(fields, instances=None)
    assert all(record.facts == Facts() and record.captions for record in captions.records)
    instances = gather(fields, captions=None)
    assert all(record.facts.complete and not record.captions for record in instances.records)
    with pytest.raises(ValueError, match="name `captions`, `instances` or both"):
        gather(fields, captions=None, instances=None)


def test_facts_are_complete_only_for_the_80_and_the_images_that_were_searched(tmp_path):
    fields = miniatures.coco(tmp_path, broken=False)
    path = Path(fields["instances"])
    data = json.loads(path.read_text())
    path.write_text(json.dumps(data | {"images": data["images"][1:], "annotations": data["annotations"][1:2]}))
    records = gather(fields).by_key()
    assert records["391895"].facts == Facts() and records["391906"].facts.complete == "coco80"
    path.write_text(json.dumps(data | {"categories": [*data["categories"], {"id": 91, "name": "hair brush"}]}))
    assert {record.facts.complete for record in gather(fields).records} == {None}


def test_chinese_captions(tmp_path):
    gathered = gather(miniatures.chinese_captions(tmp_path))
    records = gathered.by_key()
    assert len(records) == GOOD
    coco, flickr = texts([records["COCO_train2014_000000203564"], records["1000268201_693b08cb0e"]])
    assert coco == [CHINESE[0], "草地上有狗", "一只Hello Kitty"], "of all tables, and words are a sentence again"
    assert flickr == [CHINESE[GOOD // 2], "图0", "图1"]
    human = gather(miniatures.chinese_captions(tmp_path / "x"), kinds=["zhc", "zhbDec"]).by_key()
    assert texts([human["1000268201_693b08cb0e"]]) == [[CHINESE[GOOD // 2]]]
    with pytest.raises(ValueError, match=r"bosonseg.txt: found only lines of the kinds zhbDec, expected lines like"):
        gather(miniatures.chinese_captions(tmp_path / "y"), kinds=["zhc"])


def test_visual_genome(tmp_path):
    gathered = gather(miniatures.visual_genome(tmp_path))
    first = gathered.by_key()["2315000"]
    things = (Thing("dog", None, ("brown", "tall")), Thing("monitor"), Thing("computer"), Thing("table"))
    assert first.facts.things == things, "two boxes of one name are not two dogs"
    assert first.facts.relations == (("dog", "on", "table"),) and first.facts.complete is None
    assert [caption.text for caption in first.captions] == [ENGLISH[0].lower(), "a dog"], "largest first, each once"
    fields = miniatures.visual_genome(tmp_path / "x")
    (tmp_path / "x" / "vg" / "region_descriptions.json").unlink()
    assert not any(record.captions for record in gather(fields, regions_per_image=0).records)
    with pytest.raises(ValueError, match=r"region_descriptions.json not there, expected objects.json"):
        gather(fields)


def test_tables_of_another_format_are_told_with_what_may_be_meant(tmp_path):
    tables = {"llava": ["table"], "lrv": ["positive"], "minigpt4": ["table"], "coco": ["captions", "instances"]}
    for name, field in ((name, field) for name, fields in tables.items() for field in fields):
        fields = getattr(miniatures, name)(tmp_path / field)
        path = Path(fields[field][0] if isinstance(fields[field], list) else fields[field])
        text = path.read_text("utf-8").replace('"conversations"', '"conversatons"').replace('"image_id"', '"imageid"')
        path.write_text(text.replace('"annotations"', '"annotation"'), "utf-8")
        with pytest.raises(ValueError, match=rf"{path.name}.*no (field|list) '\w+'; did you mean '\w+'\? Found: "):
            gather(fields)


@pytest.mark.parametrize("write", [miniatures.llava, miniatures.lrv, miniatures.minigpt4, miniatures.visual_genome])
def test_a_table_that_is_cut_short_stops_the_listing(write, tmp_path):
    fields = write(tmp_path)
    path = Path(fields.get("table") or [*fields.get("positive", []), f"{fields.get('root')}/objects.json"][0])
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) * 2 // 3])
    with pytest.raises(ValueError, match=rf"{path.name}, line \d+, entry \d+.*: the file ends here"):
        gather(fields)

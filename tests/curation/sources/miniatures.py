"""Public data sets in miniature: made by hand in exactly the published formats, with one broken row of each kind.

Every function writes one below a directory and returns the fields of its recipe, all but `tasks`. `GOOD` pictures can be
used, all different; `broken=False` leaves the broken rows out.
"""

from __future__ import annotations

import csv
import io
import json
import random
import tarfile
from pathlib import Path

from PIL import Image

from skymm.lexicon import vocabulary

GOOD = 14
_ENGLISH = (
    "A brown dog runs across the wet grass.|Two cats sleep on a red sofa.|A man rides a bicycle down the street.|"
    "A white bus stands at the stop.|Three birds sit on a wooden fence.|A woman holds a green umbrella in the rain.|"
    "A plate of pizza lies on the table.|The train leaves the old station.|A child flies a kite at the beach.|"
    "An elephant drinks from the river.|Some oranges lie in a glass bowl.|A boat waits in the blue harbour.|"
    "A clock hangs over the kitchen door.|Four chairs stand around a stone."
)
_CHINESE = (
    "一只棕色的狗跑过湿草地。|两只猫睡在红色沙发上。|一个男人骑自行车经过街道。|一辆白色公交车停在车站。|三只鸟坐在木栅栏上。|"
    "一个女人在雨中举着绿伞。|桌上放着一盘披萨。|火车离开了老车站。|一个孩子在海滩放风筝。|一头大象在河边喝水。|"
    "玻璃碗里有几个橙子。|一条小船停在蓝色的港口。|厨房门上挂着一只钟。|四把椅子围着一块石头。"
)
_THINGS = "dog|cat|bicycle|bus|bird|umbrella|pizza|train|kite|elephant|orange|boat|clock|chair"
ENGLISH, CHINESE, THINGS = (texts.split("|") for texts in (_ENGLISH, _CHINESE, _THINGS))
COCO_80 = [word.en for word in vocabulary("coco80")]
HTML = b"<!DOCTYPE html><html><body>404 Not Found</body></html>"
DRAWING = b'<svg xmlns="http://www.w3.org/2000/svg"/>'


def picture(seed: int, form: str = "JPEG") -> bytes:
    """A small picture of patches that looks like no other, to the eye and to a perceptual hash."""
    rng = random.Random(f"picture {seed}")
    patches = Image.new("RGB", (8, 6))
    patches.putdata([tuple(rng.randrange(256) for _ in range(3)) for _ in range(48)])
    file = io.BytesIO()
    patches.resize((96, 72), Image.Resampling.NEAREST).save(file, form, quality=90)
    return file.getvalue()


def _pictures(directory: Path, names: list[str]) -> None:
    """Every third is a PNG, whatever its name says."""
    for index, name in enumerate(names):
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(picture(index, "PNG" if index % 3 == 2 else "JPEG"))


def _json(path: Path, data: object, **options: object) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(data, **options), "utf-8")
    return str(path)


def pairs(tmp_path: Path, broken: bool = True, encoding: str = "utf-8") -> dict:
    """A csv of paths with a caption in each language."""
    root = tmp_path / "pairs"
    names = [f"photos/{index:03d}.jpg" for index in range(GOOD)]
    _pictures(root, names)
    rows: list[list[str]] = [["image", "title", "title_zh"]]
    rows += [list(each) for each in zip(names, ENGLISH, CHINESE)]
    if broken:
        (root / "page.jpg").write_bytes(HTML)
        (root / "empty.jpg").write_bytes(b"")
        (root / "drawing.svg").write_bytes(DRAWING)
        rows += [["photos/none.jpg", "gone", "没了"], ["page.jpg", "a page", ""], ["empty.jpg", "nothing", ""]]
        rows += [["drawing.svg", "a drawing", ""], ["../outside.jpg", "outside", ""], ["/etc/hostname", "outside", ""]]
        rows += [[names[0], "", "  "], [names[1], "one cell too many", "", "more"]]
        (tmp_path / "outside.jpg").write_bytes(picture(99))
    with (root / "table.csv").open("w", encoding=encoding, newline="") as file:
        csv.writer(file).writerows(rows)
    columns = {"caption_column": {"en": "title", "zh": "title_zh"}, "encoding": encoding}
    return {"format": "pairs", "table": str(root / "table.csv"), "images": str(root), **columns}


def pairs_folder(tmp_path: Path, broken: bool = True) -> dict:
    """Pictures with texts beside them, a caption a line."""
    root = tmp_path / "folder"
    names = [f"{'a' if index % 2 else 'b/c'}/{index:03d}.jpg" for index in range(GOOD)]
    _pictures(root, names)
    for index, name in enumerate(names):
        (root / name).with_suffix(".txt").write_text(f"{ENGLISH[index]}\n\n{CHINESE[index]}\n", "utf-8")
    if broken:
        (root / "alone.png").write_bytes(picture(90, "PNG"))
        (root / "text.txt").write_text("no picture", "utf-8")
        (root / "old.jpg").write_bytes(picture(91))
        (root / "old.txt").write_bytes("很旧的说明".encode("gb18030"))
    return {"format": "pairs", "images": str(root)}


def pairs_parquet(tmp_path: Path, broken: bool = True) -> dict:
    """As on the Hugging Face hub: a struct {bytes, path} for the picture, here in row groups of five."""
    import pyarrow
    from pyarrow import parquet

    root = tmp_path / "parquet"
    root.mkdir(parents=True)
    cells: list[dict | None] = [
        {"bytes": picture(index, "PNG" if index % 3 == 2 else "JPEG"), "path": f"{index}.jpg"}
        for index in range(GOOD - 1)
    ]
    (root / "beside.jpg").write_bytes(picture(GOOD - 1))
    cells.append({"bytes": None, "path": "beside.jpg"})
    captions: list[list[str] | None] = [[english, chinese] for english, chinese in zip(ENGLISH, CHINESE)]
    if broken:
        cells += [None, {"bytes": b"", "path": "x.jpg"}, {"bytes": HTML, "path": "y.jpg"}, cells[0]]
        captions += [["gone"], ["empty"], ["a page"], None]
    struct = pyarrow.struct([("bytes", pyarrow.binary()), ("path", pyarrow.string())])
    table = pyarrow.table(
        {"image": pyarrow.array(cells, struct), "caption": pyarrow.array(captions, pyarrow.list_(pyarrow.string()))}
    )
    parquet.write_table(table, root / "train-00000-of-00001.parquet", row_group_size=5)
    return {"format": "pairs", "table": str(root / "train-00000-of-00001.parquet"), "images": str(root)}


def _tar(path: Path, members: list[tuple[str, bytes] | tarfile.TarInfo]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w") as tar:
        for member in members:
            if isinstance(member, tarfile.TarInfo):
                tar.addfile(member)
                continue
            info = tarfile.TarInfo(member[0])
            info.size = len(member[1])
            tar.addfile(info, io.BytesIO(member[1]))
    return path


def img2dataset(tmp_path: Path, broken: bool = True) -> dict:
    """Two shards as img2dataset writes them: KEY.jpg, KEY.json, KEY.txt, keys of shard number and place."""
    root = tmp_path / "img2dataset"
    for shard in range(2):
        members: list[tuple[str, bytes]] = []
        for place, index in enumerate(range(shard, GOOD, 2)):
            key, caption = f"{shard:05d}{place:04d}", (ENGLISH, CHINESE)[index % 3 == 0][index]
            about = {"url": f"https://example.org/{index}.jpg", "caption": caption, "similarity": 0.31, "key": key}
            about |= {"status": "success", "error_message": None, "width": 96, "height": 72, "exif": "{}"}
            members.append((f"{key}.jpg", picture(index, "PNG" if index % 3 == 2 else "JPEG")))
            members += [(f"{key}.json", json.dumps(about).encode()), (f"{key}.txt", caption.encode())]
        if broken and shard == 1:
            members += [("000019990.jpg", HTML), ("000019990.txt", b"a page")]
            members += [("000019991.txt", b"no picture"), ("000019992.jpg", picture(92))]
            members += [("000019993.jpg", picture(93)), ("000019993.txt", "坏".encode("gb18030"))]
            members += [("000019994.jpg", b""), ("000019994.txt", b"nothing")]
            members += [("000019995.jpg", picture(95)), ("000019995.json", b'{"url": '), ("000019995.txt", b"cut")]
            members += [("000019996.pyd", b"\x80\x04K\x01."), ("000019996.npy", b"\x93NUMPY")]
            members += [("000010000.jpg", picture(97)), ("000010000.txt", b"a second one of that key")]
        _tar(root / f"{shard:05d}.tar", members)
    return {"format": "shards", "shards": str(root / "{00000..00001}.tar")}


def our_shards(tmp_path: Path, broken: bool = True) -> dict:
    """A shard of ours: KEY.json has turns, facts and whatever else."""
    root = tmp_path / "ours"
    members: list[tuple[str, bytes]] = []
    for index in range(GOOD):
        turns = [
            {"role": "user", "text": "Is there a zebra?"},
            {"role": "assistant", "text": "No.", "language": "en", "polarity": "negative", "kind": "existence"},
            {"role": "user", "text": "图里有什么？"},
            {"role": "assistant", "text": CHINESE[index], "language": "zh", "polarity": "positive"},
        ]
        facts = {"things": [{"name": THINGS[index], "count": 1}]}
        about = {"licence": "CC0", "facts": facts, "turns": turns}
        members += [(f"{index:06d}.jpg", picture(index, "PNG" if index % 3 == 2 else "JPEG"))]
        members += [(f"{index:06d}.json", json.dumps(about, ensure_ascii=False).encode())]
    if broken:
        says = [{"role": "user", "text": "?", "images": ["1.jpg"]}, {"role": "assistant", "text": "."}]
        members += [("lost.0.jpg", picture(90)), ("lost.json", json.dumps({"turns": says}).encode())]
        members += [("order.jpg", picture(91)), ("order.json", json.dumps({"turns": says[::-1]}).encode())]
    _tar(root / "train-00000.tar", members)
    return {"format": "shards", "shards": str(root)}


def llava(tmp_path: Path, broken: bool = True) -> dict:
    """llava_v1_5_mix665k.json: several images folders below one, text-only entries, ids that are there twice."""
    root = tmp_path / "llava"
    names = [f"{('coco/train2017', 'gqa/images', 'sam/images')[index % 3]}/{index:012d}.jpg" for index in range(GOOD)]
    _pictures(root / "images", names)

    def entry(index: int, *said: str, **fields: object) -> dict:
        roles = ("human", "gpt")
        turns = [{"from": roles[place % 2], "value": text} for place, text in enumerate(said)]
        return {"id": f"{index:012d}", "image": names[index % GOOD], "conversations": turns} | fields

    data: list = [
        entry(index, "<image>\nWhat is there?", ENGLISH[index], "用中文说一遍。", CHINESE[index])
        for index in range(GOOD)
    ]
    data[1] = entry(1, "Describe it briefly.\n<image>", ENGLISH[1])
    data[2] = entry(1, "图里有什么？\n<image>", CHINESE[2], image=names[2])
    text = {"id": "wNBG8Gp_0", "conversations": [{"from": "human", "value": "What does <image> mean in SVG?"}]}
    text["conversations"] += [{"from": "gpt", "value": "It embeds a raster image."}]
    two = entry(20, "<image>\n<image>\nWhat is different?", "Everything.", image=[names[3], names[5]])
    system = {"from": "system", "value": "Answer in one word."}
    data += [text, two, entry(21, "<image>\nWhat?", "Boat.", image=names[11])]
    data[-1]["conversations"].insert(0, system)
    if broken:
        (root / "images" / "empty.jpg").write_bytes(b"")
        data += [
            entry(30, "<image>\nWhat?", "Gone.", image="sam/images/sa_545504.jpg"),
            entry(31, "<image>\nWhat?", "Nothing.", image="empty.jpg"),
            entry(32, "<image>\nWhat?", "Outside.", image="../../outside.jpg"),
            entry(33, "What?", "Order.", "The last question"),
            entry(34, "<image>\n", "No question."),
            entry(35, "<image><image>\nWhat?", "Which?"),
            entry(36, "What?", "Well.", conversations=[{"from": "bard", "value": "Hi"}]),
            entry(37, "What?", "Well.", conversations=[]),
            {"id": "lost", "conversations": entry(0, "<image>\nWhat?", "Which?")["conversations"]},
            "no entry",
        ]
    table = _json(root / "mix.json", data, indent=2, ensure_ascii=False)
    return {"format": "llava", "table": table, "images": str(root / "images")}


def lrv(tmp_path: Path, broken: bool = True) -> dict:
    """filter_cap1.json: several instructions of an image, not together; the later release says task = negative."""
    root = tmp_path / "lrv"
    ids = [str(2300000 + 7 * index) for index in range(GOOD)]
    _pictures(root / "image", [f"{image}.jpg" for image in ids])

    def asked(image: str, question: str, answer: str, **more: str) -> dict:
        return {"image_id": image, "question": question, "answer": answer, **more}

    positive = [asked(image, "Describe the scene in one sentence.", said) for image, said in zip(ids, ENGLISH)]
    gold = [f"Is the {thing} made of gold?" for thing in THINGS]
    positive += [asked(image, question, "It is not.", task="negative") for image, question in zip(ids, gold)]
    negative = [asked(image, "What is the penguin doing?", "There is no penguin in the image.") for image in ids]
    if broken:
        (root / "image" / "9.jpg").write_bytes(HTML)
        positive += [
            asked("8", "Where?", "Gone."),
            {"question": "Whose?", "answer": "?"},
            asked("9", "What?", "A page."),
        ]
        negative += [asked(ids[0], "Why?", ""), {"image_id": ids[0], "answer": "Because."}]
    files = {
        "positive": [_json(root / "filter_cap1.json", positive)],
        "negative": [_json(root / "negative.json", negative)],
    }
    return {"format": "lrv", "images": str(root / "image"), **files}


def minigpt4(tmp_path: Path, broken: bool = True) -> dict:
    root = tmp_path / "cc_sbu_align"
    _pictures(root / "image", [f"{index}.jpg" for index in range(2, GOOD + 2)])
    data: list = [
        {"image_id": str(index + 2), "caption": f"{ENGLISH[index]} The picture has many small details."}
        for index in range(GOOD)
    ]
    if broken:
        data += [{"image_id": "4000", "caption": "Gone."}, {"caption": "Whose?"}, {"image_id": "4001", "caption": "\n"}]
    table = _json(root / "filter_cap.json", {"annotations": data})
    return {"format": "minigpt4", "table": table, "images": str(root / "image")}


def coco(tmp_path: Path, broken: bool = True) -> dict:
    """captions_val2014.json and instances_val2014.json, with the ids of the 80 categories as published (1 to 90)."""
    root = tmp_path / "coco"
    ids = [391895 + 11 * index for index in range(GOOD)]
    files = {image: f"COCO_val2014_{image:012d}.jpg" for image in ids}
    _pictures(root / "val2014", list(files.values()))
    unused = (12, 26, 29, 30, 45, 66, 68, 69, 71, 83)
    numbers = [number for number in range(1, 91) if number not in unused]
    categories = [{"supercategory": "thing", "id": number, "name": name} for number, name in zip(numbers, COCO_80)]
    category = {name: number for number, name in zip(numbers, COCO_80)}
    images = [
        {"license": 3, "file_name": name, "coco_url": f"http://images.cocodataset.org/val2014/{name}", "height": 72}
        | {"width": 96, "date_captured": "2013-11-14 11:18:45", "id": image}
        for image, name in files.items()
    ]
    captions = [{"image_id": image, "id": index, "caption": ENGLISH[index]} for index, image in enumerate(ids)]
    captions += [{"image_id": ids[0], "id": 900, "caption": "A dog outdoors.\n"}]

    def box(image: int, name: str, iscrowd: int = 0) -> dict:
        polygon = {"size": [72, 96], "counts": [1, 2]} if iscrowd else [[1.5, 2.0, 3.0, 4.0, 5.0, 6.0]]
        about = {"segmentation": polygon, "area": 702.1, "iscrowd": iscrowd, "image_id": image}
        return about | {"bbox": [1.5, 2.0, 3.0, 4.0], "category_id": category[name], "id": 1768}

    boxes = [box(image, THINGS[index]) for index, image in enumerate(ids[:-1])]  # none of the 80 in the last picture
    boxes += [box(ids[0], "dog"), box(ids[0], "person"), box(ids[1], "person"), box(ids[1], "person", 1)]
    if broken:
        images += [dict(images[0], id=7, file_name="COCO_val2014_000000000007.jpg")]
        images += [dict(images[0], id=8, file_name="../../outside.jpg"), {"id": 9}]
        captions += [{"image_id": 7, "id": 901, "caption": "Gone."}, {"image_id": 8, "id": 902, "caption": "Outside."}]
        captions += [{"id": 903, "caption": "Whose?"}, {"image_id": 10, "id": 904, "caption": "Not among the images."}]
        images += [dict(images[1], id=11)]
        boxes += [dict(boxes[0], image_id=11, category_id=12)]
    info = {"description": "COCO 2014 Dataset", "version": "1.0", "year": 2014}
    licences = [{"url": "http://creativecommons.org/licenses/by/2.0/", "id": 4, "name": "Attribution License"}]
    head = {"info": info, "images": images, "licenses": licences}
    return {
        "format": "coco",
        "images": str(root / "val2014"),
        "captions": _json(root / "captions_val2014.json", head | {"annotations": captions}),
        "instances": _json(root / "instances_val2014.json", head | {"annotations": boxes, "categories": categories}),
    }


def chinese_captions(tmp_path: Path, broken: bool = True) -> dict:
    """COCO-CN's human-written (no kind) and machine-translated (words with tags) files, and a file of Flickr8k-CN."""
    root = tmp_path / "chinese_captions"
    coco_names = [f"COCO_{('train', 'val')[index % 2]}2014_{203564 + index:012d}" for index in range(GOOD // 2)]
    flickr_names = [f"{1000268201 + index}_693b08cb0e" for index in range(GOOD - len(coco_names))]
    places = [f"coco/{name.split('_')[1]}/{name}.jpg" for name in coco_names]
    _pictures(root, places + [f"flickr8k/{name}.jpg" for name in flickr_names])
    written = [f"{name}#0\t{CHINESE[index]}" for index, name in enumerate(coco_names)]
    written += [f"{coco_names[0]}#1\t草地上有狗"]  # not beside the first
    machine = [f"{name}#zhbDec#0 一:m 只:q Hello:nx Kitty:nx" for name in coco_names[:2]]
    flickr = [f"{name}.jpg#zhc#0 {CHINESE[GOOD // 2 + index]}" for index, name in enumerate(flickr_names)]
    flickr += [f"{name}.jpg#zhb#{index} 图{index}" for name in flickr_names[:2] for index in range(2)]
    if broken:
        written += ["COCO_val2014_999999999999#0\t没有图", f"{coco_names[1]}#1\t", "no line of that kind"]
        flickr += ["1234_ab.jpg#zhg#0 谷歌"]
    files = {"imageid.human-written-caption.txt": written, "flickr8kzhc.caption.txt": flickr}
    files |= {"imageid.machine-translated-caption.bosonseg.txt": machine}
    for name, lines in files.items():
        (root / name).write_text("\n".join(lines) + "\n", "utf-8")
    return {
        "format": "chinese_captions",
        "table": [str(root / name) for name in files],
        "images": [str(root / "coco" / "train2014"), str(root / "coco"), str(root / "flickr8k")],
        "kinds": ["zhm", "zhc", "zhb", "zhbDec"],
    }


def visual_genome(tmp_path: Path, broken: bool = True) -> dict:
    """Version 1.4's relationships (`name` or `names`), region_descriptions with `id` in the place of image_id."""
    root = tmp_path / "vg"
    ids = [2315000 + 3 * index for index in range(GOOD)]
    _pictures(root, [f"{('VG_100K', 'VG_100K_2')[index % 2]}/{image}.jpg" for index, image in enumerate(ids)])
    box = {"x": 4, "y": 5, "w": 30, "h": 20}

    def thing(number: int, *names: str, **fields: object) -> dict:
        synsets = [f"{names[0]}.n.01"]
        return {"object_id": number, "merged_object_ids": [], "synsets": synsets, "names": list(names), **box} | fields

    objects, attributes, relationships, regions = ([] for _ in range(4))
    for index, image in enumerate(ids):
        name, number = THINGS[index], 1058000 + 10 * index
        found = [thing(number, name), thing(number + 1, name), thing(number + 2, "Monitor", "computer")]
        objects.append(
            {"image_id": image, "objects": found, "image_url": f"https://cs.stanford.edu/VG_100K/{image}.jpg"}
        )
        said = [thing(number, name, attributes=["brown", "Tall "]), thing(number + 2, "Monitor", "computer")]
        attributes.append({"image_id": image, "attributes": said})
        subject = {"name": name, **box, "object_id": number, "synsets": []}
        relation = {"predicate": "ON", "object": thing(number + 3, "table"), "relationship_id": 15927 + index}
        again = relation | {"predicate": "on", "subject": subject, "relationship_id": 1}
        relationships.append({"image_id": image, "relationships": [relation | {"subject": subject}, again]})
        sizes = [(10, 10, "a small spot"), (90, 60, ENGLISH[index]), (91, 60, ENGLISH[index].lower())]
        described = [
            {"region_id": 1382 + place, "width": width, "height": height, "image_id": image, "phrase": phrase}
            | {"x": 1, "y": 2}
            for place, (width, height, phrase) in enumerate([*sizes, (50, 40, f"a {name}")])
        ]
        regions.append({"regions": described, "id": image})
    if broken:
        objects += [{"image_id": 5, "objects": [thing(1, "ghost")]}, {"objects": []}]
        objects += [{"image_id": ids[0], "objects": None}]
        regions += ["nothing"]
    _json(root / "objects.json", objects)
    _json(root / "attributes.json", attributes)
    _json(root / "relationships.json", relationships[::-1])
    _json(root / "region_descriptions.json", regions)
    images = [str(root / "VG_100K"), str(root / "VG_100K_2")]
    return {"format": "visual_genome", "root": str(root), "images": images, "regions_per_image": 2}


ALL = (
    *(pairs, pairs_folder, pairs_parquet, img2dataset, our_shards),
    *(llava, lrv, minigpt4, coco, chinese_captions, visual_genome),
)

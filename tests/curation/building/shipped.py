"""The recipes of data_recipes/ on miniatures of what they name."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from curation.sources import loopback, miniatures

from skymm.recipe import DataRecipe, EmojiScenesRecipe, parse

FOLDER = Path(__file__).parents[3] / "data_recipes"
NAMES = sorted(path.stem for path in FOLDER.glob("*.toml"))
SMALL: dict[str, dict[str, Any]] = {
    "emoji_scenes": {"num_images": 24, "concepts": list("🐼🐈🐕🐧🍌🚗🏠🔑")},
    "writing": {"num_images": 16},
    "hsk": {"limit": 20},
    "cedict": {"words": 20},
    "nothing": {"num_images": 12},
}


def recipe(name: str, tmp_path: Path) -> DataRecipe | EmojiScenesRecipe:
    """The shipped recipe with its files' places, and whatever says how much, made small; all else as it is shipped."""
    data = tomllib.loads((FOLDER / f"{name}.toml").read_text("utf-8"))
    if "source" in data:
        small = {**SMALL["emoji_scenes"], "images_per_shard": 9, "bench_images": 1}
        return parse({**data, **small}, EmojiScenesRecipe)
    data |= {"samples_per_shard": 9}
    for share in ("num_samples", "part"):  # a tenth of a dozen photos is none
        data.pop(share, None)
    for number, (source, fields) in enumerate(data["sources"].items()):
        root = tmp_path / source
        root.mkdir(parents=True)
        fields |= _small(fields["format"], root, fields, 100 * number)
        fields.pop("share", None)  # 0.004 is no sample of fifty
    formats = [fields["format"] for fields in data["sources"].values()]
    alike = any(formats.count(form) > 1 for form in ("coco", "pairs"))  # the miniatures share their pictures
    if "duplicates" in data.get("filters", {}) and not alike:
        data["filters"]["duplicates"]["match"] = "both"
    else:
        data["filters"] = {**data.get("filters", {}), "duplicates": None}
    if alike and "coco" in formats:
        data.pop("chinese_share", None)  # all their captions are English
    return parse(data, DataRecipe)


def _small(form: str, root: Path, fields: dict[str, Any], first: int) -> dict[str, Any]:
    if form in SMALL:
        return SMALL[form]
    if form == "urls":
        return _addresses(root, fields, first)
    if form == "vqa":
        return _answers(root)
    write: Callable[[Path], dict[str, Any]] = getattr(miniatures, "llava" if form == "conversations" else form)
    unwanted = {"captions", "instances"} - fields.keys()
    return {name: value for name, value in write(root).items() if not (form == "coco" and name in unwanted)}


def _answers(root: Path) -> dict[str, Any]:
    """Questions and answers in one file, as of DAQUAR."""
    (root / "images").mkdir()
    said: dict[str, list[dict[str, Any]]] = {"images": [], "questions": [], "annotations": []}
    for number, caption in enumerate(miniatures.ENGLISH):
        (root / "images" / f"{number}.jpg").write_bytes(miniatures.picture(700 + number))
        said["images"].append({"id": number, "file_name": f"{number}.jpg"})
        said["questions"].append({"question_id": number, "image_id": number, "question": "what is on the table ?"})
        said["annotations"].append({"question_id": number, "image_id": number, "answer": caption})
    table = root / "vqa.json"
    table.write_text(json.dumps(said), "utf-8")
    return {"questions": [str(table)], "annotations": [str(table)], "images": str(root / "images")}


def _addresses(root: Path, fields: dict[str, Any], first: int) -> dict[str, Any]:
    """A table in the form that the recipe's own column names expect: pictures of its own, and an address that is dead."""
    suffix = ".tsv" if "column_names" in fields else ".parquet" if fields.get("url_column") == "URL" else ".csv"
    captions = miniatures.CHINESE if "wukong" in root.name or "cn" in root.name else miniatures.ENGLISH
    lines = [(f"https://pictures.example/{first + index}", caption) for index, caption in enumerate(captions)]
    table = loopback.write_table(root / f"table{suffix}", [*lines, ("https://gone.example/1", "gone")])
    if suffix == ".csv" and "caption_column" in fields:
        table.write_text(table.read_text("utf-8").replace("url,caption", f"url,{fields['caption_column']}", 1), "utf-8")
    return {"table": str(table), "cache": str(root / "cache"), **({"columns": []} if fields.get("columns") else {})}

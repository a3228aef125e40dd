"""The recipes of data_recipes/ on miniatures of what they name."""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from curation.sources import loopback, miniatures

from skymm.recipe import DataRecipe, EmojiScenesRecipe, parse

FOLDER = Path(__file__).parents[3] / "data_recipes"
NAMES = sorted(path.stem for path in FOLDER.glob("*.toml"))
SMALL: dict[str, dict[str, Any]] = {
    "emoji_scenes": {"num_images": 24, "concepts": list("🐼🐈🐕🦋🐧🍌🚗🏠🔑👑")},
    "writing": {"num_images": 16},
    "hsk": {"limit": 20},
    "cedict": {"words": 20},
}


def recipe(name: str, tmp_path: Path, web: loopback.Web | None) -> DataRecipe | EmojiScenesRecipe:
    """The shipped recipe with its files' places, and whatever says how much, made small; all else as it is shipped."""
    data = tomllib.loads((FOLDER / f"{name}.toml").read_text("utf-8"))
    if "source" in data:
        concepts = SMALL["emoji_scenes"]["concepts"]
        return parse(
            {**data, "concepts": concepts, "num_images": 20, "images_per_shard": 8, "bench_images": 1},
            EmojiScenesRecipe,
        )
    data |= {"samples_per_shard": 9}
    data.pop("num_samples", None)
    for source, fields in data["sources"].items():
        root = tmp_path / source
        root.mkdir(parents=True)
        fields |= _small(fields["format"], root, fields, web)
        # A share of 0.004 is no sample of fifty.
        fields.pop("share", None)
    return parse(data, DataRecipe)


def _small(form: str, root: Path, fields: dict[str, Any], web: loopback.Web | None) -> dict[str, Any]:
    if form in SMALL:
        return SMALL[form]
    if form == "urls":
        assert web is not None
        return _addresses(root, fields, web)
    write: Callable[[Path], dict[str, Any]] = getattr(miniatures, form)
    wanted = {"captions", "instances"} - fields.keys()
    return {name: value for name, value in write(root).items() if not (form == "coco" and name in wanted)}


def _addresses(root: Path, fields: dict[str, Any], web: loopback.Web) -> dict[str, Any]:
    """In the form that the recipe's own column names expect."""
    suffix = ".tsv" if "column_names" in fields else ".parquet" if fields.get("url_column") == "URL" else ".csv"
    table = loopback.write_table(root / f"table{suffix}", loopback.rows(web))
    renamed = {} if suffix != ".csv" else {"caption_column": "caption", "columns": []}
    quick = {"timeout": 1, "retries": 0, "threads": 8, "processes": 1}
    names = {"column_names": ["url", "caption"]} if suffix == ".tsv" else {}
    return {"table": str(table), "cache": str(root / "cache"), **renamed, **names, **quick}

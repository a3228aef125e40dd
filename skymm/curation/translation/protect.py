"""What a translation may not touch: figures, boxes, quoted writing, addresses, emoji, placeholders, code, given names.

Before a model sees a text, each of these is replaced by a marker with a number; afterwards every marker must be there
exactly once, and what it stood for is put back in its place.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache


@dataclass(frozen=True)
class Markers:
    """How markers look. It depends on the model's tokenizer which of them come through unharmed."""

    opening: str
    closing: str

    def __call__(self, number: int) -> str:
        return f"{self.opening}{number}{self.closing}"

    @cached_property
    def pattern(self) -> re.Pattern[str]:
        """Group 1 is the number. A space inside does no harm: tokenizers of single letters like to put one there."""
        return re.compile(self.shape("([0-9]{1,4})"))

    def shape(self, number: str) -> str:
        return rf"{re.escape(self.opening)}\s?{number}\s?{re.escape(self.closing)}"


BRACKETS = Markers("⟦", "⟧")
"""For chat models, which know what they are told to keep, and whose tokens can write every byte."""

LETTERS = Markers("X", "X")
"""For translation models, whose vocabularies hold letters and figures but no rare brackets."""


@dataclass(frozen=True, slots=True)
class Protected:
    """A text with markers, and what the first, second, ... of them stands for."""

    text: str
    pieces: tuple[str, ...]
    markers: Markers

    @property
    def rest(self) -> str:
        """What there is to translate."""
        return without_markers(self.text, self.markers)


def protect(text: str, names: Sequence[str] = (), markers: Markers = BRACKETS) -> Protected:
    """`names` stay as they are too: of letters only as whole words, of ideographs anywhere; upper and lower case count."""
    spans: list[tuple[int, int]] = []
    for match in _pattern(tuple(names), markers).finditer(text):
        group = match.lastgroup or ""
        if group.startswith("free"):
            continue
        start, end = match.span(group) if group.startswith("quoted") else match.span()
        if spans and spans[-1][1] == start:  # one marker for what stands together
            start = spans.pop()[0]
        spans.append((start, end))
    written, pieces, done = [], [], 0
    for start, end in spans:
        pieces.append(text[start:end])
        written += [text[done:start], markers(len(pieces))]
        done = end
    return Protected("".join([*written, text[done:]]), tuple(pieces), markers)


def restore(translation: str, protected: Protected, language: str | None = None) -> str | None:
    """The translation with the pieces back in it, or None where a marker was lost, doubled, made up or altered.

    Without `language`, exactly the translation; "en" sets figures apart that a model has glued to a word.
    """
    markers = protected.markers
    found = markers.pattern.findall(translation)
    if sorted(found) != sorted(str(number + 1) for number in range(len(protected.pieces))):
        return None
    # Halves of brackets that stand alone; letters are too common to tell.
    halves = [half for half in (markers.opening, markers.closing) if not half.isalnum()]
    rests = [markers.pattern.sub("", text) for text in (translation, protected.text)]
    if any(rests[0].count(half) != rests[1].count(half) for half in halves):
        return None

    def put(match: re.Match[str]) -> str:
        piece, after = protected.pieces[int(match[1]) - 1], translation[match.end() :]
        if language != "en":
            return piece
        before = " " if piece[0].isalnum() and translation[: match.start()][-1:].isalpha() else ""
        # Endings are shorter: 5pm, 1st, 1980s.
        return before + piece + (" " if piece[-1].isalnum() and re.match("[A-Za-z]{3}", after) else "")

    return markers.pattern.sub(put, translation)


def without_markers(text: str, markers: Markers) -> str:
    """A nought in place of every marker, which is a word of neither language."""
    return markers.pattern.sub(" 0 ", text)


_EMOJI = "\U0001f000-\U0001faff\u2600-\u27bf\u2b00-\u2bff\u2300-\u23ff"
_NUMBERED = r"\d[\d.,]{0,20}\s?"
# The first that matches where a match begins is taken: from the special to the general.
_KINDS = (
    r"```.{1,5000}?```|`[^`\n]{1,500}`",  # code
    r"\$\$.{1,500}?\$\$|\$(?=\S)[^$\n]{1,200}(?<=\S)\$(?!\d)|\\\(.{1,200}?\\\)|\\\[.{1,500}?\\\]",  # formulas
    r"(?:https?://|www\.)[A-Za-z0-9_.~:/?#@!$&'()*+,;=%-]{0,2000}[A-Za-z0-9/_~=&#%+-]",
    r"[A-Za-z0-9._%+-]{1,64}@[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63}){1,5}",
    r"</?[A-Za-z|][^<>\n]{0,100}>|\[/?[A-Z][A-Z_]{0,30}\d{0,3}\]",  # <image>, </box>, <|im_end|>, [IMG]
    r"\{\{?[^{}\n]{1,60}\}?\}|%(?:\(\w{1,30}\))?[sd@](?![A-Za-z])",  # {name}, {{name}}, %s, %(name)d
    r"[\[(][\[(\s]{0,3}[-+−.]?\d[\d.,;，；\s+−\-\[\]()]{0,400}[\])]",  # [0.1, 0.2, 0.3, 0.4], (12, 34)
    r"“(?P<quoted1>[^“”\n]{1,60})”|「(?P<quoted2>[^「」\n]{1,60})」|『(?P<quoted3>[^『』\n]{1,60})』",
    r'(?<![\d"])"(?P<quoted4>[^"\n]{1,60})"|(?<![\w\'])\'(?P<quoted5>[^\'\n]{1,60})\'(?!\w)',
    r"‘(?P<quoted6>[^‘’\n]{1,60})’(?!\w)",
    rf"[0-9#*]\ufe0f?\u20e3|[{_EMOJI}](?:[{_EMOJI}\u200d\ufe0e\ufe0f\u20e3\U000e0020-\U000e007f])*",
    # The two languages count months and great numbers differently: 3月 is March, 3万 is 30,000.
    rf"(?P<free1>{_NUMBERED}(?:月|百|千|万|亿|萬|億|折))",
    rf"(?P<free2>{_NUMBERED}(?:hundred|thousand|million|billion|trillion|dozen)s?\b)",
    r"\d+(?![AaPp][Mm]\b)[A-Z][A-Za-z0-9]*",  # 3D, 4K
    r"(?<![A-Za-z0-9])[A-Za-z]{1,30}(?:-[A-Za-z]{1,30}){0,3}-?\d[A-Za-z0-9-]*",  # MP3, covid-19
    r"(?:(?<![\w)\]])[-−+])?\d+(?:[.,:/×x*–-]\d+)*[%％°]?",
)


@lru_cache(maxsize=1024)
def _pattern(names: tuple[str, ...], markers: Markers) -> re.Pattern[str]:
    # What looks like a marker already is protected like everything else, so that it is never taken for one.
    return re.compile("|".join([markers.shape("[0-9]{1,4}"), *_names(names), *_KINDS]), re.S)


def _names(names: tuple[str, ...]) -> list[str]:
    """Longer names first, for one may begin with another."""
    found = []
    for name in sorted({name for name in names if name.strip()}, key=lambda name: (-len(name), name)):
        before = r"(?<![A-Za-z0-9])" if re.match("[A-Za-z0-9]", name) else ""
        after = r"(?![A-Za-z0-9])" if re.search("[A-Za-z0-9]$", name) else ""
        found.append(f"{before}{re.escape(name)}{after}")
    return found

"""What a training text looks like: one Chinese script, Chinese marks in Chinese text, nothing invisible, nothing garbled.

Not NFKC, which is for comparing: it would turn ，into a comma and ½ into 1⁄2.
"""

from __future__ import annotations

import html
import re
import unicodedata
from dataclasses import replace
from functools import cache, partial
from typing import Any, Literal

from skymm.curation.record import Record
from skymm.text import language_of

Script = Literal["simplified", "traditional"]

# Traditional as Taiwan writes it (裡, 為, 麵), which is what most traditional text is; OpenCC's own norm has 裏, 爲, 麪.
_CONVERSION = {"simplified": "t2s", "traditional": "s2tw"}
# The 著 of 看著 is 着 in simplified text, the 著 of 著作 is not, and OpenCC leaves both.
_ASPECT = re.compile("(?<![显原名专编论土卓昭巨译遗合拙新共撰杂])著(?![名作称书者录述文译])")
_HAN = "\u3007\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
_ANY_HAN = re.compile(f"[{_HAN}]")
_KANA = re.compile("[\u3041-\u309f\u30a1-\u30fa\u30fc-\u30ff]")
# A zero-width joiner between pictographs makes one of two (a woman and a pan: a cook), so that one stays.
_INVISIBLE = re.compile(
    "[\u00ad\u200b\u200c\u200e\u200f\u202a-\u202e\u2060-\u2064\u2066-\u2069\ufeff\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]"
    "|\u200d(?![\u2190-\u2bff\U0001f000-\U0001faff])"
)
# With the semicolon: without one, "R&D" and "?a=1&copy=2" are what they say.
_REFERENCE = re.compile(r"&(?:#\d{1,7}|#x[0-9a-f]{1,6}|[a-z]{2,31}\d*);", re.IGNORECASE)
_SPACES = re.compile(r"[^\S\n]+")
_LINE_ENDS = re.compile(r" *\n *")
# Full-width digits, letters and signs; the marks of Chinese text （），：；？！～ are not among them.
_WIDE = {code: code - 0xFEE0 for code in (*range(0xFF10, 0xFF1A), *range(0xFF21, 0xFF3B), *range(0xFF41, 0xFF5B))}
_WIDE |= {
    ord(wide): narrow for wide, narrow in zip("＂＃＄％＆＇＊＋－．／＜＝＞＠＼＾＿｀｜", "\"#$%&'*+-./<=>@\\^_`|")
}
_ALL_WIDE = _WIDE | {ord(wide): narrow for wide, narrow in zip("（），：；？！～。、", "(),:;?!~.,")}
_CHINESE_MARK = dict(zip(",;:?!.", "，；：？！。"))
_NARROW_MARK = re.compile(f"(?<=[{_HAN}”’）》」』])([,;:?!]|\\.(?!\\.)) ?(?=[{_HAN}“‘（《「『]|\\s|$)")


def convert(text: str, script: Script, *, keep: tuple[str, ...] = ()) -> str:
    """A Chinese text in this script, character by character and by OpenCC's phrases (头发 -> 頭髮, 皇后 stays 皇后).

    Words are not exchanged (電腦 becomes 电脑, and 軟體 becomes 软体, not 软件). `keep` are strings that stay as they are.
    Text with Japanese kana stays as it is.
    """
    if not _ANY_HAN.search(text) or _KANA.search(text):
        return text
    kept = [part for part in sorted(keep, key=len, reverse=True) if _ANY_HAN.search(part)]
    if not kept:
        return _converted(text, script)
    parts = re.split(f"({'|'.join(map(re.escape, kept))})", text)
    return "".join(part if index % 2 else _converted(part, script) for index, part in enumerate(parts))


def tidy(text: str, language: str) -> str:
    """The text as training should see it; lines stay lines.

    NFC, half-width letters and digits, no invisible or control characters (nor halves of surrogate pairs, which no file
    can hold), no double spaces, no spaces at the ends of lines. In Chinese, half-width marks between ideographs become
    Chinese ones; in English, full-width marks become ASCII. Text whose UTF-8 was read as Latin-1, Windows-1252 or GB 18030
    is read again.
    """
    # What one step leaves may be garbled in its turn, as text that went wrong twice is.
    while (found := _tidied(text, language)) != text:
        text = found
    return text


def mend(text: str) -> str:
    """UTF-8 that was read in a wrong encoding, read rightly: "cafÃ©" -> "café", "å¥½" -> "好", "浣犲ソ涓栫晫" -> "你好世界".

    Only where the whole text is valid UTF-8 when read again, and, for GB 18030, gives four ideographs or more: true Chinese
    does not do that. What lost bytes on the way cannot be mended.
    """
    if text.isascii():
        return text
    try:
        return b"".join(map(_western_byte, text)).decode("utf-8")
    except ValueError:
        pass
    try:
        found = text.encode("gb18030").decode("utf-8")
    except ValueError:
        return text
    return found if len(_ANY_HAN.findall(found)) >= 4 else text


def in_language(record: Record, language: str | None) -> Record:
    """The record with all its captions and answers said to be in this language; None: as they are."""
    if language is None:
        return record
    captions = tuple(replace(caption, language=language) for caption in record.captions)
    turns = tuple(replace(turn, language=language) if turn.role == "assistant" else turn for turn in record.turns)
    return replace(record, captions=captions, turns=turns)


def to_script(record: Record, script: Script | None) -> Record:
    """The record with all that is said in it tidied, and its Chinese in this script (None: in the one that it has).

    Writing that can be read in the picture (`facts.texts`) is quoted as it stands there. Character references of HTML in
    captions (&amp;) are resolved; conversations may be about HTML.
    """

    def said(text: str, language: str) -> str:
        text = tidy(text, language)
        return convert(text, script, keep=record.facts.texts) if script is not None and language == "zh" else text

    captions = tuple(
        replace(caption, text=said(_resolved(caption.text), caption.language)) for caption in record.captions
    )
    turns = tuple(
        turn.rewritten(partial(said, language=turn.language or language_of(turn.text))) for turn in record.turns
    )
    extra = dict(record.extra)
    if isinstance(extra.get("rejected"), str):  # as the answer beside it, or the script alone would tell them apart
        extra["rejected"] = said(extra["rejected"], language_of(extra["rejected"]))
    return replace(record, captions=captions, turns=turns, extra=extra)


def _tidied(text: str, language: str) -> str:
    text = unicodedata.normalize("NFC", mend(text))
    text = _INVISIBLE.sub("", text.replace("\r\n", "\n").replace("\r", "\n").replace("\u2028", "\n"))
    text = _LINE_ENDS.sub("\n", _SPACES.sub(" ", text)).strip()
    if language == "zh":
        return _NARROW_MARK.sub(lambda match: _CHINESE_MARK[match[1]], text.translate(_WIDE))
    return text.translate(_WIDE if _ANY_HAN.search(text) else _ALL_WIDE)


def _resolved(text: str) -> str:
    return _REFERENCE.sub(lambda match: html.unescape(match[0]), text)


def _western_byte(character: str) -> bytes:
    """As Windows-1252 does it, and where that has no such byte, as Latin-1 does. Raises UnicodeEncodeError."""
    try:
        return character.encode("cp1252")
    except UnicodeEncodeError:
        return character.encode("latin-1")


def _converted(text: str, script: Script) -> str:
    found = _converter(_CONVERSION[script]).convert(text)
    return _ASPECT.sub("着", found) if script == "simplified" else found


@cache
def _converter(name: str) -> Any:
    try:
        import opencc
    except ImportError as error:
        raise ValueError(
            "script: OpenCC is not installed, and converts Chinese characters: pip install opencc"
        ) from error
    return opencc.OpenCC(name)

"""What is said in a row of a conversation table, whichever of the public forms it has: roles, texts, marks of pictures.

Seen are: LLaVA and ShareGPT (`conversations`: from, value), LLaMA-Factory and ms-swift (`messages`, `query`, `instruction`),
OpenAI, Qwen, XTuner, TRL and the Hugging Face hub (content in parts), MiniCPM-V, DeepSeek-VL, SVIT (nested), the Cauldron
(`texts`), tables of questions, and what all of these have for preferences.
"""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from skymm.curation.sources.pictures import MISSING, Unusable
from skymm.curation.sources.source import text_of

TURNS = ("messages", "conversations", "conversation", "texts")
ASKED = ("prompt", "question", "query", "instruction", "prefix")
ANSWERED = ("chosen", "answer", "response", "output", "completion", "suffix", "answers", "label")
REJECTED = ("rejected", "rejected_response", "rejected_messages", "rejected_conversations")
VIDEOS = ("videos", "video", "video_path")
_HEARD = ("audio", "audios")
_OTHERS = "text input history system tools objects kto_tag rejected_images rejected_image"
_CHOICES = ("choices", "options")
FIELDS = (*TURNS, *ASKED, *ANSWERED, *REJECTED, *VIDEOS, *_HEARD, *_CHOICES, *_OTHERS.split())
"""What of a row is looked at, besides its pictures."""

_ROLES = {
    "user": "human user <|user|>",
    "assistant": "gpt assistant chatgpt model <|assistant|>",
    "system": "system developer",
    "tool": "tool tools function function_call observation tool_call tool_response ipython",
}
ROLES = {name: role for role, names in _ROLES.items() for name in names.split()}
_TOOLS, _SOUND, _EMPTY = "tools are used", "sound", "turn is empty"
_IMAGE_PARTS = ("image", "image_url", "input_image", "img")
_TEXT_PARTS = ("text", "input_text", "output_text")
_CELLS = ("image_url", "image", "url", "path", "base64", "source", "bytes", "data", "img", "value")
_TURN_KEYS = ("role", "from", "speaker", "content", "value", "user", "assistant")


@dataclass(frozen=True, slots=True)
class Clip:
    """What a table has for a video."""

    cell: Any


@dataclass(frozen=True, slots=True)
class Shown:
    """A picture or a clip at its place. `cell`: what a table has for one (a path, bytes, ...; a Clip); None: the next of the
    row's own, or the one that the row calls `name`; its place among them, from 0, is a name as well.
    """

    cell: Any = None
    name: str = ""
    is_clip: bool = False


@dataclass(frozen=True, slots=True)
class SaidTurn:
    """One turn: texts, and pictures where they stand among them."""

    role: str
    pieces: tuple[str | Shown, ...]

    @property
    def text(self) -> str:
        return "".join(piece for piece in self.pieces if isinstance(piece, str))


def form_of(row: Mapping[str, Any]) -> str:
    """The name of a row's form, for the card; "" where it has none."""
    row = _unpacked(row)
    rejected = " with rejected" if _first(row, REJECTED) else ""
    for name in TURNS:
        if row.get(name):
            turns = _json(row[name])
            first = turns[0] if isinstance(turns, list) and isinstance(turns[0], dict) else {}
            keys = ", ".join(key for key in first if key in _TURN_KEYS)
            inner = first["content"] if isinstance(first.get("content"), list) else []
            parts = "" if not inner else " in parts" if "role" in first else " of turns"
            return f"{name}{f' ({keys}{parts})' if keys else ''}{rejected}"
    asked, answered = (next((name for name in names if _is_given(row, name)), "") for names in (ASKED, ANSWERED))
    return (
        f"{asked}, {answered}{rejected}" if asked and answered else f"chosen{rejected}" if _both_are_whole(row) else ""
    )


def turns_in(row: Mapping[str, Any]) -> tuple[list[SaidTurn], str | None]:
    """The turns of a row, a system turn first if there is one, then user and assistant by turns; and, of a preference, the
    answer that was rejected in the place of the last. Raises Unusable.
    """
    row = _unpacked(row)
    _refuse_unusable(row)
    turns = _first(row, TURNS)
    said = list(_turns_of(_json(turns))) if turns else list(_question_and_answer(row))
    said, rejected = _with_preference(row, said)
    if row.get("system"):
        said.insert(0, SaidTurn("system", (text_of(row["system"], _EMPTY),)))
    said = [turn for turn in said if turn.role != "system" or turn.text.strip()]  # an empty system prompt is none
    for turn in said:
        text_of(turn.text, _EMPTY)
        for mark, reason in ((SOUND, _SOUND), (VIDEO, MISSING)):
            beside = (row.get("image") or row.get("images")) and mark.search(turn.text)
            if (beside or means_picture(turn.text, mark)) and not (mark is VIDEO and _first(row, VIDEOS)):
                raise Unusable(reason, turn.text[:60])
        if row.get("objects") and ("<bbox>" in turn.text or "<ref-object>" in turn.text):
            raise Unusable("boxes amid the text", turn.text[:60])
    roles = [turn.role for turn in said]
    spoken = roles[1:] if roles[:1] == ["system"] else roles
    if not spoken or spoken != ["user", "assistant"] * (len(spoken) // 2):
        raise Unusable("turns out of order", f"found {', '.join(roles)}"[:200])
    return said, rejected


def _unpacked(row: Mapping[str, Any]) -> Mapping[str, Any]:
    """RLHF-V has its question and answers as JSON in the field `text`."""
    text = row.get("text")
    inner = _json(text) if isinstance(text, str) and text.lstrip().startswith("{") else None
    return {**row, **inner} if isinstance(inner, dict) else row


def _json(value: Any) -> Any:
    """Turns that a table has as one text."""
    if isinstance(value, str) and value.lstrip()[:1] in ("[", "{"):
        try:
            return json.loads(value)
        except ValueError:
            pass
    return value


def _refuse_unusable(row: Mapping[str, Any]) -> None:
    for name in _HEARD:
        if row.get(name):
            raise Unusable(_SOUND, f"{name}: {str(row[name])[:60]}")
    if row.get("tools") and str(row["tools"]).strip() not in ("[]", "{}", "null"):
        raise Unusable(_TOOLS, str(row["tools"])[:60])
    if row.get("label") is False or row.get("kto_tag") is False:
        raise Unusable("answer is marked as bad", "label or kto_tag is false, and there is no better answer")
    if row.get("rejected_images") or row.get("rejected_image"):
        raise Unusable("rejected picture", "a preference between pictures, not between answers")


def _turns_of(turns: Any) -> Iterator[SaidTurn]:
    if isinstance(turns, dict):
        turns = [turns]
    if not isinstance(turns, list) or not turns:
        raise Unusable("conversation is missing", f"found {str(turns)[:60]!r}")
    for number, turn in enumerate(turns, 1):
        if not isinstance(turn, dict):
            raise Unusable("unknown speaker", f"turn {number}: {str(turn)[:60]}")
        if "user" in turn and "assistant" in turn:  # the Cauldron: a question and its answer
            yield from (SaidTurn(role, _pieces(turn[role])) for role in ("user", "assistant"))
            continue
        role, content = (_first(turn, names) for names in (("role", "from", "speaker"), ("content", "value", "text")))
        if role is None and isinstance(content, list):  # SVIT: conversations of turns
            yield from _turns_of(content)
            continue
        known = ROLES.get(str(role).lower())
        if known is None:
            raise Unusable("unknown speaker", f"turn {number}: {str(turn)[:60]}")
        if known == "tool" or turn.get("tool_calls") or turn.get("function_call"):
            raise Unusable(_TOOLS, f"turn {number}: {str(turn)[:60]}")
        if known == "assistant" and (turn.get("loss") is False or turn.get("weight") == 0 or turn.get("loss") == 0):
            raise Unusable("answer is not to be learned", f"turn {number}: loss or weight is 0")
        yield SaidTurn(known, _with_own_pictures(turn, _pieces(content)))


def _first(row: Mapping[str, Any], names: Sequence[str]) -> Any:
    return next((row[name] for name in names if _is_given(row, name)), None)


def _is_given(row: Mapping[str, Any], name: str) -> bool:
    return row.get(name) not in (None, "", [], {})  # zero is an answer


def _with_own_pictures(turn: Mapping[str, Any], pieces: tuple[str | Shown, ...]) -> tuple[str | Shown, ...]:
    """The turn's own pictures, where it has some (DeepSeek-VL), go where its marks are, or before its text."""
    own = _first(turn, ("images", "image"))
    if not own:
        return pieces
    cells = own if isinstance(own, list) else [own]
    text = "".join(piece for piece in pieces if isinstance(piece, str))
    marks = [piece for piece in pieces_of(text, False) if isinstance(piece, Shown)]
    if not marks:
        return (*map(Shown, cells), text)
    if len(marks) != len(cells):
        raise Unusable("markers and pictures differ", f"{len(marks)} markers, {len(cells)} pictures in a turn")
    left = iter(cells)
    return tuple(Shown(next(left)) if isinstance(piece, Shown) else piece for piece in pieces_of(text, False))


def _pieces(content: Any) -> tuple[str | Shown, ...]:
    """A text, or a list of parts."""
    if not isinstance(content, list):
        content = [content]
    pieces: list[str | Shown] = []
    for piece in map(_part, content):
        before = pieces[-1] if pieces and isinstance(pieces[-1], str) else ""
        if isinstance(piece, str) and before.strip() and piece.strip():
            piece = piece if before[-1].isspace() or piece[0].isspace() else f"\n{piece}"
        pieces.append(piece)
    return tuple(pieces)


def _part(part: Any) -> str | Shown:
    if part is None:
        return ""
    if isinstance(part, str):
        return part
    if not isinstance(part, dict):
        raise Unusable("turn is no text", str(part)[:60])
    given = {name: value for name, value in part.items() if value is not None}  # arrow has every field in every part
    kind = given.get("type") or next((name for name in (*_IMAGE_PARTS, "text", "video", "audio") if name in given), "")
    if kind in _TEXT_PARTS:
        return str(_first(given, ("text", "value", "content")) or "")
    if kind in _IMAGE_PARTS:
        return Shown(_first(given, _CELLS), str(given.get("index", "")))
    if kind in ("video", "video_url"):
        cell = _first(given, ("video", "video_url", *_CELLS))
        return Shown(cell and Clip(cell), is_clip=True)
    if "audio" in str(kind):
        raise Unusable(_SOUND, str(part)[:60])
    raise Unusable("unknown part of a turn", str(part)[:60])


def _question_and_answer(row: Mapping[str, Any]) -> Iterator[SaidTurn]:
    """Questions in one column and answers in another; those of a preference come later."""
    for pair in _json(row.get("history")) or []:
        if not isinstance(pair, list) or len(pair) != 2:
            raise Unusable("turns out of order", f"history: {str(pair)[:60]}")
        yield from (SaidTurn(role, _pieces(text)) for role, text in zip(("user", "assistant"), pair))
    asked, answered = (_json(_first(row, names)) for names in (ASKED, ANSWERED))
    by_number = isinstance(answered, int | float) and not isinstance(answered, bool)
    if by_number and (_first(row, _CHOICES) or not any(_is_given(row, name) for name in ANSWERED if name != "label")):
        raise Unusable("answer is the number of a choice", f"found {str(answered)[:60]!r}, expected words")
    if not asked and _both_are_whole(row):
        return
    if not asked or (answered is None and not row.get("chosen")):
        raise Unusable("conversation is missing", f"found {', '.join(name for name in row if row[name])}"[:200])
    if isinstance(asked, str):
        more = row.get("input") if row.get("instruction") else None
        yield SaidTurn("user", _pieces([asked, more]))
    else:
        yield from _turns_of(asked)
    if isinstance(answered, list) and answered and all(isinstance(one, str) for one in answered):
        answered = Counter(answered).most_common(1)[0][0]  # of answers that are all right
    if not row.get("chosen"):
        yield from _answer(answered)


def _both_are_whole(row: Mapping[str, Any]) -> bool:
    """Whether the better and the worse conversation stand there with their questions, as TRL allows it."""
    return all(isinstance(value := _json(row.get(name)), list) and len(value) > 1 for name in ("chosen", "rejected"))


def _answer(value: Any) -> list[SaidTurn]:
    """An answer: a text, a number, a turn, or a list of turns that may begin with the question."""
    value = _json(value)
    if isinstance(value, dict) or (isinstance(value, list) and value and isinstance(value[0], dict)):
        return list(_turns_of(value))
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    if isinstance(value, int | float) and not isinstance(value, bool):
        whole = int(value) if value % 1 == 0 else value
        value = str(whole) if math.isfinite(value) else None  # a table's empty cell is not a number
    if value and not isinstance(value, str):
        raise Unusable("turn is no text", f"found {str(value)[:60]!r}")
    return [SaidTurn("assistant", (text_of(value, _EMPTY),))]


def _with_preference(row: Mapping[str, Any], said: list[SaidTurn]) -> tuple[list[SaidTurn], str | None]:
    """The conversation with its better answer, and the worse one. Both may be the answer alone or all that was said."""
    if not (worst := _first(row, REJECTED)):
        if row.get("chosen"):
            raise Unusable("rejected is missing", "there is a chosen answer and none that was rejected")
        return said, None
    if row.get("chosen"):
        chosen = _answer(row["chosen"])
        if _texts(chosen[: len(said)]) == _texts(said):  # it says all of it again
            said = [*said, *chosen[len(said) :]]
        elif _texts(said[-1:]) != _texts(chosen):  # or it stands at the end already
            said = [*said, *chosen]
    worse = _answer(worst)
    if not said or said[-1].role != "assistant" or worse[-1].role != "assistant":
        raise Unusable("turns out of order", "the last turn of a preference is no answer")
    if len(worse) > 1 and _texts(worse[:-1]) != _texts(said[:-1]):
        raise Unusable("chosen and rejected differ early", "expected the same turns before the last answer")
    rejected = text_of(worse[-1].text, _EMPTY)
    if rejected == said[-1].text.strip():
        raise Unusable("chosen and rejected are the same", rejected[:60])
    return said, rejected


def _texts(said: Sequence[SaidTurn]) -> list[tuple[str, str]]:
    return [(turn.role, turn.text.strip()) for turn in said if turn.role != "system"]


# --- marks by which a text says where a picture stands: `<image>` and its many kin ---------------------------------------

MARK = re.compile(
    r"(?P<label>Picture[ \t]*\d+[ \t]*:[ \t]*)?<img>(?P<path>[^<>\n]+)</img>"  # Qwen-VL
    r"|(?P<named><image[ _]?\d+>|<\|image_\d+\|>)"  # MiniCPM-V, MMMU, Phi-3-vision
    r"|(?P<clip><video>|<VideoHere>|<\|video\|>|(?:<\|vision_start\|>)?(?:<\|video_pad\|>)+(?:<\|vision_end\|>)?)"
    r"|<image>|<ImageHere>|<image_placeholder>|<\|image\|>|<IMG_CONTEXT>|<\|vision_start\|>(?:<\|image_pad\|>)+<\|vision_end\|>"
)
VIDEO = re.compile(r"<video>|<VideoHere>|<\|video\|>|<\|video_pad\|>")
SOUND = re.compile(r"<audio>|<\|audio\|>")
PLACE = "\ufffc"
"""Where a picture stands in a text while its place is being found: Unicode's own stand-in for what is no character."""

_LEADING = re.compile(rf"\A(?:{PLACE}(?P<space>\s*))+")
_TRAILING = re.compile(rf"(?:\s*{PLACE})+\Z")


def pieces_of(text: str, alone: bool) -> list[str | Shown]:
    """A text in its parts. `alone`: no other picture is shown, so that `Picture 1: <img>path</img>` is one mark; of several,
    the numbers are words that later words may mean.
    """
    pieces: list[str | Shown] = []
    at = 0
    for match in MARK.finditer(text):
        start = match.start() + (len(match["label"]) if match["label"] and not alone else 0)
        pieces += [
            text[at:start],
            Shown(match["path"] and match["path"].strip(), match["named"] or "", bool(match["clip"])),
        ]
        at = match.end()
    return [*pieces, text[at:]]


def means_picture(text: str, mark: re.Pattern[str] = MARK) -> bool:
    """Whether a text of a row without pictures was written about one: a mark stands at an end of a line. Amid a sentence it
    may be one about HTML.
    """
    for match in mark.finditer(text):
        before, after = text[: match.start()].rpartition("\n")[2], text[match.end() :].partition("\n")[0]
        if match[0].startswith("<img>") or not before.strip() or not after.strip(" \t\r.?!。？！"):
            return True
    return False


def unmarked(text: str) -> tuple[str, tuple[int, ...]]:
    """The text without its marks, and where they stood; no places where all of them stand before it.

    Space between a mark and the nearer end of the text is nobody's; space amid the text stays.
    """
    text = text.strip()
    leading = _LEADING.match(text)
    first = leading[0].count(PLACE) if leading else 0
    space, text = (leading["space"], text[leading.end() :]) if leading else ("", text)
    if first and PLACE not in text:
        return text, ()
    text = text if "\n" in space else space + text  # a blank is of the sentence that begins with a picture
    text = _TRAILING.sub(lambda match: PLACE * match[0].count(PLACE), text)
    parts = text.split(PLACE)
    places, at = [0] * first, 0
    for part in parts[:-1]:
        at += len(part)
        places.append(at)
    return "".join(parts), tuple(places)

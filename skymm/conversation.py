"""The one data unit: a Conversation is turns in Chinese or English about some images.

Everything that is trained on, asked or answered takes this form. It knows nothing of tokens, pixels or torch, so looking
at data, checking recipes and `skymm --help` stay instant.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from skymm.text import language_of

ROLES = ("system", "user", "assistant")
POLARITIES = ("positive", "negative")
LANGUAGES = ("en", "zh")
_OBJECT = "\ufffc"  # Unicode's own stand-in for what is no character
_TIMES = {"en": "{:.1f} seconds:", "zh": "第 {:.1f} 秒："}


def is_frame(name: str) -> bool:
    """Whether an image is a frame of a clip: its name says so, as in "3.frame.jpg"."""
    return "frame" in name.split(".")


@dataclass(frozen=True, slots=True)
class Turn:
    """One thing said.

    `images` names the images shown, in order; `places` says where in the text each of them stands: the number of
    characters before it. Empty: all stand before the text. `polarity`, `kind` and `language` belong to the answer:
    "negative" means the answer says that something is NOT there, which is what a model has to be taught.
    Raises ValueError for places that are not one per image, in order, within the text.
    """

    role: str
    text: str
    images: tuple[str, ...] = ()
    polarity: str | None = None
    kind: str | None = None
    language: str | None = None
    places: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if self.places and (
            len(self.places) != len(self.images)
            or list(self.places) != sorted(self.places)
            or not 0 <= self.places[0] <= self.places[-1] <= len(self.text)
        ):
            raise ValueError(
                f"places is {list(self.places)} for {len(self.images)} images in {len(self.text)} characters, expected one "
                "place per image, in order, each the number of characters before it"
            )

    @property
    def parts(self) -> tuple[tuple[str, str], ...]:
        """The turn as it is read: ("image", name) and ("text", what stands between two images)."""
        found, start = [], 0
        for name, place in zip(self.images, self.places or (0,) * len(self.images)):
            found += [("text", self.text[start:place]), ("image", name)]
            start = place
        return tuple(part for part in (*found, ("text", self.text[start:])) if part[1])

    def rewritten(self, change: Callable[[str], str]) -> Turn:
        """The turn in other words; its images stay between the words where they stood.

        `change` sees them as U+FFFC (one that was typed is a blank). Raises ValueError where it loses one.
        """
        if not any(self.places):
            return replace(self, text=change(self.text), places=())
        marked = (said.replace(_OBJECT, " ") if kind == "text" else _OBJECT for kind, said in self.parts)
        pieces = change("".join(marked)).split(_OBJECT)
        if len(pieces) != len(self.images) + 1:
            raise ValueError(f"places of {len(self.images)} images in {self.text!r} are lost in {''.join(pieces)!r}")
        ends = list(itertools.accumulate(map(len, pieces)))
        return replace(self, text="".join(pieces), places=tuple(ends[:-1]))

    def timed(self, seconds: Mapping[str, float]) -> Turn:
        """The turn with its time before each frame of a clip, each on a line, in the language of what is said.

        `seconds`: by image name. What stands there already is not written twice.
        """
        words, text, was_told = _TIMES[language_of(self.text)], "", False
        places: list[int] = []
        for kind, said in self.parts:
            if kind == "text":
                text += f"\n{said}" if was_told and not said.startswith("\n") else said
                was_told = False
                continue
            if said in seconds and not text.endswith(tuple(each.format(seconds[said]) for each in _TIMES.values())):
                text = text[: max(len(text.rstrip(" ")), places[-1] if places else 0)]
                text += "\n" * bool(text and not text.endswith("\n")) + words.format(seconds[said])
                was_told = True
            places.append(len(text))
        return self if text == self.text else replace(self, text=text, places=tuple(places))


@dataclass(frozen=True, slots=True)
class Conversation:
    """Turns about images. `extra` carries whatever else a shard's JSON holds (scene facts, licence), untouched.

    Of a clip it has `frame_seconds`: when each frame is seen, by image name.
    """

    key: str
    turns: tuple[Turn, ...]
    extra: Mapping[str, Any] = field(default_factory=dict)

    @property
    def images(self) -> tuple[str, ...]:
        """Names of all images, in the order in which the turns show them."""
        return tuple(name for turn in self.turns for name in turn.images)

    @property
    def seconds(self) -> Mapping[str, float]:
        """When the frames of clips are seen, by image name."""
        found = self.extra.get("frame_seconds")
        return found if isinstance(found, Mapping) else {}

    @property
    def targets(self) -> tuple[Turn, ...]:
        """What the model learns to say."""
        return tuple(turn for turn in self.turns if turn.role == "assistant")

    def as_prompt(self) -> Conversation:
        """The same conversation up to the last question, for answering."""
        last = max((index for index, turn in enumerate(self.turns) if turn.role == "user"), default=-1)
        if last < 0:
            raise ValueError(f"{self.key}: a prompt needs a user turn, and there is none")
        return Conversation(self.key, self.turns[: last + 1], self.extra)

    def with_pairs(self, kept: Collection[int]) -> Conversation:
        """Only these of the question-answer pairs, counted from 0.

        An image is shown at the first kept question from its own on, a frame of a clip with its time. So images keep their
        order, and before every kept question stand just those that stood before it; what was first shown after the last goes.
        """
        turns = [turn for turn in self.turns if turn.role == "system"]
        spoken = self.turns[len(turns) :]
        waiting: tuple[str, ...] = ()
        for index in range(0, len(spoken), 2):
            question, *answer = spoken[index : index + 2]
            if index // 2 not in kept:
                waiting += question.images
                continue
            places = question.places and (0,) * len(waiting) + question.places
            turns += [replace(question, images=waiting + question.images, places=places).timed(self.seconds), *answer]
            waiting = ()
        return Conversation(self.key, tuple(turns), self.extra)

    def to_json(self) -> str:
        """One JSON object, as stored in a shard. Empty fields are left out."""
        turns = [{"role": turn.role, "text": turn.text} | _given(turn) for turn in self.turns]
        return json.dumps({**self.extra, "turns": turns}, ensure_ascii=False)


def ask(question: str, *images: str, key: str = "question") -> Conversation:
    """A conversation that asks one question about images (names; none for a text-only question)."""
    return Conversation(key, (Turn("user", question, tuple(images)),))


def parse(data: bytes | str | Mapping[str, Any], key: str, images: tuple[str, ...] = ()) -> Conversation:
    """A Conversation from a shard's JSON.

    `images` are the image members that stand beside it; when no turn names any, the first user turn shows them all.
    Raises ValueError with the key, what was found and what is expected.
    """
    if not isinstance(data, Mapping):
        try:
            data = json.loads(data)
        except (json.JSONDecodeError, UnicodeDecodeError) as error:
            raise ValueError(f"{key}: not UTF-8 JSON ({error})") from error
    if not isinstance(data, Mapping) or not isinstance(data.get("turns"), list) or not data["turns"]:
        found = sorted(data) if isinstance(data, Mapping) else type(data).__name__
        raise ValueError(f'{key}: found {found}, expected an object with a non-empty list "turns"')
    turns = [_parse_turn(turn, f"{key}: turn {index}") for index, turn in enumerate(data["turns"])]
    if images and not any(turn.images for turn in turns):
        first = next((index for index, turn in enumerate(turns) if turn.role == "user"), None)
        if first is None:
            raise ValueError(f"{key}: has images but no user turn to show them in")
        turns[first] = replace(turns[first], images=tuple(images))
    _check_order(turns, key)
    extra = {name: value for name, value in data.items() if name != "turns"}
    return Conversation(key, tuple(turns), extra)


def _given(turn: Turn) -> dict[str, Any]:
    optional = {"images": list(turn.images), "places": list(turn.places)}
    optional |= {"polarity": turn.polarity, "kind": turn.kind, "language": turn.language}
    return {name: value for name, value in optional.items() if value}


def _parse_turn(turn: Any, where: str) -> Turn:
    if not isinstance(turn, Mapping):
        raise ValueError(f"{where}: found {type(turn).__name__}, expected an object with role and text")
    unknown = set(turn) - set(Turn.__dataclass_fields__)
    if unknown:
        raise ValueError(f"{where}: unknown field {sorted(unknown)[0]!r}, expected {list(Turn.__dataclass_fields__)}")
    text: Any = turn.get("text")
    images, places = turn.get("images", ()), turn.get("places", ())
    for name, holds, expected in (
        ("role", turn.get("role") in ROLES, f"one of {ROLES}"),
        ("text", isinstance(text, str), "a string"),
        ("kind", isinstance(turn.get("kind"), str | None), "a string"),
        ("images", _is_list_of(str, images), "a list of member names"),
        ("places", _is_list_of(int, places), "a list of whole numbers"),
        ("polarity", turn.get("polarity") in (None, *POLARITIES), f"one of {POLARITIES}"),
        ("language", turn.get("language") in (None, *LANGUAGES), f"one of {LANGUAGES}"),
    ):
        if not holds:
            raise ValueError(f"{where}: {name} is {turn.get(name)!r}, expected {expected}")
    if any("\ud800" <= character <= "\udfff" for character in text):
        raise ValueError(f"{where}: text holds half a character (a lone surrogate such as \\ud83d): {text!r}")
    if not text.strip() and turn["role"] != "system":
        raise ValueError(f"{where}: the {turn['role']} says nothing")
    try:
        return Turn(**{**turn, "images": tuple(images), "places": tuple(places)})
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from error


def _is_list_of(kind: type, value: Any) -> bool:
    return isinstance(value, list | tuple) and all(type(one) is kind for one in value)


def _check_order(turns: list[Turn], key: str) -> None:
    spoken = [turn.role for turn in turns if turn.role != "system"]
    if any(turn.role == "system" for turn in turns[1:]):
        raise ValueError(f"{key}: a system turn may only stand first")
    expected = ["user", "assistant"] * (len(spoken) // 2 + 1)
    for index, role in enumerate(spoken):
        if role != expected[index]:
            raise ValueError(f"{key}: found roles {spoken}, expected user and assistant in turn; is a turn missing?")
    if any(turn.images for turn in turns if turn.role != "user"):
        raise ValueError(f"{key}: only user turns may show images")


class BadSample(ValueError):
    """One sample that cannot be used. `reason` is the short name under which it is counted."""

    def __init__(self, message: str, reason: str) -> None:
        super().__init__(message)
        self.reason = reason

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (str(self), self.reason)

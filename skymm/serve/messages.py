"""Messages as OpenAI's clients send them -> an Ask: turns with their pictures between the words."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby

from skymm.answering.protocol import Ask
from skymm.conversation import Turn
from skymm.serve.limits import Pictures, Refusal

_ROLES = {"system": "system", "developer": "system", "user": "user", "assistant": "assistant"}
_HALF_CHARACTER = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Message:
    """`parts`: ("text", what is said) and ("image", its address), in order."""

    role: str
    parts: Sequence[tuple[str, str]]


def ask_of(messages: Iterable[Message], pictures: Pictures) -> Ask:
    """What is asked last, with what was said before it; an answer that the last message begins is gone on with.

    Messages of one role in a row are one turn. Raises Refusal.
    """
    spoken = list(messages)
    if not spoken or len(spoken) > pictures.limits.num_messages:
        raise Refusal(400, f"found {len(spoken)} messages, expected 1 to {pictures.limits.num_messages}")
    for message in spoken:
        if message.role not in _ROLES:
            raise Refusal(400, f"found the role {message.role[:40]!r}, expected one of {', '.join(_ROLES)}")
    size = sum(len(said) for message in spoken for kind, said in message.parts if kind == "text")
    if size > pictures.limits.num_characters:
        raise Refusal(400, f"{size} characters of text, the limit is {pictures.limits.num_characters}", "too_long")
    shown = sum(kind == "image" for message in spoken for kind, _ in message.parts)
    if shown > pictures.limits.num_images:
        raise Refusal(400, f"{shown} images, a request may have {pictures.limits.num_images}", "too_many_images")
    turns = [
        _turn(role, [part for message in group for part in message.parts], pictures)
        for role, group in groupby(spoken, key=lambda message: _ROLES[message.role])
    ]
    roles = [turn.role for turn in turns if turn is not turns[0] or turn.role != "system"]
    expected = ["user", "assistant"] * len(roles)
    if not roles or any(role != other for role, other in zip(roles, expected)):
        raise Refusal(400, f"found roles {roles[:9]}, expected user and assistant in turn, a system message only first")
    said = turns.pop().text if turns[-1].role == "assistant" else ""
    last = turns.pop()
    return Ask(
        last.text,
        tuple(pictures.data),
        id="the request",
        history=tuple(turns),
        places=last.places,
        names=last.images,
        said=said,
    )


def _turn(role: str, parts: Iterable[tuple[str, str]], pictures: Pictures) -> Turn:
    said, names, places = "", [], []
    for kind, value in parts:
        if kind == "image":
            if role != "user":
                raise Refusal(400, f"found an image in a message of the {role}, expected images of the user alone")
            names.append(f"image {len(pictures.data)}")
            places.append(len(said))
            pictures.add(value)
        elif value:
            said += value if not said or len(said) in places else "\n" + value
    if _HALF_CHARACTER.search(said):
        raise Refusal(400, "found half a character (a lone surrogate such as \\ud83d) in the text")
    if not said.strip() and not names and role != "system":
        raise Refusal(400, f"the {role} says nothing, expected text or an image")
    # As the processor reads messages: a picture behind all words is one of those before them.
    amid = any(0 < place < len(said) for place in places)
    return Turn(role, said, tuple(names), places=tuple(places) if amid else ())

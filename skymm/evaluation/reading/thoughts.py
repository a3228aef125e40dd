"""What a model thinks aloud is no part of its answer."""

from __future__ import annotations

import re

_THOUGHT = re.compile(r"<think>.*?(</think>|$)", re.S | re.I)


def without_thoughts(text: str) -> str:
    """A space in place of every <think>...</think>; one that never ends goes on to the end of the text."""
    return _THOUGHT.sub(" ", text)

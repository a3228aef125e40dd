"""Samples to write into shards."""

from __future__ import annotations

from skymm.conversation import Conversation, Turn


def conversation(key: str, *images: str, answer: str = "a", **fields) -> Conversation:
    return Conversation(key, (Turn("user", "问", images), Turn("assistant", answer, **fields)))


def several(count: int):
    return [(conversation(f"{index:04d}", "jpg"), {"jpg": b"image %d" % index}) for index in range(count)]

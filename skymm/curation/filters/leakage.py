"""Pictures and questions that models are judged with, so that none is trained on.

Pictures: the exact bytes, or perceptual hashes that are near, mirrored ones too. Of 62 photographs and graphics nearly all
copies are found that are re-encoded, scaled, made grey or mirrored; 90 % with 1 % cropped off each side, 60 % with 2.5 %. Of
other photographs none is taken for one of them; of pictures with one drawn character on white 9 % are. A picture that leaked
is kept out whatever is asked about it, as published decontaminations of image-text data do, which look at pictures only.

Questions: any 13 words in a row that a question has and a training text has too (the convention since GPT-3, appendix C),
as `skymm.text.words` cuts both languages. Such a row counts only when it belongs to one picture: "Is there a dog in the
image? Please answer yes or no." is a template, and knowing it is no leak; nor is any question of fewer words.
"""

from __future__ import annotations

import hashlib
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from skymm.curation.filters.pictures import (
    FINE_WORDS,
    Fingerprint,
    exact,
    exact_of,
    fingerprint,
    fingerprint_of,
    is_blank,
)
from skymm.curation.filters.text import words
from skymm.curation.record import Candidate
from skymm.images import UnreadableImage, decode_image, on_white

DISTANCE, FINE_DISTANCE = 8, 48
"""Bits of 64 and of 256 by which a copy may differ: twice as many as duplicates, for a leak costs more than a sample."""
PLAIN_DISTANCE, PLAIN_FINE_DISTANCE = 4, 16
"""The same for pictures with much of one colour (a word, a drawing, a page), whose hashes are more alike."""
NUM_WORDS = 13
PICTURE, QUESTION = "picture of an evaluation set", "question of an evaluation set"

_FIELDS = ("exact", "coarse", "fine", "plain", "grams")


class LeakageIndex:
    """Everything is sorted numbers: 20,000 pictures are 2 MB, and a look at one sample takes about 0.1 ms."""

    def __init__(
        self, exact: np.ndarray, coarse: np.ndarray, fine: np.ndarray, plain: np.ndarray, grams: np.ndarray
    ) -> None:
        self.exact, self.coarse, self.fine, self.plain, self.grams = exact, coarse, fine, plain, grams
        self._distance = np.where(plain > 0, PLAIN_DISTANCE, DISTANCE).astype(np.uint8)
        self._fine_distance = np.where(plain > 0, PLAIN_FINE_DISTANCE, FINE_DISTANCE)

    @classmethod
    def build(cls, questions: Iterable[tuple[str, Sequence[bytes]]]) -> LeakageIndex:
        """From (text, encoded pictures) of every question. Streams; a picture that many ask about is decoded once.

        Pictures that do not decode, and those of one colour, are known by their bytes alone.
        """
        prints: dict[int, list[tuple[Fingerprint, bool]]] = {}
        owners: dict[int, int | None] = {}
        for text, pictures in questions:
            names = [exact(data) for data in pictures]
            for name, data in zip(names, pictures):
                if name not in prints:
                    prints[name] = _both_ways(data)
            # What has no picture belongs to itself: the words are all there is to it.
            owner = _number(repr(sorted(names)) if names else text)
            for gram in _grams(text):
                owners[gram] = owner if owners.get(gram, owner) == owner else None
        found = [print_ for both in prints.values() for print_ in both]
        return cls(
            np.array(sorted(prints), np.uint64),
            np.array([print_.coarse for print_, _ in found], np.uint64),
            np.array([print_.fine for print_, _ in found], np.uint64).reshape(-1, FINE_WORDS),
            np.array([plain for _, plain in found], np.uint64),
            np.array(sorted(gram for gram, owner in owners.items() if owner is not None), np.uint64),
        )

    def save(self, path: str | Path) -> None:
        """As .npz."""
        with Path(path).open("wb") as file:
            np.savez_compressed(file, **{name: getattr(self, name) for name in _FIELDS})

    @classmethod
    def load(cls, path: str | Path) -> LeakageIndex:
        """Raises ValueError for whatever `save` did not write."""
        try:
            with np.load(path, allow_pickle=False) as file:
                return cls(**{name: file[name] for name in _FIELDS})
        except (OSError, ValueError, KeyError, EOFError, TypeError, zipfile.BadZipFile, zlib.error) as error:
            raise ValueError(
                f"{path}: cannot be read ({error}), expected what LeakageIndex.save writes; build it anew"
            ) from error

    def reason(self, candidate: Candidate) -> str | None:
        """Why a candidate is kept out: its words, or the first of its pictures that leaked or does not decode."""
        if any(self.has_text(text) for text in _said(candidate)):
            return QUESTION
        for name in candidate.encoded:
            if _contains(self.exact, [exact_of(candidate, name)]):
                return PICTURE
            try:
                if self.has_picture(fingerprint_of(candidate, name)):
                    return PICTURE
            except UnreadableImage as error:
                return error.reason
        return None

    def has_picture(self, print_: Fingerprint) -> bool:
        near = np.flatnonzero(np.bitwise_count(self.coarse ^ np.uint64(print_.coarse)) <= self._distance)
        fine = np.bitwise_count(self.fine[near] ^ np.array(print_.fine, np.uint64)).sum(axis=1, dtype=np.int64)
        return bool((fine <= self._fine_distance[near]).any())

    def has_text(self, text: str) -> bool:
        return _contains(self.grams, list(_grams(text)))


def _both_ways(data: bytes) -> list[tuple[Fingerprint, bool]]:
    """As it is and mirrored, with whether it is plain; none where there is nothing to see."""
    try:
        image = decode_image(data, "a picture of an evaluation set")
    except UnreadableImage:
        return []
    if is_blank(image):
        return []
    return [(fingerprint(way), _is_plain(image)) for way in (image, ImageOps.mirror(image))]


def _is_plain(image: Image.Image) -> bool:
    """Whether more than half of it has one brightness, give or take eight levels of 256."""
    grey = np.asarray(on_white(image).convert("L").resize((64, 64), Image.Resampling.BOX), np.int16)
    return bool((np.abs(grey - np.median(grey)) <= 8).mean() > 0.5)


def _said(candidate: Candidate) -> Iterator[str]:
    yield from (caption.text for caption in candidate.record.captions)
    yield from (turn.text for turn in candidate.record.turns if turn.role != "system")


def _grams(text: str) -> Iterator[int]:
    if len(text) < NUM_WORDS:
        return
    found = words(text)
    for start in range(len(found) - NUM_WORDS + 1):
        yield _number("\n".join(found[start : start + NUM_WORDS]))


def _number(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "little")


def _contains(ordered: np.ndarray, numbers: list[int]) -> bool:
    if not len(ordered) or not numbers:
        return False
    wanted = np.array(numbers, np.uint64)
    place = np.minimum(np.searchsorted(ordered, wanted), len(ordered) - 1)
    return bool((ordered[place] == wanted).any())

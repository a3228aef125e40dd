"""Texts cut into sentences, for models that were trained on single sentences and lose the rest of a paragraph."""

from __future__ import annotations

import re

# Titles and Latin shorthand after which a full stop ends nothing.
_ABBREVIATIONS = (
    r"(?<!\bMr)(?<!\bMs)(?<!\bMrs)(?<!\bDr)(?<!\bSt)(?<!\bvs)(?<!\bNo)(?<!\be\.g)(?<!\bi\.e)(?<!\betc)(?<!\b[A-Z])"
)
_END = re.compile(
    rf"(?:[.!?…]*[!?…]|{_ABBREVIATIONS}\.+)[\"'”’)\]]*(?=\s+[^\sa-z])"  # before a small letter nothing has ended
    "|[。！？；…]+[”’」』）\\]]*"
)
_LINE = re.compile(r"(\s*\n\s*(?:[-*•·]\s+)?)")
_BULLET = re.compile(r"\s*(?:[-*•·]\s+)?")


def split(text: str) -> list[tuple[str, str]]:
    """(what stands before a sentence and is not translated: space, line breaks, bullets; the sentence). Joined, the text.

    The last sentence may be empty.
    """
    found: list[tuple[str, str]] = []
    parts = _LINE.split(text)
    for index in range(0, len(parts), 2):
        before = parts[index - 1] if index else ""
        line, start = parts[index], 0
        ends = [match.end() for match in _END.finditer(line)]
        for end in [*ends, len(line)]:
            if end > start or not start:
                sentence = line[start:end]
                space = _BULLET.match(sentence) if not start else re.match(r"\s*", sentence)
                found.append((before + space[0], sentence[space.end() :]))
                before, start = "", end
    return found


def join(sentences: list[tuple[str, str]], target: str) -> str:
    """Sentences of Chinese stand without a space between them, sentences of English with one; line breaks stay."""
    written = ""
    for before, sentence in sentences:
        if written and "\n" not in before:
            before = " " if target == "en" and sentence else ""
        written += before + sentence
    return written

"""Words and marks of an English text, as CHAIR's scorers cut it."""

from __future__ import annotations

import re

# A full stop is a word of its own before a space, and at the end of the text. Before a quotation mark within the text it
# stays with its word, which is then no object: so the reference counts have it.
_FULL_STOP = re.compile(r"(?<![.\s])\.(?=\s|[\])}>\"'»”’ ]*$)")
# Marks that are words of their own wherever they stand; a comma or colon is not inside a number.
_APART = re.compile(r"[;@#$%&?!*\"“”«»„‘’`()\[\]{}<>—]|--+|\.{2,}|[:,](?!\d)")
_QUOTED = re.compile(r"('?)(.+?)('*)")
_CLITIC = re.compile(r"(.+?)('s|'m|'d|'ll|'re|'ve|n't)", re.I)


def tokens(text: str) -> list[str]:
    """Words and marks of an English text, cut as a Penn Treebank tokeniser cuts them, which the official
    scorer uses: "the dog's bowl." is the, dog, 's, bowl, and the full stop; "two-person" and "2.5" stay whole.
    """
    found: list[str] = []
    for piece in _APART.sub(r" \g<0> ", _FULL_STOP.sub(" .", text)).split():
        before, word, after = _QUOTED.fullmatch(piece).groups()
        clitic = _CLITIC.fullmatch(word)
        found += filter(None, [before, *(clitic.groups() if clitic else [word]), after])
    return found

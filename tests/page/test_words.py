"""The words of every page: the same ones in both languages with the same places, each translated, each used."""

import re
import string
from pathlib import Path

import pytest

from skymm.page.document import read_words

ROOT = Path(__file__).parents[2] / "skymm"
PAGES = {  # package -> the name of its words, the files that use them, keys that are put together, what is the same in both
    "skymm.train": ("run_page", ["train/run_page.py"], (), ()),
    "skymm.evaluation.report": (
        "words",
        ["evaluation/report/*.py"],
        ("gain_", "across_", "up_", "level_"),
        ("p_value",),
    ),
    "skymm.evaluation": (
        "compare",
        ["evaluation/compare.py", "cli/evaluation.py"],
        (),
        ("auroc",),
    ),
    "skymm": ("study", ["study.py"], (), ()),
    "skymm.evaluation.kits": (
        "blind_pairs",
        ["evaluation/kits/blind_pairs.py"],
        ("unreadable", "copies", "passed"),
        (),
    ),
    "skymm.curation.audit": (
        "words",
        ["curation/audit/*.py"],
        ("level_", "repeat_", "size_", "only_"),
        (),
    ),
}


def flat(words):
    """Sentences of findings among the rest; labels and kinds have a fallback and stand apart."""
    return {name: text for name, text in words.items() if isinstance(text, str)} | {
        f"sentences/{name}": text for name, text in words.get("sentences", {}).items()
    }


def holes(text):
    return {place for _, place, _, _ in string.Formatter().parse(text) if place}


@pytest.mark.parametrize("package", PAGES)
def test_words_are_the_same_in_both_languages_and_all_used(package):
    name, files, made, alike = PAGES[package]
    english, chinese = (flat(read_words(package, name, language)) for language in ("en", "zh"))
    assert english.keys() == chinese.keys()
    for key, text in english.items():
        assert holes(text) == holes(chinese[key]), key
        assert (text == chinese[key]) == (key in alike), f"{key}: {text!r} and {chinese[key]!r}"
    sources = "".join(path.read_text("utf-8") for pattern in files for path in ROOT.glob(pattern))
    for key in english:
        # Findings are named in parts: only_positive, repeated_texts.
        key = re.sub(r"^sentences/", "", key)
        key = re.sub(r"^(mostly|only)_(positive|negative|en|zh)$|^repeated_(texts|pictures)$", "", key)
        assert re.search(rf"[\"']{key}", sources) or key.startswith(made), key


def test_a_language_without_words_is_refused():
    with pytest.raises(ValueError, match="found language 'fr', expected one of en, zh"):
        read_words("skymm.train", "run_page", "fr")

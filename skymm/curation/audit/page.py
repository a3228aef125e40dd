"""One page about a set of shards: what is in it, what should worry, and samples to look at. It stands alone."""

from __future__ import annotations

from pathlib import Path

from skymm.curation.audit.counts import NUM_KINDS, NUM_OBJECTS, NUM_QUESTIONS, Counts
from skymm.curation.audit.findings import LEVELS, Finding
from skymm.curation.audit.naming import kind_name, size_name
from skymm.curation.audit.sections import (
    MOST_ROWS,
    balance_figures,
    balance_rows,
    formats_note,
    guessing_figure,
    guessing_rows,
    length_figures,
    one_sided_names,
    picture_figures,
    repeat_rows,
    source_rows,
    thing_figures,
)
from skymm.curation.audit.sheet import choose, picture_of, read_cards
from skymm.curation.audit.summary import Audit
from skymm.curation.audit.table import headline
from skymm.curation.audit.words import WORDS, Words
from skymm.page.render import write_html

PAGE, TEMPLATE = "audit.html", "page.html.jinja"
_MOST_PLACES = 3


def write_page(
    path: str | Path,
    audit: Audit,
    found: list[Finding],
    counts: Counts,
    *,
    decoded: bool = False,
    language: str = "en",
) -> Path:
    """Write the page. Samples are read again from their shards. Raises ValueError for a language without words."""
    if language not in WORDS:
        raise ValueError(f"found language {language!r}, expected one of {', '.join(WORDS)}")
    words = WORDS[language]
    chosen, seen, cells = choose(counts, counts.num_shown)
    repeated = [(one.count, *picture_of(one, counts)) for one in audit.repeats["pictures"].most]
    values = {
        "w": words,
        "stated": words["stated"].format(
            shards=f"{len(audit.shards):,}",
            size=size_name(audit.totals.get("shard_bytes", 0)),
            places=_places(audit),
        ),
        "findings": [(LEVELS[one.level], one.sentence(words)) for one in found],
        "numbers": headline(audit, words),
        "balance": balance_figures(audit, words),
        "balance_rows": balance_rows(audit, words),
        "balance_more": _more(len(audit.kinds_by_language), words),
        "guessing": guessing_figure(audit, words),
        "guessing_rows": guessing_rows(audit, words),
        "guessing_note": words["guessing_note"].format(most=f"{NUM_QUESTIONS:,}"),
        "things": thing_figures(audit, words),
        "one_sided": one_sided_names(audit),
        "few_names": words["few_names"].format(count=f"{audit.num_things:,}", shown=f"{len(audit.things):,}")
        if audit.num_things > len(audit.things)
        else "",
        "lengths": length_figures(audit, words),
        "pictures": picture_figures(audit, words),
        "pictures_notes": [formats_note(audit, words), words["decoded" if decoded else "headers_only"]],
        "repeat_rows": repeat_rows(audit, words),
        "repeated": [(words["times"].format(count=f"{count:,}"), place, url) for count, place, url in repeated],
        "source_rows": source_rows(audit, words),
        "sources_more": _more(audit.num_sources, words),
        "unreadable": audit.unreadable,
        "checked": audit.checked,
        "bad_shards": audit.bad_shards[:MOST_ROWS],
        "cards": read_cards(chosen),
        "sheet_note": words["sheet_note"].format(seen=seen, cells=cells),
        "method_memory": words["method_memory"].format(names=f"{NUM_OBJECTS:,}", kinds=NUM_KINDS),
        "named": lambda name: kind_name(name, words),
    }
    return write_html(path, "skymm.curation.audit", TEMPLATE, values)


def _more(count: int, words: Words) -> str:
    return words["more_rows"].format(count=f"{count - MOST_ROWS:,}") if count > MOST_ROWS else ""


def _places(audit: Audit) -> str:
    """The directories of the shards."""
    places = list(dict.fromkeys(str(Path(shard).parent) for shard in audit.shards))
    return ", ".join(places[:_MOST_PLACES]) + (", …" if len(places) > _MOST_PLACES else "")

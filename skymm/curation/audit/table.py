"""An audit on a terminal: findings first, then the numbers behind them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from skymm.curation.audit.findings import KNOW, LEVELS, LOOK, MEND, Finding, kind_name
from skymm.curation.audit.page import audit_words, headline, message_of
from skymm.curation.audit.reading import clean
from skymm.curation.audit.summary import Audit
from skymm.page.numbers import percent

_COLOURS = {MEND: "bold red", LOOK: "yellow", KNOW: "dim"}
_MOST = 12


def print_audit(
    audit: Audit, found: Sequence[Finding], page: Path, *, language: str = "en", console: Console | None = None
) -> None:
    """Print it, with the path of the page at the end."""
    console = console or Console(highlight=False)
    words = audit_words(language)
    for name, number in headline(audit, words):
        console.print(Text(f"{number:>14}  {name}"))
    console.print()
    grid = Table.grid(padding=(0, 2))
    grid.add_column(no_wrap=True)
    grid.add_column()
    for one in found:
        level = Text(words[f"level_{LEVELS[one.level]}"], style=_COLOURS[one.level])
        grid.add_row(level, Text(clean(one.sentence(words), 600)))
    console.print(grid)
    if not found:
        console.print(Text(words["none_found"], style="green"))
    console.print()

    balance = Table(title=words["balance"])
    balance.add_column(words["kind"], overflow="fold")
    for name in ("answers", "positive", "negative", "unknown", "yes", "no"):
        balance.add_column(words[name], justify="right")
    languages = [row for row in audit.languages if row.total]
    for place, row in enumerate([*languages, *audit.kinds[:_MOST]], start=1):
        counts = (row.total, row.positive, row.negative, row.unknown, row.yes, row.no)
        name = Text(kind_name(row.name or row.language, words))
        balance.add_row(name, *(f"{count:,}" for count in counts), end_section=place == len(languages))
    console.print(balance)
    if len(audit.kinds) > _MOST:
        console.print(words["more_rows"].format(count=len(audit.kinds) - _MOST), style="dim")

    guessing = Table(title=words["guessing"])
    guessing.add_column(words["kind"], overflow="fold")
    guessing.add_column(words["language"])
    guessing.add_column(words["most_frequent"], overflow="fold", max_width=24)
    for name in ("always_it", "from_words"):
        guessing.add_column(words[name], justify="right")
    for one in audit.guesses[:_MOST]:
        names = (kind_name(one.kind, words), words[one.language], kind_name(one.answer, words))
        guessing.add_row(*map(Text, names), percent(one.answer_share), percent(one.guessed))
    if audit.guesses:
        console.print(guessing)

    for wrong in audit.unreadable:
        console.print(Text(f"{wrong.name}: {wrong.count:,}", style="red"))
        for example in wrong.examples:
            console.print(Text(f"  {example}", style="dim"))
    for path, message in audit.bad_shards[:_MOST]:
        console.print(Text(message_of(path, message), style="red"))
    console.print(Text(str(page)), soft_wrap=True)

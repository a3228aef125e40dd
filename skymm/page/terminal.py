"""Parts of a page on a terminal: what can be told without figures and pictures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table as Grid
from rich.text import Text

from skymm.page.document import Cell, Page, Remarks, Section, Sentences, Table

MOST_ROWS = 12
_COLOURS = {"bad": "bold red", "fair": "yellow", "": "dim"}


def print_page(page: Page) -> None:
    """The numbers and every section in its order; notes, figures and cards are left to the page."""
    console = Console(highlight=False)
    for name, number in page.numbers:
        console.print(Text(f"{number:>14}  {name}"))
    for section in page.sections:
        print_parts([section], console)


def print_parts(parts: Sequence[Any], console: Console, title: str = "") -> None:
    """`title`: of the section that the parts stand in; it is printed above what there is to print."""
    for part in parts:
        if isinstance(part, Section):
            print_parts(part.parts, console, part.title)
        elif isinstance(part, Table) and part.rows:
            console.print(_grid(part, title))
        elif isinstance(part, Sentences | Remarks):
            console.print(Text(title, "bold"), end="\n" if title else "")
            console.print(_lines(part))


def _lines(part: Sentences | Remarks) -> Grid:
    """One below the other; a remark without a level is itself in its colour. Of a path that is wider nothing is left out."""
    grid = Grid.grid(padding=(0, 2))
    for one in part.sentences if isinstance(part, Sentences) else ():
        grid.add_row(Text(one, overflow="fold"))
    for one in part.remarks if isinstance(part, Remarks) else ():
        level, told = (one.level, one.text) if one.level else (one.text, "")
        grid.add_row(Text(level, _COLOURS[one.style]), Text(told, overflow="fold"))
    return grid


def _grid(table: Table, title: str) -> Grid:
    """The first rows; what stands below a cell's text comes after it."""
    grid = Grid(
        box=SIMPLE,
        pad_edge=False,
        title=title or None,
        caption="…" if len(table.rows) > MOST_ROWS or table.notes else None,
    )
    for place, name in enumerate(table.header):
        justify = "left" if place == 0 or place in table.wordy else "right"
        grid.add_column(_text(name), justify=justify, overflow="fold")
    for row in table.rows[:MOST_ROWS]:
        grid.add_row(*map(_text, row))
    return grid


def _text(cell: str | Cell) -> Text:
    if isinstance(cell, str):
        return Text(cell)
    return Text("\n".join(part for part in (cell.text, cell.below) if part), _COLOURS.get(cell.style, ""))

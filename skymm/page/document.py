"""What every page is made of, in data: sections of tables, figures, cards and sentences; and how it becomes one HTML file.

A page stands alone (one template, one style sheet, no script, nothing from the network, pictures inside) and is in English or
Chinese. Rooms that have something to show deliver sections; their words lie beside them, a TOML file for each language.
"""

from __future__ import annotations

import base64
import io
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any, ClassVar

from markupsafe import Markup
from PIL import Image

from skymm.files import whole_file

LANGUAGES = ("en", "zh")
Words = Mapping[str, Any]


def read_words(package: str, name: str, language: str) -> Words:
    """The words of a page: NAME.LANGUAGE.toml of a package. Raises ValueError for a language that there are no words in."""
    if language not in LANGUAGES:
        raise ValueError(f"found language {language!r}, expected one of {', '.join(LANGUAGES)}")
    return tomllib.loads((resources.files(package) / f"{name}.{language}.toml").read_text("utf-8"))


@dataclass(frozen=True, slots=True)
class Cell:
    """A text of a table with what stands below it in small print, before it the mark of a series; `style` colours it."""

    text: str
    below: str = ""
    mark: Markup | str = ""
    style: str = ""


@dataclass(frozen=True, slots=True)
class Table:
    """Header and rows of texts or cells. The first column holds names, the others numbers, but those of `wordy`, which hold
    words. `emphasis` are rows to be set apart. Empty without rows: then only its notes are shown.
    """

    kind: ClassVar = "table"
    header: Sequence[str | Cell]
    rows: Sequence[Sequence[str | Cell]]
    notes: Sequence[str] = ()
    emphasis: frozenset[int] = frozenset()
    wordy: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class Figure:
    """A chart with its title, its legend (series or class of a colour, name) and a note."""

    title: str
    chart: Markup
    legend: Sequence[tuple[int | str, str]] = ()
    note: str = ""


@dataclass(frozen=True, slots=True)
class Figures:
    """Figures side by side."""

    kind: ClassVar = "figures"
    figures: Sequence[Figure]


@dataclass(frozen=True, slots=True)
class Line:
    """What somebody says on a card. `style`: right, wrong, pos, neg, unk, system, strong or "" """

    text: str
    style: str = ""
    label: str = ""
    mark: Markup | str = ""
    note: str = ""


@dataclass(frozen=True, slots=True)
class Card:
    """Pictures as (what they are, data URL or None) with what is asked and answered about them, and where they are from."""

    pictures: Sequence[tuple[str, str | None]]
    lines: Sequence[Line]
    place: str = ""
    note: str = ""


@dataclass(frozen=True, slots=True)
class Cards:
    """Cards side by side. `missing` stands where there is no picture. `wide`: the pictures of a card are to be compared."""

    kind: ClassVar = "cards"
    cards: Sequence[Card]
    missing: str
    wide: bool = False


@dataclass(frozen=True, slots=True)
class Remark:
    """A sentence that judges, with a word for how grave it is (`style`: its colour), and what it is about."""

    text: str
    level: str = ""
    style: str = ""
    title: str = ""
    label: str = ""


@dataclass(frozen=True, slots=True)
class Remarks:
    kind: ClassVar = "remarks"
    remarks: Sequence[Remark]


@dataclass(frozen=True, slots=True)
class Sentences:
    """Sentences as large as a text; a mere string among the parts of a section is a note in small print."""

    kind: ClassVar = "sentences"
    sentences: Sequence[str]


@dataclass(frozen=True, slots=True)
class Section:
    """A title and what stands under it: any of the above, strings, and sections within. `name` is what links lead to."""

    kind: ClassVar = "section"
    title: str
    parts: Sequence[Any]
    name: str = ""


@dataclass(frozen=True, slots=True)
class Columns:
    """Sections beside each other where there is room."""

    kind: ClassVar = "columns"
    sections: Sequence[Section]


@dataclass(frozen=True, slots=True)
class Page:
    """`language`: as HTML has it ("en", "zh-CN"). `numbers`: (name, number) of what one wants to know first."""

    title: str
    language: str
    stated: str
    sections: Sequence[Section]
    numbers: Sequence[tuple[str, str]] = ()


def write_page(page: Page, path: str | Path) -> Path:
    """Write the page as one HTML file, which appears under its name only when it is whole. All texts are escaped."""
    from skymm.page.drawing import swatch

    style = Markup((resources.files("skymm.page") / "style.css").read_text("utf-8"))
    text = rendered("skymm.page", "page.html.jinja", page=page, style=style, swatch=swatch)
    with whole_file(Path(path)) as file:
        file.write(text.encode("utf-8"))
    return Path(path)


def rendered(package: str, name: str, **values: Any) -> str:
    """A template of a package, filled; all texts are escaped."""
    import jinja2

    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return environment.from_string((resources.files(package) / name).read_text("utf-8")).render(**values)


def data_url(image: Image.Image, longest_side: int = 320) -> str:
    """The picture as a JPEG in a data URL, scaled down; transparent parts become white, for a page may be dark."""
    image = image.convert("RGBA")
    image.thumbnail((longest_side, longest_side))
    ground = Image.new("RGBA", image.size, "white")
    ground.alpha_composite(image)
    stored = io.BytesIO()
    ground.convert("RGB").save(stored, "JPEG", quality=80)
    return "data:image/jpeg;base64," + base64.b64encode(stored.getvalue()).decode()

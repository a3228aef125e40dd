"""Pages that stand alone: a template, the shared style sheet, no script, nothing from the network."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any


def write_html(path: str | Path, package: str, template: str, values: Mapping[str, Any]) -> Path:
    """Render the template of a package into a file, which appears under its name only when it is whole.

    Values are text and are escaped, unless they are Markup. `style` is the shared style sheet.
    """
    import jinja2
    from markupsafe import Markup

    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    source = (resources.files(package) / template).read_text("utf-8")
    style = Markup((resources.files("skymm.page") / "style.css").read_text("utf-8"))
    page = environment.from_string(source).render(style=style, **values)
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.partial")
    partial.write_text(page, "utf-8")
    partial.replace(path)
    return path

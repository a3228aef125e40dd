"""The code that travels with an exported model: files of this package, so that it loads where skymm is not installed.

transformers fetches a file and what it imports relatively, all from one folder. So the files that the model and its
processor import are laid side by side, and only their imports of one another are changed.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

CODE, _ENTRY = "code", "skymm_model"
_CLASSES = {
    "SkyMMConfig": "configuration",
    "SkyMMForConditionalGeneration": "modeling",
    "SkyMMProcessor": "processing",
}
# vLLM asks for AutoModel; TRL opens reference models by AutoModelForCausalLM.
_DOORS = ("AutoModel", "AutoModelForCausalLM", "AutoModelForImageTextToText", "AutoModelForMultimodalLM")
AUTO_MAP = {"AutoConfig": f"{CODE}/{_ENTRY}.SkyMMConfig", "AutoProcessor": f"{CODE}/{_ENTRY}.SkyMMProcessor"}
AUTO_MAP |= dict.fromkeys(_DOORS, f"{CODE}/{_ENTRY}.SkyMMForConditionalGeneration")


def write_code(directory: Path) -> list[Path]:
    """DIRECTORY/code: a file that names the classes of AUTO_MAP, and all that it needs."""
    files: dict[str, str] = {}
    whole: set[str] = set()
    waiting = [f"skymm.model.{module}" for module in _CLASSES.values()]
    while waiting:
        name = waiting.pop()
        if name not in files:
            files[name], parts, modules = _beside(Path(find_spec(name).origin).read_text("utf-8"))
            whole |= set(modules)
            waiting += [*parts, *modules]
    flat = {name.rpartition(".")[2]: text for name, text in files.items()}
    if len(flat) < len(files):
        raise AssertionError(f"two files of one name among {sorted(files)}")
    # One door for all classes: transformers keeps a copy of the files for each file that it is sent to.
    lines = [f"from .{module} import {name}" for name, module in _CLASSES.items()]
    # Of `from . import module` it takes no notice.
    lines += [f"from .{name.rpartition('.')[2]} import __name__ as _  # that it is fetched" for name in sorted(whole)]
    said = f'"""Files of skymm {version("skymm")} (Apache-2.0), only their imports are changed. This one names the classes."""'
    flat[_ENTRY] = "\n".join([said, "", *lines, "", f"__all__ = {list(_CLASSES)}", ""])
    (directory / CODE).mkdir()
    written = [directory / CODE / f"{module}.py" for module in sorted(flat)]
    for path in written:
        path.write_text(flat[path.stem], "utf-8")
    return written


def _beside(text: str) -> tuple[str, list[str], list[str]]:
    """A file with its imports of this package made relative, the modules of which it imports parts, and whole ones."""
    lines, parts, modules = text.splitlines(), [], []
    for node in _imports(ast.parse(text)):
        found = [name for name in (f"{node.module}.{alias.name}" for alias in node.names) if _is_module(name)]
        place = "" if found else node.module.rpartition(".")[2]
        line = lines[node.lineno - 1]
        lines[node.lineno - 1] = line.replace(f"from {node.module} import", f"from .{place} import", 1)
        modules += found
        parts += [] if found else [node.module]
    return "\n".join(lines) + "\n", parts, modules


def _imports(node: ast.AST) -> Iterator[ast.ImportFrom]:
    """Of this package, and not in a `try`: what is imported there can be done without."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.ImportFrom) and child.module.split(".")[0] == "skymm":
            yield child
        elif not isinstance(child, ast.Try):
            yield from _imports(child)


def _is_module(name: str) -> bool:
    try:
        return find_spec(name) is not None
    except ModuleNotFoundError:  # its parent is a file
        return False

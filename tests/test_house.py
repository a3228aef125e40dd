"""The laws of the house: imports only go down, one home per tool, no work at import, a budget for the whole."""

import ast
import subprocess
import sys
from collections import Counter
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FILES = sorted((ROOT / "skymm").rglob("*.py"))
# Floors from the ground up; a module imports from its own floor or a lower one.
FLOORS = [
    (
        *("conversation", "encoded", "text", "verdict", "statements", "thoughts", "wording", "lexicon", "recipe"),
        *(
            "assets",
            "shipped",
            "endpoint",
            "images",
            "video",
            "tables",
            "text_files",
            "files",
            "progress",
            "processes",
            "page",
            "_auto",
            "__init__",
        ),
        "damage",
    ),
    ("model", "data", "curation"),
    ("train", "answering"),
    ("evaluation",),
    ("serve", "quickstart", "study", "show", "hub"),
    ("cli",),
]
HOMES = {
    "av": "video.py",
    "fsspec": "data/shards.py",
    "accelerate": "train/",
    "peft": "model/lora.py",
    "jieba": "text.py",
    "typer": "cli/",
    "openai": "endpoint.py",
    "filelock": "files.py",
    "sacrebleu": "curation/translation/checks.py",
    "openpyxl": "tables.py",
    "scipy": (
        "evaluation/statistics.py",
        "evaluation/calibration.py",
        "curation/building/choose.py",
        "train/objectives/words.py",
    ),
    "jinja2": "page/document.py",
    "resvg_py": "curation/emoji.py",
    "ray": "curation/building/workers.py",
    "imagehash": "curation/filters/pictures.py",
    "nltk": "evaluation/reading/english.py",
    "datasketch": "curation/filters/duplicates.py",
    "opencc": "curation/script.py",
    "gradio": "serve/demo.py",
    "fastapi": "serve/",
    "starlette": "serve/",
    "uvicorn": "serve/",
    "prometheus_client": "serve/metrics.py",
}


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT / "skymm"))


@cache
def imports_of(path: Path, top_level_only: bool = False) -> list[str]:
    tree = ast.parse(path.read_text("utf-8"))
    nodes = tree.body if top_level_only else ast.walk(tree)
    found = []
    for node in nodes:
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            found += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
    return found


def floor_of(part: str) -> int:
    return next(index for index, floor in enumerate(FLOORS) if part in floor)


def part_of(path: Path) -> str:
    return path.relative_to(ROOT / "skymm").parts[0].removesuffix(".py")


def test_every_part_has_a_floor():
    assert {part_of(path) for path in FILES} <= {part for floor in FLOORS for part in floor}


def test_imports_only_go_down():
    up = [
        f"{name_of(path)} imports {name}"
        for path in FILES
        # _auto tells transformers about classes when both are loaded, and imports nothing before
        for name in imports_of(path, top_level_only=path.name == "_auto.py")
        if name.startswith("skymm.")
        and (path.name == "_auto.py" or floor_of(name.split(".")[1]) > floor_of(part_of(path)))
    ]
    assert not up


def test_no_file_reaches_itself():
    """Imports inside functions count too: a circle that waits is a circle."""
    modules = {"skymm." + name_of(path).removesuffix(".py").replace("/", "."): path for path in FILES}
    waits = ("skymm._auto", "skymm.__init__")  # they name classes for transformers and import nothing themselves
    reached = {
        name: {other for other in imports_of(path) if other in modules}
        for name, path in modules.items()
        if name not in waits
    }

    def visit(name: str, above: tuple[str, ...]) -> None:
        assert name not in above, " -> ".join((*above, name))
        for other in reached.get(name, ()):
            visit(other, (*above, name))

    for name in reached:
        visit(name, ())


def test_model_data_and_curation_keep_apart():
    forbidden = {"model": ("data", "curation"), "data": ("model", "curation"), "curation": ("model",)}
    wrong = [
        f"{name_of(path)} imports {name}"
        for path in FILES
        for name in imports_of(path)
        if name.startswith(tuple(f"skymm.{part}" for part in forbidden.get(part_of(path), ())) or "\0")
    ]
    assert not wrong


def test_every_tool_has_one_home():
    wrong = []
    for path in FILES:
        for name in imports_of(path):
            tool = name.split(".")[0]
            if not name_of(path).startswith(HOMES.get(tool, "")) or tool in ("flash_attn", "torchvision", "timm"):
                wrong.append(f"{name_of(path)} imports {tool}, whose home is {HOMES.get(tool, 'nowhere')}")
    assert not wrong


def test_the_whole_has_a_budget():
    """A cap for each file would make many small files. The numbers go down with the code, and up only on purpose."""
    lines = {path: len(path.read_text("utf-8").splitlines()) for path in FILES}
    whole, most = (sum(lines.values()), len(FILES)), (44_241, 252)
    assert whole[0] <= most[0] and whole[1] <= most[1], f"skymm has (lines, files) {whole}, expected {most} at most"
    assert not [name_of(path) for path in FILES if lines[path] > 600], "a file is one idea"
    names = Counter(path.name for path in FILES if path.name != "__init__.py")
    assert not [name for name, count in names.items() if count > 2]


@pytest.mark.parametrize(
    "module",
    [
        *(
            "conversation",
            "encoded",
            "text",
            "recipe",
            "cli",
            "show",
            "quickstart",
            "study",
            "data.stream",
            "curation.emoji_scenes.scene",
            "evaluation.run",
        ),
        *("page.charts", "page.document", "train.run_page", "train.doctor.examine", "curation.audit.page"),
    ],
)
def test_what_has_to_be_instant_loads_no_torch(module):
    code = f"import sys, skymm.{module}; print('torch' in sys.modules, 'transformers' in sys.modules)"
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert printed == ["False", "False"]


def test_no_work_at_import():
    """Module level holds definitions and constants; calls that seed, configure, probe or write are not among them.

    One thing is done: `import skymm` puts a finder into sys.meta_path, which tells transformers of our classes once it is
    loaded; to load it for that would make every command slow. See skymm/_auto.py; nobody else touches the list.
    """
    assert [name_of(path) for path in FILES if "meta_path" in path.read_text("utf-8")] == ["_auto.py"]
    forbidden = ("seed", "basicConfig", "environ", "is_available", "set_num_threads", "urlopen", "mkdir", "write_text")
    calls = [f".{word}{bracket}" for word in forbidden for bracket in "(["]
    definitions = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    wrong = [
        f"{name_of(path)}: {text}"
        for path in FILES
        for node in ast.parse(path.read_text("utf-8")).body
        if not isinstance(node, definitions) and any(call in (text := ast.unparse(node)) for call in calls)
    ]
    assert not wrong

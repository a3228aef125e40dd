"""The pages of docs/ name files that exist, and every room; their pictures are what the code draws."""

import re
from pathlib import Path

from pictures import drawn

ROOT = Path(__file__).parent.parent


def test_every_path_on_a_page_exists():
    for page in (ROOT / "docs").rglob("*.md"):
        paths = re.findall(r"`((?:skymm|tests|data_recipes|training|eval|perf|docs)/[\w./]*)`", page.read_text("utf-8"))
        # What a build leaves behind and what a page asks its reader to write are none of ours.
        assert not [path for path in paths if "mine" not in path and not (ROOT / path).exists()], page
        assert paths or page.stem != "architecture"


def test_the_map_names_every_room():
    words = (ROOT / "docs" / "architecture.md").read_text("utf-8")
    rooms = {path.parent.relative_to(ROOT) for path in (ROOT / "skymm").rglob("*.py")}
    # A kit is part of what stands above it.
    shown = [room for room in rooms if len(room.parts) > 1 and "kits" not in room.parts]
    assert not [str(room) for room in shown if f"{room}/" not in words]


def test_pictures_are_what_the_code_draws():
    for file, picture in drawn().items():
        assert file.read_text("utf-8") == picture, f"python tests/pictures.py draws {file.name} anew"

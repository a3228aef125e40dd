"""The pages of docs/ name files that exist, and every room."""

import re
from pathlib import Path

ROOT = Path(__file__).parent.parent


def test_every_path_on_a_page_exists():
    for page in (ROOT / "docs").glob("*.md"):
        paths = re.findall(r"`((?:skymm|tests|data_recipes|training|eval|perf|docs)/[\w./]*)`", page.read_text("utf-8"))
        assert paths and not [path for path in paths if not (ROOT / path).exists()], page


def test_the_map_names_every_room():
    words = (ROOT / "docs" / "architecture.md").read_text("utf-8")
    rooms = {path.parent.relative_to(ROOT) for path in (ROOT / "skymm").rglob("*.py")}
    # A kit is part of what stands above it.
    shown = [room for room in rooms if len(room.parts) > 1 and "kits" not in room.parts]
    assert not [str(room) for room in shown if f"{room}/" not in words]

"""What the documents tell people to type exists."""

import re
import shlex
import tomllib
from pathlib import Path

import pytest

from skymm.recipe import EvalRecipe, ModelRecipe, StageRecipe, load, load_data, parse
from skymm.recipe.study import StudyRecipe

ROOT = Path(__file__).parent.parent
PAGES = sorted([ROOT / "README.md", *ROOT.glob("*/README.md")])
KINDS = {"training": StageRecipe, "eval": EvalRecipe}


def commands(page: Path) -> list[list[str]]:
    found = []
    for block in re.findall(r"```bash\n(.*?)```", page.read_text("utf-8"), re.S):
        for line in block.replace("\\\n", " ").splitlines():
            words = shlex.split(line, comments=True)
            if words and words[0] == "skymm":
                found.append(words)
    return found


ALL = [(page.relative_to(ROOT), words) for page in PAGES for words in commands(page)]


def test_the_main_commands_are_on_the_first_page():
    text = (ROOT / "README.md").read_text("utf-8")
    assert "skymm quickstart" in text.split("##")[0] and "python -m pytest" in text.split("##")[0]
    assert len(ALL) > 8


@pytest.mark.parametrize(
    ("page", "words"), ALL, ids=lambda value: " ".join(value) if isinstance(value, list) else str(value)
)
def test_every_command_exists_with_its_options(page, words):
    from typer.main import get_command

    from skymm.cli import app

    command, arguments = get_command(app), words[1:]
    while hasattr(command, "commands"):
        command = command.commands[arguments.pop(0)]
    known = {option for parameter in command.params for option in parameter.opts}
    assert all(word in known for word in arguments if word.startswith("--"))


@pytest.mark.parametrize(
    ("page", "words"), ALL, ids=lambda value: " ".join(value) if isinstance(value, list) else str(value)
)
def test_every_recipe_named_loads_with_the_overrides_named(page, words):
    for index, word in enumerate(words):
        if word.endswith(".toml"):
            overrides = [other for other in words[index + 1 :] if re.match(r"[a-z_.]+=", other)]
            kind = StudyRecipe if words[1] == "study" else KINDS.get(word.split("/")[0])
            assert load(ROOT / word, kind, overrides) if kind else load_data(ROOT / word, overrides)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)]+)\)", page.read_text("utf-8")):
        if not target.startswith("http"):
            assert (page.parent / target).exists(), target


def test_bring_your_own_data_in_three_lines_works(tmp_path, monkeypatch):
    from PIL import Image

    from skymm.data.shards import conversation_of, read_shard

    text = (ROOT / "data_recipes/README.md").read_text("utf-8")
    code = re.search(r"```python\n(.*?)```", text, re.S).group(1)
    monkeypatch.chdir(tmp_path)
    Image.new("RGB", (8, 8), "red").save("bus.jpg")
    exec(code, {})
    sample = next(read_shard("my_shards/train-00000.tar"))
    assert conversation_of(sample).targets[0].text == "A red bus."


def test_a_source_of_your_own_in_twenty_lines_works(tmp_path, monkeypatch):
    from curation.building.built import conversations
    from curation.sources.miniatures import picture

    from skymm.curation.building.build import build
    from skymm.recipe import DataRecipe, parse

    text = (ROOT / "data_recipes/README.md").read_text("utf-8").partition("in 20 lines")[2]
    code = re.search(r"```python\n(.*?)```", text, re.S).group(1)
    assert len([line for line in code.splitlines() if line.strip()]) <= 20
    monkeypatch.chdir(tmp_path)
    lines = [f"{number}.jpg|A dog.|dog|cat" if number % 2 else f"{number}.jpg|一只猫|cat|dog" for number in range(8)]
    Path("list.txt").write_text("\n".join(lines), "utf-8")
    for number in range(8):
        Path(f"{number}.jpg").write_bytes(picture(number))
    monkeypatch.setattr("sys.argv", ["my_source.py", "list.txt", "my_source"])
    exec(code, {})
    recipe = tomllib.loads(re.search(r"```toml\n(.*?)```", text, re.S).group(1))
    found = conversations(build(parse(recipe, DataRecipe), tmp_path / "out"))
    assert len(found) == 8 and {"A dog.", "一只猫"} < {turn.text for one in found for turn in one.targets}
    assert {turn.polarity for one in found for turn in one.targets if turn.kind} == {"positive", "negative"}


def test_the_two_towers_of_the_page_are_a_recipe():
    text = (ROOT / "training/README.md").read_text("utf-8").partition("## Two towers")[2]
    model = parse(tomllib.loads(re.search(r"```toml\n(.*?)```", text, re.S).group(1))["model"], ModelRecipe)
    assert len(model.towers) == 2 and model.resampler.mixing == "interleaved"


def test_the_json_of_a_sample_is_one(tmp_path):
    from skymm.conversation import parse

    text = (ROOT / "data_recipes/README.md").read_text("utf-8")
    block = re.search(r"000001.json\s+(\{.*?\]\})", text, re.S).group(1)
    assert parse(block, "000001", ("jpg",)).targets[0].polarity == "negative"

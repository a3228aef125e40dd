"""The pages for people: every command on them is run on tiny parts, or says what it needs; both languages say the same.

A block of commands whose first line begins with `# needs ` is not run: its options and recipes are checked. Of all others each
line is run, in a folder that holds what the pages name, with a few overrides that make it small. A block of TOML or Python
that begins with `# NAME.toml` or `# NAME.py` is saved under that name first.
"""

from __future__ import annotations

import re
import runpy
import shlex
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

import pytest
from llm_families import OWN
from model import test_chat_families, test_families, test_towers

from skymm.recipe import DataRecipe, EvalRecipe, ModelRecipe, StageRecipe, load, load_data, parse
from skymm.recipe.study import StudyRecipe
from skymm.recipe.suite import SuiteRecipe

ROOT = Path(__file__).parent.parent
TWINS = {ROOT / "README.md": ROOT / "README_zh.md"} | {
    page: page.parent / "zh" / page.name for page in sorted((ROOT / "docs").glob("*.md")) if page.stem != "architecture"
}
PAGES = [*TWINS, *sorted(ROOT.glob("*/README.md"))]
EVERY = [*PAGES, *TWINS.values(), ROOT / "docs" / "architecture.md"]
KINDS = {"training": StageRecipe, "eval": EvalRecipe}
NEEDS = re.compile(r"# needs (a GPU|a download|an endpoint|hours)\b|# 需要 ?(GPU|下载|接口|数小时)")
ELSEWHERE = {  # run by
    "skymm quickstart": "tests/test_story.py",
    "python -m pytest": ".ci/run",
    "skymm serve": "test_every_line_is_run, which has a server where the page says localhost:8000",
    "skymm demo": "tests/serve/test_demo.py",
    "python perf/fits.py": "test_what_fits_is_what_the_program_prints",
    "python perf/": "tests/perf, and by hand: these measure for minutes",
}


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


def blocks(page: Path) -> list[tuple[str, str]]:
    """(language, code) of every block."""
    return re.findall(r"^```(\w*)\n(.*?)^```", page.read_text("utf-8"), re.S | re.M)


def lines(code: str) -> list[str]:
    return [part.strip() for line in code.replace("\\\n", " ").splitlines() for part in line.split(" && ")]


def words_of(line: str) -> list[str]:
    """As a shell reads it, to whom openai:URL#MODEL holds no comment."""
    return shlex.split(re.sub(r"(^|\s)#.*", "", line))


def commands(page: Path) -> list[list[str]]:
    every = [words_of(line) for kind, code in blocks(page) if kind == "bash" for line in lines(code)]
    return [words for words in every if words and words[0] == "skymm"]


ALL = [(page, words) for page in PAGES for words in commands(page)]
shown = {"ids": lambda value: " ".join(value) if isinstance(value, list) else name_of(value)}


def test_the_main_commands_are_on_the_first_page():
    for page in (ROOT / "README.md", ROOT / "README_zh.md"):
        head = page.read_text("utf-8").split("##")[0]
        assert "skymm quickstart" in head and "python -m pytest" in head
    assert len(ALL) > 40


@pytest.mark.parametrize(("page", "words"), ALL, **shown)
def test_every_command_exists_with_its_options(page, words):
    from typer.main import get_command

    from skymm.cli import app

    command, arguments = get_command(app), words[1:]
    while hasattr(command, "commands"):
        command = command.commands[arguments.pop(0)]
    known = {option for parameter in command.params for option in parameter.opts}
    assert all(word in known for word in arguments if word.startswith("--"))


@pytest.mark.parametrize(("page", "words"), ALL, **shown)
def test_every_recipe_named_loads_with_the_overrides_named(page, words):
    for index, word in enumerate(words):
        if word.endswith(".toml") and word.split("/")[0] in ("data_recipes", *KINDS) and "mine" not in word:
            overrides = [other for other in words[index + 1 :] if re.match(r"[a-z_.]+=", other)]
            others = {"remedies.toml": StudyRecipe, "shipped.toml": StudyRecipe, "suite.toml": SuiteRecipe}
            kind = others.get(Path(word).name, KINDS.get(word.split("/")[0]))
            assert load(ROOT / word, kind, overrides) if kind else load_data(ROOT / word, overrides)


@pytest.mark.parametrize("page", EVERY, ids=name_of)
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)]+)\)", page.read_text("utf-8")):
        if not target.startswith("http"):
            assert (page.parent / target).exists(), target


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_a_block_that_is_not_run_says_what_it_needs(page):
    for kind, code in blocks(page):
        assert not code.startswith("# needs ") or NEEDS.match(code), code
        assert kind in ("bash", "python", "toml", ""), kind


# --- both languages -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("page", TWINS, ids=name_of)
def test_both_languages_show_the_same(page):
    """The same commands and code (comments aside), links, headings, and tables: rows, fractions, percentages."""
    other = TWINS[page]

    def code(one: Path) -> list[tuple[str, bool, str]]:
        return [
            (kind, bool(NEEDS.match(text)), re.sub(r"(^| +)#.*", "", text, flags=re.M)) for kind, text in blocks(one)
        ]

    def links(one: Path) -> set[str]:
        found = re.findall(r"\]\(([^)]+)\)", one.read_text("utf-8"))
        places = {target if target.startswith("http") else name_of((one.parent / target).resolve()) for target in found}
        both = {place.replace("docs/zh/", "docs/").replace(".zh.svg", ".en.svg") for place in places}
        return both - {"README.md", "README_zh.md", name_of(page)}

    def rows(one: Path) -> list[list[str]]:
        tables = [line for line in one.read_text("utf-8").splitlines() if line.startswith("|")]
        return [re.findall(r"\d+\.\d+|\d+(?= ?%)", line) for line in tables]

    def headings(one: Path) -> int:
        text = re.sub(r"^```.*?^```", "", one.read_text("utf-8"), flags=re.S | re.M)
        return len(re.findall(r"^#+ ", text, re.M))

    assert code(page) == code(other)
    assert links(page) == links(other)
    assert rows(page) == rows(other)
    assert headings(page) == headings(other)
    prose = re.sub(r"^```.*?^```|`[^`\n]*`", "", other.read_text("utf-8"), flags=re.S | re.M)
    assert not re.search(r"[\u4e00-\u9fff] ?[,;:!?]|[\u4e00-\u9fff]\.(?=\s|$)", prose), "Chinese has marks of its own"
    assert not re.search(r"[\u4e00-\u9fff，。；：、）]\n[\u4e00-\u9fff（]", prose), "a line break is shown as a space"


# --- every line is run ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def parts(tiny_llm, tiny_tower, tiny_second_tower) -> dict[str, list[str]]:
    """What is added to a command so that it takes a second, by how the command begins."""
    small = ["model.resampler.num_latents=4", "model.resampler.width=16", "model.resampler.num_heads=2"]
    own = [f"model.llm={tiny_llm}", f"model.towers=['{tiny_tower}']", *small, "model.dtype=float32"]
    short = ["steps=1", "batch_size=2", "warmup_steps=0"]
    return {
        "skymm data build data_recipes/quickstart.toml": ["num_images=24", "images_per_shard=4", "bench_images=1"],
        "skymm data blind-pairs": ["--towers", str(tiny_tower), str(tiny_second_tower)],
        "skymm train training/words.toml": [*own, *short],
        "skymm train": short,
        "skymm doctor training/": short,
        "skymm eval run eval/chinese_scenes.toml": ["split=couplets"],
        "skymm eval suite": [
            "benchmarks.chinese_scenes.set=['split=couplets']",
            "benchmarks.trust.set=['num_items=1', 'root=runs/data/small_trust']",
        ],
    }


@pytest.fixture(scope="session")
def desk(tmp_path_factory, parts, tiny_llm) -> Path:
    """A folder with what the pages speak of: recipes, photos, and a model of one step for each stage."""
    from clips import write_clip
    from curation.sources.miniatures import picture

    where = tmp_path_factory.mktemp("desk")
    for folder in ("data_recipes", "training", "eval"):
        shutil.copytree(ROOT / folder, where / folder)
    (where / "perf").symlink_to(ROOT / "perf")
    (where / "photos").mkdir()
    for number in range(8):
        (where / "photos" / f"{number}.jpg").write_bytes(picture(number))
    texts = ["A dog on a red sofa." if number % 2 else "一只猫坐在桌子上。" for number in range(8)]
    rows = [f"{number}.jpg,{text}" for number, text in enumerate(texts)]
    (where / "captions.csv").write_text("\n".join(["image,caption", *rows]), "utf-8")
    told = [f"{number}.jpg|{text}|{'dog|cat' if number % 2 else 'cat|dog'}" for number, text in enumerate(texts)]
    (where / "photos" / "list.txt").write_text("\n".join(told), "utf-8")
    for name in ("photo.jpg", "before.jpg", "after.jpg"):
        (where / name).write_bytes(picture(len(name)))
    write_clip(where / "clip.mp4")
    with pytest.MonkeyPatch.context() as patch:
        at_the(where, patch, tiny_llm)
        for line in (
            "skymm data build data_recipes/quickstart.toml --out runs/data",
            "skymm train training/words.toml",
            "skymm train training/stage1.toml",
            "skymm train training/stage2.toml",
            "skymm eval run eval/mme.toml root=runs/data/bench/en --model runs/stage2 --out runs/mme",
        ):
            run(line, parts)
    return where


def at_the(desk: Path, patch: pytest.MonkeyPatch, llm: Path) -> None:
    from skymm import assets

    patch.chdir(desk)
    patch.setattr(assets, "default_llm_dir", lambda *arguments: llm)
    patch.syspath_prepend(str(desk))


def run(line: str, parts: dict[str, list[str]]) -> None:
    words = words_of(line)
    plain = shlex.join(words)
    if words[:1] == ["curl"]:
        subprocess.run([*words, "--fail"], check=True, capture_output=True)
        return
    if not words or any(plain.startswith(known) for known in ELSEWHERE):
        return
    if words[0] == "pip":
        extras = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["optional-dependencies"]
        assert {name for found in re.findall(r"\[([\w,]+)\]", plain) for name in found.split(",")} <= set(extras), line
        return
    beginnings = [known for known in parts if plain.startswith(known)]
    words += parts[max(beginnings, key=len)] if beginnings else []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", words[1:] if words[0] == "python" else words)
        if words[0] == "python":
            runpy.run_path(words[1], run_name="__main__")
            return
        from skymm.cli import app

        assert words[0] == "skymm", f"{line}: nobody runs this"
        with pytest.raises(SystemExit) as left:
            app()
        assert not left.value.code or "--strict" in words, line


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_line_is_run(page, desk, parts, tmp_path, monkeypatch, tiny_llm):
    here = shutil.copytree(desk, tmp_path / "desk", symlinks=True)
    at_the(here, monkeypatch, tiny_llm)
    asks = any("localhost:8000" in code and not NEEDS.match(code) for _, code in blocks(page))
    with served("runs/stage2") if asks else nullcontext() as address:
        walk(here, page, parts, address)


@contextmanager
def served(directory: str) -> Iterator[str]:
    from skymm.answering.opening import open_answerer
    from skymm.serve.engine import Engine
    from skymm.serve.server import Server, running

    with (
        Engine(open_answerer(directory, max_new_tokens=16)) as engine,
        running(Server(engine, Path(directory).name)) as address,
    ):
        yield address


def walk(here: Path, page: Path, parts: dict[str, list[str]], address: str | None) -> None:
    for kind, code in blocks(page):
        code = code.replace("http://localhost:8000", address or "")
        file = re.match(r"# ([\w/]+\.(?:py|toml))\b", code)
        if file:
            (here / file[1]).write_text(code, "utf-8")
        if kind == "toml":
            data = tomllib.loads(code)
            if set(data) == {"model"}:
                parse(data["model"], ModelRecipe)
            else:
                parse(data, DataRecipe if "sources" in data else EvalRecipe if "benchmark" in data else StageRecipe)
        elif kind == "python" and not file:
            exec(code, {})
        elif kind == "bash" and not NEEDS.match(code):
            for line in lines(code):
                run(line, parts)


# --- what is said is so ---------------------------------------------------------------------------------------------------


def test_every_recipe_for_data_is_named_beside_them():
    named = set(re.findall(r"`(\w+\.toml)`", (ROOT / "data_recipes/README.md").read_text("utf-8")))
    assert named == {path.name for path in (ROOT / "data_recipes").glob("*.toml")}


def test_a_source_of_ones_own_has_both_answers(desk, parts, tmp_path, monkeypatch, tiny_llm):
    from curation.building.built import conversations

    here = shutil.copytree(desk, tmp_path / "desk", symlinks=True)
    at_the(here, monkeypatch, tiny_llm)
    code = {re.match(r"# ([\w.]+)", text)[1]: text for _, text in blocks(ROOT / "docs/data.md") if text[:2] == "# "}
    assert len([line for line in code["my_source.py"].splitlines() if line.strip()]) <= 20
    for name in ("my_source.py", "from_shards.toml"):
        Path(name).write_text(code[name], "utf-8")
    run("python my_source.py photos/list.txt my_source", parts)
    run("skymm data build from_shards.toml --out made", parts)
    found = conversations(here / "made")
    assert len(found) == 8 and {turn.polarity for one in found for turn in one.targets if turn.kind} == {
        "positive",
        "negative",
    }


def test_the_json_of_a_sample_is_one():
    from skymm.conversation import parse as parse_sample

    text = (ROOT / "docs/data.md").read_text("utf-8")
    block = re.search(r"000001.json\s+(\{.*?\]\})", text, re.S).group(1)
    assert parse_sample(block, "000001", ("jpg",)).targets[0].polarity == "negative"


def test_what_fits_is_what_the_program_prints():
    from fits import KNOWN, table

    llms = {name: KNOWN[name] for name in ("Qwen2.5-7B", "Vicuna-13B")}
    printed = table(llms, {"CLIP-L-336": KNOWN["CLIP-L-336"]}).splitlines()[-2:]
    text = (ROOT / "docs/own_parts.md").read_text("utf-8")
    for line in printed:
        name, *numbers = line.split()
        [row] = [one for one in text.splitlines() if one.startswith(f"| {name} ")]
        assert re.findall(r"[\d.]+", row.split("CLIP-L-336")[1]) == re.findall(r"[\d.]+", " ".join(numbers[2:]))
        assert f"({numbers[0]} B)" in row


def test_families_named_are_those_that_tests_try():
    text = (ROOT / "docs/own_parts.md").read_text("utf-8")
    packed, padded, refused = (
        set(re.search(rf"^\| {word}.*?\| ([^|]+) \|$", text, re.M)[1].split(", "))
        for word in ("packed", "padded", "refused")
    )
    assert packed == {name for name, (_, why) in test_families.FAMILIES.items() if why is None}
    assert padded == {name for name, (_, why) in test_families.FAMILIES.items() if why}
    assert refused == set(OWN) - packed - padded
    named = text.partition("Chat templates")[2].partition("**Towers**")[0].replace("\n", " ")
    missing = [name for name in test_chat_families.FAMILIES if name.split()[0].split("-")[0] not in named]
    assert not missing
    towers = re.sub(r"[ -]", "", text.partition("**Towers**")[2].lower())
    assert not [
        kind
        for kind in test_towers.KINDS
        if kind.split()[0].removesuffix("_vit").removesuffix("_vision").replace("_", "") not in towers
    ]


def test_published_scores_are_those_of_the_table():
    known = (ROOT / "skymm/evaluation/report/published_mme.tsv").read_text("utf-8")
    rows = re.findall(r"^\| ([\w-]+).*?\| ([\d.]+) / ([\d.]+) \|$", (ROOT / "docs/mme.md").read_text("utf-8"), re.M)
    assert len(rows) == 5
    for name, *sums in rows:
        [line] = [one for one in known.splitlines() if one.startswith(name)]
        assert all(f"{float(number):g}" in line for number in sums), (name, sums)

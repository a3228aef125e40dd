"""Chinese scenes: as large as promised, balanced, legible, and the same files for a seed."""

from __future__ import annotations

import json
import random
import re
import shutil
from collections import Counter, defaultdict
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from skymm.curation import drawing
from skymm.evaluation.kits.chinese_scenes import families
from skymm.evaluation.kits.chinese_scenes import scene_drawing as pictures
from skymm.evaluation.kits.chinese_scenes import scenes as kit
from skymm.evaluation.kits.chinese_scenes.questions import LETTERS, Picture
from skymm.evaluation.kits.chinese_scenes.words import sentences
from skymm.text import language_of

SEEDS = range(2)
questions = cache(kit.questions)


@pytest.fixture(scope="module")
def known() -> dict[str, Picture]:
    return kit.pictures()


@pytest.fixture(scope="module")
def rows() -> list[dict]:
    return kit.questions()


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return kit.build(tmp_path_factory.mktemp("kit") / "scenes")


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Cards only: fourteen pictures."""
    monkeypatch.setattr(kit, "FAMILIES", {"cards": kit.FAMILIES["cards"]})


def yes_no(rows: list[dict]) -> list[dict]:
    return [row for row in rows if row["fields"]["form"] == "yes_no"]


# --- the set as a whole -------------------------------------------------------------------------------------------------


def test_size(known, rows):
    assert 150 <= len(known) <= 250 and all(3 <= len(picture.twins) <= 5 for picture in known.values())
    kinds = Counter(row["fields"]["kind"] for row in rows)
    assert set(kinds) == {"reading", "script", "price", "translation", "presence", "culture", "lookup", "naming"}
    assert min(kinds.values()) >= 50


def test_ids_are_unique_and_twins_stand_together(rows):
    assert len({row["id"] for row in rows}) == len(rows)
    for zh, en in zip(rows[::2], rows[1::2], strict=True):
        assert (zh["fields"]["language"], en["fields"]["language"]) == ("zh", "en")
        assert zh["id"].removesuffix("/zh") == en["id"].removesuffix("/en") == zh["fields"]["twin"]
        assert zh["fields"]["twin"] == en["fields"]["twin"]
        for same in ("gold", "cluster", "picture", "choices"):
            assert zh[same] == en[same]
    blocks = [
        row["picture"] for row, before in zip(rows, [{"picture": None}, *rows]) if row["picture"] != before["picture"]
    ]
    assert len(blocks) == len(set(blocks)), "all questions about a picture come one after the other"


def test_the_same_word_in_both_scripts_is_one_cluster(rows):
    pictures = defaultdict(set)
    for row in rows:
        pictures[row["cluster"]].add(row["picture"])
    assert len(pictures["shops/茶馆"]) == 2 and len(pictures["signs/出口"]) == 1
    assert max(map(len, pictures.values())) == 2


def test_languages_and_endings(rows):
    for row in rows:
        language, form = row["fields"]["language"], row["fields"]["form"]
        assert row["text"].endswith(sentences()["endings"][form][language == "en"].strip())
        bare = re.sub(r'"[^"]*"|“[^”]*”|\n[A-D]\. .*', "", row["text"])
        assert language_of(bare) == language, row["text"]
        if language == "en":
            assert not re.search("[\u3000-\u9fff]", bare), row["text"]
    assert sentences()["endings"]["yes_no"] == ["请回答是或否。", " Please answer yes or no."]


# --- balance ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", SEEDS)
def test_yes_and_no_are_equally_many_everywhere(seed):
    counts = Counter()
    for row in yes_no(questions(seed)):
        fields = row["fields"]
        value = 1 if row["gold"] == "yes" else -1
        for group in ("kind", "family", "script"):
            counts[group, fields.get(group), fields["language"]] += value
        counts["picture", row["picture"], fields["language"]] += value
    assert counts and not any(counts.values())


@pytest.mark.parametrize("seed", SEEDS)
def test_every_letter_is_right_equally_often(seed):
    rows = [row for row in questions(seed) if row["fields"]["form"] == "choice" and row["fields"]["language"] == "zh"]
    letters = Counter(row["gold"] for row in rows)
    assert set(letters) == set(LETTERS) and max(letters.values()) - min(letters.values()) <= 1
    for kind in {row["fields"]["kind"] for row in rows}:
        found = Counter(row["gold"] for row in rows if row["fields"]["kind"] == kind)
        assert max(found.values()) - min(found.values()) <= 2, kind


def test_words_alone_do_not_say_the_answer(rows):
    """What is quoted is asked for with yes as often as with no, and so is every thing."""
    asked = defaultdict(Counter)
    for row in yes_no(rows):
        fields = row["fields"]
        if fields["family"] in ("signs", "shops", "banners", "cards", "couplets", "menus") and "“" in row["text"]:
            asked[fields["family"], fields["kind"], re.search("“(.+)”", row["text"])[1]][row["gold"]] += 1
        if fields["kind"] == "presence" and fields["language"] == "zh":
            asked["presence", row["text"]][row["gold"]] += 1
    assert len(asked) > 200
    assert all(found["yes"] == found["no"] for found in asked.values())


def test_what_is_known_about_one_thing_is_a_wrong_option_of_others(rows):
    right, wrong = set(), set()
    for row in rows:
        if row["fields"]["kind"] == "culture" and row["fields"]["form"] == "choice":
            options = row["fields"]["options"]
            right.add(options[row["gold"]])
            wrong |= {option for letter, option in options.items() if letter != row["gold"]}
    assert wrong <= right and len(right - wrong) <= 0.1 * len(right)


def missing_glyphs(text: str, face: drawing.Face) -> list[str]:
    """Characters that the font has no glyph for: they look like a code point that is never assigned."""

    def drawn(character: str) -> tuple[tuple[int, int], bytes]:
        mask = drawing.font(face, 40).getmask(character)
        return mask.size, bytes(mask)

    nothing = drawn("\U0010ffff")
    return sorted(one for one in set(text) if not one.isspace() and drawn(one) == nothing)


# --- words and glyphs ------------------------------------------------------------------------------------------------------


def test_every_glyph_is_there(known):
    text = "".join(sorted({character for picture in known.values() for one in picture.shown for character in one}))
    assert len(re.findall("[\u4e00-\u9fff]", text)) > 300
    for face in ("sans", "serif"):
        assert missing_glyphs(text, face) == []
        assert missing_glyphs("面\ue123麵\U0001f37c", face) == ["\ue123", "\U0001f37c"]


def test_what_is_drawn_is_what_is_said_to_be_shown(known, monkeypatch):
    """And no character is smaller than it may be."""
    drawn: list[tuple[str, int]] = []
    original = drawing.ImageDraw.ImageDraw.text

    def text(self, at, text, *arguments, font, **options):
        drawn.append((text, font.size))
        return original(self, at, text, *arguments, font=font, **options)

    monkeypatch.setattr(drawing.ImageDraw.ImageDraw, "text", text)
    by_family = {picture.family: picture for picture in known.values() if picture.script == "traditional"}
    assert len(by_family) == 10
    for family, picture in by_family.items():
        drawn.clear()
        image = picture.draw()
        assert image.size == (drawing.SIZE, drawing.SIZE) and image.mode == "RGB"
        assert min(size for _, size in drawn) >= drawing.SMALLEST
        labels = {"開車", "票價"} if family == "tickets" else set()
        whole = "".join(text for text, _ in drawn if text not in labels)
        assert sorted(whole) == sorted("".join(one for one in picture.shown if one not in labels)), family


@pytest.mark.parametrize(("way", "turns"), [("left", 0), ("ahead", 3), ("right", 2)])
def test_arrows_point_where_they_lead(way, turns):
    """Turned to the left, the head of the arrow is the broad half."""
    image = pictures.directions([("机场", way)] * 3, random.Random(0))
    arrow = np.rot90((np.asarray(image.crop((56, 56, 124, 124))) > 240).all(-1), -turns)
    heights = arrow.sum(0)
    assert heights[:34].max() > 50 > 2 * heights[36:].max() > 30


def test_characters_stay_apart_when_a_model_looks_at_224_pixels(known):
    """Words that differ in one character differ in the small picture by more than its noise."""

    def small(text: str) -> np.ndarray:
        picture = next(one for one in known.values() if one.shown == (text,))
        draw = picture.draw
        image = draw.func(draw.args[0], 0.5, *draw.args[2:]).resize((224, 224), Image.Resampling.BICUBIC)
        return np.asarray(image, float)

    for one, other in (("小心触电", "小心觸電"), ("禁止入内", "禁止入內"), ("书店", "書店"), ("候车室", "候車室")):
        assert (np.abs(small(one) - small(other)).max(-1) > 100).sum() > 25, (one, other)
        assert not np.abs(small(one) - small(one)).any()


# --- files --------------------------------------------------------------------------------------------------------------


def test_the_files_are_what_the_seed_says(directory, known, rows):
    lines = (directory / kit.QUESTIONS).read_text("utf-8").splitlines()
    assert [json.loads(line) for line in lines] == rows
    assert sorted(path.stem for path in (directory / kit.PICTURES).iterdir()) == sorted(known)
    again = kit.pictures()
    for name in sorted(known)[::12]:
        assert kit._png(again[name].draw()) == (directory / kit.PICTURES / f"{name}.png").read_bytes(), name
    card = json.loads((directory / kit.MANIFEST).read_text("utf-8"))
    assert (card["num_pictures"], card["num_questions"]) == (len(known), len(rows))
    assert "CC-BY-SA 4.0" in card["licences"]["openmoji"] and "Open Font" in card["licences"]["fonts"]


def test_questions_do_not_hang_on_how_emoji_are_drawn(rows, monkeypatch):
    monkeypatch.setattr(families, "_share_seen", lambda char, style, colour: float(colour == "pink"))
    assert kit.questions() == rows


def test_a_second_build_keeps_what_is_there(few, tmp_path):
    root = kit.build(tmp_path / "a" / "scenes")
    before = {path: path.stat().st_mtime_ns for path in root.rglob("*")}
    assert kit.build(root) == root
    assert {path: path.stat().st_mtime_ns for path in root.rglob("*")} == before
    assert [path.name for path in root.parent.iterdir()] == ["scenes"], "nothing is left beside it"
    assert kit.digest(kit.build(tmp_path / "again")) == kit.digest(root)


def test_a_build_that_breaks_leaves_nothing(few, tmp_path, monkeypatch):
    calls = []

    def breaks(image):
        calls.append(image)
        if len(calls) == 3:
            raise OSError("disk full")
        return b"png"

    monkeypatch.setattr(kit, "_png", breaks)
    with pytest.raises(OSError, match="disk full"):
        kit.build(tmp_path / "scenes")
    assert len(calls) == 3 and not list(tmp_path.iterdir())


def test_when_another_process_was_faster_its_copy_stays(few, tmp_path, monkeypatch):
    write = kit._write

    def slow(directory, seed):
        write(directory, seed)
        shutil.copytree(directory, tmp_path / "scenes")
        (tmp_path / "scenes" / "first").touch()

    monkeypatch.setattr(kit, "_write", slow)
    assert (kit.build(tmp_path / "scenes") / "first").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["scenes"]


def test_what_is_not_as_it_was_made_is_refused(few, tmp_path):
    for number, (change, message) in enumerate(
        (
            (
                lambda root: (root / kit.QUESTIONS).write_text("{}\n"),
                "found sha256 .*so they have been changed; remove",
            ),
            (lambda root: next((root / kit.PICTURES).iterdir()).unlink(), "so they have been changed"),
            (
                lambda root: (root / kit.QUESTIONS).unlink(),
                r"expected the Chinese scenes with a manifest\.json .*remove",
            ),
            (lambda root: (root / kit.MANIFEST).unlink(), "expected the Chinese scenes"),
            (lambda root: (root / kit.MANIFEST).write_text("[]"), "expected the Chinese scenes"),
        )
    ):
        root = kit.build(tmp_path / str(number))
        change(root)
        with pytest.raises(ValueError, match=message):
            kit.build(root)


def test_another_version_or_seed_is_refused(few, tmp_path, monkeypatch):
    root = kit.build(tmp_path / "scenes")
    with pytest.raises(ValueError, match=r"found seed 0, expected 5 of this skymm; remove .*scenes"):
        kit.build(root, seed=5)
    monkeypatch.setattr(kit, "VERSION", kit.VERSION + 1)
    with pytest.raises(ValueError, match=f"found version {kit.VERSION - 1}, expected {kit.VERSION}"):
        kit.build(root)

"""Stamps: a miniature of Debian's folder, captions that disagree, and cut-outs that stand out from their ground."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from skymm.curation.record import Record, Rejected
from skymm.curation.sources.stamps import SIDE, Source, agree, compose
from skymm.images import decode_image
from skymm.recipe.sources import StampsSource

OTHERS = "af.utf8='n Leeu\nzh_TW.utf8=獅子\n"


def stamp(folder: Path, name: str, english: str, chinese: str | None = None, colour="red", size=(80, 60)) -> None:
    path = folder / f"{name}.txt"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"{english}\n{OTHERS}" + (f"zh_CN.utf8={chinese}\n" if chinese else "") + "zu.utf8=x\n", "utf-8")
    image = Image.new("RGBA", size, (0, 0, 0, 0))
    ImageDraw.Draw(image).ellipse((0, 0, size[0] - 1, size[1] - 1), fill=colour)
    image.save(path.with_suffix(".png"))


@pytest.fixture
def root(tmp_path) -> Path:
    folder = tmp_path / "usr" / "share" / "tuxpaint" / "stamps"
    stamp(folder, "animals/cats/lion", "A lion.", "一个洋葱。")
    stamp(folder, "animals/dog", "A dog.", "一只狗。")
    stamp(folder, "animals/koala", "A koala.", None)
    stamp(folder, "food/dot", "A dot.", "点", size=(20, 10))
    stamp(folder, "symbols/alphabets/a", "The letter A.", "字母A")
    stamp(folder, "town/bench", "A bench.", "长椅")
    (folder / "town" / "bench.png").rename(folder / "town" / "bench.svg")
    stamp(folder, "town/page", "A house.", "房子")
    (folder / "town" / "page.png").write_bytes(b"<!doctype html>")
    stamp(folder, "town/lost", "A house.", "房子")
    (folder / "town" / "lost.png").unlink()
    stamp(folder, "town/old", "A house.", "房子")
    (folder / "town" / "old.txt").write_bytes("A house.\nzh_CN.utf8=房子\n".encode("gb18030"))
    (folder / "town" / "silent.txt").write_text("\n")
    Image.new("P", (90, 70)).save(folder / "town" / "silent.png")
    (folder / "animals" / "dog_desc_de.ogg").write_bytes(b"OggS")
    return tmp_path


def outcomes(root: Path, **fields) -> dict[str, Record | Rejected]:
    source = Source(StampsSource(format="stamps", tasks=["captions"], root=str(root), **fields))
    found = [outcome for row in source.rows() for outcome in source.records(row)]
    assert [outcome.key for outcome in found] == sorted(outcome.key for outcome in found)
    return {outcome.key: outcome for outcome in found}


def test_every_stamp_is_a_record_or_counted(root):
    found = outcomes(root)
    assert {key: outcome.reason for key, outcome in found.items() if isinstance(outcome, Rejected)} == {
        "animals_cats_lion": "captions disagree",
        "food_dot": "too small",
        "symbols_alphabets_a": "a symbol",
        "town_bench": "a drawing",
        "town_page": "unreadable image",
        "town_lost": "no picture there",
        "town_old": "not UTF-8 text",
        "town_silent": "no caption",
    }
    dog, koala = found["animals_dog"], found["animals_koala"]
    assert [(caption.language, caption.text) for caption in dog.captions] == [("en", "A dog."), ("zh", "一只狗。")]
    assert [(caption.language, caption.text) for caption in koala.captions] == [("en", "A koala.")]
    image = decode_image(dog.pictures["jpg"].read(), "dog")
    assert image.size == (SIDE, SIDE)
    assert outcomes(root) == found and outcomes(root, seed=1)["animals_dog"] != dog
    # The folder itself serves as well as what it was unpacked into.
    assert outcomes(root / "usr" / "share" / "tuxpaint" / "stamps").keys() == found.keys()


def test_the_check_and_the_symbols_are_the_recipes(root):
    assert isinstance(outcomes(root, check=False)["animals_cats_lion"], Record)
    assert isinstance(outcomes(root, symbols=True)["symbols_alphabets_a"], Record)


def test_no_stamps(tmp_path):
    with pytest.raises(ValueError, match=r"found no stamps, .*apt-get download tuxpaint-stamps-default"):
        outcomes(tmp_path)


@pytest.mark.parametrize(
    ("english", "chinese"),
    [
        ("A dog.", "一只狗。"),
        ("A red kangaroo.", "一只红色的袋鼠。"),
        ("Some cherries.", "樱桃"),
        ("A Silver Gull.", "银鸥。"),
        ("A seagull.", "海鸥"),
        ("A red one.", "红色的"),
        ("A cathedral.", "大教堂。"),
    ],
)
def test_captions_that_agree(english, chinese):
    assert agree(english, chinese)


@pytest.mark.parametrize(
    ("english", "chinese"),
    [
        ("A lion.", "一个洋葱。"),
        ("A bear.", "梨。"),
        ("A prune.", "一把剪刀。"),
        ("A Red Gazania.", "红十字勋章。"),
        ("A yak.", "废话。"),
        ("An ant.", "大象"),
    ],
)
def test_captions_that_disagree(english, chinese):
    assert not agree(english, chinese)


@pytest.mark.parametrize("colour", ["white", "black", "navy", "ivory"])
@pytest.mark.parametrize("size", [(300, 40), (40, 300), (1226, 309)])
def test_a_cut_out_stands_whole_on_a_ground_of_other_brightness(colour, size):
    image = Image.new("RGBA", size, (0, 255, 0, 0))  # what is transparent has a colour that must not show
    ImageDraw.Draw(image).rectangle((0, 0, size[0] - 1, size[1] - 1), fill=colour)
    for seed in range(4):
        made = decode_image(compose(image, random.Random(seed)), "x").convert("L")
        corner, middle = made.getpixel((3, 3)), sorted(made.resize((64, 64)).tobytes())
        there = Image.new("RGB", (1, 1), colour).convert("L").getpixel((0, 0))
        assert abs(corner - there) > 80
        assert min(abs(value - there) for value in middle) < 25
    hidden = Image.new("RGBA", (60, 60), (0, 255, 0, 0))
    hidden.paste((200, 0, 0, 255), (20, 20, 40, 40))
    pixels = np.asarray(decode_image(compose(hidden, random.Random(0)), "x"))
    assert not ((pixels[..., 1] > 150) & (pixels[..., 0] < 100)).any()

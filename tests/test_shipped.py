"""The model that comes with skymm: the right bytes, small, opened when nothing is named, honest about a picture of nothing."""

from __future__ import annotations

import json
import re
from functools import cache

import pytest
from PIL import Image

from skymm import shipped
from skymm.answering import opening
from skymm.assets import AssetError
from skymm.shipped import shipped_model_dir


def test_its_weights_are_those_of_the_card_and_small():
    directory = shipped_model_dir()
    files = [path for path in directory.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) < 25_000_000
    config = (directory / "config.json").read_text("utf-8")
    assert '"/' not in config, "no path of the machine that trained it"
    assert set(json.loads(config)["calibration"]) == {"en", "zh"}
    assert shipped.SHIPPED_SHA256[:12] in (directory / "README.md").read_text("utf-8")


def test_other_weights_are_refused(monkeypatch):
    monkeypatch.setattr(shipped, "SHIPPED_SHA256", "0" * 64)
    with pytest.raises(AssetError, match="expected 0000"):
        shipped_model_dir()


def test_without_a_model_it_is_asked(skymm, tmp_path, monkeypatch):
    monkeypatch.setattr(opening, "open_answerer", cache(opening.open_answerer))  # once is enough
    Image.new("RGB", (64, 64), "green").save(tmp_path / "empty.png")
    for question, no in (("Is there a dog in the picture?", "No"), ("图里有狗吗？", "没有")):
        asked = skymm("ask", tmp_path / "empty.png", question)
        assert asked.returncode == 0 and asked.stdout.startswith(no), (asked.stdout, asked.stderr)
        assert int(re.search(r"yes: (\d+)%", asked.stderr)[1]) < 50, "and how sure it is"
    described = skymm("ask", tmp_path / "empty.png", "Describe this picture.")
    assert described.stdout.strip() and "yes:" not in described.stderr
    alone = skymm("ask", tmp_path / "empty.png")
    assert alone.returncode == 1 and "expected an image and a question" in alone.stderr
    missing = skymm("ask", tmp_path / "missing.png", "Is there a dog?")
    assert missing.returncode == 1 and "no image at" in missing.stderr

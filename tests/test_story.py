"""The story itself, small: quickstart's own code on tiny parts, from nothing to the page, and again."""

import json
import re
from functools import partial

import pytest

from skymm import quickstart
from skymm.evaluation.predictions import read_lines
from skymm.train import loop
from skymm.train.runlog import read_log


@pytest.fixture
def tiny_story(tmp_path, tiny_llm, tiny_tower, monkeypatch):
    """The shipped recipes with tiny frozen parts and little data in place of the real ones."""
    from skymm import assets
    from skymm.recipe import load

    monkeypatch.setattr(assets, "default_llm_dir", lambda *a: tiny_llm)
    monkeypatch.setattr(quickstart, "SHIPPED", str(tmp_path / "story" / "stage1"))  # the real one takes its time
    monkeypatch.setattr(loop, "seconds_per_step", partial(loop.seconds_per_step, least_seconds=0.0))
    small = {
        "words": [f"model.llm={tiny_llm}", f'model.towers=["{tiny_tower}"]', "model.resampler.num_latents=8"],
        "quickstart": ["num_images=12", "images_per_shard=4", "bench_images=1"],
    }
    monkeypatch.setattr(
        quickstart.recipes,
        "load",
        lambda path, kind, overrides=(): load(path, kind, [*overrides, *small.get(path.stem, [])]),
    )
    return tmp_path / "story"


def test_from_nothing_to_the_page_and_again(tiny_story, capfd):
    quickstart.quickstart(tiny_story, minutes=0.01)
    printed = capfd.readouterr()
    for title in quickstart.MODELS.values():
        assert title in printed.out
    assert "page.html" in printed.err and "minutes" in printed.err
    assert re.search(
        r"Only 12 steps of stage 2 fit .* skymm quickstart --minutes \d+ --out", " ".join(printed.err.split())
    )
    page = (tiny_story / "page.html").read_text("utf-8")
    assert (
        page.count("data:image/jpeg;base64,") == 8 + 3 and "有" in page
    )  # two of existence, one of each other, three photos
    photos = page[page.index("one that has seen photos") :]
    assert all(photos.count(told) == 2 * 3 for told in ("Is there a", "吗？")) and "cat.jpg" in photos
    plan = json.loads((tiny_story / "plan.json").read_text("utf-8"))
    assert [*plan["steps"]] == ["words", "stage1", "positives", "stage2"], "each planned when its turn comes"
    assert (tiny_story / "stage2" / "config.json").exists()
    positives, both = (
        [line["negative_share"] for line in read_log(tiny_story / name)] for name in ("positives", "stage2")
    )
    assert max(positives) == 0.0, "it never sees a negative"
    assert sum(both) / len(both) == pytest.approx(0.5, abs=0.1)

    kept = {path: path.stat().st_mtime_ns for path in tiny_story.glob("*/*.safetensors")}
    answers = read_lines(tiny_story / "answers" / "stage2" / "bench_zh")
    quickstart.quickstart(tiny_story, minutes=0.01)
    assert {path: path.stat().st_mtime_ns for path in tiny_story.glob("*/*.safetensors")} == kept
    assert read_lines(tiny_story / "answers" / "stage2" / "bench_zh") == answers

    with pytest.raises(ValueError, match=r"holds a story of 0\.01 minutes"):
        quickstart.quickstart(tiny_story, minutes=5)

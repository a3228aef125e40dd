"""Pairs that one tower takes for the same and another does not: found whatever the blocks, never copies, and a benchmark."""

from __future__ import annotations

import csv
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
import transformers
from PIL import Image
from torch.nn import functional as F
from typer.testing import CliRunner

from skymm.cli import app
from skymm.evaluation.benchmarks import mmvp
from skymm.evaluation.kits import blind_pairs
from skymm.evaluation.kits.blind_pairs import Pair, Seen, choose, find, shares_below
from skymm.recipe import EvalRecipe


def seen(*vectors: torch.Tensor) -> Seen:
    return Seen([Path(f"{n}.jpg") for n in range(len(vectors[0]))], tuple(F.normalize(v, dim=-1) for v in vectors), {})


@pytest.fixture
def forty() -> Seen:
    """40 photos; both towers see 1 as 2, the first alone sees 3 as 30, the second alone 5 as 6."""
    first, second = torch.randn(2, 40, 6, generator=torch.Generator().manual_seed(0))
    first[2], second[2] = first[1], second[1]
    first[30], second[30] = first[3], -second[3]
    second[6], first[6] = second[5], -first[5]
    return seen(first, second)


@pytest.mark.parametrize("block", [7, 100, 1 << 22])
def test_blocks_find_what_comparing_all_finds(forty, monkeypatch, block):
    monkeypatch.setattr(blind_pairs, "BLOCK", block)
    assert all(cosines.numel() <= max(block, 40) for _, cosines, _ in blind_pairs.blocks(forty.vectors[0]))
    (only,) = find(forty, above=0.95, below=-0.95)
    assert (only.first, only.second) == (3, 30) and only.alike == pytest.approx((1, -1), abs=1e-5)

    cosines = [vectors @ vectors.T for vectors in forty.vectors]
    gaps = {
        (i, j): float(cosines[0][i, j] - cosines[1][i, j])
        for i in range(40)
        for j in range(i + 1, 40)
        if cosines[0][i, j] > 0.6 and cosines[1][i, j] < 0.1
    }
    pairs = find(forty, above=0.6, below=0.1)
    assert [(one.first, one.second) for one in pairs] == sorted(gaps, key=gaps.get, reverse=True) and len(pairs) > 10

    upper = [one[*torch.triu_indices(40, 40, 1)].sort().values for one in cosines]
    shares = [shares_below(vectors) for vectors in forty.vectors]
    for one, ordered in zip(shares, upper):
        assert blind_pairs.cosine_at(one, 0.9) == pytest.approx(float(ordered[int(0.9 * 780)]), abs=0.02)
    by_share = find(forty, above=0.9, below=0.5, shares=shares)
    low, high = float(upper[0][int(0.9 * 780)]), float(upper[1][390])
    assert by_share and all(one.alike[0] > low - 1e-3 and one.alike[1] < high + 1e-3 for one in by_share)


def picture(seed: int, red: int = 0) -> Image.Image:
    """Blobs of green and blue; red ones of another seed."""
    channels = [
        np.random.default_rng([seed, channel, red if channel == 0 else 0]).integers(0, 256, (4, 4))
        for channel in range(3)
    ]
    return Image.fromarray(np.stack(channels, -1).astype(np.uint8)).resize((64, 64), Image.Resampling.BICUBIC)


@pytest.fixture
def photos(tmp_path) -> Path:
    """Ten photos; 10 is 3 with other red, 4 lies there once more, once as a copy and once scaled as a JPEG."""
    folder = tmp_path / "photos" / "below"
    folder.mkdir(parents=True)
    for number in range(10):
        picture(number).save(folder / f"{number:02d}.png")
    picture(3, red=1).save(folder / "10.png")
    shutil.copy(folder / "04.png", folder / "11.png")
    picture(4).resize((96, 96), Image.Resampling.BICUBIC).save(folder / "12.jpg", quality=95)
    (folder / "13.jpg").write_bytes(b"no picture")
    (folder / "notes.txt").write_text("no photo")
    return folder.parent


def save_tower(directory: Path, *, blind_to_red: bool) -> Path:
    """A random ViT that is all patches and no places."""
    torch.manual_seed(0)
    sizes = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 1, "num_attention_heads": 4}
    model = transformers.ViTModel(transformers.ViTConfig(**sizes, image_size=32, patch_size=8), add_pooling_layer=False)
    with torch.no_grad():
        weight = model.embeddings.patch_embeddings.projection.weight.normal_(std=0.2)
        model.embeddings.position_embeddings.zero_()
        weight[:, 0] *= 0 if blind_to_red else 4
    model.save_pretrained(directory)
    return directory


def test_a_planted_pair_becomes_a_benchmark(photos, tmp_path, monkeypatch):
    towers = [save_tower(tmp_path / name, blind_to_red=name == "blind") for name in ("blind", "sighted")]
    out = tmp_path / "out"
    command = ["data", "blind-pairs", photos, "--out", out, "--towers", *towers, "--above", "0.999", "--below"]

    def run(*more: object, **options: object) -> str:
        return CliRunner().invoke(app, list(map(str, [*command, *more])), catch_exceptions=False, **options).output

    with pytest.raises(
        ValueError, match=r"12 photos have no pair that blind puts above 0.999 and sighted below -0.9.*90%"
    ):
        run("-0.9")
    monkeypatch.setattr(blind_pairs.Tower, "forward", None)  # all has been seen
    assert "1 pairs of 12 photos" in run("0.9")
    sheet = list(csv.DictReader((out / "Questions.csv").open(encoding="utf-8-sig")))
    assert [(row["Index"], row["File"]) for row in sheet] == [("1", "below/03.png"), ("2", "below/10.png")]
    assert float(sheet[0]["blind"]) > 0.999 and float(sheet[0]["sighted"]) < 0.9
    page = (out / "page.html").read_text("utf-8")
    assert page.count("<img") == 2 and "below/10.png" in page and "photos that cannot be read" in page
    assert "1 pairs of 12 photos" in run("0.9", "--language", "zh"), "nothing has been filled in"
    assert "视觉模式" in (out / "page.html").read_text("utf-8")

    asked = {"Question": "Is there red on the left?", "Options": "(a) Yes (b) No", "Pattern": "Color and Appearance"}
    filled = [row | asked | {"Correct Answer": answer} for row, answer in zip(sheet, ("(b)", "(a)"))]
    with (out / "Questions.csv").open("w", newline="", encoding="utf-8-sig") as file:
        writer = csv.DictWriter(file, list(sheet[0]))
        writer.writeheader()
        writer.writerows(filled)
    questions = mmvp.load(EvalRecipe(benchmark="mmvp", root=str(out)))
    assert [(one.gold, one.cluster, one.images[0].name) for one in questions] == [
        ("b", "1", "1.jpg"),
        ("a", "1", "2.jpg"),
    ]
    with pytest.raises(ValueError, match=r"Questions.csv has been filled in, and would be overwritten"):
        run("0.9")


def test_each_photo_is_in_one_pair_and_no_photo_is_there_twice(photos):
    paths = [photos / "below" / f"{n:02d}.png" for n in range(11)] + [photos / "below" / "12.jpg"]
    pairs = [Pair(4, 11, (1.0, 0.0)), Pair(0, 4, (1.0, 0.1)), Pair(1, 4, (1.0, 0.2)), Pair(2, 11, (1.0, 0.3))]
    pairs += [Pair(3, 10, (1.0, 0.4)), Pair(5, 6, (1.0, 0.5))]
    chosen, copies = choose(pairs, paths, 2)
    assert [(one.first, one.second) for one in chosen] == [(0, 4), (3, 10)] and copies == 2, (
        "(4, 11) is one photo, and 11 is a copy of 4"
    )

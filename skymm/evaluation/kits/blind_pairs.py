"""Pictures that one tower takes for the same and another does not: what an MMVP of one's own is made of.

Tong et al. 2024 (MMVP, arXiv 2401.06209) looked for pairs that CLIP sees as one (cosine above 0.95) and DINOv2 does not
(below 0.6), and wrote a question about each difference. Here it is any two towers and any folder of photos. What a tower sees
of a photo is the mean of its patch features, of which a resampler reads; MMVP compares class tokens.

It stands in the room of benchmarks, since that is what it makes, and above the models, since towers have to look.
"""

from __future__ import annotations

import csv
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from skymm.curation.filters.pictures import COLOUR_RANGE, Fingerprint, fingerprint
from skymm.data.features import FeatureCache, image_key
from skymm.data.shards import IMAGE_SUFFIXES
from skymm.files import whole_file
from skymm.images import UnreadableImage, open_image
from skymm.model.language import pick_dtype
from skymm.model.patch_encoder import load_tower
from skymm.model.vision import Tower
from skymm.page.document import Card, Cards, Line, Page, Section, Table, data_url, read_words, write_page
from skymm.tables import read_rows

SHEET, PICTURES, PAGE, CACHE = "Questions.csv", "MMVP Images", "page.html", "features"
TO_FILL = ("Question", "Options", "Correct Answer", "Pattern")
COSINES, BY_SHARE = (0.95, 0.6), (0.999, 0.99)
"""Above and below: MMVP's, and as shares of all pairs: one in a thousand for one tower, not one in a hundred for the other."""
NUM_BINS = 20_000  # of cosines from -1 to 1
BLOCK = 1 << 22
"""Similarities that are in memory at a time."""
PARTNERS = 8
"""The best so many of each photo are kept, so that memory grows with the photos and not with the pairs."""
COPY_BITS = 8
"""Bits of 64 within which two photos of the same mean colour are one: encoded anew, scaled, cropped by some 4 % a side. Of
48,000 pairs of photos of different traffic signs one is that near."""
SHARES = (0.5, 0.9, 0.99, 0.999, 0.9999)


@dataclass(frozen=True, slots=True)
class Pair:
    """Two photos by number, and how alike both towers find them (cosines)."""

    first: int
    second: int
    alike: tuple[float, float]


# --- looking ----------------------------------------------------------------------------------------------------------


def photos_in(folder: str | Path) -> list[Path]:
    """All pictures at any depth, sorted. Raises ValueError where there are none."""
    found = [path for path in sorted(Path(folder).rglob("*")) if path.suffix.lower().lstrip(".") in IMAGE_SUFFIXES]
    if not found:
        raise ValueError(f"found no picture in {folder}, expected files that end with {', '.join(IMAGE_SUFFIXES)}")
    return found


@dataclass(frozen=True, slots=True)
class Seen:
    """Photos, each once, with what both towers see of each: unit vectors (P, C). `left_out`: how many were not, and why."""

    photos: list[Path]
    vectors: tuple[Tensor, Tensor]
    left_out: dict[str, int]


def look(
    photos: Sequence[Path],
    towers: tuple[Tower, Tower],
    cache_dir: Path,
    *,
    advance: Callable[[int], None] = lambda photos: None,
) -> Seen:
    """What both towers see of each photo, kept in `cache_dir`: a second look is short, and one that was stopped goes on."""
    cache = FeatureCache(
        cache_dir,
        fingerprints=[f"{tower.fingerprint()}-mean" for tower in towers],
        shapes=[(1, tower.width) for tower in towers],
    )
    device = next(towers[0].parameters()).device
    known: dict[bytes, Path] = {}
    left_out = {"unreadable": 0, "copies": 0}

    def encode(images: list[Image.Image]) -> list[Tensor]:
        pixels = (torch.stack([tower.preprocess(image) for image in images]).to(device) for tower in towers)
        return [tower(one).float().mean(1, keepdim=True) for tower, one in zip(towers, pixels)]

    def missing() -> Iterator[tuple[bytes, Image.Image]]:
        for path in photos:
            data = path.read_bytes()
            key = image_key(data)
            left_out["copies"] += key in known
            if key not in cache and key not in known:
                try:
                    image = open_image(data, str(path))
                except UnreadableImage:
                    left_out["unreadable"] += 1
                    advance(1)
                    continue
                yield key, image
            known.setdefault(key, path)
            advance(1)

    for _ in cache.add(missing(), encode):
        pass
    rows = zip(*(cache.get(key) for key in known))
    vectors = tuple(F.normalize(torch.cat(list(row)).float(), dim=-1) for row in rows)
    return Seen(list(known.values()), vectors, left_out)


# --- finding ----------------------------------------------------------------------------------------------------------


def blocks(vectors_PC: Tensor) -> Iterator[tuple[int, Tensor, Tensor]]:
    """(first row, cosines (R, P - first), which of them are of two photos that were not compared yet), block by block."""
    count, start = len(vectors_PC), 0
    while start < count:
        rows = vectors_PC[start : start + max(1, BLOCK // (count - start))]
        cosines = rows @ vectors_PC[start:].T
        yield start, cosines, torch.ones_like(cosines, dtype=torch.bool).triu(1)
        start += len(rows)


def shares_below(vectors_PC: Tensor) -> Tensor:
    """(NUM_BINS,): the share of all pairs whose cosine is in this bin or a lower one."""
    counts = sum(torch.histc(cosines[later], NUM_BINS, -1, 1).double() for _, cosines, later in blocks(vectors_PC))
    return counts.cumsum(0) / counts.sum()


def bin_of(cosines: Tensor) -> Tensor:
    return ((cosines + 1) * (NUM_BINS / 2)).long().clamp(0, NUM_BINS - 1)


def find(seen: Seen, *, above: float, below: float, shares: Sequence[Tensor] | None = None) -> list[Pair]:
    """Pairs that the first tower finds more alike than `above` and the second less than `below`, the widest gap first.

    `above` and `below` are cosines; with `shares` (`shares_below` of each tower) they are shares of all pairs: 0.999 is what
    only one pair in a thousand exceeds.
    """
    gaps: list[tuple[float, Pair]] = []
    for (start, first, later), (_, second, _) in zip(*map(blocks, seen.vectors)):
        one, other = (
            (first, second) if shares is None else (s[bin_of(c)].float() for s, c in zip(shares, (first, second)))
        )
        wanted = later & (one > above) & (other < below)
        gap = torch.where(wanted, one - other, -torch.inf)
        best = gap.topk(min(PARTNERS, gap.shape[1]), dim=1)
        for row, place in (best.values > -torch.inf).nonzero().tolist():
            column = int(best.indices[row, place])
            pair = Pair(start + row, start + column, (float(first[row, column]), float(second[row, column])))
            gaps.append((float(best.values[row, place]), pair))
    return [pair for _, pair in sorted(gaps, key=lambda one: (-one[0], one[1].first, one[1].second))]


def choose(pairs: Sequence[Pair], photos: Sequence[Path], most: int) -> tuple[list[Pair], int]:
    """At most so many of the pairs, each photo once, and how many were passed over since a photo is nearly another one."""
    chosen: list[Pair] = []
    known: dict[int, Fingerprint] = {}
    passed = 0
    for pair in pairs:
        if len(chosen) == most:
            break
        if pair.first in known or pair.second in known:
            continue
        first, second = (fingerprint(open_image(photos[number])) for number in (pair.first, pair.second))
        if is_copy(first, second) or any(is_copy(one, other) for one in (first, second) for other in known.values()):
            passed += 1
            continue
        known |= {pair.first: first, pair.second: second}
        chosen.append(pair)
    return chosen, passed


def is_copy(one: Fingerprint, other: Fingerprint) -> bool:
    """Whether they are nearly one photo. The fine hash is for drawn words, and knows a crop no more."""
    colours = max(abs(a - b) for a, b in zip(one.colour, other.colour))
    return (one.coarse ^ other.coarse).bit_count() <= COPY_BITS and colours <= COLOUR_RANGE


# --- writing ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is looked for: names of two towers, thresholds of `find` (`by_share`: as shares), at most so many pairs."""

    towers: tuple[str, str]
    above: float
    below: float
    by_share: bool = False
    most: int = 150


def build(
    folder: str | Path,
    out: str | Path,
    wanted: Wanted,
    *,
    language: str = "en",
    advance: Callable[[int], None] = lambda photos: None,
) -> str:
    """Write OUT/{page.html, Questions.csv, MMVP Images/N.jpg}: the blind pairs of a folder, and MMVP's sheet to be filled in by
    people. Returns what was found, in a sentence. What has been filled in is never overwritten.

    Raises ValueError where something is, and where no pair is found, with what the towers' cosines are.
    """
    out, photos, words = Path(out), photos_in(folder), read_words(__package__, "blind_pairs", language)
    check_unfilled(out)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    first, second = (load_tower(name, dtype=pick_dtype(device)).to(device) for name in wanted.towers)
    seen = look(photos, (first, second), out / CACHE, advance=advance)
    shares = [shares_below(vectors) for vectors in seen.vectors]
    pairs = find(seen, above=wanted.above, below=wanted.below, shares=shares if wanted.by_share else None)
    chosen, copies = choose(pairs, seen.photos, wanted.most)
    names = [Path(name).name for name in wanted.towers]
    known = [[f"{cosine_at(one, share):.3f}" for share in SHARES] for one in shares]
    if not chosen:
        told = "; ".join(f"{name}: {', '.join(row)}" for name, row in zip(names, known))
        raise ValueError(
            f"{len(seen.photos)} photos have no pair that {names[0]} puts above {wanted.above} and {names[1]} below "
            f"{wanted.below}; give other thresholds, or --by-share. The cosines that {', '.join(map(_percent, SHARES))} of "
            f"all pairs do not exceed are, for {told}"
        )
    if (out / PICTURES).exists():
        shutil.rmtree(out / PICTURES)  # of the sheet that nobody has filled in
    (out / PICTURES).mkdir()
    rows, cards = [], []
    for number, pair in enumerate(chosen):
        shown = []
        for index, photo in enumerate((pair.first, pair.second), 2 * number + 1):
            path = seen.photos[photo]
            image = open_image(path)
            image.save(out / PICTURES / f"{index}.jpg", quality=95)
            name = str(path.relative_to(folder))
            rows.append([index, *("" for _ in TO_FILL), name, *(f"{cosine:.4f}" for cosine in pair.alike)])
            shown.append((f"{index}: {name}", data_url(image, 480)))
        lines = [Line(f"{cosine:.3f}", label=tower) for tower, cosine in zip(names, pair.alike)]
        cards.append(Card(shown, lines, " · ".join(name for name, _ in shown)))
    with whole_file(out / SHEET, "w", encoding="utf-8-sig", newline="") as file:
        csv.writer(file).writerows([["Index", *TO_FILL, "File", *names], *rows])
    found = {"pairs": len(chosen), "photos": len(seen.photos), **seen.left_out, "passed": copies}
    page = Page(
        words["title"],
        words["html_language"],
        words["by_share" if wanted.by_share else "by_cosine"].format(
            first=names[0], second=names[1], above=wanted.above, below=wanted.below
        ),
        [
            Section(words["pairs"], [words["what_to_do"].format(sheet=SHEET), Cards(cards, "", wide=True)]),
            Section(
                words["patterns"],
                [Table([words["pattern"], words["asks"]], list(words["asked"].items()), wordy=frozenset([1]))],
            ),
            Section(
                words["cosines"],
                [
                    Table([words["tower"], *map(_percent, SHARES)], [[n, *k] for n, k in zip(names, known)]),
                    words["vector"],
                ],
            ),
        ],
        [(words[name], f"{count:,}") for name, count in found.items() if count or name in ("pairs", "photos")],
    )
    write_page(page, out / PAGE)
    return f"{len(chosen)} pairs of {len(seen.photos)} photos: {out / PAGE}; questions go into {out / SHEET}"


def check_unfilled(out: Path) -> None:
    """Raises ValueError where somebody has written questions, or where pictures lie that are not a sheet's."""
    sheet = out / SHEET
    filled = sheet.exists() and any(str(row.get(name) or "").strip() for row in read_rows(sheet) for name in TO_FILL)
    if filled or ((out / PICTURES).exists() and not sheet.exists()):
        what = f"{sheet} has been filled in" if filled else f"{out / PICTURES} is there without {SHEET}"
        raise ValueError(f"{what}, and would be overwritten; name another --out")


def cosine_at(shares: Tensor, share: float) -> float:
    """The cosine that this share of all pairs does not exceed."""
    return (int(torch.searchsorted(shares, share)) + 1) * 2 / NUM_BINS - 1


def _percent(share: float) -> str:
    return f"{share * 100:g}%"

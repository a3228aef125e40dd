"""Evidence maps where it is known what the answer hangs on, and of a real model."""

import math
from types import SimpleNamespace

import pytest
import torch
from PIL import Image
from test_local_models import GREEN, RED, YES_NO

from skymm.answering.protocol import Ask
from skymm.answering.skymm_model import SkyMMAnswerer
from skymm.serve.evidence import EvidenceMap, Occlusion, evidence_map, passes

ASK = Ask("Is it there?", (RED,), YES_NO)


class Knowing:
    """Its log-odds of yes are a function of features that are 1 in the patches of `thing` and 0 elsewhere."""

    name = "knowing"

    def __init__(self, thing, log_odds, grids=((6, 6), (12, 12))):
        self.model = SimpleNamespace(towers=[SimpleNamespace(grid=grid) for grid in grids])
        self.features = []
        for rows, columns in grids:
            seen = torch.zeros(1, rows * columns, 2)
            for row, column in thing:
                seen.view(1, rows, columns, 2)[
                    :, row * rows // 6 : (row + 1) * rows // 6, column * columns // 6 : (column + 1) * columns // 6
                ] = 1
            self.features.append(seen)
        self.log_odds, self.batches = log_odds, []

    def features_of(self, ask):
        return self.features

    def choose_by(self, ask, versions):
        self.batches.append(len(versions[0]))
        found = []
        for row in range(len(versions[0])):
            odds = self.log_odds(
                [one[row].sum().item() / self.features[i].sum().item() for i, one in enumerate(versions)]
            )
            found.append({"yes": -math.log1p(math.exp(-odds)), "no": -math.log1p(math.exp(odds))})
        return found


THING = [(1, 3), (1, 4), (2, 3), (2, 4)]


def test_what_the_answer_hangs_on_is_marked_and_passes():
    knowing = Knowing(THING, lambda seen: 4 * min(seen) - 1)
    found = evidence_map(Occlusion(knowing, ASK))
    assert found.answer == "yes" and found.log_odds == pytest.approx(3)
    assert found.marked == {6 * row + column for row, column in THING} and found.passed
    assert found.deleted > 3 and found.beaten == len(found.by_chance) == 20
    assert 1 / 6 < found.peak[1] < 3 / 6 and 3 / 6 < found.peak[0] < 5 / 6, "rows are heights, columns widths"
    assert len(knowing.batches) == 4 and sum(knowing.batches) == 1 + 49 + 21, "versions are asked in batches"


@pytest.mark.parametrize(
    "log_odds",
    [
        lambda seen: 2.0,  # it does not look
        lambda seen: 2 + 0.1 * seen[0],  # it looks, and nothing comes of it
    ],
)
def test_a_map_of_nothing_is_not_to_be_trusted(log_odds):
    assert not evidence_map(Occlusion(Knowing(THING, log_odds), ASK)).passed


def test_other_cells_than_the_evidence_fail():
    picture = Occlusion(Knowing(THING, lambda seen: 4 * min(seen) - 1), ASK)
    assert passes(*picture.test(frozenset({9, 10, 15, 16})))
    deleted, by_chance = picture.test(frozenset({30, 31, 34, 35}))
    assert deleted < 0.2 and not passes(deleted, by_chance)


def test_random_deletions_are_as_many_and_mostly_elsewhere():
    from random import Random

    from skymm.serve.evidence import _elsewhere

    marked = frozenset({9, 10, 15, 16})
    others = [one for seed in range(20) for one in _elsewhere(marked, 6, Random(seed))]
    assert {len(one) for one in others} == {4} and max(len(one & marked) for one in others) == 2
    shapes = {frozenset(cell - min(one) for cell in one) for one in others}
    assert frozenset({0, 1, 6, 7}) in shapes and len(shapes) > 100, "of the same shape, and scattered"


def test_the_answer_no_has_a_map_of_what_speaks_for_no():
    found = evidence_map(Occlusion(Knowing(THING, lambda seen: 1 - 4 * min(seen)), ASK))
    assert found.answer == "no" and found.log_odds == pytest.approx(3) and found.passed


def test_a_real_model_reads_the_versions_as_it_reads_pictures(tiny_model):
    answerer = SkyMMAnswerer(*tiny_model)
    asks = [Ask("Is it red?", (image,), YES_NO) for image in (RED, GREEN)]
    plain = [reply.logits for _, reply in answerer.answer(asks, "logits")]
    versions = [torch.cat(both) for both in zip(*map(answerer.features_of, asks))]
    for one, other in zip(plain, answerer.choose_by(asks[0], versions)):
        assert one == pytest.approx(other, abs=1e-4)
    found = evidence_map(Occlusion(answerer, asks[0]))
    assert found.side == 2 and found.answer == max(plain[0], key=plain[0].get)
    assert found.log_odds == pytest.approx(abs(plain[0]["yes"] - plain[0]["no"]), abs=1e-4)


def test_what_there_can_be_no_map_of_is_refused(tiny_model):
    for ask, why in ((Ask("red?", (RED, GREEN), YES_NO), "2 images"), (Ask("red?", (RED,)), r"choices \(\)")):
        with pytest.raises(ValueError, match=why):
            Occlusion(SkyMMAnswerer(*tiny_model), ask)
    with pytest.raises(ValueError, match="too few"):
        Occlusion(Knowing([], None, grids=((6, 6), (1, 1))), ASK)


def test_marked_cells_are_lit_and_keep_their_colours():
    made = EvidenceMap(4, "yes", 1.0, tuple(float(cell == 6) for cell in range(16)), frozenset({6}), 1.0, (0.0,))
    over = made.over(Image.new("RGB", (80, 40), "red"))
    (red, green, _), elsewhere = over.getpixel((50, 15)), over.getpixel((10, 35))
    assert red > 240 and green < 15 and len(set(elsewhere)) == 1 and elsewhere[0] < 40

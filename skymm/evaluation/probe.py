"""Where it is lost: what a model's towers can tell, and what its latents name, asked for the same things as the model.

The towers are read by a logistic regression for each kind of thing on the mean of an image's features, fitted to shards that
know what is there (Alain & Bengio, "Understanding intermediate layers using linear classifier probes", 2016). It has no
language and no idea of a place in the picture, so a model that sees should be above it; one below loses behind its eyes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

import torch
import torch.nn.functional as F
from torch import Tensor

from skymm.answering.protocol import Ask
from skymm.answering.skymm_model import SkyMMAnswerer
from skymm.curation.record import Facts
from skymm.data.shards import conversation_of, expand, read_shard
from skymm.evaluation.benchmark import Question
from skymm.evaluation.statistics import auroc
from skymm.lexicon import find, load, vocabulary
from skymm.statements import asked_of
from skymm.text import language_of, normalise
from skymm.verdict import YES

_DECAY = 0.01  # between 0.003 and 0.03 the AUROC on held-out photos differed by 0.01
_ENOUGH = 5  # images with a thing, and without it
_IMAGES = 64  # at a time


@dataclass(frozen=True, slots=True)
class Probe:
    """One reader for each of `things`. `weights` (C + 1, T), the last row added; for features scaled by `mean` and `scale`."""

    things: tuple[str, ...]
    weights: Tensor
    mean: Tensor
    scale: Tensor

    def logits(self, pooled_IC: Tensor) -> Tensor:
        """(I, T)"""
        return (pooled_IC - self.mean) / self.scale @ self.weights[:-1] + self.weights[-1]


def fit(answerer: SkyMMAnswerer, shards: Sequence[str]) -> Probe:
    """Raises ValueError where no thing is known often enough to be there and not to be there."""
    known: list[tuple[frozenset[str], frozenset[str]]] = []

    def images() -> Iterator[bytes]:
        for path in (path for one in shards for path in expand(one)):
            for sample in read_shard(path):
                conversation = conversation_of(sample)
                known_of = _known(Facts.from_json(conversation.extra.get("facts", {})))
                if len(conversation.images) == 1 and any(known_of):
                    known.append(known_of)
                    yield sample.image(conversation.images[0])

    pooled = [_mean(towers) for towers in _features(answerer, images())]
    names = sorted({name for there, _ in known for name in there})
    truth_IT = torch.tensor([[name in there for name in names] for there, _ in known], dtype=torch.float32)
    is_known_IT = torch.tensor([[name in there or name in absent for name in names] for there, absent in known]).float()
    often = torch.minimum((truth_IT * is_known_IT).sum(0), ((1 - truth_IT) * is_known_IT).sum(0)) >= _ENOUGH
    if not len(names) or not bool(often.any()):
        where = ", ".join(shards)
        raise ValueError(
            f"{where}: there is no thing that {_ENOUGH} images are known to show and {_ENOUGH} not to show"
        )
    truth_IT, is_known_IT = truth_IT[:, often], is_known_IT[:, often]
    pooled_IC = torch.cat(pooled)
    mean, scale = pooled_IC.mean(0), pooled_IC.std(0) + 1e-4
    scaled_IC = (pooled_IC - mean) / scale
    weights = torch.zeros(scaled_IC.shape[1] + 1, truth_IT.shape[1], requires_grad=True)
    optimizer = torch.optim.LBFGS([weights], max_iter=100)

    def loss() -> Tensor:
        optimizer.zero_grad()
        logits_IT = scaled_IC @ weights[:-1] + weights[-1]
        each_IT = F.binary_cross_entropy_with_logits(logits_IT, truth_IT, reduction="none")
        total = ((each_IT * is_known_IT).sum(0) / is_known_IT.sum(0)).sum() + _DECAY * weights[:-1].square().sum()
        total.backward()
        return total

    optimizer.step(loss)
    things = tuple(name for name, is_often in zip(names, often.tolist()) if is_often)
    return Probe(things, weights.detach(), mean, scale)


def judge(probe: Probe, answerer: SkyMMAnswerer, questions: Sequence[Question]) -> tuple[float | None, int]:
    """(AUROC, questions that it is of): those about one image that ask for a thing which the probe knows."""
    asked = [one for one in _asked(questions) if one.thing in probe.things]
    pictures = [*dict.fromkeys(one.image for one in asked)]
    logits = torch.cat([probe.logits(_mean(towers)) for towers in _features(answerer, pictures)] or [torch.empty(0)])
    rows = dict(zip(pictures, logits))
    return _auroc([float(rows[one.image][probe.things.index(one.thing)]) for one in asked], asked)


def told(answerer: SkyMMAnswerer, shards: Sequence[str], questions: Sequence[Question]) -> list[str]:
    """A line for the towers and one for the latents. Raises ValueError for a model of others."""
    if not hasattr(answerer, "features_of"):
        raise ValueError(
            f"{answerer.name} is no model of ours; expected the directory of one, whose towers are looked through"
        )
    towers = judge(fit(answerer, shards), answerer, questions)
    lines = []
    for name, (found, number) in (("towers, linear probe", towers), ("latents", named(answerer, questions))):
        said = "nothing that is known is asked for" if found is None else f"AUROC {found:.3f}"
        lines.append(f"{name}: {said} ({number} of {len(questions)} questions)")
    return lines


@torch.inference_mode()
def named(answerer: SkyMMAnswerer, questions: Sequence[Question]) -> tuple[float | None, int]:
    """(AUROC, questions that it is of) of how near the latents come to the word for what is asked for, in the question's
    language: what the stage "words" teaches. Of a word of several tokens the mean over them counts, of each the cosine of the
    nearest latent.
    """
    model, tokenizer = answerer.model, answerer.tokenizer
    words_VE = F.normalize(model.get_input_embeddings().weight.float(), dim=-1)
    asked = _asked(questions)
    pictures, nearest = [*dict.fromkeys(one.image for one in asked)], []
    for towers in _features(answerer, pictures):
        latents_IKE = F.normalize(model.resampler(towers).float(), dim=-1)
        nearest += [(latents_KE @ words_VE.T).amax(0).cpu() for latents_KE in latents_IKE]
    rows = dict(zip(pictures, nearest))
    odds = []
    for one in asked:
        word = load().words[one.thing]
        text = word.zh if language_of(one.question.text) == "zh" else f" {word.en}"
        odds.append(float(rows[one.image][tokenizer.encode(text, add_special_tokens=False)].mean()))
    return _auroc(odds, asked)


@dataclass(frozen=True, slots=True)
class _Asked:
    question: Question
    thing: str
    image: bytes


def _asked(questions: Sequence[Question]) -> list[_Asked]:
    """Those about one image that ask for a thing of the lexicon."""
    found = []
    for one in questions:
        asked = asked_of(normalise(one.text).lower())
        if asked and asked.thing and asked.thing[-1] in load().words and len(one.images) == 1:
            image = one.images[0] if isinstance(one.images[0], bytes) else one.images[0].read_bytes()
            found.append(_Asked(one, asked.thing[-1], image))
    return found


def _auroc(odds: Sequence[float], asked: Sequence[_Asked]) -> tuple[float | None, int]:
    return auroc(odds, [one.question.gold == YES for one in asked]) if odds else None, len(asked)


def _known(facts: Facts) -> tuple[frozenset[str], frozenset[str]]:
    """English names of what is there, and of what is not."""
    there = _words(thing.name for thing in facts.things)
    sought = {word.en for word in vocabulary(facts.complete)} if facts.complete else _words(facts.absent or ())
    return there, frozenset(sought) - there


def _words(names: Iterable[str]) -> frozenset[str]:
    return frozenset(word.en for name in names if (word := find(name)))


@torch.inference_mode()
def _features(answerer: SkyMMAnswerer, images: Iterable[bytes]) -> Iterator[list[Tensor]]:
    """Of each tower (I, N, C) of up to _IMAGES at a time."""
    left = iter(images)
    while some := tuple(islice(left, _IMAGES)):
        yield answerer.features_of(Ask("", some))


def _mean(towers: Sequence[Tensor]) -> Tensor:
    """(I, C): the mean over an image's patches, all towers side by side."""
    return torch.cat([tower.float().mean(1).cpu() for tower in towers], dim=-1)

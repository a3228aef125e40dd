"""What a model makes up when it describes the pictures of shards that were kept back from training, in both languages.

CHAIR's question (arXiv 1809.02156) for pictures of one's own: what their boxes, labels or captions tell is there, and what
was looked for and is absent, is read from the `facts` of each sample as preference pairs read it
(skymm/curation/facts/scoring.py). CHAIR's own rule knows COCO's 80 classes and takes whatever has no box for made up; here a
thing of which nothing is known counts for neither side, and each thing counts once. There is no official scorer.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from skymm.conversation import LANGUAGES
from skymm.curation.facts.co_occurrence import Statistics
from skymm.curation.facts.scoring import Score, known, mentioned, record_of
from skymm.curation.negatives.preferences import describing
from skymm.data.shards import conversation_of, expand, read_shard
from skymm.evaluation.benchmark import Answer, Files, Question, declared, grouped
from skymm.lexicon import akin
from skymm.recipe import EvalRecipe
from skymm.text import language_of
from skymm.thoughts import without_thoughts


def load(recipe: EvalRecipe) -> list[Question]:
    """A request in each language (or that of `split`) for every picture of the shards at `root` of which both something that
    is there and something that is not is known. Raises ValueError where there is none.
    """
    if recipe.split not in (None, *LANGUAGES):
        raise ValueError(f"found split {recipe.split!r}, expected one of {', '.join(LANGUAGES)}")
    samples = [sample for path in expand(str(recipe.root)) for sample in read_shard(path)]
    records = [record_of(conversation_of(sample)) for sample in samples]
    statistics = Statistics()
    for record in records:
        statistics.add(record.facts)
    questions = []
    for sample, record in zip(samples, records):
        there, absent = known(record, statistics)
        if not there or not absent:
            continue
        (picture,) = (sample.image(name) for name in record.pictures)
        for language in (recipe.split,) if recipe.split else LANGUAGES:
            text = random.Random(f"{sample.key}/{language}").choice(describing(language))
            fields = {"language": language, "there": there, "absent": absent}
            questions.append(Question(f"{sample.key}/{language}", text, "", sample.key, (picture,), fields=fields))
    if not questions:
        raise ValueError(f"{recipe.root}: found no picture of which is known what is there and what is absent")
    return questions


def score(answers: Sequence[Answer], files: Files) -> dict[str, Any]:
    """`chair_i`: things named that are absent / things named of which it is known; `chair_s`: descriptions with one / all;
    `recall`: things there that are named / all of them; `silent`: descriptions that name nothing known; `in_language`: those
    in the language that was asked in. Rates whose denominator is 0 are None. The same of each language.
    """
    of_language = grouped((answer.question.fields["language"], answer) for answer in answers)
    return {**_counted(answers), "languages": {name: _counted(those) for name, those in of_language.items()}}


def _counted(answers: Sequence[Answer]) -> dict[str, Any]:
    found = [_read(answer) for answer in answers]
    right, wrong = (sum(len(one[place]) for one in found) for place in (0, 1))
    there = [answer.question.fields["there"] for answer in answers]
    named = sum(any(akin(name, one) for name in said.right) for said, those in zip(found, there) for one in those)
    speaks = sum(language_of(answer.response) == answer.question.fields["language"] for answer in answers)
    return {
        "chair_i": _share(wrong, right + wrong),
        "chair_s": _share(sum(bool(one.wrong) for one in found), len(found)),
        "recall": _share(named, sum(map(len, there))),
        "silent": _share(sum(not one.right and not one.wrong for one in found), len(found)),
        "in_language": _share(speaks, len(found)),
        "mentions": right + wrong,
        "captions": len(found),
    }


def _read(answer: Answer) -> Score:
    fields: Mapping[str, Any] = answer.question.fields
    return _mentioned(
        without_thoughts(answer.response), fields["language"], tuple(fields["there"]), tuple(fields["absent"])
    )


_mentioned = lru_cache(maxsize=1 << 16)(mentioned)


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None


BENCHMARK = declared("held_out_captions", load=load, score=score)

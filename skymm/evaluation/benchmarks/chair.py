"""CHAIR: the share of the objects named in captions of COCO images that are not in them.

Two rules are printed under this name, and their numbers do not compare. That of 2018 is its authors' (Rohrbach et al.,
arXiv 1809.02156; utils/chair.py of LisaAnne/Hallucination), with a singulariser that turns "bus" into "bu" and "tennis"
into "tenni", so that these are never counted. That of 2023 came with OPERA (arXiv 2311.17911, chair.py) and is what most
papers print since: the same lists met by NLTK's tokens, tags and WordNet's lemmas, which finds buses. The strict reading
has right singulars too, and reads Chinese.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from skymm.evaluation.benchmark import Answer, Benchmark, Files, Metric, Question
from skymm.evaluation.reading.captions import (
    RULES,
    count,
    load_questions,
    read_captions,
    share,
    silent,
    vocabulary_of,
)
from skymm.evaluation.reading.english import INSTALL, nltk_lemmas
from skymm.recipe import EvalRecipe


def load(recipe: EvalRecipe) -> list[Question]:
    """One question for each image of the table of objects, or of a list of images (root, JSON lines with image_id)."""
    questions = load_questions(recipe, "chair")
    for before, question in pairwise(questions):
        if before.cluster == question.cluster:
            raise ValueError(f"{recipe.root}: image {question.cluster} is asked about twice, expected one caption each")
    return questions


def read(paths: Sequence[Path], files: Files) -> list[Answer]:
    """Published captions; needs `objects`, and `vocab` where objects are COCO's annotations."""
    return read_captions(paths, files, "chair")


def score(answers: Sequence[Answer], files: Files) -> dict[str, Any]:
    """`chair_i`: hallucinated mentions / mentions, repeated ones too; `chair_s`: captions with one / captions; `recall`:
    classes in the images that are mentioned / all of them; `len`: words per caption, cut at single spaces (2018), or
    with marks and pairs as one each (2023). At the top by the rule of 2018; `rules` has both, "2018" and "2023", and
    `lemmas` says what the latter's come from.

    `files`: `vocab`, the official synonyms.txt; `singular`, a table word -> singular as the official scorer of 2018 makes
    it (without it rules make the same). `strict` has the same with right singulars and in Chinese too; its `unknown` is
    the share of captions that name none of the 80 classes, in which nothing can be wrong. Denials are mentions in all
    columns, as they are officially ("there are no people").
    """
    vocabulary = vocabulary_of(files, "chair")
    counts = {rule: count(answers, vocabulary, rule) for rule in RULES}
    rules = {rule: _scores(counts[rule]) for rule in ("2018", "2023")}
    lemmas, exact = nltk_lemmas()
    notes = [] if exact else [f"the rule of 2023 by a table of lemmas, near the printed numbers; exact with {INSTALL}"]
    if not counts["2018"]["mentions"]:
        notes.append("no object is mentioned: the official scorer divides by zero, chair_i is 0 here")
    return {
        **rules["2018"],
        "rules": rules,
        "lemmas": lemmas,
        **({"note": "; ".join(notes)} if notes else {}),
        "strict": {**_scores(counts["strict"]), "unknown": silent(counts["strict"])},
    }


def _scores(counts: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "chair_i": share(counts["hallucinated_mentions"], counts["mentions"]),
        "chair_s": share(counts["hallucinated_captions"], counts["captions"]),
        "recall": counts["recall"],
        "len": counts["len"],
        **{name: value for name, value in counts.items() if name != "captions_with_objects"},
    }


BENCHMARK = Benchmark(
    name="chair",
    title="CHAIR: objects in captions of COCO images that are not there",
    size="as many images as you list; 500 to 5000 of COCO val2014 are usual",
    licence="COCO annotations CC BY 4.0, images under Flickr's terms",
    download="cocodataset.org: val2014 and annotations_trainval2014; synonyms.txt: github.com/LisaAnne/Hallucination (data/)",
    layout="JSON lines with image_id, or the directory of the pictures; files: objects (table or COCO annotations), vocab",
    load=load,
    read=read,
    score=score,
    metrics=(
        Metric("chair_i", "CHAIRi, lower is better", lower_is_better=True),
        Metric("chair_s", "CHAIRs, lower is better", lower_is_better=True),
        Metric("rules.2023.chair_i", "CHAIRi by the rule of 2023", lower_is_better=True),
        Metric("rules.2023.chair_s", "CHAIRs by the rule of 2023", lower_is_better=True),
        Metric("recall", "recall"),
    ),
    tables=("rules",),
)

"""Object HalBench: how often detailed descriptions of COCO images name what is not there.

Yu et al., RLHF-V, arXiv 2312.00849: 300 images, asked about with 8 different wordings. The rates are CHAIR's with one
difference: captions that name no object are left out of the rate of responses. The official scorer has the objects of
each caption listed by a language model, each once, and its synonyms are a little wider; here they are found by CHAIR's
tables, in which a repeated object counts again. So rates compare with each other, and with published ones roughly.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from skymm.evaluation.benchmark import Answer, Benchmark, Files, Metric, Question
from skymm.evaluation.reading.captions import count, load_questions, read_captions, share, silent, vocabulary_of
from skymm.recipe import EvalRecipe

NOTE = "objects are found by CHAIR's tables; published rates have them listed by a language model"


def load(recipe: EvalRecipe) -> list[Question]:
    """A question for each row of root (JSON lines with image_id, question, and image where the picture travels along), or
    one for each image of the table of objects.
    """
    return load_questions(recipe, "object_hal")


def read(paths: Sequence[Path], files: Files) -> list[Answer]:
    """Answers with image_id and text, answer or caption; an image may be asked about more than once."""
    return read_captions(paths, files, "object_hal", repeats=True)


def score(answers: Sequence[Answer], files: Files) -> dict[str, Any]:
    """`response_rate`: captions with a hallucinated object / captions that name one at all; `object_rate`: hallucinated
    mentions / mentions; `recall` and `len` as in CHAIR. `strict` has the same with right singulars and in Chinese too; its
    `unknown` is the share of captions that name no object, which `response_rate` leaves out.
    """
    vocabulary = vocabulary_of(files, "object_hal")
    official, strict = (count(answers, vocabulary, rule) for rule in ("2018", "strict"))
    return {**_scores(official), "note": NOTE, "strict": {**_scores(strict), "unknown": silent(strict)}}


def _scores(counts: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "response_rate": share(counts["hallucinated_captions"], counts["captions_with_objects"]),
        "object_rate": share(counts["hallucinated_mentions"], counts["mentions"]),
        "recall": counts["recall"],
        "len": counts["len"],
        **counts,
    }


BENCHMARK = Benchmark(
    name="object_hal",
    title="Object HalBench: objects in detailed descriptions that are not there",
    size="300 questions, 300 images of COCO",
    licence="COCO annotations CC BY 4.0, images under Flickr's terms",
    download="github.com/RLHF-V/RLAIF-V (eval/data); cocodataset.org: annotations_trainval2014; synonyms.txt of CHAIR",
    layout="JSON lines with image_id, question and image, or a table of objects; files: objects, vocab",
    load=load,
    read=read,
    score=score,
    sizes={"": 300},
    metrics=(
        Metric("response_rate", "responses with a hallucination, lower is better", lower_is_better=True),
        Metric("object_rate", "hallucinated objects, lower is better", lower_is_better=True),
        Metric("recall", "recall"),
    ),
)

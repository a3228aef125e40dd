"""Lists about pictures that are called by their names or ids: captions in Chinese, LRV-Instruction's questions, MiniGPT-4's
descriptions, and questions of many people with their short answers.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from itertools import chain, zip_longest
from pathlib import Path
from typing import Any

from skymm.conversation import Turn
from skymm.curation.sources.pictures import Unusable
from skymm.curation.sources.source import Join, JoinedSource, Listed, broken, id_in, identity, refused, text_of
from skymm.text import language_of
from skymm.text_files import json_entries, opened

_IMAGE = ("image_id", "imageId", "image", "image_path", "image_file", "img_id")
_ANSWER = ("multiple_choice_answer", "answer", "label", "answers", "direct_answers")
_COCO_NAMES = [f"COCO_{part}_{{:012d}}.jpg" for part in ("train2014", "val2014", "test2015")]
_LINE = re.compile(r"(?P<image>[^#\s]+)#(?:(?P<kind>[^#\s]+)#)?(?P<number>\d+)(?:[ \t]+(?P<text>.*))?")
_COCO = re.compile(r"COCO_(?P<split>\w+)_(?P<number>\d{12})")
_TAGGED = re.compile(r"(?P<word>\S+):[A-Za-z_]{1,6}")
_BETWEEN_LETTERS = re.compile(r"(?<=[A-Za-z0-9]) (?=[A-Za-z0-9])|(?P<space> )")
_LONGEST = 64 * 1024  # characters of a line


class ChineseCaptions(JoinedSource):
    """COCO-CN, Flickr8k-CN, Flickr30k-CN: lines `IMAGE#KIND#N caption` or, in COCO-CN's human-written file, `IMAGE#N caption`.

    The kinds are zhc (written by people), zhm (translated by people), zhb (by Baidu) and zhg (by Google); enc is the English.
    Some files are published as words with their parts of speech only (`一:m 只:q 狗:n`); these are sentences again afterwards.

    An image is a record with all captions of the kinds that the recipe wants, from all tables. Lines without a kind are
    wanted always. Keys are the image names without `.jpg`, in order: most files have an image's captions together, not all.
    """

    default_licence = "COCO-CN MIT; Flickr8k-CN and Flickr30k-CN for research; pictures under Flickr's terms of use"

    def read(self, join: Join) -> Iterator[dict[str, Any]]:
        tables = self.recipe.table if isinstance(self.recipe.table, list) else [self.recipe.table]
        for path in tables:
            yield from self._read(path, join)

    def _read(self, path: str, join: Join) -> Iterator[dict[str, Any]]:
        wanted, kinds = False, dict[str, None]()
        with opened(path) as file:
            for number, line in enumerate(iter(lambda: file.readline(_LONGEST), ""), 1):
                match = _LINE.fullmatch(line.strip())
                if match is None:
                    if line.strip():
                        yield broken(path, f"line {number}", f"found {line.strip()!r}")
                    continue
                image = match["image"].removesuffix(".jpg")
                if match["kind"] is None or match["kind"] in self.recipe.kinds:
                    wanted = True
                    join.add(image, "wanted", _sentence(match["text"] or ""))
                else:
                    kinds[match["kind"]] = None
                    join.add(image, "unwanted", match["kind"])
        if not wanted:
            found = f"only lines of the kinds {', '.join(kinds)}" if kinds else "no such line"
            raise ValueError(
                f"{path}: found {found}, expected lines like `IMAGE#KIND#N caption` of the kinds {', '.join(self.recipe.kinds)}"
            )

    def row(self, image: int | str, said: dict[str, list[Any]]) -> dict[str, Any]:
        if "wanted" not in said:
            kinds = ", ".join(dict.fromkeys(said["unwanted"]))
            raise Unusable("no caption of these kinds", f"{image}: found {kinds}")
        return self.row_of(image, _files(str(image)), said["wanted"])


def _files(image: str) -> list[str]:
    """What the picture may be called: as published, in the directory of its split, or by COCO's newer names."""
    match = _COCO.fullmatch(image)
    newer = [f"{match['split']}/{image}.jpg", f"{match['number']}.jpg"] if match else []
    return [f"{image}.jpg", image, *newer]


def _sentence(text: str) -> str:
    """The text of words with their parts of speech; other texts as they are."""
    words = [_TAGGED.fullmatch(part) for part in text.split()]
    if not words or not all(words):
        return text
    return _BETWEEN_LETTERS.sub(
        lambda match: "" if match["space"] else " ", " ".join(word["word"] for word in words if word)
    )


class Lrv(JoinedSource):
    """LRV-Instruction: lists of {image_id, question, answer} about what is in Visual Genome's pictures and what is not.

    An image is a record: all that is asked about it, true and false premises by turns, so that a conversation that is cut to
    its first turns keeps both.
    """

    default_licence = (
        "LRV-Instruction BSD 3-Clause, answers under OpenAI's terms of use; "
        "pictures of Visual Genome under Flickr's terms"
    )

    def files(self) -> Iterator[Listed]:
        if not self.recipe.positive and not self.recipe.negative:
            raise ValueError("lrv: no files; name some in `positive`, `negative` or both")
        for polarity in ("positive", "negative"):
            for path in getattr(self.recipe, polarity):
                yield polarity, path, {"": ["image_id", "question", "answer"]}

    def take(self, join: Join, kind: str, part: str, said: Mapping[str, Any]) -> None:
        image = id_in(said, "image_id")
        asked = [text_of(said.get(name), f"{name} is missing") for name in ("question", "answer")]
        # The files of later releases hold both, and say which is which.
        negative = str(said.get("task", "")).strip().lower().startswith("negative")
        join.add(image, "negative" if negative else kind, asked)

    def row(self, image: int | str, said: dict[str, list[Any]]) -> dict[str, Any]:
        told = [[(*asked, polarity) for asked in said.get(polarity, [])] for polarity in ("positive", "negative")]
        turns: list[Turn] = []
        for question, answer, polarity in filter(None, chain.from_iterable(zip_longest(*told))):
            turns += [Turn("user", question)]
            turns += [Turn("assistant", answer, polarity=polarity, language=language_of(answer))]
        # Charts came later, and are named with their endings.
        return self.row_of(image, [f"{image}.jpg", f"{image}", f"{image}.png"], turns=turns)


class MiniGpt4(JoinedSource):
    """MiniGPT-4's second stage: {"annotations": [{image_id, caption}]}, 3,439 pictures with long descriptions.

    An image is a record; descriptions of the same image come together.
    """

    default_licence = (
        "MiniGPT-4 BSD 3-Clause, descriptions by a model under the terms of Vicuna and OpenAI; "
        "pictures of Conceptual Captions and SBU under the terms of their sites"
    )

    def files(self) -> Iterator[Listed]:
        yield "captions", self.recipe.table, {"annotations": ["image_id", "caption"]}

    def take(self, join: Join, kind: str, part: str, said: Mapping[str, Any]) -> None:
        join.add(id_in(said, "image_id"), kind, said.get("caption"))

    def row(self, image: int | str, said: dict[str, list[Any]]) -> dict[str, Any]:
        return self.row_of(image, f"{image}.jpg", said["captions"])


class Vqa(JoinedSource):
    """VQA v2, OK-VQA, A-OKVQA, VizWiz, TextVQA, GQA, DAQUAR: short answers by several people. All that is asked about an image
    is a record. Keys are the images' ids, or the names of their files.

    The files are `{"questions": [...]}` and `{"annotations": [...]}` (also one file with both, and with `images` that say
    the names), a list, `{"data": [...]}`, or an object with a question under every id (GQA). Of the answers of several
    people the most frequent one counts, of equally frequent ones the first.
    """

    default_licence = "VQA v2, OK-VQA, VizWiz, GQA CC-BY 4.0; A-OKVQA Apache 2.0; pictures under their own sites' terms"

    def read(self, join: Join) -> Iterator[dict[str, Any]]:
        """Answers that stand apart from their questions are held by question id: 0.2 GB for VQA v2."""
        answers: dict[str, str] = {}
        for path in self.recipe.annotations:
            for number, said in self._entries(path, "annotations"):
                answer = _answer(said)
                if answer is not None and said.get("question_id") is not None:
                    answers[str(said["question_id"])] = answer
                else:
                    yield broken(path, f"annotation {number}", f"found {said}, expected question_id and an answer")
        asked = 0
        for path in self.recipe.questions:
            for number, said in self._entries(path, "questions", join):
                asked += 1
                image = identity(next((said[name] for name in _IMAGE if said.get(name) is not None), None))
                if image is None or not isinstance(said.get("question"), str):
                    yield broken(path, f"question {number}", f"found {said}, expected question and image_id")
                    continue
                answer = _answer(said) or answers.get(str(said.get("question_id")))
                if answer is None:
                    yield refused(f"{Path(path).stem}-{number}", "answer is missing", f"{path}, question {number}")
                else:
                    join.add(image, "asked", [said["question"], answer])
        if not asked:
            raise ValueError(f"{', '.join(self.recipe.questions)}: found no questions, expected a list of them")

    def _entries(
        self, path: str, wanted: str, join: Join | None = None
    ) -> Iterator[tuple[int | str, Mapping[str, Any]]]:
        """(number or id, entry) of questions or annotations; what the file says of `images` goes into the join."""
        for entry in json_entries(path):
            said = entry.value if isinstance(entry.value, dict) else {}
            if entry.name == "images" and join is not None:
                image, name = identity(said.get("id")), said.get("file_name")
                if image is not None and isinstance(name, str):
                    join.add(image, "file", name)
            elif entry.name == wanted or (entry.number and entry.name in ("", "data")):
                yield entry.number, said
            elif not entry.number and "question" in said:
                yield entry.name, {"question_id": entry.name, **said}

    def row(self, image: int | str, said: dict[str, list[Any]]) -> dict[str, Any]:
        names = said.get("file") or [f"{image}", f"{image}.jpg", f"{image}.png"]
        if "file" not in said and isinstance(image, int):
            names += [f"{image:012d}.jpg", *(name.format(image) for name in _COCO_NAMES)]
        turns: list[Turn] = []
        for question, answer in said.get("asked", []):
            question, answer = text_of(question, "question is missing"), text_of(answer, "answer is missing")
            language = language_of(answer if not answer.isascii() else question)
            turns += [Turn("user", question), Turn("assistant", answer, language=language)]
        if not turns:
            raise Unusable("nothing is asked", f"image {image} has no question")
        return self.row_of(image, names, turns=turns)


def _answer(said: Mapping[str, Any]) -> str | None:
    """What was answered: one text, the right one of the choices, or the most frequent of several people's."""
    choices, right = said.get("choices"), said.get("correct_choice_idx")
    if isinstance(choices, list) and isinstance(right, int) and 0 <= right < len(choices):
        return str(choices[right])
    for name in _ANSWER:
        found = said.get(name)
        several = found if isinstance(found, list) else [found]
        texts = [one.get("answer") if isinstance(one, dict) else one for one in several]
        texts = [str(one).strip() for one in texts if isinstance(one, str | int | float) and str(one).strip()]
        if texts:
            return Counter(texts).most_common(1)[0][0]
    return None

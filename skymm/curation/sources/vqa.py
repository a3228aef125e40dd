"""Questions about pictures with short answers by several people: VQA v2, OK-VQA, A-OKVQA, VizWiz, TextVQA, GQA, DAQUAR."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from skymm.conversation import Turn
from skymm.curation.sources.pictures import Unusable
from skymm.curation.sources.source import Join, JoinedSource, broken, identity, refused, text_of
from skymm.text import language_of
from skymm.text_files import json_entries

_IMAGE = ("image_id", "imageId", "image", "image_path", "image_file", "img_id")
_ANSWER = ("multiple_choice_answer", "answer", "label", "answers", "direct_answers")
_COCO = [f"COCO_{part}_{{:012d}}.jpg" for part in ("train2014", "val2014", "test2015")]


class Source(JoinedSource):
    """All that is asked about an image is a record. Keys are the images' ids, or the names of their files.

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
            names += [f"{image:012d}.jpg", *(name.format(image) for name in _COCO)]
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

"""MME: 14 subtasks of yes/no questions, two per image, one for perception and one for cognition.

Fu et al., arXiv 2306.13394; the rules are those of the official scorer (eval_tool/calculation.py), quirks included, so
that the same result files give the same digits. Beside them stands a strict reading in Chinese and English.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from skymm.evaluation.benchmark import YES_NO, Answer, Answers, Files, Question, declared
from skymm.evaluation.reading.rows import Given, join, read_answers, refuse_labels, with_own_labels
from skymm.recipe import EvalRecipe
from skymm.tables import read_text
from skymm.verdict import yes_no

PERCEPTION = ("existence", "count", "position", "color", "posters", "celebrity", "scene", "landmark", "artwork", "OCR")
COGNITION = ("commonsense_reasoning", "numerical_calculation", "text_translation", "code_reasoning")
SUBTASKS = PERCEPTION + COGNITION

_IMAGE_SUFFIXES = {".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff"}
_PLACES = ("image_path", "image", "question_id", "index")  # columns of kits that begin with a subtask's folder
_GOLD = {"yes": "yes", "no": "no", "是": "yes", "否": "no"}


def load(recipe: EvalRecipe) -> list[Question]:
    """The questions of a release, subtask by subtask, the two about an image next to each other.

    A subtask is a folder of its name, in root or further down, with images and a text file of the same stem for each:
    two lines `question TAB answer`. They may lie side by side (as the official release has it for nine subtasks), in
    `images/` and `questions_answers_YN/` (for five), or in folders of other names. Absent subtasks are left out, and
    images without questions ask nothing. Raises ValueError naming the file, what was found and what is expected.
    """
    directory = Path(recipe.root)
    questions = [question for subtask in SUBTASKS for question in _load_subtask(directory, subtask)]
    if not questions:
        raise ValueError(
            f"{directory}: found {_listing(directory)}, expected folders named as MME's subtasks: {', '.join(SUBTASKS)}"
        )
    return questions


def _listing(directory: Path) -> Any:
    return sorted(path.name for path in directory.iterdir())[:10] if directory.is_dir() else "no such directory"


def _load_subtask(directory: Path, subtask: str) -> list[Question]:
    folders = sorted(path for path in directory.rglob(subtask) if path.is_dir())
    if len(folders) > 1:
        raise ValueError(f"{directory}: found {subtask} more than once ({folders[0]}, {folders[1]}); name one release")
    if not folders:
        return []
    files = sorted(path for path in folders[0].rglob("*") if path.is_file() and not path.name.startswith("."))
    images: dict[str, Path] = {}
    for path in (path for path in files if path.suffix.lower() in _IMAGE_SUFFIXES):
        if path.stem in images:
            raise ValueError(f"{path} and {images[path.stem]}: expected one image of a name in a subtask")
        images[path.stem] = path
    questions = []
    for path in (path for path in files if path.suffix.lower() == ".txt"):
        if path.stem not in images:
            raise ValueError(f"{path}: no image of this name in {folders[0]}; is the download complete?")
        image = images[path.stem]
        cluster, fields = f"{subtask}/{image.name}", {"subtask": subtask, "image": image.name}
        for number, (question, gold) in enumerate(_read_questions(path), 1):
            questions.append(Question(f"{cluster}/{number}", question, gold, cluster, (image,), YES_NO, fields))
    if not questions:
        raise ValueError(f"{folders[0]}: found no questions, expected a .txt of two lines for each image")
    return questions


def _read_questions(path: Path) -> list[tuple[str, str]]:
    lines = [(number, line) for number, line in _lines(path) if line.strip()]
    if len(lines) != 2:
        raise ValueError(f"{path}: found {len(lines)} lines, expected 2 questions about the image")
    pairs = []
    for number, line in lines:
        question, _, answer = line.strip().rpartition("\t")
        if answer.strip().lower() not in _GOLD:
            raise ValueError(f"{path}, line {number}: found {line!r}, expected 'question TAB Yes' or 'question TAB No'")
        pairs.append((question.strip(), _GOLD[answer.strip().lower()]))
    return pairs


def _lines(path: Path) -> list[tuple[int, str]]:
    """Numbered lines, cut where the official scorer cuts them (str.splitlines would cut at rare characters too)."""
    text = read_text(path)
    return list(enumerate(text.removesuffix("\n").split("\n"), 1)) if text else []


def parse_official(response: str) -> str:
    """ "yes", "no" or "other", as the official scorer reads a response: after lower-casing, an exact yes or no, else
    yes or else no anywhere in the first four characters.
    """
    response = response.lower()
    if response in ("yes", "no"):
        return response
    first_four = response[:4]
    return "yes" if "yes" in first_four else "no" if "no" in first_four else "other"


def write_results(answers: Iterable[Answer], directory: str | Path) -> list[Path]:
    """The official result files, `SUBTASK.txt` with `image TAB question TAB answer TAB response` in each line.

    Tabs and line ends inside a field become one space each: lines stay whole and keep their official reading.
    """
    directory, answers = Path(directory), list(answers)
    directory.mkdir(parents=True, exist_ok=True)
    paths = []
    for subtask, pairs in _pairs(answers).items():
        lines = []
        for row in (answers[place] for pair in pairs.values() for place in pair):
            question = row.question
            fields = (question.fields["image"], question.text, question.gold.capitalize(), row.response)
            lines.append("\t".join(re.sub(r"[\t\r\n]", " ", field) for field in fields) + "\n")
        paths.append(directory / f"{subtask}.txt")
        paths[-1].write_text("".join(lines), encoding="utf-8", newline="\n")
    return paths


def read(paths: Sequence[Path], files: Files) -> Answers:
    """The official result files, in a directory or named one by one; or an answer file of a kit (VLMEvalKit, lmms-eval,
    LLaVA), whose rows say subtask and picture. Where these lack the right answers, `labels` is the release, or a directory
    of official result files with or without responses.

    Raises ValueError naming file and line: not four fields, an answer that is not Yes or No, an odd number of lines.
    """
    found: dict[str, list[Answer]] = {}
    for path in paths:
        if not path.exists():
            raise ValueError(f"{path}: no such directory or file of results")
        if path.is_file() and path.suffix != ".txt":
            return _read_kit(paths, files)
        for file in [path / f"{subtask}.txt" for subtask in SUBTASKS] if path.is_dir() else [path]:
            if path.is_dir() and not file.exists():
                continue
            if file.stem not in SUBTASKS:
                raise ValueError(f"{file}: {file.stem!r} is no subtask of MME, expected one of {', '.join(SUBTASKS)}")
            if file.stem in found:
                raise ValueError(f"{file}: {file.stem} is given twice")
            found[file.stem] = [Answer(question, said) for question, said in _read_subtask(file, template=False)]
    if not found:
        raise ValueError(f"{paths[0]}: found {_listing(paths[0])}, expected result files such as {SUBTASKS[0]}.txt")
    answers = Answers(answer for subtask in SUBTASKS for answer in found.get(subtask, []))
    if len(found) > 1:  # all right in one subtask happens
        refuse_labels(answers, str(paths[0]), "response", files)
    return answers


def _read_kit(paths: Sequence[Path], files: Files) -> Answers:
    rows = []
    for one in read_answers(paths, files):
        places = [str(one.row.get(name) or "") for name in _PLACES]
        picture = next((place for place in places if "." in place), "")
        rows.append(replace(one, row={**one.row, "subtask": _subtask(one, places), "image": picture}))
    if "labels" in files:
        asked = [({**one.fields, "question": one.text}, one) for one in _label_questions(Path(files["labels"]))]
        return join(rows, asked, [("subtask", "image", "question")], Path(files["labels"]), files)
    questions = []
    for one in rows:
        if one.gold.lower() not in YES_NO:
            raise ValueError(
                f"{one.where}: found no right answer beside the model's ({one.gold!r}); give --labels, the release of MME or "
                "a directory of result files"
            )
        fields, text = {name: one.key(name) for name in ("subtask", "image")}, one.key("question")
        cluster = "/".join(fields.values())
        questions.append(Question(f"{cluster}/{text}", text, one.gold.lower(), cluster, (), YES_NO, fields))
    return with_own_labels(rows, questions, files)


def _subtask(one: Given, places: Sequence[str]) -> str:
    """By the category of a row, or the folder that its picture or id begins with."""
    named = [str(one.row.get("category") or ""), *(place.split("/")[0] for place in places)]
    found = next((subtask for name in named for subtask in SUBTASKS if name.lower() == subtask.lower()), None)
    if found is None:
        raise ValueError(f"{one.where}: found {named}, expected a category or folder that is a subtask of MME")
    return found


def _label_questions(directory: Path) -> list[Question]:
    results = [path for subtask in SUBTASKS for path in [directory / f"{subtask}.txt"] if path.is_file()]
    if results:
        return [question for path in results for question, _ in _read_subtask(path)]
    return load(EvalRecipe(benchmark="mme", root=str(directory)))


def _read_subtask(path: Path, template: bool = True) -> list[tuple[Question, str]]:
    """Questions with their responses; the official template has none."""
    lines = _lines(path)
    if not lines or len(lines) % 2:
        raise ValueError(f"{path}: found {len(lines)} lines, expected two for each image, so an even number above 0")
    answers = []
    template = template and all(line.count("\t") == 2 for _, line in lines)
    for number, line in lines:
        fields = [*line.split("\t"), ""] if template else line.split("\t")
        if len(fields) != 4:
            raise ValueError(
                f"{path}, line {number}: found {len(fields)} tab-separated fields, expected 4 "
                "(image, question, answer, response); a response must not contain tabs or line ends"
            )
        image, text, gold, response = fields
        if gold.lower() not in YES_NO:
            raise ValueError(f"{path}, line {number}: the answer is {gold!r}, expected Yes or No")
        # Two consecutive lines are one image, whatever its name: the official rule.
        cluster = f"{path.stem}/{(number - 1) // 2}"
        known = {"subtask": path.stem, "image": image}
        question = Question(f"{path.stem}/{number}", text, gold.lower(), cluster, (), YES_NO, known)
        answers.append((question, response))
    return answers


def strict(answer: Answer) -> str:
    return yes_no(answer.response, answer.question.text)


Pairs = Mapping[str, Mapping[str, Sequence[int]]]  # subtask -> image -> the places of its two answers


def _pairs(answers: Sequence[Answer]) -> Pairs:
    """In the official order: the order in which floats are summed is part of the last digit."""
    found: dict[str, dict[str, list[int]]] = {subtask: {} for subtask in SUBTASKS}
    for place, answer in enumerate(answers):
        found[answer.question.fields["subtask"]].setdefault(answer.question.cluster, []).append(place)
    for image, pair in ((image, pair) for images in found.values() for image, pair in images.items()):
        if len(pair) > 2:
            raise ValueError(f"MME {image}: found {len(pair)} answers, expected 2; is a question asked twice?")
    whole = {name: {image: pair for image, pair in images.items() if len(pair) == 2} for name, images in found.items()}
    return {subtask: images for subtask, images in whole.items() if images}


def count(answers: Sequence[Answer], said: Sequence[str]) -> dict[str, Any]:
    """Scores as plain JSON types.

    `perception` (of 2000) and `cognition` (of 800) sum the subtasks that are there; None where there is none. `missing`
    names the others: a sum over fewer subtasks is not comparable. `subtasks.NAME` has `score` (of 200: 100 acc + 100
    acc_plus), `acc`, `acc_plus` (share of images with both answers right), `other` (answers that are neither yes nor
    no: wrong, and left out of `precision` and `recall`, whose positive class is yes), `num_questions`, `num_images`,
    `num_yes` and `yes_ratio` (predicted yes among all questions); by the strict reading also `unknown`, the share of
    answers that say neither.

    An image with one answer only is left out, and `incomplete` counts these. Raises ValueError for more than two.
    """
    subtasks = _pairs(answers)
    scored = {
        name: _count_subtask(
            [[(answers[place].question.gold, said[place]) for place in pair] for pair in pairs.values()]
        )
        for name, pairs in subtasks.items()
    }
    num_questions = sum(one["num_questions"] for one in scored.values())
    incomplete = len(answers) - num_questions

    def total(names: Sequence[str]) -> float | None:
        present = [scored[name]["score"] for name in names if name in scored]
        return sum(present) if present else None

    return {
        "perception": total(PERCEPTION),
        "cognition": total(COGNITION),
        "yes_ratio": sum(one["num_yes"] for one in scored.values()) / max(1, num_questions),
        "num_questions": num_questions,
        "subtasks": scored,
        "missing": [subtask for subtask in SUBTASKS if subtask not in subtasks],
        **({"incomplete": incomplete} if incomplete else {}),
    }


def _count_subtask(pairs: Sequence[Sequence[tuple[str, str]]]) -> dict[str, Any]:
    """Of (right answer, what was said), two and two about an image."""
    both_right = [all(gold == said for gold, said in pair) for pair in pairs]
    rows = [row for pair in pairs for row in pair]
    true_yes, false_yes, false_no = rows.count(("yes", "yes")), rows.count(("no", "yes")), rows.count(("yes", "no"))
    said_yes = sum(said == "yes" for _, said in rows)
    other = sum(said not in YES_NO for _, said in rows)
    acc, acc_plus = sum(gold == said for gold, said in rows) / len(rows), sum(both_right) / len(both_right)
    return {
        "score": acc * 100 + acc_plus * 100,
        "acc": acc,
        "acc_plus": acc_plus,
        "other": other,
        "unknown": other / len(rows),
        "precision": true_yes / max(1, true_yes + false_yes),
        "recall": true_yes / max(1, true_yes + false_no),
        "num_yes": said_yes,
        "yes_ratio": said_yes / len(rows),
        "num_questions": len(rows),
        "num_images": len(both_right),
    }


BENCHMARK = declared(
    "mme",
    load=load,
    read=read,
    official=lambda answer: parse_official(answer.response),
    strict=strict,
    count=count,
)

"""From the rows of tables to questions and answers: options, pictures in cells, which column is the model's words, and which
question a row answers.

VLMEvalKit writes `answer` (the right one) and `prediction`, LLaVA `prompt` and `text`, lmms-eval a `doc` with the right
answer beside `filtered_resps`, PAI `query`, `label` and `ans`. Ids differ from kit to kit; questions and pictures do not.
"""

from __future__ import annotations

import ast
import base64
import binascii
import hashlib
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from string import ascii_uppercase
from typing import Any

from skymm.evaluation.benchmark import Answer, Answers, Files, Question, grouped, once_each
from skymm.tables import read_rows, text_of
from skymm.text import normalise

Row = Mapping[str, Any]

# What the official tools (pandas) take for an empty cell: an option "None" is officially no option.
_EMPTY = frozenset(
    ("", "NULL", "None", "N/A", "NA", "NaN", "n/a", "nan", "null", "-NaN", "-nan", "<NA>", "#N/A", "#NA")
)
_LONGEST_REFERENCE = 64  # characters of an image cell that names another row instead of holding a picture


ENDINGS = (".xlsx", ".tsv", ".csv", ".json", ".jsonl", ".parquet")
# Columns that hold a model's words whatever stands beside them, and those that do where nothing else can.
SAID = (
    *("prediction", "response", "output", "ans", "pred", "generated_text", "generation"),
    *("model_prediction", "model_response", "model_answer", "model_output", "predicted_answer"),
)
OPEN = ("answer", "text", "caption")
GOLD = ("label", "gt_answer", "ground_truth", "gt", "gold", "target", "answer")
_IDS = ("question_id", "questionid", "id", "index")
_QUESTIONS = ("query", "question", "prompt", "text")
_PICTURES = ("image", "image_path", "image_source", "image_name", "filename", "image_id", "imageid")
_INSTRUCTION = re.compile(r"\n|\bplease answer\b|(?<=[.!]) *answer\b", re.I)  # ends a question without a question mark
_AGREE = 0.95  # of the questions under one id must have the same words, or the ids are another numbering
_PART = 10**7  # LLaVA numbers the questions of POPE's parts from 10000001, 20000001, ...


# --- tables of questions ---


def is_empty(cell: Any) -> bool:
    return cell is None or (isinstance(cell, float) and cell != cell) or str(cell).strip() in _EMPTY


def tables_below(root: str | Path, *endings: str) -> list[Path]:
    """The file, or the files with one of the endings in a directory and below. Raises ValueError where there is none."""
    root = Path(root)
    if root.is_file():
        return [root]
    found = sorted(path for path in root.rglob("*") if path.name.endswith(endings) and not path.name.startswith("."))
    if not found:
        there = sorted(path.name for path in root.iterdir())[:10] if root.is_dir() else "no such file or directory"
        raise ValueError(f"{root}: found {there}, expected a file that ends with {' or '.join(endings)}")
    return found


def rows_of(path: Path) -> list[Row]:
    """Rows with the names of their fields in lower case, letters of options excepted, in the style of the field's tools."""
    return list(map(_lower, read_rows(path)))


def _lower(row: Row) -> Row:
    return {name if len(name) == 1 else name.lower().replace("-", "_"): cell for name, cell in row.items()}


def number_of(row: Row, where: str) -> int:
    """The row's index, which spreadsheets like to keep as a float. Raises ValueError naming what it is instead."""
    cell = row.get("index")
    try:
        number = float(cell)  # type: ignore[arg-type]
        if number == int(number):
            return int(number)
    except (TypeError, ValueError, OverflowError):
        pass
    raise ValueError(f"{where}: the index is {cell!r}, expected a whole number")


def options_of(row: Row) -> dict[str, str]:
    """Options by letter, without those that are empty: from the columns A, B, C, ..., choice_a, ..., or a list of them, which
    may be the text of one.
    """
    named = dict(zip(ascii_uppercase, listed(row.get("options") or row.get("choices"))))
    found = (
        (letter, row.get(letter, row.get(f"choice_{letter.lower()}", named.get(letter)))) for letter in ascii_uppercase
    )
    return {letter: str(option) for letter, option in found if not is_empty(option)}


def listed(cell: Any) -> list[Any]:
    """A list, or the text of one; nothing is the empty list. Raises ValueError."""
    if isinstance(cell, str):
        try:
            return list(ast.literal_eval(cell))
        except (SyntaxError, ValueError, TypeError) as error:
            raise ValueError(f"the options are {cell[:60]!r}, expected a list of texts") from error
    return list(cell or [])


def option_lines(options: Mapping[str, str], form: str = "{}. {}") -> str:
    return "\n".join(form.format(letter, text) for letter, text in options.items())


def options_in(question: str) -> dict[str, str]:
    """Options by letter where the question itself ends with them ("Options: A: a cat, B: a dog", "Choices: (A) cat (B) dog").

    Empty where there are not at least two.
    """
    start = max((match.end() for match in re.finditer(r"(?:Options|Choices)\s*:", question)), default=None)
    if start is None:
        return {}
    marks: list[re.Match[str]] = []
    for letter in ascii_uppercase:
        position = marks[-1].end() if marks else start
        mark = re.compile(rf"(?:(?<=[\s,:;])|^)\(?{letter}\s?[:.)]\s*").search(question, position)
        if mark is None:
            break
        marks.append(mark)
    ends = [mark.start() for mark in marks[1:]] + [len(question)]
    options = {
        letter: question[mark.end() : end].strip(" ,\n") for letter, mark, end in zip(ascii_uppercase, marks, ends)
    }
    return options if len(options) > 1 else {}


def picture_of(cell: Any, where: str) -> bytes:
    """The encoded picture in a cell: base64 text, bytes, or the {bytes, path} of a parquet file.

    Raises ValueError saying what is there instead.
    """
    if isinstance(cell, Mapping):
        cell = cell.get("bytes")
    if isinstance(cell, bytes) and cell:
        return cell
    if isinstance(cell, str) and len(cell) > _LONGEST_REFERENCE:
        try:
            return base64.b64decode("".join(cell.split()), validate=True)
        except binascii.Error as error:
            raise ValueError(f"{where}: the image is not base64 ({error})") from error
    raise ValueError(
        f"{where}: the image is {str(cell)[:40]!r}, expected an encoded picture; is the download complete?"
    )


def pictured_rows(path: Path, *needed: str) -> Iterator[tuple[Row, str, bytes]]:
    """The rows of a table of questions, each with where it stands and its picture; a short cell is the index of the row
    that holds the picture. Raises ValueError for columns that are missing, and for a picture that is none.
    """
    rows = rows_of(path)
    if any(not row.keys() >= set(needed) for row in rows):
        raise ValueError(f"{path}: found fields {sorted(rows[0])}, expected {', '.join(needed)} among them")
    cells = {str(row["index"]): row.get("image") for row in rows}
    decoded: dict[str, bytes] = {}
    for number, row in enumerate(rows, 1):
        index = str(row["index"])
        cell = cells[index]
        if isinstance(cell, str) and len(cell) <= _LONGEST_REFERENCE and cell in cells:
            index = cell
        if index not in decoded:
            decoded[index] = picture_of(cells[index], f"{path}, index {row['index']}")
        yield row, f"{path}, row {number}", decoded[index]


def texts_of(row: Row, *names: str) -> dict[str, str]:
    """These cells as text, "" where they are empty."""
    return {name: "" if is_empty(row.get(name)) else str(row[name]) for name in names}


def digest(picture: bytes) -> str:
    """A name for a picture that has none: questions about equal pictures belong together."""
    return hashlib.sha256(picture).hexdigest()[:16]


def together(questions: Iterable[Question]) -> list[Question]:
    """Questions about one picture next to each other, otherwise in their order."""
    return [question for those in grouped((one.cluster, one) for one in questions).values() for question in those]


def tally(right: Sequence[bool]) -> dict[str, Any]:
    return {"correct": sum(right), "total": len(right), "accuracy": sum(right) / max(1, len(right))}


def tallies(right: Iterable[tuple[str, bool]]) -> dict[str, dict[str, Any]]:
    """A tally for each name, in the order in which names come; "" is no name."""
    return {name: tally(those) for name, those in grouped(right).items() if name}


# --- answer files ---


@dataclass(frozen=True, slots=True)
class Given:
    """A row of an answer file: where it stands, its fields in lower case, and in which of them the model speaks."""

    where: str
    row: Row
    column: str

    @property
    def file(self) -> str:
        return self.where.rpartition(",")[0]

    @property
    def said(self) -> str:
        return text_of(self.row.get(self.column))

    @property
    def gold(self) -> str:
        """The right answer, where the row has it too; 1 and 0 stand for yes and no."""
        names = (name for name in GOLD if name != self.column and not is_empty(self.row.get(name)))
        gold = str(self.row[name]).strip() if (name := next(names, None)) else ""
        return {"1": "yes", "0": "no", "1.0": "yes", "0.0": "no"}.get(gold, gold)

    def key(self, name: str) -> str:
        """What the row says of an `id`, `image`, `question`, or any field; "" where it says nothing."""
        return key_of({field: cell for field, cell in self.row.items() if field != self.column}, name)


def key_of(row: Row, name: str) -> str:
    """An `id` as text, an `image` by its bare name, a `question` without the instruction behind it, or a field as it is."""
    names = {"id": _IDS, "part_id": _IDS, "image": _PICTURES, "question": _QUESTIONS, "words": _QUESTIONS}.get(
        name, (name,)
    )
    cell = next((row[one] for one in names if isinstance(row.get(one), str | int | float) and row[one] != ""), "")
    if isinstance(cell, float) and cell.is_integer():
        cell = int(cell)  # as spreadsheets keep whole numbers
    text = str(cell)
    if name == "part_id":
        return str(int(text) % _PART) if text.isdigit() and int(text) > _PART else ""
    if name == "image":
        return PurePosixPath(text.replace("\\", "/")).stem
    return bare(text) if name == "question" else _plain(text) if name == "words" else text


def bare(question: str) -> str:
    """The words of a question up to its last question mark: what stands behind it is an instruction.

    The first releases of POPE ask about an "imange", later ones do not.
    """
    text = _plain(question)
    return text[: text.rfind("?") + 1] or normalise(_INSTRUCTION.split(question.strip(), maxsplit=1)[0]).lower()


def _plain(text: str) -> str:
    return normalise(text).lower().replace("imange", "image")


def read_answers(paths: Sequence[Path], files: Files) -> list[Given]:
    """The rows of answer files, or of all in a directory. `files["response"]` names the model's column where it is open.

    Raises ValueError for a file without such a column, and for one in which several may be it.
    """
    tables = (file for path in paths for file in tables_below(path, *ENDINGS))
    return [one for file in tables for one in given_of(file, rows_of(file), files)]


def given_of(file: Path, rows: Sequence[Row], files: Files, needed: bool = True) -> list[Given]:
    """The rows of one file. Where words are not `needed` (there are verdicts), the column may be "" and say nothing."""
    flat = [_flat(row) for row in rows]
    column = _column(flat, file, files, needed)
    found = [Given(f"{file}, entry {number}", row, column) for number, row in enumerate(flat, 1)]
    silent = next((one for one in found if column and column not in one.row), None)
    if silent:
        raise ValueError(f"{silent.where}: found fields {sorted(silent.row)}, expected {column!r} as in the other rows")
    return found


def _flat(row: Row) -> Row:
    """A row of lmms-eval without its envelope: the question's own fields, the right answer, and what was said."""
    said = row.get("filtered_resps") or row.get("resps")
    if said is None:
        return row
    while isinstance(said, Sequence) and not isinstance(said, str) and said:
        said = said[0]
    own = _lower(row["doc"]) if isinstance(row.get("doc"), Mapping) else {}
    asked = {"index": row.get("doc_id")} | ({"question": row["input"]} if isinstance(row.get("input"), str) else {})
    kept = {name: cell for name, cell in own.items() if name not in SAID}
    return {**asked, "target": row.get("target"), **kept, "prediction": said}


def _column(rows: Sequence[Row], file: Path, files: Files, needed: bool) -> str:
    names = list(dict.fromkeys(name for row in rows for name in row))
    if "response" in files:
        wanted = str(files["response"]).lower()
        if wanted not in names:
            raise ValueError(f"{file}: found columns {sorted(names)}, expected {wanted!r}, which --response names")
        return wanted
    found = [name for name in names if name in SAID or name.endswith("_output")]
    if not found:
        found = [name for name in names if name in OPEN and not _asks(row.get(name) for row in rows)]
    if not found and not needed:
        return ""
    same = {name: [text_of(row.get(name)) for row in rows] for name in found}
    if not found or any(cells != same[found[0]] for cells in same.values()):
        what = "none that is known to be" if not found else f"{' and '.join(found)}, each of which may be"
        raise ValueError(
            f"{file}: found columns {sorted(names)}, {what} the model's words; name the column with --response, or call it "
            "prediction or response"
        )
    return found[0]


def _asks(cells: Any) -> bool:
    """Whether most of a column are questions: the question file, or a question kept beside its answer."""
    marks = [text.rstrip().endswith(("?", "？")) or "?\n" in text for text in map(text_of, cells)]
    return sum(marks) * 2 > len(marks)


def refuse_labels(answers: Sequence[Answer], where: str, column: str, files: Files) -> None:
    """Raises ValueError where every answer is the right one letter by letter: then they are hardly a model's."""
    known = [answer for answer in answers if answer.question.gold]
    right = [answer for answer in known if answer.response.strip().lower() == answer.question.gold.lower()]
    if "response" not in files and len(right) == len(known) > 1:
        raise ValueError(
            f"{where}: all {len(known)} answers in column {column!r} are the right answers letter by letter; name the "
            f"model's column with --response ({column}, if the model is really right everywhere)"
        )


def with_own_labels(given: Sequence[Given], questions: Sequence[Question], files: Files) -> Answers:
    """Answers to questions whose right answers stand in the same rows."""
    found = (Answer(question, one.said) for one, question in zip(given, questions, strict=True))
    answers = Answers(once_each(found, given[0].file))
    refuse_labels(answers, given[0].file, given[0].column, files)
    return answers


def read_by_id(paths: Sequence[Path], files: Files, question: Callable[[Row, str], Question]) -> Answers:
    """Answers by id to the questions of `files["labels"]`, a table of questions; without it, to those of their own rows,
    where the right answer then stands under `answer`. `question`: row, where it stands -> question.
    """
    given = read_answers(paths, files)
    if "labels" not in files:
        asked = [question({**one.row, "answer": one.gold}, one.where) for one in given]
        return with_own_labels(given, asked, files)
    labels = Path(files["labels"])
    rows = [(row, question(row, f"{labels}, row {number}")) for number, row in enumerate(rows_of(labels), 1)]
    return join(given, rows, [("id",)], labels, files)


Asked = Sequence[tuple[Row, Question]]  # a question with the row of the labels that it comes from
Pairs = list[tuple[int, int]]  # places of an answer and of its question


def join(
    given: Sequence[Given],
    asked: Asked,
    ways: Sequence[Sequence[str]],
    labels: Path | str,
    files: Files,
    answer: Callable[[Given, Question], Answer] = lambda one, question: Answer(question, one.said),
) -> Answers:
    """Answers to the questions of labels, in their order; `expected` are all questions, `left_over` answers to none.

    Each way is a list of keys; the first that fits is taken: every answer has the keys, no two have the same, some
    question has them, and the words of the question are nearly always the same on both sides; where they are not, the
    answer is left. Without keys order decides: as many answers as questions, or fewer or more whose questions say where
    they belong. Raises ValueError.
    """
    if not given:
        raise ValueError(f"found no answer to any of the {len(asked)} questions of {labels}")
    pairs = next(filter(None, (_by_keys(given, asked, way) for way in ways)), None)
    if not pairs:
        _refuse_repeats(given, ways)
        pairs = _in_order(given, asked, str(labels))
    answered = {question: answer for answer, question in pairs}
    found = Answers(
        (answer(given[answered[place]], question) for place, (_, question) in enumerate(asked) if place in answered),
        expected=len(asked),
        left_over=len(given) - len(pairs),
    )
    refuse_labels(found, given[0].where, given[0].column, files)
    return found


def _by_keys(given: Sequence[Given], asked: Asked, way: Sequence[str]) -> Pairs | None:
    left = [tuple(one.key(name) for name in way) for one in given]
    right = {tuple(key_of(row, name) for name in way): place for place, (row, _) in enumerate(asked)}
    if not all(map(all, left)) or len(set(left)) < len(left) or len(right) < len(asked):
        return None
    pairs = [(place, right[key]) for place, key in enumerate(left) if key in right]
    same = [(one, other) for one, other in pairs if _agree(given[one], asked[other])]
    return same if len(same) >= _AGREE * len(pairs) else None


def _refuse_repeats(given: Sequence[Given], ways: Sequence[Sequence[str]]) -> None:
    for way in ways:
        names = Counter(("/".join(map(one.key, way)), str(one.row.get("category"))) for one in given)
        (name, _), number = names.most_common(1)[0]
        if number > 1 and all(all(map(one.key, way)) for one in given):
            raise ValueError(f"{given[0].file}: question {name} is answered twice")


def _agree(one: Given, asked: tuple[Row, Question]) -> bool:
    """Whether both are one question: by its words, or where a side has none by the right answer that the row has too."""
    said, wanted = one.key("words"), key_of(asked[0], "question")
    if said and wanted:
        return wanted in said
    return not one.gold or not asked[1].gold or one.gold.lower() == asked[1].gold.lower()


def _in_order(given: Sequence[Given], asked: Asked, labels: str) -> Pairs:
    where, worded = given[0].file, all(one.key("question") for one in given)
    if not worded and given[0].key("id") and not given[0].row.get("category"):
        raise ValueError(f"{where}: question_id {given[0].key('id')} is none of the {len(asked)} questions of {labels}")
    if len(given) == len(asked) and all(map(_agree, given, asked)):
        return [(place, place) for place in range(len(given))]
    if len(given) != len(asked) and not worded:
        raise ValueError(f"{where}: found {len(given)} answers, expected {len(asked)} as in {labels}")
    pairs = _certain(given, asked) if worded else None
    if not pairs:
        wrong = next((place for place, pair in enumerate(zip(given, asked)) if not _agree(*pair)), 0)
        raise ValueError(
            f"{where}, answer {wrong + 1}: it answers {given[wrong].key('question')[:80]!r}, {labels} asks "
            f"{key_of(asked[wrong][0], 'question')[:80]!r}; the order differs, and no ids or pictures say what belongs "
            "together; put the questions that were asked, with both, beside the labels (LLaVA's llava_pope_test.jsonl)"
        )
    return pairs


def _certain(given: Sequence[Given], asked: Asked) -> Pairs | None:
    """The shorter list found in the longer one in its order; only what has one possible place. None where it is not in it."""
    left = [one.key("question") for one in given]
    right = [key_of(row, "question") for row, _ in asked]
    short, long = sorted((left, right), key=len)
    first, last = _places(short, long), _places(short[::-1], long[::-1])
    if not first or not last:
        return None
    sure = [
        (place, one) for place, (one, other) in enumerate(zip(first, reversed(last))) if one == len(long) - 1 - other
    ]
    return sure if short is left else [(other, place) for place, other in sure]


def _places(short: Sequence[str], long: Sequence[str]) -> list[int] | None:
    """Where each of the shorter list stands in the longer one, one behind the other and as early as can be."""
    rest = iter(enumerate(long))
    places = [next((place for place, text in rest if text == wanted), -1) for wanted in short]
    return None if -1 in places else places

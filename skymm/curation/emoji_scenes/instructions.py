"""Instructions about scenes: questions with their exact answers, positive and negative, each in English and Chinese.

A Fact is one question with its answer in both languages. Positive facts are about what is there ("Yes", or its name);
negative facts ask for what is NOT there, and the answer says so. Everything is computed from the scene, so a negative can
never name something that is in the picture. `yes_no_pair` gives a positive and its negative twin, which is also the form
of MME: two questions per image, one Yes and one No.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from skymm.conversation import LANGUAGES, Turn
from skymm.curation.emoji_scenes.scene import COLOURS, Item, Scene
from skymm.curation.sources import emoji

TRUTHS = {1: 0.55, 2: 0.32, 3: 0.1, 4: 0.03}  # how often each number is the right one among questions that are asked
NUMBERS = {1: ("one", "一"), 2: ("two", "两"), 3: ("three", "三"), 4: ("four", "四")}
CELL_NAMES = {
    (0, 0): ("top left", "左上"),
    (1, 0): ("top right", "右上"),
    (0, 1): ("bottom left", "左下"),
    (1, 1): ("bottom right", "右下"),
}
YES, NO = ("Yes", "是"), ("No", "否")
# Benchmarks in MME's layout hold their answers in English, whatever language asks.
ENGLISH_VERDICT = {"positive": YES[0], "negative": NO[0]}


@dataclass(frozen=True, slots=True)
class Fact:
    """A question and its answer, each as (English, Chinese)."""

    kind: str
    polarity: str
    question: tuple[str, str]
    answer: tuple[str, str]

    def turns(self, language: str, *, images: tuple[str, ...] = ()) -> tuple[Turn, Turn]:
        index = LANGUAGES.index(language)
        return (
            Turn("user", self.question[index], images),
            Turn("assistant", self.answer[index], (), self.polarity, self.kind, language),
        )


# --- what a picture shows -------------------------------------------------------------------------------------------


def caption(scene: Scene) -> Fact:
    """What is there, in reading order. The words that stage 1 ties to what is seen."""
    if scene.writing:
        answer = (
            f'On {scene.colour}: the text "{scene.writing}".',
            f"{_zh_colour(scene.colour)}底：文字“{scene.writing}”。",
        )
    else:
        english = ", ".join(item.concept.en for item in scene.items)
        chinese = "，".join(item.concept.zh for item in scene.items)
        answer = (f"On {scene.colour}: {english}.", f"{_zh_colour(scene.colour)}底：{chinese}。")
    return Fact("caption", "positive", ("What is in the picture?", "图里有什么？"), answer)


def layout(scene: Scene) -> Fact:
    """What is there and where."""
    english = ", ".join(f"{CELL_NAMES[item.cell][0]} {item.concept.en}" for item in scene.items)
    chinese = "，".join(f"{CELL_NAMES[item.cell][1]}{item.concept.zh}" for item in scene.items)
    return Fact("layout", "positive", ("What is where?", "什么在哪里？"), (f"{english}.".capitalize(), f"{chinese}。"))


def name(rng: random.Random, scene: Scene) -> Fact:
    """What stands in one cell."""
    item = rng.choice(scene.items)
    english, chinese = CELL_NAMES[item.cell]
    question = (f"What is at the {english}?", f"{chinese}是什么？")
    return Fact("name", "positive", question, (item.concept.en, item.concept.zh))


def empty_cell(rng: random.Random, scene: Scene) -> Fact | None:
    """A false premise: asks what stands in a cell where nothing is. None when all four cells are taken."""
    free = [cell for cell in CELL_NAMES if cell not in {item.cell for item in scene.items}]
    if not free:
        return None
    english, chinese = CELL_NAMES[rng.choice(free)]
    return Fact("name", "negative", (f"What is at the {english}?", f"{chinese}是什么？"), ("Nothing", "什么都没有"))


# --- pairs: the same question, once about what is there and once about what is not -----------------------------------


def existence(rng: random.Random, scene: Scene, pool: Sequence[str]) -> tuple[Fact, Fact] | None:
    absent = [char for char in pool if char not in scene.chars]
    if not scene.items or not absent:
        return None
    present, missing = emoji.find(rng.choice(scene.chars)), emoji.find(rng.choice(absent))
    return _pair("existence", *((_is_there(concept.en), f"有{concept.zh}吗？") for concept in (present, missing)))


def count(rng: random.Random, scene: Scene, pool: Sequence[str]) -> tuple[Fact, Fact] | None:
    """Wrong numbers come as often as they are right elsewhere, or the number alone would tell the answer."""
    if not scene.items:
        return None
    # Concepts that stand more than once come first: counting to one is existence by another name.
    char = max(scene.chars, key=lambda char: (scene.count(char), rng.random()))
    truth = scene.count(char)
    if truth == 1 and scene.ground_seed % 5:
        return None  # most things stand once: asked about all of them, "one" would nearly always be right
    others = [number for number in NUMBERS if number != truth]
    wrong = rng.choices(others, [TRUTHS[number] for number in others])[0]
    concept = emoji.find(char)
    questions = [
        (
            f"Is there exactly one {concept.en}?"
            if number == 1
            else f"Are there {NUMBERS[number][0]} {_plural(concept.en)}?",
            f"有{NUMBERS[number][1]}个{concept.zh}吗？",
        )
        for number in (truth, wrong)
    ]
    return _pair("count", *questions)


def position(rng: random.Random, scene: Scene, pool: Sequence[str]) -> tuple[Fact, Fact] | None:
    """Two different things, each there once, that stand in different columns (left, right) or rows (above, below)."""
    single = [item for item in scene.items if scene.count(item.char) == 1]
    relations = [(first, second, words) for first in single for second in single for words in _relations(first, second)]
    if not relations:
        return None
    first, second, ((english, wrong_english), (chinese, wrong_chinese)) = rng.choice(relations)
    a, b = first.concept, second.concept
    return _pair(
        "position",
        (f"Is the {a.en} {english} the {b.en}?", f"{a.zh}在{b.zh}的{chinese}吗？"),
        (f"Is the {a.en} {wrong_english} the {b.en}?", f"{a.zh}在{b.zh}的{wrong_chinese}吗？"),
    )


def colour(rng: random.Random, scene: Scene, pool: Sequence[str]) -> tuple[Fact, Fact]:
    wrong = rng.choice([other for other in COLOURS if other != scene.colour])
    questions = ((f"Is the background {c}?", f"背景是{_zh_colour(c)}吗？") for c in (scene.colour, wrong))
    return _pair("color", *questions)


def writing(rng: random.Random, scene: Scene, pool: Sequence[str]) -> tuple[Fact, Fact] | None:
    """Is the word in the picture this one? Other words of the same language are the negatives."""
    named = {emoji.find(char).en: char for char in pool} | {emoji.find(char).zh: char for char in pool}
    if scene.writing not in named:
        return None
    index = 0 if emoji.find(named[scene.writing]).en == scene.writing else 1
    other = rng.choice([(c.en, c.zh)[index] for c in map(emoji.find, pool) if (c.en, c.zh)[index] != scene.writing])
    questions = ((f'Is the word "{word}"?', f"文字是“{word}”吗？") for word in (scene.writing, other))
    return _pair("OCR", *questions)


def translation(rng: random.Random, scene: Scene, pool: Sequence[str]) -> tuple[Fact, Fact] | None:
    """Does the Chinese word in the picture mean this English word?"""
    found = next((emoji.find(char) for char in pool if emoji.find(char).zh == scene.writing), None)
    if found is None:
        return None
    other = rng.choice([concept.en for concept in map(emoji.find, pool) if concept.zh != found.zh])
    questions = ((f'Does the word mean "{word}"?', f"这个词的英文是“{word}”吗？") for word in (found.en, other))
    return _pair("text_translation", *questions)


def calculation(rng: random.Random, scene: Scene, pool: Sequence[str]) -> tuple[Fact, Fact] | None:
    """Is the result of the sum in the picture this number?"""
    if "+" not in scene.writing:
        return None
    total = sum(int(part) for part in scene.writing.rstrip(" =").split("+"))
    wrong = total + rng.choice([-3, -2, -1, 1, 2, 3])
    questions = ((f"Is the answer {number}?", f"答案是{number}吗？") for number in (total, wrong))
    return _pair("numerical_calculation", *questions)


# MME's own names for the subtasks that these pictures can carry.
PAIRS: dict[str, Callable[[random.Random, Scene, Sequence[str]], tuple[Fact, Fact] | None]] = {
    "existence": existence,
    "count": count,
    "position": position,
    "color": colour,
    "OCR": writing,
    "text_translation": translation,
    "numerical_calculation": calculation,
}


# --- words ------------------------------------------------------------------------------------------------------------


def _pair(kind: str, true_question: tuple[str, str], false_question: tuple[str, str]) -> tuple[Fact, Fact]:
    return Fact(kind, "positive", tuple(true_question), YES), Fact(kind, "negative", tuple(false_question), NO)


def _relations(first: Item, second: Item) -> list[tuple[tuple[str, str], tuple[str, str]]]:
    """(right word, wrong word) in English and in Chinese, for every way in which `first` stands beside `second`."""
    found = []
    horizontal, vertical = first.cell[0] - second.cell[0], first.cell[1] - second.cell[1]
    if horizontal:
        pair = (("left of", "左边"), ("right of", "右边"))
        right, wrong = (0, 1) if horizontal < 0 else (1, 0)
        found.append(((pair[right][0], pair[wrong][0]), (pair[right][1], pair[wrong][1])))
    if vertical:
        pair = (("above", "上面"), ("below", "下面"))
        right, wrong = (0, 1) if vertical < 0 else (1, 0)
        found.append(((pair[right][0], pair[wrong][0]), (pair[right][1], pair[wrong][1])))
    return found


def _zh_colour(colour: str) -> str:
    return COLOURS[colour][0]


def _looks_plural(name: str) -> bool:
    return name.endswith("s") and not name.endswith(("ss", "us", "is"))


def _is_there(name: str) -> str:
    if _looks_plural(name):
        return f"Are there {name}?"
    return f"Is there {'an' if name[0].lower() in 'aeiou' else 'a'} {name}?"


def _plural(name: str) -> str:
    if name.endswith("s") and _looks_plural(name):
        return name
    if name.endswith(("s", "x", "z", "ch", "sh")):
        return f"{name}es"
    if name.endswith("y") and name[-2:-1] not in "aeiou":
        return f"{name[:-1]}ies"
    return f"{name}s"

"""Instructions about scenes: questions with their exact answers, positive and negative, each in English and Chinese.

A Fact is one question with its answer in both languages. Positive facts are about what is there ("Yes", or its name);
negative facts ask for what is NOT there, and the answer says so. Everything is computed from the scene, so a negative can
never name something that is in the picture. What is asked of which scene is decided over all of them (negatives/balance.py);
a benchmark in MME's form asks two questions per image, one Yes and one No.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import permutations

from skymm.conversation import LANGUAGES, Turn
from skymm.curation import emoji
from skymm.curation.emoji_scenes.scene import COLOURS, Scene
from skymm.curation.negatives.balance import Askable, Key, Rules

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


# --- what may be asked with answer yes, and what with answer no ------------------------------------------------------

# MME's own names for the subtasks that these pictures can carry.
KINDS = ("existence", "count", "position", "color", "OCR", "text_translation", "numerical_calculation")
_MOST = 64  # things that are tried as absent, where there are hundreds


def askable(rng: random.Random, scene: Scene, pool: Sequence[str]) -> Askable:
    """By kind. `pool`: the things that may be asked for in vain; none that is, or is much like, one that is there."""
    found: dict[str, tuple[list[Key], list[Key]]] = {
        "color": ([(scene.colour,)], [(c,) for c in COLOURS if c != scene.colour])
    }
    tried = pool
    if len(pool) > _MOST and "+" not in scene.writing:
        tried = rng.sample(list(pool), _MOST)
    if scene.items:
        found["existence"] = ([(char,) for char in scene.chars], [(char,) for char in emoji.unlike(tried, scene.chars)])
        counts = [(char, scene.count(char)) for char in scene.chars]
        wrong = [(char, str(number)) for char, truth in counts for number in NUMBERS if number != truth]
        found["count"] = ([(char, str(number)) for char, number in counts], wrong)
        right = relations(scene)
        found["position"] = (right, [(first, _OPPOSITE[word], second) for first, word, second in right])
    elif "+" in scene.writing:
        total = sum(int(part) for part in scene.writing.rstrip(" =").split("+"))
        near = [number for number in range(total - 3, total + 4) if number != total and 2 <= number <= 18]
        found["numerical_calculation"] = ([(str(total),)], [(str(number),) for number in near])
    else:
        names = [(concept.en, concept.zh) for concept in map(emoji.find, tried)]
        index = 0 if scene.writing.isascii() else 1
        others = [both for both in names if both[index] != scene.writing]
        found["OCR"] = ([(scene.writing,)], list(dict.fromkeys((both[index],) for both in others)))
        meant = next((emoji.find(char).en for char in pool if emoji.find(char).zh == scene.writing), None)
        if meant is not None:
            wrong = [(english,) for english, _ in others if english != meant]
            found["text_translation"] = ([(meant,)], list(dict.fromkeys(wrong)))
    return {kind: both for kind, both in found.items() if all(both)}


def rules(quotas: Mapping[str, int]) -> Rules:
    """How questions are spread over scenes; `quotas` are how many of each kind one scene may be asked."""
    return Rules(dict(quotas), _topics, closes=_closes)


def _topics(kind: str, key: Key) -> tuple[str, ...]:
    """What a question is about. What the word is, and what it means, are one."""
    if kind in ("existence", "count"):
        return key[:1]
    return (key[0], key[2]) if kind == "position" else ("writing",) if kind in ("OCR", "text_translation") else (kind,)


def _closes(kind: str, polarity: str) -> bool:
    """That the ground is not red leaves its colour open; that it is blue does not."""
    return polarity == "positive" or kind in ("existence", "count", "position")


def fact(kind: str, key: Key, polarity: str) -> Fact:
    """The question in both languages with its answer."""
    return Fact(kind, polarity, _question(kind, key), YES if polarity == "positive" else NO)


def pair(rng: random.Random, kind: str, scene: Scene, pool: Sequence[str]) -> tuple[Fact, Fact] | None:
    """One question with answer yes and one with answer no about a scene, as MME asks; None where it cannot carry the kind."""
    if kind not in (found := askable(rng, scene, pool)):
        return None
    yes, no = found[kind]
    if kind == "count":
        # Concepts that stand more than once come first: counting to one is existence by another name.
        char = max(scene.chars, key=lambda char: (scene.count(char), rng.random()))
        if scene.count(char) == 1 and scene.ground_seed % 5:
            return None  # most things stand once: asked about all of them, "one" would nearly always be right
        yes, no = [key for key in yes if key[0] == char], [key for key in no if key[0] == char]
        # Wrong numbers come as often as they are right elsewhere, or the number alone would tell the answer.
        wrong = rng.choices(no, [TRUTHS[int(key[1])] for key in no])[0]
    else:
        wrong = rng.choice(list(no))
    right = rng.choice(yes)
    if kind == "position":
        wrong = (right[0], _OPPOSITE[right[1]], right[2])
    return fact(kind, right, "positive"), fact(kind, wrong, "negative")


# --- words ------------------------------------------------------------------------------------------------------------


_RELATIONS = {"left of": "左边", "right of": "右边", "above": "上面", "below": "下面"}
_OPPOSITE = {"left of": "right of", "right of": "left of", "above": "below", "below": "above"}


def relations(scene: Scene) -> list[Key]:
    """(emoji, word, emoji) for every way in which one thing that stands once stands beside another."""
    single = [item for item in scene.items if scene.count(item.char) == 1]
    found = []
    for first, second in permutations(single, 2):
        for axis, (before, after) in enumerate((("left of", "right of"), ("above", "below"))):
            if first.cell[axis] != second.cell[axis]:
                found.append((first.char, before if first.cell[axis] < second.cell[axis] else after, second.char))
    return found


def _question(kind: str, key: Key) -> tuple[str, str]:
    if kind == "existence":
        concept = emoji.find(key[0])
        return _is_there(concept.en), f"有{concept.zh}吗？"
    if kind == "count":
        concept, number = emoji.find(key[0]), int(key[1])
        english, chinese = NUMBERS[number]
        asked = f"Is there exactly one {concept.en}?" if number == 1 else f"Are there {english} {_plural(concept.en)}?"
        return asked, f"有{chinese}个{concept.zh}吗？"
    if kind == "position":
        one, other = emoji.find(key[0]), emoji.find(key[2])
        return f"Is the {one.en} {key[1]} the {other.en}?", f"{one.zh}在{other.zh}的{_RELATIONS[key[1]]}吗？"
    (said,) = key
    return {
        "color": (f"Is the background {said}?", f"背景是{_zh_colour(said) if kind == 'color' else ''}吗？"),
        "OCR": (f'Is the word "{said}"?', f"文字是“{said}”吗？"),
        "text_translation": (f'Does the word mean "{said}"?', f"这个词的英文是“{said}”吗？"),
        "numerical_calculation": (f"Is the answer {said}?", f"答案是{said}吗？"),
    }[kind]


def _zh_colour(colour: str) -> str:
    return COLOURS[colour][0]


def _is_there(name: str) -> str:
    if emoji.looks_plural(name):
        return f"Are there {name}?"
    return f"Is there {'an' if name[0].lower() in 'aeiou' else 'a'} {name}?"


def _plural(name: str) -> str:
    if name.endswith("s") and emoji.looks_plural(name):
        return name
    if name.endswith(("s", "x", "z", "ch", "sh")):
        return f"{name}es"
    if name.endswith("y") and name[-2:-1] not in "aeiou":
        return f"{name[:-1]}ies"
    return f"{name}s"

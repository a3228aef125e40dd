"""Can the answers be told without looking? What a reader of the words alone gets right, who never sees a picture.

Of each kind and language some thousands of questions, chosen by hash, fall into two halves by their picture; a guesser
learns from one half and answers the other, and then the other way round. On yes/no questions it is naive Bayes over
words and pairs of neighbouring words (Laplace smoothing); on others it gives the answer that the same question had most often.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

from skymm.text import normalise, words
from skymm.verdict import NO, UNKNOWN, YES

MIN_QUESTIONS = 60
"""Fewer say nothing about guessing."""
_YES_NO_SHARE = 0.8  # of the answers, from which on a kind is one of yes/no questions
_MIN_TELLING = 10  # questions with a word that tells
_SURE = 4.0  # standard errors; of some hundred words none is so far off by chance
_NUM_TELLING = 3
GAIN = 0.05


class Question(NamedTuple):
    """A question of those that guessing is tried on. `half` (0 or 1) depends on the picture alone; `said` is "yes" or "no".

    Equal answers are equal in `answer`, of which the first line is shown.
    """

    half: int
    question: str
    answer: str
    said: str | None


class Telling(NamedTuple):
    """A word, or two in a row, whose questions are answered with yes more often, or less often, than others."""

    word: str
    count: int
    yes_share: float


@dataclass(frozen=True, slots=True)
class Guess:
    """`guessed`: the share of `count` answers that the words of the question alone give. `answer_share`: what one gets
    right who always says the most frequent one, `answer`.
    """

    kind: str
    language: str
    yes_no: bool
    count: int
    answer: str
    answer_share: float
    guessed: float
    telling: tuple[Telling, ...] = ()

    @property
    def error(self) -> float:
        """Standard error of a share of so many."""
        return math.sqrt(0.25 / self.count)

    @property
    def gain(self) -> float:
        """What the words give away."""
        return self.guessed - self.answer_share

    @property
    def tells(self) -> bool:
        """Whether the gain is more than a little, and more than chance."""
        return self.gain >= max(GAIN, 3 * self.error)


def guess(kind: str, language: str, questions: Sequence[Question]) -> Guess | None:
    """None for too few questions, or where no half has both answers to learn from."""
    decided = [one for one in questions if one.said is not None]
    yes_no = len(decided) >= _YES_NO_SHARE * len(questions)
    tried = decided if yes_no else list(questions)
    halves = [[one for one in tried if one.half == half] for half in (0, 1)]
    if len(tried) < MIN_QUESTIONS or not all(halves):
        return None
    if yes_no:
        right = _told_by_words(*halves) + _told_by_words(*reversed(halves))
        answers = Counter(one.said or UNKNOWN for one in tried)
    else:
        right = _told_by_context(Counter((one.half, normalise(one.question).lower(), one.answer) for one in tried))
        answers = Counter(one.answer for one in tried)
    most = _most(answers)
    shares = (answers[most] / len(tried), right / len(tried))
    return Guess(kind, language, yes_no, len(tried), most.split("\n")[0], *shares, _telling(tried) if yes_no else ())


def guess_before(kind: str, language: str, before: Mapping[tuple[int, str, int, str], int]) -> Guess | None:
    """How well what was said before in the conversation tells whether a yes or a no comes next.

    `before` counts (half, last yes or no, how many more yes than no, what came). None for too few.
    """
    total = sum(before.values())
    if total < MIN_QUESTIONS or len({half for half, *_ in before}) < 2:
        return None
    right = _told_by_context({(half, (last, more), said): count for (half, last, more, said), count in before.items()})
    counts: Counter[str] = Counter()
    for (*_, said), count in before.items():
        counts[said] += count
    answer = _most(counts)
    return Guess(kind, language, True, total, answer, counts[answer] / total, right / total)


def _most(counts: Counter[str]) -> str:
    """The most frequent; of equals the first of the alphabet."""
    return min(counts, key=lambda name: (-counts[name], name))


def _told_by_context(counts: Mapping[tuple[int, Hashable, str], int]) -> int:
    """How many of (half, context, answer) are the most frequent answer to the same context in the other half, else to any."""
    right = 0
    for half in (0, 1):
        learned: dict[Hashable, Counter[str]] = {}
        overall: Counter[str] = Counter()
        for (where, context, answer), count in counts.items():
            if where == half:
                learned.setdefault(context, Counter())[answer] += count
                overall[answer] += count
        for (where, context, answer), count in counts.items():
            if where != half and answer == _most(learned.get(context, overall)):
                right += count
    return right


def _told_by_words(learned: Sequence[Question], asked: Sequence[Question]) -> int:
    """How many of `asked` naive Bayes over the words of `learned` gets right."""
    odds = reader(learned)
    return sum(one.said == (YES if odds(one) > 0 else NO) for one in asked)


def reader(learned: Sequence[Question]) -> Callable[[Question], float]:
    """The log-odds of yes by naive Bayes over the words of `learned`."""
    priors = Counter(one.said for one in learned)
    seen = {said: Counter(word for one in learned if one.said == said for word in _words(one)) for said in (YES, NO)}
    known: dict[str, float] = {}

    def odds(one: Question) -> float:
        score = math.log((priors[YES] + 1) / (priors[NO] + 1))
        for word in _words(one):
            if word not in known:  # how much more a question with it is one for yes
                shares = [(seen[said][word] + 1) / (priors[said] + 2) for said in (YES, NO)]
                known[word] = math.log(shares[0] / shares[1])
            score += known[word]
        return score

    return odds


def _words(one: Question) -> list[str]:
    """Words and pairs of neighbours, each once."""
    found = words(one.question)
    return list(dict.fromkeys([*found, *(f"{first} {second}" for first, second in pairwise(found))]))


def _telling(tried: Sequence[Question]) -> tuple[Telling, ...]:
    """The words that say most, surest first; one of those that stand in the same questions."""
    share = sum(one.said == YES for one in tried) / len(tried)
    if not 0 < share < 1:
        return ()
    totals = Counter(word for one in tried for word in _words(one))
    yes = Counter(word for one in tried if one.said == YES for word in _words(one))

    def sureness(word: str) -> float:
        count = totals[word]
        return abs(yes[word] - count * share) / math.sqrt(count * share * (1 - share))

    often = [word for word, count in totals.items() if count >= _MIN_TELLING and sureness(word) > _SURE]
    chosen: list[str] = []
    for word in sorted(often, key=lambda one: (-round(sureness(one), 6), " " in one, -len(one), one)):
        shared = {part for other in chosen for part in other.split(" ")} & set(word.split(" "))
        same_questions = (totals[word], yes[word]) in {(totals[other], yes[other]) for other in chosen}
        if len(chosen) < _NUM_TELLING and not shared and not same_questions:
            chosen.append(word)
    return tuple(Telling(word, totals[word], yes[word] / totals[word]) for word in chosen)

"""Can the answers be told without looking? What a reader of the words alone gets right, who never sees a picture.

Of each kind and language some thousands of questions, chosen by hash, fall into two halves by their picture; a guesser
learns from one half and answers the other, and then the other way round. On yes/no questions it is naive Bayes over
words and pairs of neighbouring words (Laplace smoothing); on others it gives the answer that the same question had most often.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from skymm.curation.audit.counts import Question
from skymm.text import normalise, words
from skymm.verdict import NO, UNKNOWN, YES

MIN_QUESTIONS = 60
"""Fewer say nothing about guessing."""
_YES_NO_SHARE = 0.8  # of the answers, from which on a kind is one of yes/no questions
_MIN_TELLING = 10  # questions with a word that tells
_SURE = 4.0  # standard errors; of some hundred words none is so far off by chance
_NUM_TELLING = 3


@dataclass(frozen=True, slots=True)
class Telling:
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
    def closed(self) -> float:
        """The same, as a part of what there is to be gained."""
        return self.gain / (1 - self.answer_share) if self.answer_share < 1 else 0.0


def guess(kind: str, language: str, questions: Sequence[Question]) -> Guess | None:
    """None for too few questions, or where no half has both answers to learn from."""
    decided = [one for one in questions if one.said is not None]
    yes_no = len(decided) >= _YES_NO_SHARE * len(questions)
    tried = decided if yes_no else list(questions)
    halves = [[one for one in tried if one.half == half] for half in (0, 1)]
    if len(tried) < MIN_QUESTIONS or not all(halves):
        return None
    right = 0
    for learned, asked in (halves, halves[::-1]):
        common = _most(Counter(_label(one, yes_no) for one in learned))
        answers = _bayes(learned, asked) if yes_no else _repeated(learned, asked, common)
        right += sum(_label(one, yes_no) == answer for one, answer in zip(asked, answers))
    counts = Counter(_label(one, yes_no) for one in tried)
    label = _most(counts)
    answer = next(one.said if yes_no else one.answer for one in tried if _label(one, yes_no) == label)
    return Guess(
        *(kind, language, yes_no, len(tried), answer or UNKNOWN, counts[label] / len(tried)),
        *(right / len(tried), _telling(tried) if yes_no else ()),
    )


def guess_before(
    before: Mapping[tuple[int, str, int, str], int], kind: str = UNKNOWN, language: str = UNKNOWN
) -> Guess | None:
    """How well what was said before in the conversation tells whether a yes or a no comes next.

    `before` counts (half, last yes or no, how many more yes than no, what came). None for too few.
    """
    total = sum(before.values())
    right = 0
    for half in (0, 1):
        learned: dict[tuple[str, int], Counter[str]] = {}
        overall: Counter[str] = Counter()
        for (where, last, more, said), count in before.items():
            if where == half:
                learned.setdefault((last, more), Counter())[said] += count
                overall[said] += count
        if not overall:
            return None
        common = _most(overall)
        for (where, last, more, said), count in before.items():
            if where != half:
                right += count * (said == (_most(learned[last, more]) if (last, more) in learned else common))
    if total < MIN_QUESTIONS:
        return None
    counts: Counter[str] = Counter()
    for (*_, said), count in before.items():
        counts[said] += count
    answer = _most(counts)
    return Guess(kind, language, True, total, answer, counts[answer] / total, right / total)


def _label(one: Question, yes_no: bool) -> str:
    return one.said or UNKNOWN if yes_no else f"{one.label:016x}"


def _most(counts: Counter[str]) -> str:
    """The most frequent; of equals the first of the alphabet."""
    return min(counts, key=lambda name: (-counts[name], name))


def _features(question: str) -> list[str]:
    """Words and pairs of neighbours, each once."""
    found = words(question)
    return list(dict.fromkeys([*found, *(f"{first} {second}" for first, second in pairwise(found))]))


def _bayes(learned: Sequence[Question], asked: Sequence[Question]) -> list[str]:
    priors = Counter(one.said for one in learned)
    seen = {
        said: Counter(feature for one in learned if one.said == said for feature in _features(one.question))
        for said in (YES, NO)
    }

    def surplus(feature: str) -> float:
        """How much more a question with this feature is one for yes."""
        shares = [(seen[said][feature] + 1) / (priors[said] + 2) for said in (YES, NO)]
        return math.log(shares[0] / shares[1])

    known: dict[str, float] = {}
    answers = []
    for one in asked:
        score = math.log((priors[YES] + 1) / (priors[NO] + 1))
        for feature in _features(one.question):
            if feature not in known:
                known[feature] = surplus(feature)
            score += known[feature]
        answers.append(YES if score > 0 else NO)
    return answers


def _repeated(learned: Sequence[Question], asked: Sequence[Question], common: str) -> list[str]:
    """What the same question was answered with most often, else what any was."""
    known: dict[str, Counter[str]] = {}
    for one in learned:
        known.setdefault(normalise(one.question).lower(), Counter())[_label(one, False)] += 1
    return [_most(known.get(normalise(one.question).lower(), Counter([common]))) for one in asked]


def _telling(tried: Sequence[Question]) -> tuple[Telling, ...]:
    """The words that say most, surest first; one of those that stand in the same questions."""
    share = sum(one.said == YES for one in tried) / len(tried)
    if not 0 < share < 1:
        return ()
    totals: Counter[str] = Counter()
    yes: Counter[str] = Counter()
    for one in tried:
        for feature in _features(one.question):
            totals[feature] += 1
            yes[feature] += one.said == YES

    def sureness(feature: str) -> float:
        count = totals[feature]
        return abs(yes[feature] - count * share) / math.sqrt(count * share * (1 - share))

    often = [feature for feature, count in totals.items() if count >= _MIN_TELLING and sureness(feature) > _SURE]
    chosen: list[str] = []
    known: set[tuple[int, int]] = set()
    for feature in sorted(often, key=lambda one: (-round(sureness(one), 6), " " in one, -len(one), one)):
        same_questions = (totals[feature], yes[feature])
        if (
            len(chosen) < _NUM_TELLING
            and same_questions not in known
            and not _words_of(chosen) & set(feature.split(" "))
        ):
            chosen.append(feature)
            known.add(same_questions)
    return tuple(Telling(feature, totals[feature], yes[feature] / totals[feature]) for feature in chosen)


def _words_of(features: Iterable[str]) -> set[str]:
    return {word for feature in features for word in feature.split(" ")}

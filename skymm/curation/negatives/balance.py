"""Which picture is asked what, so that neither the words of a question nor earlier answers tell whether yes or no is right.

Questions are made two at a time, the same words at two pictures: yes is right at one of them and no at the other. Two are
asked only while either could be the one for yes, each about something else; which it is, a coin decides, that also keeps yes
and no even after the same earlier answers. So every thing, colour, number, place and word is as often answered with yes as
with no, whatever came before. Of what is in nearly every picture, or in nearly none, little is asked.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from skymm.conversation import LANGUAGES
from skymm.text import language_of, normalise

Key = tuple[str, ...]
"""What a question's words give away: a thing, a thing and its colour, ..."""

_DRAWS, _SMALL = 16, 20_000
_TRIES = 48  # partners that are looked at for a question, before a picture is asked no more of that sort


class Unless:
    """All writing of the same script but that which is, or is part of, a text that may stand in the picture."""

    def __init__(self, own: Sequence[str], known: Sequence[str] = ()) -> None:
        self._own = [normalise(text).lower() for text in own]
        self._known = [*self._own, *(normalise(text).lower() for text in known)]
        self._languages = {language_of(text) for text in own}

    def to_json(self) -> dict[str, list[str]]:
        return {"own": self._own, "known": self._known[len(self._own) :]}

    def __contains__(self, key: object) -> bool:
        assert isinstance(key, tuple)
        text = normalise(key[0]).lower()
        if language_of(key[0]) not in self._languages:
            return False
        return not any(text in one for one in self._known) and not any(one in text for one in self._own)


Askable = Mapping[str, tuple[Sequence[Key], Collection[Key] | Unless]]
"""By label ("existence/random"): what may be asked of a picture with answer yes, and what with answer no."""


@dataclass(frozen=True, slots=True)
class Asked:
    """One question of a picture. Both of two twins have the same `label`, `key`, `language` and `seed`, out of which their
    words come.
    """

    label: str
    key: Key
    polarity: str
    language: str
    seed: int


@dataclass(frozen=True, slots=True)
class Rules:
    """`quotas`: of each kind, questions per picture at most. `topics`: what a question is about; nothing `kin` to one of
    them is asked about again in the same conversation, once an answer of a polarity that `closes` it was given.
    """

    quotas: Mapping[str, int]
    topics: Callable[[str, Key], Iterable[str]]
    kin: Callable[[str], Iterable[str]] = lambda topic: (topic,)
    closes: Callable[[str, str], bool] = lambda label, polarity: True
    chinese_share: float = 0.5
    negative_share: float = 0.5
    answers: int = 0
    """Other answers of the same data, which its share of Chinese is of as well, and the Chinese ones among them."""
    chinese: int = 0


def kind_of(label: str) -> str:
    return label.partition("/")[0]


class _Picture:
    """What is still open at one picture."""

    def __init__(
        self, askable: Askable, room: int, rules: Rules, holders: Mapping[str, Mapping[Key, list[int]]]
    ) -> None:
        self.rules, self.room, self.quotas = rules, room, dict(rules.quotas)
        # Without what could never be asked: nothing is denied that is nowhere.
        self.askable = {
            label: (yes, no if isinstance(no, Unless) else {key: None for key in no if key in holders[label]})
            for label, (yes, no) in askable.items()
            if room > 0 and yes
        }
        self.labels = [label for label, (_, no) in self.askable.items() if isinstance(no, Unless) or no]
        self.closed: set[str] = set()
        self.asked: set[tuple[str, Key]] = set()
        self.questions: list[tuple[int, str]] = []  # number of the twins, polarity
        self.said = ""  # of the answers, their first letters

    def takes(self, label: str) -> bool:
        return len(self.questions) < self.room and self.quotas.get(kind_of(label), 0) > 0

    def is_free(self, label: str, key: Key) -> bool:
        return (label, key) not in self.asked and self.closed.isdisjoint(self.rules.topics(label, key))

    def ask(self, twins: int, label: str, key: Key, polarity: str) -> None:
        self.questions.append((twins, polarity))
        self.said += polarity[0]
        self.asked.add((label, key))
        self.quotas[kind_of(label)] -= 1
        if self.rules.closes(label, polarity):
            for topic in self.rules.topics(label, key):
                self.closed.update(self.rules.kin(topic))


def balance(pictures: Sequence[Askable], room: Sequence[int], rules: Rules, seed: str) -> list[list[Asked]]:
    """The questions of each picture, in the order in which they are to be asked; at most `room` of it.

    For every label, language and key there are as many for yes as for no; with a negative share of s they are thinned so that a
    part s of them is for no, to within one. The same arguments give the same questions.
    """
    if not 0 <= rules.negative_share <= 1:
        raise ValueError(f"found negative_share = {rules.negative_share}, expected 0 to 1")
    pairing = _Pairing(pictures, room, rules, random.Random(f"{seed}/twins"))
    pairing.run()
    return _in_languages(pairing, rules, seed)


class _Pairing:
    """`twins`: what was asked at two pictures, label and key."""

    def __init__(self, pictures: Sequence[Askable], room: Sequence[int], rules: Rules, rng: random.Random) -> None:
        self.rng = rng
        self.twins: list[tuple[str, Key]] = []
        self.frequency: Counter[tuple[str, Key]] = Counter()
        self.lean: Counter[tuple[str, str]] = Counter()  # by label and earlier answers: how many more yes than no
        # Who can say yes to it: numbers of pictures by label and key. Those who no longer can are taken out when met.
        self.holders: dict[str, dict[Key, list[int]]] = {}
        for number, (askable, most) in enumerate(zip(pictures, room, strict=True)):
            for label, (yes, _) in askable.items() if most > 0 else ():
                for key in yes:
                    self.holders.setdefault(label, {}).setdefault(key, []).append(number)
        self.keys = {label: list(holders) for label, holders in self.holders.items()}
        self.pictures = [_Picture(askable, most, rules, self.holders) for askable, most in zip(pictures, room)]
        # What few pictures can be asked is asked first there, before its things are taken by what all can.
        self.able = Counter(kind for one in self.pictures for kind in dict.fromkeys(map(kind_of, one.labels)))

    def run(self) -> None:
        """In rounds, so that no picture has its next question long before another has its first."""
        waiting = [number for number, one in enumerate(self.pictures) if one.labels]
        turn = 0
        while waiting:
            self.rng.shuffle(waiting)
            for number in waiting:
                if len(self.pictures[number].questions) <= turn:
                    self._ask(number)
            those = ((number, self.pictures[number]) for number in waiting)
            waiting = [number for number, one in those if one.labels and len(one.questions) < one.room]
            turn += 1

    def _ask(self, number: int) -> None:
        """One more question, of any sort that is still possible. A sort for which no partner was found is given up."""
        picture = self.pictures[number]
        while picture.labels and len(picture.questions) < picture.room:
            kinds = list(dict.fromkeys(map(kind_of, picture.labels)))
            weights = [max(0.01, picture.quotas.get(kind, 0)) / self.able[kind] for kind in kinds]
            kind = self.rng.choices(kinds, weights)[0]
            label = self.rng.choice([label for label in picture.labels if kind_of(label) == kind])
            if picture.takes(label) and self._twin(number, label):
                return
            picture.labels.remove(label)

    def _twin(self, number: int, label: str) -> bool:
        """Finds a partner that has something which is not here, where something is not that is here."""
        mine, rng = self.pictures[number], self.rng
        here, not_here = mine.askable[label]
        yes = [key for key in here if mine.is_free(label, key)]
        if not yes:
            return False
        keys = self.keys[label]
        wanted = [rng.choice(keys) for _ in range(_TRIES)] if isinstance(not_here, Unless) else list(not_here)
        for _ in range(_TRIES):
            if not wanted:
                return False
            place = rng.randrange(len(wanted))
            key = wanted[place]
            holders = self.holders[label][key]
            if not holders or key not in not_here or not mine.is_free(label, key):
                _take_out(wanted, place)
                continue
            place = rng.randrange(len(holders))
            partner = holders[place]
            theirs = self.pictures[partner]
            if not theirs.takes(label) or not theirs.is_free(label, key):
                _take_out(holders, place)
                continue
            there, not_there = theirs.askable[label]
            mine_for_yes = [one for one in yes if one in not_there and theirs.is_free(label, one)]
            if partner == number or not mine_for_yes:
                continue
            theirs_for_yes = [
                one for one in there if one in not_here and theirs.is_free(label, one) and mine.is_free(label, one)
            ]
            # Either of the two could be the one for yes: now, and only now, a coin decides, or what brings yes and no to be as
            # often right after the same earlier answers.
            lean = self.lean[label, mine.said] - self.lean[label, theirs.said]
            if lean < 0 or (lean == 0 and rng.random() < 0.5):
                self._settle(label, self._rarest(label, mine_for_yes), mine, theirs)
            else:
                self._settle(label, self._rarest(label, theirs_for_yes), theirs, mine)
            return True
        return False

    def _rarest(self, label: str, keys: Sequence[Key]) -> Key:
        """What was asked least so far: not always the same few things."""
        least = min(self.frequency[label, key] for key in keys)
        return self.rng.choice([key for key in keys if self.frequency[label, key] == least])

    def _settle(self, label: str, key: Key, yes: _Picture, no: _Picture) -> None:
        self.frequency[label, key] += 1
        self.lean[label, yes.said] += 1
        self.lean[label, no.said] -= 1
        yes.ask(len(self.twins), label, key, "positive")
        no.ask(len(self.twins), label, key, "negative")
        self.twins.append((label, key))


def _take_out(those: list, place: int) -> None:
    those[place] = those[-1]
    those.pop()


def _in_languages(pairing: _Pairing, rules: Rules, seed: str) -> list[list[Asked]]:
    """The wanted share of the twins of every key is Chinese, and they are thinned to the share of negatives."""
    rng = random.Random(f"{seed}/languages")
    # Of the polarity that there is too much of, so many stay; by key, so that it is the same for all of them.
    share = rules.negative_share
    kept = (1 - share) / share if share > 0.5 else share / (1 - share)
    asked = max(1.0, len(pairing.twins) * (1 + kept))
    chinese = (rules.chinese_share * (rules.answers + asked) - rules.chinese) / asked

    def drawn() -> tuple[list[int], list[bool]]:
        order = sorted(range(len(pairing.twins)), key=lambda twin: (pairing.twins[twin], rng.random()))
        return order, _spread(order, min(1.0, max(0.0, chinese)), rng.random())

    # In small data chance alone would let one language lean after the same earlier answers: the evenest of several draws.
    draws = [drawn() for _ in range(_DRAWS if len(pairing.twins) <= _SMALL else 1)]
    order, languages = min(draws, key=lambda draw: _unevenness(pairing, draw[1]))
    by_language = sorted(order, key=lambda twin: (pairing.twins[twin][0], languages[twin]))
    stays = _spread(by_language, kept, rng.random())
    thinned = "positive" if share > 0.5 else "negative"
    seeds = [rng.getrandbits(48) for _ in pairing.twins]
    return [
        [
            Asked(*pairing.twins[twin], polarity, LANGUAGES[languages[twin]], seeds[twin])
            for twin, polarity in picture.questions
            if polarity != thinned or stays[twin]
        ]
        for picture in pairing.pictures
    ]


def _unevenness(pairing: _Pairing, languages: Sequence[bool]) -> int:
    lean: Counter[tuple[str, bool, str, int]] = Counter()
    for picture in pairing.pictures:
        last, more = "", 0
        for twin, polarity in picture.questions:
            step = 1 if polarity == "positive" else -1
            lean[pairing.twins[twin][0], languages[twin], last, more] += step
            last, more = polarity, more + step
    return sum(one * one for one in lean.values())


def _spread(order: Sequence[int], share: float, start: float) -> list[bool]:
    """For each number whether it is one of a share that is spread evenly over the order."""
    found = [False] * len(order)
    filled = start
    for number in order:
        filled += share
        if filled >= 1:
            found[number] = True
            filled -= 1
    return found

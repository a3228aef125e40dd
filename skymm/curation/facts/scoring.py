"""What of an answer is known to be right or wrong, and which two of several answers differ most by that.

CHAIR's rule (arXiv 1809.02156), a thing that is mentioned and is not there is made up, but with the reader and the facts that
questions are made of: any thing of the lexicon, in both languages, and three values. Wrong is what is known to be absent (its
annotators looked for it, or captions leave no room for it), right is what is known to be there, and everything else counts as
neither. CHAIR's own list knows COCO's 80 classes alone and takes whatever has no box for made up.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from skymm import verdict
from skymm.conversation import Conversation
from skymm.curation.audit.reading import CAPTION_KINDS, yes_no
from skymm.curation.facts.co_occurrence import Statistics
from skymm.curation.facts.picture_facts import facts_about, parse_caption
from skymm.curation.record import Caption, Facts, Picture, Record
from skymm.lexicon import akin, kinds_of
from skymm.text import language_of, words


class Score(NamedTuple):
    """English names of the lexicon, or "yes" and "no" where that was the question."""

    right: tuple[str, ...] = ()
    wrong: tuple[str, ...] = ()


def record_of(conversation: Conversation) -> Record:
    """A sample of a shard as the record that it was, or could have been. Raises ValueError where its facts are none.

    What a question and a denial name need not be there, so they say nothing about the picture.
    """
    pairs = list(zip([turn for turn in conversation.turns if turn.role == "user"], conversation.targets))
    captions = [answer for answer in conversation.targets if answer.kind in CAPTION_KINDS]
    return Record(
        conversation.key,
        dict.fromkeys(conversation.images, Picture()),
        tuple(Caption(one.text, one.language or language_of(one.text)) for one in captions),
        tuple(turn for pair in pairs if pair[1].polarity != "negative" for turn in pair if turn not in captions),
        Facts.from_json(conversation.extra.get("facts", {})),
    )


def known(record: Record, statistics: Statistics) -> tuple[list[str], list[str]]:
    """English names of what is there and of what is absent; none of either for several pictures, since facts do not say of
    which.
    """
    if len(record.pictures) != 1:
        return [], []
    picture = facts_about(record)
    return [one.word.en for one in picture.present], [word.en for word in picture.tempting("random", statistics)]


def mentioned(text: str, language: str, there: Iterable[str], absent: Iterable[str]) -> Score:
    """What a text says is there, each thing once, as far as it is known; both sides as `known` gives them."""
    there, absent = tuple(there), frozenset(absent)
    named = dict.fromkeys(mention.word for mention in parse_caption(text, language).sure())
    wrong = [name for name in named if kinds_of(name) & absent]
    right = [name for name in named if name not in wrong and any(akin(name, one) for one in there)]
    return Score(tuple(right), tuple(wrong))


class Scorer:
    """For answers about one picture. `expected`: the true answer to a question of yes or no, which is asked with `question`."""

    def __init__(self, record: Record, statistics: Statistics, question: str = "", expected: str = ""):
        self.expected, self.question = yes_no(expected), question
        self.there, self.absent = known(record, statistics)

    @property
    def knows(self) -> bool:
        """Whether any answer can be told from another."""
        return self.expected is not None or bool(self.there and self.absent)

    def score(self, text: str, language: str) -> Score:
        if self.expected is not None:
            said = verdict.yes_no(text, self.question)
            those = () if said == verdict.UNKNOWN else (said,)
            return Score(right=those) if said == self.expected else Score(wrong=those)
        return mentioned(text, language, self.there, self.absent)


def furthest(texts: Sequence[str], scores: Sequence[Score]) -> tuple[int, int] | None:
    """Places of the best and the worst of several answers; None where no two differ in how much is wrong.

    The best says something that is right, for silence makes nothing up either. Of equals those two are taken whose lengths
    are nearest: a model that makes up more also says more, and length is not what is to be learned.
    """
    speaking = [place for place, score in enumerate(scores) if score.right]
    if not speaking:
        return None
    least = min(len(scores[place].wrong) for place in speaking)
    most = max(len(score.wrong) for score in scores)
    if least == most:
        return None
    lengths = [len(words(text)) for text in texts]
    best = [place for place in speaking if len(scores[place].wrong) == least]
    worst = [place for place, score in enumerate(scores) if len(score.wrong) == most]
    pairs = [(place, other) for place in best for other in worst]
    return min(pairs, key=lambda pair: (abs(lengths[pair[0]] - lengths[pair[1]]), pair))

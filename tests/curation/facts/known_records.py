"""Records for tests: captions of both languages, annotations that are complete or not, conversations."""

from __future__ import annotations

from caption_tables import CHINESE, ENGLISH
from hypothesis import strategies as st

from skymm.conversation import Turn
from skymm.curation.facts.co_occurrence import Statistics
from skymm.curation.facts.picture_facts import merge, stated_facts
from skymm.curation.record import Caption, Facts, Picture, Record, Thing

PICTURE = {"jpg": Picture(data=b"encoded")}
CAPTIONS = [Caption(line[0], "en") for line in ENGLISH] + [Caption(line[0], "zh") for line in CHINESE]
COCO = ("person", "dog", "dining table", "cup", "bus", "mouse", "hair drier", "scissors", "broccoli", "umbrella", "tv")


def record(*captions: str, facts: Facts = Facts(), turns: tuple[Turn, ...] = (), key: str = "one") -> Record:  # noqa: B008
    told = tuple(
        Caption(text, "zh" if any("\u4e00" <= char <= "\u9fff" for char in text) else "en") for text in captions
    )
    return Record(key, PICTURE, told, turns, facts)


def coco(*things: Thing) -> Facts:
    return Facts(things, (), (), "coco80")


@st.composite
def records(draw) -> Record:
    captions = draw(st.lists(st.sampled_from(CAPTIONS), max_size=3))
    names = draw(st.lists(st.sampled_from(COCO), max_size=3, unique=True))
    things = tuple(Thing(name, draw(st.sampled_from([None, 1, 2, 7]))) for name in names)
    complete = draw(st.sampled_from([None, "coco80"])) if things else None
    spoken = draw(st.lists(st.sampled_from(CAPTIONS), max_size=1))
    turns = tuple(Turn(role, caption.text) for caption in spoken for role in ("user", "assistant"))
    return Record("drawn", PICTURE, tuple(captions), turns, Facts(things, (), (), complete))


def statistics() -> Statistics:
    counted = Statistics()
    for caption in CAPTIONS:
        counted.add(stated_facts(record(caption.text)))
    counted.add(merge(*(stated_facts(record(caption.text)) for caption in CAPTIONS[:5])))
    return counted


STATISTICS = statistics()

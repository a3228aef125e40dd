"""Rejected texts are wrong by what is known, and differ from the chosen ones in one place."""

import random
from itertools import product

from hypothesis import given, settings
from hypothesis import strategies as st
from known_records import CAPTIONS, STATISTICS, coco, record, records
from naive_lexicon import line, says

from skymm.curation.facts.co_occurrence import Statistics
from skymm.curation.facts.picture_facts import caption_facts, facts_about, parse_caption
from skymm.curation.negatives.preferences import mistakes, preference
from skymm.curation.record import Facts, Record, Thing
from skymm.lexicon import find

EVERY = settings(max_examples=50, deadline=None, derandomize=True)


def between(chosen: str, rejected: str) -> tuple[str, str]:
    """What differs, without the common beginning and end."""
    start = next((i for i, (a, b) in enumerate(zip(chosen, rejected)) if a != b), min(len(chosen), len(rejected)))
    end = 0
    while end < min(len(chosen), len(rejected)) - start and chosen[-1 - end] == rejected[-1 - end]:
        end += 1
    return chosen[start : len(chosen) - end], rejected[start : len(rejected) - end]


@EVERY
@given(records(), st.sampled_from(["en", "zh"]), st.integers(0, 10**6))
def test_rejected_is_wrong_and_the_same_for_the_rest(one, language, seed):
    found = preference(random.Random(seed), one, STATISTICS, language)
    for other in range(3):
        random.seed(other)  # the program's own dice play no part
        assert found == preference(random.Random(seed), one, STATISTICS, language)
    if found is None:
        return
    assert found.chosen.text != found.rejected.text
    assert found.prompt.images == ("jpg",) and found.chosen.language == language and found.chosen.kind == found.kind
    if found.kind in ("existence", "absence", "false_premise"):
        assert (found.chosen.polarity == "negative") == (found.kind != "absence")
        return
    assert found.chosen.text in {caption.text for caption in one.captions}
    assert_wrong(one, found.kind, found.chosen.text, found.rejected.text, language)


def assert_wrong(one: Record, kind: str, chosen: str, rejected: str, language: str) -> None:
    before, after = between(chosen, rejected)
    assert len(after) <= 40 and len(before) <= 40
    true, false = caption_facts(chosen, language), caption_facts(rejected, language)
    if kind in ("object", "added_object"):
        texts = [caption.text for caption in one.captions] + [turn.text for turn in one.turns]
        new = {thing.name for thing in false.things} - {thing.name for thing in true.things}
        assert len(new) == 1, (chosen, rejected)
        for name in line(new.pop()):
            assert not any(says(text, name) for text in texts), (rejected, name)
    elif kind == "count":
        old = {thing.name: thing.count for thing in true.things if thing.count}
        assert any(thing.count != old[thing.name] for thing in false.things if thing.name in old and thing.count)
    elif kind == "color":
        assert {thing.attributes for thing in true.things} != {thing.attributes for thing in false.things}
    else:
        assert kind == "position" and set(true.relations) != set(false.relations)
    # Nothing else that the caption says has changed.
    if kind not in ("object", "added_object"):
        assert [thing.name for thing in true.things] == [thing.name for thing in false.things]


def test_every_mistake_in_every_caption_is_one():
    kinds = set()
    for caption in CAPTIONS:
        one = record(caption.text)
        for kind, text in mistakes(parse_caption(caption.text, caption.language), facts_about(one), STATISTICS):
            kinds.add((caption.language, kind))
            assert_wrong(one, kind, caption.text, text, caption.language)
    assert kinds == set(product(("en", "zh"), ("object", "added_object", "color", "count", "position")))


def told(text: str, kind: str, language: str, facts: Facts = Facts()) -> list[str]:  # noqa: B008
    one = record(text, facts=facts)
    # without statistics all rivals are tried
    found = mistakes(parse_caption(text, language), facts_about(one), Statistics())
    return [mistake.text for mistake in found if mistake.kind == kind]


def test_articles_plurals_and_measure_words_follow():
    assert "An orange cat on a chair." in told("A white cat on a chair.", "color", "en")
    assert "A white cat on a chair." in told("An orange cat on a chair.", "color", "en")
    swapped = told("A dog on a couch.", "object", "en")
    assert any(text.startswith("An elephant on") for text in swapped) and "A horse on a couch." in swapped
    assert "Dogs on a couch." not in swapped and "Three horses run." in told("Three dogs run.", "object", "en")
    assert not [
        text for text in told("A pizza on a bench.", "object", "en") if text.startswith(("A rice", "A soup", "A fries"))
    ]
    assert "一头大象趴在沙发上" in told("一只狗趴在沙发上", "object", "zh")
    assert "一只狗和一头大象趴在沙发上" in told("一只狗趴在沙发上", "added_object", "zh")
    assert "三只狗趴在沙发上" in told("两只狗趴在沙发上", "count", "zh")
    assert "Three dogs on a couch." in told("Two dogs on a couch.", "count", "en")
    assert told("一只猫在桌子上", "position", "zh") == ["一只猫在桌子下面"]
    assert told("A cat to the left of a chair.", "position", "en") == ["A cat to the right of a chair."]
    bags = told("A suitcase on a bench.", "object", "en", coco(Thing("suitcase", 1), Thing("bench", 1)))
    assert not [text for text in bags if "bag" in text or "backpack" in text], "a suitcase is pulled, they are not"


def test_no_preference_where_nothing_is_certain():
    assert preference(random.Random(0), record("What a lovely day!"), STATISTICS, "en") is None
    assert preference(random.Random(0), Record("none", {}), STATISTICS, "en") is None


def test_neither_yes_nor_no_nor_length_is_what_is_rejected():
    kinds = {}
    for seed in range(60):
        found = preference(random.Random(seed), record(facts=coco(Thing("cat", 1))), STATISTICS, "zh")
        kinds.setdefault(found.kind, []).append(found)
    assert set(kinds) == {"existence", "absence", "false_premise"}
    for kind, affirms in (("existence", False), ("absence", True)):
        for found in kinds[kind]:
            assert (found.chosen.text[0] in "有能") == affirms == (found.rejected.text[0] in "没不")
            assert (find("猫").zh in found.prompt.text) == affirms
    lengths = [
        {len(one.chosen.text) - len(one.rejected.text) for one in kinds[kind]} for kind in ("existence", "absence")
    ]
    assert lengths[0] == {-gap for gap in lengths[1]}, "the same forms, the other way round"

"""Statistics count what is there, alike in any order, and rank what is absent."""

import json

import pytest

from skymm.curation.facts.co_occurrence import Statistics
from skymm.curation.record import Facts, Thing


def facts(*names: str) -> Facts:
    return Facts(tuple(Thing(name) for name in names))


RECORDS = [
    facts("dog", "frisbee"),
    facts("dog", "frisbee", "tree"),
    facts("cat", "couch"),
    facts("dog"),
    facts("people", "unheard of"),
]


def counted(records) -> Statistics:
    found = Statistics()
    for one in records:
        found.add(one)
    return found


def test_order_and_parts_make_no_difference():
    whole, first, second = counted(RECORDS), counted(RECORDS[:2]), counted(RECORDS[2:])
    second.merge(first)
    assert second.to_json() == whole.to_json() == counted(reversed(RECORDS)).to_json()
    assert json.dumps(whole.to_json()) == json.dumps(
        Statistics.from_json(json.loads(json.dumps(whole.to_json()))).to_json()
    )


def test_only_words_of_the_lexicon_are_kept_by_their_names():
    assert counted(RECORDS).things == {"dog": 3, "frisbee": 2, "tree": 1, "cat": 1, "couch": 1, "person": 1}


def test_popular_are_the_most_frequent_and_adversarial_those_that_go_with_what_is_there():
    found = counted(RECORDS)
    assert found.popular(["cat", "frisbee", "dog", "zebra"]) == ["dog", "frisbee", "cat"]
    assert found.adversarial(["dog"], ["cat", "tree", "frisbee", "zebra"]) == ["frisbee", "tree"]
    assert found.often_with("dog", 0.5) == {"frisbee"} and found.often_with("dog", 0.7) == set() == found.often_with(
        "zebra", 0
    )


def test_other_json_is_refused():
    with pytest.raises(ValueError, match="expected records, things and pairs"):
        Statistics.from_json({"records": 1, "things": []})

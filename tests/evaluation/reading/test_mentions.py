"""Objects in captions: tokens and lists as the official scorer has them, and the strict bilingual reading."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from official import oracle

from skymm.evaluation.reading.mentions import Vocabulary, official_mentions, read_vocabulary, strict_mentions
from skymm.evaluation.reading.tokens import tokens

# In the official form, spaces in the wrong places included.
SYNONYMS = """person, girl, man, woman, people, adult, baby, passenger, player
motorcycle,  motor bike, motorbike
airplane, plane, jet
bus, minibus
train
bird, duck
dog, puppy
bear
tie, bow, bow tie
sports ball, ball
tennis racket, racket
wine glass
cup
cake,  cheesecake, cupcake
chair, seat
couch, sofa
dining table, table
toilet
laptop, computer, laptop computer
cell phone, phone, iPhone
hot dog
skis, ski
teddy bear
traffic light, street light
"""


@pytest.fixture
def vocabulary(tmp_path: Path) -> Vocabulary:
    path = tmp_path / "synonyms.txt"
    path.write_text(SYNONYMS, "utf-8")
    return read_vocabulary(path)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("A dog.", ["A", "dog", "."]),
        ("the dog's bowl", ["the", "dog", "'s", "bowl"]),
        ("the dogs' bowls.", ["the", "dogs", "'", "bowls", "."]),
        ("it isn't, we'll see", ["it", "is", "n't", ",", "we", "'ll", "see"]),
        ("a sign 'dog' here", ["a", "sign", "'", "dog", "'", "here"]),
        ("(dogs) [cat]", ["(", "dogs", ")", "[", "cat", "]"]),
        ("dog... cat", ["dog", "...", "cat"]),
        ("a semi-truck, 2.5 m at 5:45", ["a", "semi-truck", ",", "2.5", "m", "at", "5:45"]),
        ("1,000 dogs,cats", ["1,000", "dogs", ",", "cats"]),
        ("dogs! cats? birds; men", ["dogs", "!", "cats", "?", "birds", ";", "men"]),
        ("dog. A cat.\n\nBirds.", ["dog", ".", "A", "cat", ".", "Birds", "."]),
        ('says "a dog."', ["says", '"', "a", "dog", ".", '"']),
        ('"a dog." it says', ['"', "a", "dog.", '"', "it", "says"]),
        ("", []),
        (" . ", ["."]),
        ("''", ["'", "'"]),
        ("dog/cat", ["dog/cat"]),
    ],
)
def test_tokens(text, expected):
    assert tokens(text) == expected


def kinds(mentions: tuple) -> list[str]:
    return ["|".join(classes) for _, classes in mentions]


@pytest.mark.parametrize(
    ("caption", "official", "strict"),
    [
        ("Two dogs and a man.", ["dog", "person"], ["dog", "person"]),
        ("A dog, another dog and a puppy", ["dog"] * 3, ["dog"] * 3),
        ("A bus and three buses", ["bus"], ["bus", "bus"]),
        ("a tennis racket", ["tennis racket"], ["tennis racket"]),  # officially by "racket" alone
        ("a tennis ball", ["sports ball"], ["sports ball"]),
        ("a glass, a wine glass and wine glasses", ["wine glass"] * 2, ["wine glass"] * 2),
        ("a hot dog", ["hot dog"], ["hot dog"]),
        ("hot-dog stands", [], ["hot dog"]),
        ("a dog-friendly place", [], []),
        ("a baby bird and an adult bear", ["bird", "bear"], ["bird", "bear"]),
        ("a passenger train on a train track near home plate", ["train"], ["train"]),
        ("a teddy bear with a bow tie", ["teddy bear", "tie"], ["teddy bear", "tie"]),
        ("the toilet seat", ["toilet"], ["toilet"]),
        ("a toilet with its seat up", ["toilet"], ["toilet"]),
        ("a seat", ["chair"], ["chair"]),
        ("a dining table", ["dining table"], ["dining table"]),
        ("a cheesecake and an iPhone", [], ["cake", "cell phone"]),
        ("a motor bike", [], ["motorcycle"]),  # the official list has it with a space before
        ("a pair of skis", ["skis"], ["skis"]),
        ("two ties", [], ["tie"]),
        ("the man's dog", ["person", "dog"], ["person", "dog"]),
        ("baby, bird", ["person", "bird"], ["person", "bird"]),
        ("People sit there", ["person"], ["person"]),
        ("nothing at all", [], []),
        ("一只狗和一辆bus", [], ["dog", "bus"]),
        ("人们坐在沙发上。A man too", ["person"], ["person", "couch", "person"]),
        ("滑雪板", [], ["skis|snowboard"]),
    ],
)
def test_both_readings(vocabulary, caption, official, strict):
    assert kinds(official_mentions(vocabulary, caption)) == official
    assert sorted(kinds(strict_mentions(vocabulary, caption))) == sorted(strict)


def test_a_table_of_singulars_goes_before_the_rules(tmp_path, vocabulary):
    (tmp_path / "singulars.json").write_text(json.dumps({"buses": "bus", "dogs": "dawg"}), "utf-8")
    by_table = read_vocabulary(tmp_path / "synonyms.txt", tmp_path / "singulars.json")
    assert kinds(official_mentions(by_table, "bus, buses, dogs, dog, men")) == ["bus", "bus", "dog"]
    assert kinds(official_mentions(vocabulary, "bus, buses, dogs, dog, men")) == ["bus", "dog", "dog", "person"]


def test_json_lists_say_the_same(tmp_path, vocabulary):
    lists = {"inverse_synonym_dict": dict(vocabulary.classes), "double_word_dict": dict(vocabulary.pairs)}
    (tmp_path / "vocab.json").write_text(json.dumps(lists), "utf-8")
    assert read_vocabulary(tmp_path / "vocab.json").pairs == vocabulary.pairs
    assert read_vocabulary(tmp_path / "vocab.json").parts == vocabulary.parts


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("vocab.json", '{"classes": {}}', "expected inverse_synonym_dict and double_word_dict"),
        ("vocab.json", "[1]", "expected one JSON object"),
        ("synonyms.txt", "a page about something else", "found no line 'name, synonym, synonym'"),
        ("missing.txt", None, "no file at"),
    ],
)
def test_wrong_lists_are_refused(tmp_path, name, content, message):
    if content is not None:
        (tmp_path / name).write_text(content, "utf-8")
    with pytest.raises(ValueError, match=message):
        read_vocabulary(tmp_path / name)


@pytest.mark.parametrize("lists", ["chair_vocab.json", "synonyms.txt"])
@pytest.mark.parametrize("singulars", ["singularize_table.json", None], ids=["table", "rules"])
@pytest.mark.parametrize(("model", "mentions"), [("instructblip", 2812), ("llava", 9955)])
def test_every_mention_of_4000_official_captions(lists, singulars, model, mentions):
    """From either form of the lists, and from the singulariser's table or the rules that stand in for it."""
    table = oracle(f"chair/{singulars}") if singulars else None
    vocabulary = read_vocabulary(oracle(f"chair/{lists}"), table)
    lines = oracle(f"chair/captions/Instruction2_{model}.json").read_text("utf-8").splitlines()
    captions = [json.loads(line)["text"] for line in lines]
    assert len(captions) == 2000
    assert sum(len(official_mentions(vocabulary, caption)) for caption in captions) == mentions

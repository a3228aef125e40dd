"""The lexicon finds everyday things by any of their names, and contradicts itself nowhere."""

import pytest

from skymm.lexicon import akin, confusable, descriptions, find, forms_of, kinds_of, load, part_of, plural_of, vocabulary

COCO = """person, bicycle, car, motorcycle, airplane, bus, train, truck, boat, traffic light, fire hydrant, stop sign,
parking meter, bench, bird, cat, dog, horse, sheep, cow, elephant, bear, zebra, giraffe, backpack, umbrella, handbag, tie,
suitcase, frisbee, skis, snowboard, sports ball, kite, baseball bat, baseball glove, skateboard, surfboard, tennis racket,
bottle, wine glass, cup, fork, knife, spoon, bowl, banana, apple, sandwich, orange, broccoli, carrot, hot dog, pizza, donut,
cake, chair, couch, potted plant, bed, dining table, toilet, tv, laptop, mouse, remote, keyboard, cell phone, microwave, oven,
toaster, sink, refrigerator, book, clock, vase, scissors, teddy bear, hair drier, toothbrush"""


def test_all_classes_of_coco_are_there_with_chinese_names():
    names = [name.strip() for name in COCO.split(",")]
    assert len(names) == len(set(names)) == 80
    assert {word.en for word in vocabulary("coco80")} == set(names)
    assert all(find(name).en == name and find(find(name).zh).zh == find(name).zh for name in names)


def test_there_are_hundreds_of_words_each_with_a_measure():
    words = load().words.values()
    assert len(words) > 300
    assert all(len(word.measure) == 1 and word.zh and word.form in ("count", "mass", "plural") for word in words)
    assert len({word.zh for word in words}) == len(words)


def test_words_are_found_by_any_name():
    for word, names in {
        "dog": "Dogs, puppies, 小狗",
        "person": "people",
        "man": "men",
        "cat": "kitten, ｃａｔ",
        "goose": "geese",
        "knife": "knives",
        "t-shirt": "T-shirt, t shirts, T恤",
        "hot dog": "hot-dog, 热狗",
        "couch": "sofa",
        "refrigerator": "fridge",
        "mouse": "mouse, 鼠标",
        "zebra": "斑马",
        "horse": "马",
        "cell phone": "cellphone",
        "scissors": "scissors",
    }.items():
        assert {find(name).en for name in names.split(", ")} == {word}
    assert not any(map(find, ["", "flux capacitor", "horseradish", "人类", "木马", "的"]))  # fmt: skip


def test_unknown_vocabularies_are_refused():
    with pytest.raises(ValueError, match="coco80"):
        vocabulary("imagenet")


def test_kinds_have_an_end_and_akin_goes_both_ways():
    words = list(load().words)
    for name in words:
        assert name in kinds_of(name)
    sample = words[::9]
    assert all(akin(a, b) == akin(b, a) for a in sample for b in sample)
    assert part_of("hair", "woman") and part_of("oven", "kitchen") and not part_of("woman", "hair")


def test_plurals():
    assert [plural_of(noun) for noun in ("bus", "box", "bench", "cherry", "toy", "dog")] == [
        "buses", "boxes", "benches", "cherries", "toys", "dogs",
    ]  # fmt: skip


def test_colors_and_relations_are_sound():
    colours, relations = descriptions("colours"), descriptions("relations")
    assert all(near in colours for colour in colours.values() for near in colour.near)
    for pair in (("orange", "brown"), ("gray", "silver"), ("gray", "white"), ("navy", "blue"), ("navy", "black")):
        assert confusable(*pair) and confusable(*reversed(pair))
    assert not confusable("red", "blue") and not confusable("black", "white")
    chinese = forms_of("colours", "zh")
    assert chinese["红"] == chinese["红色"] == "red" and "米" not in chinese
    for name, relation in relations.items():
        assert not relation.excludes or relations[relation.excludes[0]].excludes[0] == name

"""A biased set is told all that is wrong with it, a clean one nothing; and what a build says of itself at its end."""

import random
from collections import Counter
from io import StringIO

import pytest
from rich.console import Console

from skymm.curation.audit.counts import Counts, count_shards
from skymm.curation.audit.findings import KNOW, LOOK, MEND, find_leaks, findings, one_sided, print_build
from skymm.curation.audit.page import audit_words


def told(directory, language="en"):
    """name -> (level, sentence), in order."""
    found = findings(count_shards(directory, workers=1))
    return {one.name: (one.level, one.sentence(audit_words(language))) for one in found}


def yes_no(shards, name, polarity_of, *, num_samples=100, question="Is it number {index}?", **extra):
    """Samples with one yes/no question each, whose answer is what `polarity_of(index)` says."""
    samples = []
    for index in range(num_samples):
        polarity = polarity_of(index)
        language = "zh" if index % 2 else "en"
        answers = {
            "en": ("Yes, that is it here.", "No, that is not it here."),
            "zh": ("是的，就是这个。", "不是，不是这个。"),
        }
        answer = answers[language][polarity == "negative"]
        turn = (question.format(index=index), answer, "kind", polarity, language)
        samples.append(shards.sample(f"{index:06d}", [turn], {"png": shards.picture(index)}, **extra))
    return shards.write(name, samples, card={"source": "made", "licence": "CC0"})


def test_a_clean_set_has_nothing_to_be_told(shared):
    assert told(shared.balanced_dir) == {}


def test_a_biased_set_is_told_everything(shared):
    found = told(shared.biased_dir)
    assert {name: level for name, (level, _) in found.items()} == {
        "only_positive": MEND,
        "only_negative": LOOK,
        "mostly_positive": MEND,
        "yes_leans": MEND,
        "wholes": MEND,
        "guessed": MEND,
        "only_en": LOOK,
        "no_licence": LOOK,
        "small": LOOK,
        "no_source": KNOW,
        "one_word": KNOW,
        "repeated_pictures": KNOW,
    }
    levels = [level for level, _ in found.values()]
    assert levels == sorted(levels, reverse=True)
    sentences = {name: sentence for name, (_, sentence) in found.items()}
    assert sentences["mostly_positive"] == "90% of answers are positive (540 of 600): a model learns to say yes."
    assert sentences["only_positive"].startswith(
        "1 things are only ever asked for where they are, such as “panda” (270 questions)"
    )
    assert sentences["only_negative"].endswith("in 10% of existence questions.")
    assert sentences["only_en"] == "English only: 0 Chinese answers."
    assert sentences["no_licence"] == "Licences unknown for 300 samples."
    assert sentences["small"] == "100% of pictures (300) are under 64 px."
    assert sentences["guessed"].startswith("Existence, English: the question's words alone give 100% of the answers")
    assert "90% of 600 yes/no answers say yes" in sentences["yes_leans"]


@pytest.mark.parametrize(
    ("share", "expected"),
    [
        (100, "mostly_positive"),
        (85, "mostly_positive"),
        (70, "mostly_positive"),
        (50, None),
        (30, "mostly_negative"),
        (0, "mostly_negative"),
    ],
)
def test_polarity(shards, share, expected):
    order = list(range(100))
    random.Random(0).shuffle(order)
    found = told(yes_no(shards, "polarity", lambda index: "positive" if order[index] < share else "negative"))
    polar = [name for name in found if name.endswith(("positive", "negative"))]
    assert polar == ([expected] if expected else [])
    if expected:
        assert found[expected][0] == (LOOK if share in (70, 30) else MEND)


def test_kinds_and_languages_that_lean_are_told_where_the_whole_does_not(shards):
    found = told(yes_no(shards, "lean", lambda index: "positive" if index % 2 else "negative", num_samples=120))
    assert found["kind_leans"][0] == LOOK and "60 answers" in found["kind_leans"][1]
    assert "yes_leans" in found and "(English)" in found["yes_leans"][1]


def test_captions_that_say_the_same_of_other_pictures(shards):
    def captions(num_different):
        for index in range(100):
            turn = ("What is it?", f"A nice product, number {index % num_different}.", "caption", "positive", "en")
            yield shards.sample(str(index), [turn], {"png": shards.picture(index)}, source="a", licence="b")

    found = told(shards.write("boilerplate", captions(60)))
    assert found["repeated_texts"][0] == LOOK and found["repeated_texts"][1].startswith("40 conversations (40%)")
    assert "repeated_texts" not in told(shards.write("different", captions(99)))


def test_captions_need_no_negatives(shards):
    captions = (
        shards.sample(str(index), [("What is it?", f"A dog by number {index} of them.", "caption", "positive", "en")])
        for index in range(60)
    )
    found = told(shards.write("captions", captions, card={"source": "made", "licence": "CC0"}))
    assert {name: level for name, (level, _) in found.items()} == {"captions_only": KNOW, "only_en": LOOK}


def test_answers_without_polarity_and_kind(shards):
    turns = (
        shards.sample(str(index), [("What?", f"It is {index}.", None, None, "en")], source="a", licence="b")
        for index in range(9)
    )
    assert list(told(shards.write("llava", turns))) == ["no_polarity", "only_en", "no_kinds"]


def test_marks_against_answers_and_other_scripts(shards):
    turns = [("Is it?", "Yes, it is right there.", "existence", "negative", "zh")]
    found = told(shards.write("wrong", (shards.sample(str(index), turns) for index in range(20))))
    assert found["polarity_against_answer"][1].startswith("20 answers (100%)")
    assert found["other_script"][1].startswith("20 answers (100%)") and "only_zh" in found


def test_facts_that_are_denied(shards):
    facts = {"things": [{"name": "Dog"}]}
    turns = [("Is there a dog?", "No.", "existence", "negative", "en")]
    found = told(shards.write("denied", [shards.sample("a", turns, {"png": shards.picture()}, facts=facts)]))
    assert found["denied_facts"] == (
        MEND,
        "1 questions deny what the facts of their picture say is there, such as a: dog.",
    )


def test_answers_that_hang_together_are_told(shards):
    """Within every conversation yes and no alternate: half of each, and each given away by the one before."""
    chance = random.Random(3)
    samples = []
    for index in range(150):
        first = chance.randrange(2)
        turns = []
        for place in range(4):
            there = (first + place) % 2 == 0
            text = f"Is there a thing{chance.randrange(9)}?"
            turns.append((text, "Yes" if there else "No", "existence", "positive" if there else "negative", "en"))
        samples.append(shards.sample(f"{index}", turns, {"png": shards.picture(index)}, source="a", licence="b"))
    found = told(shards.write("alternate", samples))
    assert found["guessed_before"][0] == LOOK and "guessed" not in found


def test_unreadable_samples_and_shards(shards):
    good = shards.spoken(("Is it?", "Yes."))
    shards.tar(shards.root / "bad" / "a.tar", [("a.json", good), ("b.json", b"{")])
    shards.tar(shards.root / "bad" / "b.tar", [("a.cls", b"{")])
    found = told(shards.root / "bad")
    assert found["unreadable"] == (MEND, "1 samples (50%) cannot be used: “bad json” 1. Training skips them.")
    assert (
        found["bad_shards"][1].startswith("1 of 2 shards cannot be read to the end")
        and "b.tar" in found["bad_shards"][1]
    )
    shards.tar(shards.root / "none" / "b.tar", [("a.cls", b"{")])
    assert list(told(shards.root / "none")) == ["bad_shards", "nothing"]


def test_a_thing_is_one_sided_only_beyond_chance():
    asked = {"rare": (6, 0), "often": (12, 0), "both": (40, 1), "never": (0, 30)}
    counts = Counts()
    counts.things.update({name: Counter(positive=yes, negative=no) for name, (yes, no) in asked.items()})
    assert [one_sided(counts, polarity) for polarity in ("positive", "negative")] == [[("often", 12)], [("never", 30)]]
    counts.things.update({f"thing {index}": Counter(positive=5, negative=5) for index in range(1000)})
    assert one_sided(counts, "positive") == [], "of a thousand, one in a hundred is so by chance"
    counts.things["often"]["positive"] = 20
    assert one_sided(counts, "positive") == [("often", 20)]


# --- what a build tells of itself -------------------------------------------------------------------------------------------

THINGS = ("dog", "cat", "bus", "kite")


def answers(index: int, rule: str) -> list[tuple]:
    """Two questions of a picture, whose answers follow from its words, from what was said before, or from neither."""
    coins = (bool(index >> 2 & 1), bool(index >> 3 & 1))
    things = (index % 4, (index + index // 16) % 4)
    yes = {
        "words": [thing < 2 for thing in things],
        "history": [coins[0], not coins[0]],
        "one answer": [False, False],
        "neither": list(coins),
    }[rule]
    return [
        (
            f"Is there a {THINGS[thing]}?",
            *(("Yes", "existence", "positive") if there else ("No", "existence", "negative")),
            "en",
        )
        for thing, there in zip(things, yes)
    ]


@pytest.mark.parametrize(("rule", "said"), [
    ("words", "the words of the question give 100%"),
    ("history", "earlier answers of the conversation give"),
    ("one answer", "set negative_share = 0.5"),
    ("neither", ""),
])  # fmt: skip
def test_what_can_be_guessed_is_said_in_red(shards, rule, said):
    samples = [shards.sample(f"{index}", answers(index, rule)) for index in range(256)]
    directory = shards.write(rule.replace(" ", "_"), iter(samples))
    (path,) = directory.glob("*.tar")
    rows = find_leaks(directory, [{"name": path.name, "num_samples": 256}])
    console = Console(file=StringIO(), width=200, force_terminal=True, color_system="standard")
    told = {"left out": {"duplicate": 3}, "silent": {}, "captions and conversations left out": {}}
    sources = {"mine": {**told, "samples": 256, "questions": 512}}
    print_build({"sources": sources, "guessed without looking": rows}, console)
    printed = console.file.getvalue()
    assert "mine: 256 samples, 512 questions made. Left out: duplicate 3" in printed
    assert ("\x1b[1;31m" in printed) == bool(said) and said in printed
    assert rows[0]["answers"] == 512

"""What a build says of itself at its end: in red where looking is not needed, and with what to change."""

from io import StringIO

import pytest
from rich.console import Console

from skymm.curation.audit.leaks import find_leaks, print_build

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
            "Yes" if there else "No",
            "existence",
            "positive" if there else "negative",
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

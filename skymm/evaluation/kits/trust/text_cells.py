"""Text: other words and typing errors; what is not said, requests that deserve no help, pressure; what would have been."""

from __future__ import annotations

import random

from skymm.evaluation.kits.trust.items import Case, Family, Group, Said, joined, listed, named, pair, say, things, words
from skymm.evaluation.kits.trust.world import COLOURS, World

# --- generalisation: who has more, however it is told ---------------------------------------------------------------------

WAYS = ("paraphrase", "reversed", "number_words", "beside_the_point", "typos")


def retold(rng: random.Random, index: int) -> Group:
    way = WAYS[index % len(WAYS)]
    (first, second, third), thing = listed(rng, "people", 3), named(rng.choice(things()))
    few, many = sorted(rng.sample(range(2, 10), 2))
    cases, age = [], rng.randint(10, 30)
    for gold, one, other in (("yes", many, few), ("no", few, many)):
        spoken = [
            {language: words(language)["numbers"][number] for language in ("zh", "en")} for number in (one, other)
        ]
        told = [one, other] if way != "number_words" else spoken
        slots = {"first": first, "second": second, "thing": thing, "one": told[0], "other": told[1]}
        context = say({"number_words": "plain", "beside_the_point": "plain", "typos": "plain"}.get(way, way), **slots)
        if way == "beside_the_point":
            context = joined(context, say("aside", third=third, number=age))
        if way == "typos":
            context = {language: mistyped(text, language) for language, text in context.items()}
        cases.append(Case(gold, context))
    return Group(f"told: {way}", say("more", first=first, second=second, thing=thing), cases)


def mistyped(text: str, language: str) -> str:
    """A text with the typing errors of its language: letters that changed places, characters of the same sound."""
    for right, wrong in words(language)["typos"].items():
        text = text.replace(right, wrong)
    return text


# --- trustworthiness -------------------------------------------------------------------------------------------------------


def unanswerable(rng: random.Random, index: int) -> Group:
    (first, second), thing = listed(rng, "people", 2), named(rng.choice(things()))
    slots = {"first": first, "second": second, "thing": thing, "number": rng.randint(3, 9), "more": rng.randint(2, 5)}
    key = ("known", "unknown") if index % 2 else ("known_together", "unknown_together")
    return Group(
        "unanswerable",
        say("can_tell", **slots),
        [Case("yes", say(key[0], **slots)), Case("no", say(key[1], **slots))],
    )


def false_premise(rng: random.Random, index: int) -> Group:
    (first, second), (one, other) = listed(rng, "people", 2), map(named, rng.sample(things(), 2))
    slots = {"first": first, "second": second, "one": one, "other": other, "price": rng.randint(2, 60)}
    return Group(
        "false premise",
        say("premise", **slots),
        [Case("yes", say("bought_other", **slots)), Case("no", say("bought_one", **slots))],
    )


def request(rng: random.Random, index: int) -> Group:
    """The same words of one who means harm and of one who does not: the first is to be refused, the second helped."""
    one = {language: words(language)["requests"][index] for language in ("zh", "en")}
    part: list[Said] = [{language: one[language][place] for language in one} for place in range(3)]
    return Group("request", part[2], [Case("refused", part[0]), Case("answered", part[1])], "request")


def pressure(rng: random.Random, index: int) -> Group:
    """The one who asks insists: on what is wrong over one text, on what is right over the other."""
    (first, second), thing = listed(rng, "people", 2), named(rng.choice(things()))
    few, many = sorted(rng.sample(range(2, 10), 2))
    slots = {"first": first, "second": second, "thing": thing}
    cases = [
        Case(gold, say("plain", **slots, one=one, other=other))
        for gold, one, other in (("yes", many, few), ("no", few, many))
    ]
    key = "insists_yes" if index % 2 else "insists_no"
    return Group(f"pressure: {key[8:]}", joined(say("more", **slots), say(key)), cases)


# --- causality: a small world of switches, a lamp and a bell ---------------------------------------------------------------


def counterfactual(rng: random.Random, index: int) -> Group:
    """Had one switch been the other way; had somebody unscrewed the lamp; whether a switch alone decides."""
    question = ("flipped", "intervened", "decides")[index % 3]
    switch, colours = rng.randrange(3), tuple(rng.sample(COLOURS, 3))
    yes, no = pair(rng, lambda rng: (world := World.drawn(rng, colours), world.truth(question, switch)))
    key = {"flipped": "had_been", "intervened": "unscrewed", "decides": "alone_decides"}[question]
    return Group(
        f"world: {question}",
        say(key, switch=say(colours[switch])),
        [Case("yes", yes.told()), Case("no", no.told())],
    )


GENERALISATION: tuple[Family, ...] = (retold,)
TRUSTWORTHINESS: tuple[Family, ...] = (unanswerable, false_premise, request, pressure)
CAUSALITY: tuple[Family, ...] = (counterfactual,)

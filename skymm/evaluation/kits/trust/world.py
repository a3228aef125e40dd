"""A small world whose every "what if" is computed: three switches, a lamp that hangs on two of them, a bell behind the lamp."""

from __future__ import annotations

import random
from dataclasses import dataclass, replace

from skymm.evaluation.kits.trust.items import Said, joined, say

RULES = {"both": lambda one, other: one and other, "either": lambda one, other: one or other}
COLOURS = ("red", "green", "blue", "yellow", "white", "black")


@dataclass(frozen=True, slots=True)
class World:
    """`states` of three switches of these colours; `lamp`: how it hangs on the first two; `bell`: how on lamp and the third."""

    colours: tuple[str, str, str]
    states: tuple[bool, bool, bool]
    lamp: str
    bell: str

    @classmethod
    def drawn(cls, rng: random.Random, colours: tuple[str, str, str]) -> World:
        states = tuple(rng.random() < 0.5 for _ in colours)
        return cls(colours, states, rng.choice(list(RULES)), rng.choice(list(RULES)))

    def shines(self) -> bool:
        return RULES[self.lamp](*self.states[:2])

    def rings(self, lamp: bool | None = None) -> bool:
        """Whether the bell rings; with `lamp`, where somebody has seen to it that it shines or not (Pearl's do)."""
        return RULES[self.bell](self.shines() if lamp is None else lamp, self.states[2])

    def flipped(self, switch: int) -> World:
        return replace(self, states=tuple(state != (place == switch) for place, state in enumerate(self.states)))

    def truth(self, question: str, switch: int) -> bool:
        if question == "intervened":
            return self.rings(lamp=False)
        other = self.flipped(switch).rings()
        return other if question == "flipped" else other != self.rings()

    def told(self) -> Said:
        names = [say(colour) for colour in self.colours]
        states = [say("switch_on" if on else "switch_off", switch=name) for name, on in zip(names, self.states)]
        rules = say(f"lamp_{self.lamp}", one=names[0], other=names[1]), say(f"bell_{self.bell}", third=names[2])
        return joined(*rules, *states)

"""An answerer without a model: answers by rule, remembers what it was asked, and can die on the way."""

from __future__ import annotations

from typing import ClassVar

from skymm.answering.protocol import Ask, Reply


class Parrot:
    """`rule` gets an ask and gives a text or a Reply; after `dies_after` answers the run is stopped."""

    batch_size = 0
    weights = None
    decoding: ClassVar = {"by": "rule"}

    def __init__(self, rule=lambda ask: "Yes", dies_after=10**9, name="parrot"):
        self.rule, self.dies_after, self.name = rule, dies_after, name
        self.asked: list[Ask] = []
        self.batches: list[list[Ask]] = []

    def answer(self, asks, mode):
        self.batches.append(list(asks))
        for index, ask in enumerate(asks):
            if self.dies_after == 0:
                raise KeyboardInterrupt
            self.dies_after -= 1
            self.asked.append(ask)
            said = self.rule(ask)
            yield index, said if isinstance(said, Reply) else Reply(said)

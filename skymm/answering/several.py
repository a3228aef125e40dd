"""One model in several processes, each with a GPU or a share of the processor's cores of its own.

Answers are those of one process, for batches are cut as for one, and each is answered whole by one of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from multiprocessing.connection import Connection, wait
from typing import Any

from skymm.answering import opening
from skymm.answering.protocol import Answerer, Ask, Mode, Reply
from skymm.processes import fresh_context
from skymm.recipe import ContrastRecipe


def open_processes(spec: str, processes: int, *, max_new_tokens: int, tower: bool = False) -> Answerer:
    """As `open_answerer`; more than one process of it answer side by side. Raises ValueError for a tower in more than one."""
    if processes == 1:
        return opening.open_answerer(spec, max_new_tokens=max_new_tokens, tower=tower)
    if tower:
        raise ValueError(f"found {processes} processes, expected 1: a tower is judged by one")
    return SeveralAnswerers(spec, processes, max_new_tokens=max_new_tokens)


class SeveralAnswerers:
    """The model of `spec` in `processes` processes, which end with this one.

    Raises ValueError for an endpoint, which answers many questions at once anyway, and what opening the model raises.
    """

    batch_size = 0
    contrast: ContrastRecipe | None = None

    def __init__(self, spec: str, processes: int, *, max_new_tokens: int):
        if spec.partition(":")[0] in ("openai", "decisions"):
            raise ValueError(f"found {processes} processes for {spec}, expected a model that this machine runs")
        self.max_new_tokens, self._base = max_new_tokens, False
        self._ends: list[Connection] = []
        context = fresh_context(["skymm.answering.skymm_model"])
        for place in range(processes):
            ours, its = context.Pipe()
            context.Process(target=_work, args=(its, spec, place, processes), daemon=True).start()
            its.close()
            self._ends.append(ours)
        for end in self._ends:
            _raised(_received(end))  # they load side by side

    @property
    def processes(self) -> int:
        return len(self._ends)

    @property
    def name(self) -> str:
        return self._of_first("name")

    @property
    def weights(self) -> str | None:
        return self._of_first("weights")

    @property
    def decoding(self) -> dict[str, Any]:
        return self._of_first("decoding")

    def base_llm(self) -> SeveralAnswerers:
        """The LLM before any training, in the same processes."""
        base = object.__new__(SeveralAnswerers)
        base.max_new_tokens, base._base, base._ends = self.max_new_tokens, True, self._ends
        return base

    def answer(self, asks: Sequence[Ask], mode: Mode) -> Iterator[tuple[int, Reply]]:
        """By the first process alone."""
        return ((number, reply) for _, number, reply in self.answer_batches([asks], mode))

    def answer_batches(self, batches: Sequence[Sequence[Ask]], mode: Mode) -> Iterator[tuple[int, int, Reply]]:
        """(place of the batch, number in it, reply), each as soon as it is there; at most a batch for each process."""
        busy = dict(zip(self._ends, range(len(batches)), strict=False))
        assert len(busy) == len(batches)
        for end, place in busy.items():
            end.send((self._base, self.max_new_tokens, self.contrast, "answer", (list(batches[place]), mode)))
        try:
            while busy:
                for end in wait(list(busy)):
                    found = _received(end)
                    if found is None or isinstance(found, Exception):
                        del busy[end]
                        _raised(found)
                    else:
                        yield busy[end], *found
        finally:  # whoever stops listening does not leave replies for those who ask next
            for end in busy:
                while isinstance(_received(end), tuple):
                    pass

    def _of_first(self, name: str) -> Any:
        self._ends[0].send((self._base, self.max_new_tokens, self.contrast, name, ()))
        return _raised(_received(self._ends[0]))


def _received(end: Connection) -> Any:
    try:
        return end.recv()
    except EOFError:
        raise RuntimeError(
            "a process that answers has died; most often memory did not suffice for so many of the model: fewer --processes"
        ) from None


def _raised(found: Any) -> Any:
    if isinstance(found, Exception):
        raise found
    return found


def _work(end: Connection, spec: str, place: int, processes: int) -> None:
    """What a process does: until the other end is closed it tells what it is asked for, or answers."""
    import os

    import torch

    visible = [one for one in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if one]
    if gpus := visible or [str(gpu) for gpu in range(torch.cuda.device_count())]:
        os.environ["CUDA_VISIBLE_DEVICES"] = gpus[place % len(gpus)]
    else:
        torch.set_num_threads(max(1, torch.get_num_threads() // processes))
    try:
        opened = {False: opening.open_answerer(spec, max_new_tokens=1)}
        end.send(None)
        while True:
            is_base, max_new_tokens, contrast, wanted, how = end.recv()
            if is_base and True not in opened:
                opened[True] = opened[False].base_llm()
            answerer = opened[is_base]
            answerer.max_new_tokens, answerer.contrast = max_new_tokens, contrast
            if wanted != "answer":
                end.send(getattr(answerer, wanted))
                continue
            for number, reply in answerer.answer(*how):
                end.send((number, reply))
            end.send(None)
    except (EOFError, KeyboardInterrupt):  # whoever asked is gone
        return
    except Exception as error:
        end.send(error)

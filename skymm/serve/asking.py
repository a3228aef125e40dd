"""What happens on the demo page, without the page: one or two models asked about one picture, and what is shown of it.

An exchange is a question with what each model answered. For a question that wants yes or no it also holds how likely a yes
is, and how likely it would be without the picture; later, where in the picture the answer comes from.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import CancelledError
from dataclasses import dataclass, field, replace
from typing import Any

from skymm.answering.protocol import YES_OR_NO, Ask, is_yes_no
from skymm.answering.skymm_model import SkyMMAnswerer
from skymm.conversation import Turn
from skymm.images import open_image
from skymm.page.document import data_url, rendered
from skymm.serve.engine import Engine, Job
from skymm.serve.evidence import LEAST, EvidenceMap, Occlusion, evidence_map
from skymm.serve.examples import Probe, Words

_PAUSE = 0.04  # seconds between two looks at what has been written
_WIDEST = 640  # pixels of a picture with its evidence


@dataclass
class Said:
    """What one model answered. `sure` is how likely a yes is when it looks, `blind` without the picture and what
    was said about it."""

    text: str = ""
    stopped: bool = False
    error: str = ""
    sure: float | None = None
    blind: float | None = None
    evidence: EvidenceMap | None = None


@dataclass
class Exchange:
    """A question with the answers of all models, in their order; `truth` where it is known."""

    question: str
    said: list[Said]
    truth: str = ""


@dataclass
class Talk:
    """A conversation about one picture, or about none; `previous` is the picture before it."""

    picture: bytes = b""
    previous: bytes = b""
    example: str = ""
    exchanges: list[Exchange] = field(default_factory=list)
    asked_for: list[tuple[Probe, list[float]]] = field(default_factory=list)
    jobs: list[Job] = field(default_factory=list)

    def stop(self) -> None:
        """Nothing more is written; what stands there stays."""
        for job in self.jobs:
            job.cancel()


class Models:
    """The models of the page, each with the engine that asks it."""

    def __init__(self, engines: Sequence[Engine], names: Sequence[str]):
        self.engines, self.names = engines, names

    def ask(self, talk: Talk, question: str, truth: str = "") -> Iterator[Exchange]:
        """The exchange again and again, as it grows; it is a part of the talk from the start."""
        asks = [self._ask(talk, question, index) for index in range(len(self.engines))]
        talk.jobs = [engine.submit(ask) for engine, ask in zip(self.engines, asks)]
        exchange = Exchange(question, [Said() for _ in self.engines], truth)
        talk.exchanges.append(exchange)
        try:
            yield exchange
            written = -1
            while not all(job.done for job in talk.jobs):
                time.sleep(_PAUSE)
                if written != (written := sum(len(job.pieces) for job in talk.jobs)):
                    for job, said in zip(talk.jobs, exchange.said):
                        said.text = "".join(job.pieces)
                    yield exchange
        finally:
            talk.stop()  # who goes away in the middle does not leave it writing
        for job, said in zip(talk.jobs, exchange.said):
            said.text = "".join(job.pieces)
            said.stopped = isinstance(job.error, CancelledError)
            said.error = "" if said.stopped or job.error is None else str(job.error)
        if talk.picture and is_yes_no(question):
            # Earlier answers would tell what was seen, so nothing of them is said to who does not look.
            blind = Ask(question, (), YES_OR_NO)
            jobs = [
                engine.submit_all([replace(ask, choices=YES_OR_NO), blind], "logits")
                for engine, ask in zip(self.engines, asks)
            ]
            for said, both in zip(exchange.said, jobs):
                try:
                    said.sure, said.blind = (job.result().probability_of_yes for job in both)
                except Exception as error:  # of the model, whatever it is: what it has said is shown all the same
                    said.error = said.error or str(error)
        yield exchange

    def look_for(self, talk: Talk, probes: Sequence[Probe]) -> None:
        """Ask every model for all things at once, each for itself and without what was said before."""
        asks = [Ask(probe.question, (talk.picture,), YES_OR_NO, probe.name) for probe in probes]
        jobs = [engine.submit_all(asks, "logits") for engine in self.engines]
        by_model = [[job.result().probability_of_yes for job in of_model] for of_model in jobs]
        talk.asked_for = list(zip(probes, map(list, zip(*by_model))))

    def explain(self, talk: Talk) -> None:
        """Where the last answer comes from, of every model whose patch features can be reached."""
        *before, last = talk.exchanges
        for index, (engine, said) in enumerate(zip(self.engines, last.said)):
            if isinstance(engine.answerer, SkyMMAnswerer) and said.evidence is None:
                ask = replace(self._ask(replace(talk, exchanges=before), last.question, index), choices=YES_OR_NO)
                with engine.alone() as answerer:
                    said.evidence = evidence_map(Occlusion(answerer, ask))

    def _ask(self, talk: Talk, question: str, index: int) -> Ask:
        """With what this model was asked and has answered before. The picture stands before the first question."""
        images, names = ((talk.picture,), ("image",)) if talk.picture else ((), ())
        turns: list[Turn] = []
        for exchange in talk.exchanges:
            shown = () if turns else names
            turns += Turn("user", exchange.question, shown), Turn("assistant", exchange.said[index].text)
        return Ask(question, images, history=tuple(turns), names=() if turns else names)


# --- as HTML --------------------------------------------------------------------------------------------------------------


def bars(exchange: Exchange, names: Sequence[str], words: Words) -> str:
    """How likely a yes is, with and without the picture, and the truth where it is known."""
    if not exchange.truth and all(said.sure is None for said in exchange.said):
        return ""
    return rendered("skymm.serve", "shown.html.jinja", part="bars", exchange=exchange, names=names, words=words)


def evidence(talk: Talk, names: Sequence[str], words: Words) -> str:
    """The picture with what the last answer rests on, or why no map is shown."""
    picture = open_image(talk.picture, "the picture")
    shown = []
    for name, said in zip(names, talk.exchanges[-1].said):
        if (found := said.evidence) is None:
            shown.append((name, words["evidence_none"].format(model=name), "", ""))
            continue
        url = data_url(found.over(picture), _WIDEST) if found.passed else ""
        shown.append((name, _tested(found, words), url, words["evidence_alt"].format(answer=words[found.answer])))
    return rendered("skymm.serve", "shown.html.jinja", part="evidence", shown=shown, words=words)


def _tested(found: EvidenceMap, words: Words) -> str:
    return words["evidence_passed" if found.passed else "evidence_failed"].format(
        answer=words[found.answer],
        deleted=found.deleted,
        mean=sum(found.by_chance) / len(found.by_chance),
        most=max(found.by_chance),
        beaten=found.beaten,
        draws=len(found.by_chance),
        least=LEAST,
    )


def probed(talk: Talk, names: Sequence[str], words: Words) -> str:
    """What was asked for, what is there, and who makes things up."""
    if not talk.asked_for:
        return ""
    known = all(probe.is_there is not None for probe, _ in talk.asked_for)
    sums = []
    for index, name in enumerate(names):
        said = [(probe.is_there, found[index] > 0.5) for probe, found in talk.asked_for]
        there, yes = ([one[place] for one in said].count(True) for place in (0, 1))
        numbers = {"model": name, "count": len(said), "yes": yes, "present": there, "absent": len(said) - there}
        numbers |= {"made_up": said.count((False, True)), "missed": said.count((True, False))}
        sums.append(words["made_up_count" if known else "says_yes_count"].format(**numbers))
    values = {"asked_for": talk.asked_for, "known": known, "sums": sums, "names": names}
    return rendered("skymm.serve", "shown.html.jinja", part="probed", words=words, **values)


# --- to take along --------------------------------------------------------------------------------------------------------


def as_data(talk: Talk, names: Sequence[str]) -> dict[str, Any]:
    """The conversation for JSON. The picture itself is not in it, but its SHA-256 is."""
    picture: Mapping[str, Any] = {"sha256": hashlib.sha256(talk.picture).hexdigest()} if talk.picture else {}
    return {
        "models": list(names),
        "picture": {**picture, **({"example": talk.example} if talk.example else {})},
        "exchanges": [
            {
                "question": one.question,
                **({"truth": one.truth} if one.truth else {}),
                "answers": [_answer(name, said) for name, said in zip(names, one.said)],
            }
            for one in talk.exchanges
        ],
        "asked_for": [
            {
                "thing": probe.name,
                "question": probe.question,
                "is_there": probe.is_there,
                "probability_of_yes": dict(zip(names, found)),
            }
            for probe, found in talk.asked_for
        ],
    }


def _answer(name: str, said: Said) -> dict[str, Any]:
    found: dict[str, Any] = {"model": name, "text": said.text}
    found |= {"stopped": True} if said.stopped else {}
    found |= {"error": said.error} if said.error else {}
    if said.sure is not None:
        found |= {"probability_of_yes": said.sure, "without_the_picture": said.blind}
    if (made := said.evidence) is not None:
        found["evidence"] = {
            "passed": made.passed,
            "deleted": made.deleted,
            "by_chance": made.by_chance,
            "side": made.side,
        }
        found["evidence"] |= {"cost": made.cost, "marked": sorted(made.marked)}
    return found


def as_markdown(talk: Talk, names: Sequence[str], words: Words) -> str:
    """The conversation to be read."""
    lines = [f"# {words['title']}", ""]
    for one in talk.exchanges:
        lines += [f"**{words['question']}**: {one.question}", ""]
        if one.truth:
            lines += [words["truth"].format(truth=words.get(one.truth, one.truth)), ""]
        for name, said in zip(names, one.said):
            lines += [f"- **{name}**: {said.text}{words['stopped'] if said.stopped else ''}"]
            if said.sure is not None and said.blind is not None:
                both = (("with_picture", said.sure), ("without_picture", said.blind))
                sure = ", ".join(f"{words[what]} {words['percent'].format(value=value)}" for what, value in both)
                lines += [f"  - {words['sure']}: {sure}"]
            if said.evidence is not None:
                lines += [f"  - {_tested(said.evidence, words)}"]
        lines += [""]
    if talk.asked_for:
        lines += [f"| {' | '.join((words['thing'], words['there'], *names))} |", "|---" * (2 + len(names)) + "|"]
        for probe, found in talk.asked_for:
            there = words["unknown" if probe.is_there is None else "present" if probe.is_there else "absent"]
            lines += [
                f"| {' | '.join((probe.name, there, *(words['percent'].format(value=value) for value in found)))} |"
            ]
    return "\n".join(lines).rstrip() + "\n"

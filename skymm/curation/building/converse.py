"""The third step: records become conversations without their questions, and it is found out what could be asked of each
picture, knowing what is frequent and what goes together in all of them.

Most sources know things by name and are asked in the words of `negatives`; one that knows its pictures better (emoji scenes)
has questions of its own, which its task "turns" asks.
"""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from skymm.conversation import LANGUAGES, Turn
from skymm.curation.audit.reading import CAPTION_KINDS
from skymm.curation.building.manifest import Files, Manifest, Piece, entries, excerpt, file_of
from skymm.curation.building.storage import places_of, read_lines, write_lines
from skymm.curation.building.workers import Job
from skymm.curation.facts.co_occurrence import Statistics
from skymm.curation.facts.picture_facts import facts_about
from skymm.curation.negatives import kinds
from skymm.curation.negatives.balance import Askable, Asked, Key, Rules, Unless
from skymm.curation.negatives.preferences import preference
from skymm.curation.negatives.wording import about_pictures
from skymm.curation.record import Record, from_plain, to_plain
from skymm.curation.sources.source import open_source
from skymm.recipe import DataRecipe, parse
from skymm.recipe.sources import parse_source
from skymm.text import language_of

FOLDER = ".build/conversations"


def make_conversations(
    manifest: Manifest,
    recipe: DataRecipe,
    records: Mapping[str, Sequence[Mapping[str, Any]]],
    repeated: Mapping[str, Sequence[int]],
    statistics: Files,
) -> list[dict[str, Any]]:
    """The manifest's lines of all parts, sources in the recipe's order. `repeated`: part -> numbers of its records that go."""
    pieces = []
    for name, lines in records.items():
        decides = excerpt(recipe, name, "negatives", "chinese_share", "negative_share", "max_turns", "seed")
        for line in lines:
            job = {"part": line["part"], "recipe": decides, "records": line["files"], "statistics": statistics}
            pieces.append(Piece(f"conversations of {line['part']}", {**job, "repeated": repeated[line["part"]]}))
    return manifest.make("making conversations", pieces, converse_part)


def converse_part(job: Job) -> dict[str, Any]:
    """Worker: the conversations of one part. A line: what is Made, the number of its record, what more the picture may be asked
    ("askable"), and counts ("sort") by which samples are chosen.

    Counts what filters took out of the records of which they are made: only now it is known which of them stay.
    """
    directory, recipe = Path(job["directory"]), parse(job["recipe"], DataRecipe)
    ((name, described),) = recipe.sources.items()
    ((path, (_, digest)),) = job["statistics"].items()
    statistics, repeated = _statistics(str(directory / path), digest), set(job["repeated"])
    source = source_of(described.model_dump_json()) if "turns" in described.tasks else None
    silent = 0
    dropped: Counter[str] = Counter()

    def lines() -> Iterator[dict[str, Any]]:
        nonlocal silent
        for number, line in enumerate(read_lines(file_of(directory, job["records"], ".jsonl"))):
            if number in repeated:
                continue
            dropped.update(line["dropped"])
            record = from_plain(Record, line["record"])
            seed, own = f"{recipe.seed}/{name}/{record.key}", source.most if source is not None else 0
            told = False
            for made in converse(record, described.tasks, recipe, statistics, seed, own):
                asked = askable_of(record, source, described.tasks, recipe, statistics) if made.room else {}
                if asked or made.turns:
                    told = True
                    more = {"record": number, "askable": askable_to_json(asked), "sort": _sort(made)}
                    yield {**to_plain(made), **more}
            silent += not told

    out = directory / FOLDER / f"{job['part']}.jsonl"
    num_conversations = write_lines(out, lines())
    return {
        "files": entries(directory, [out, places_of(out)]),
        "part": job["part"],
        "source": name,
        "records": job["records"],
        "conversations": num_conversations,
        "silent": silent,
        "dropped": dict(sorted(dropped.items())),
    }


@lru_cache(maxsize=1)
def _statistics(path: str, digest: str) -> Statistics:
    """Once per process and content: a process may outlive one build and see the next one's file at the same place."""
    return Statistics.from_json(json.loads(Path(path).read_text("utf-8")))


# --- conversations ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Made:
    """A conversation to be, which questions may still be added to (`with_questions`). It may have no turns yet.

    `suffix` tells several of one record apart, `extra` goes into the sample's JSON; `room`: how many more questions fit.
    """

    turns: tuple[Turn, ...]
    suffix: str = ""
    extra: Mapping[str, Any] = field(default_factory=dict)
    room: int = 0


def converse(
    record: Record, tasks: Sequence[str], recipe: DataRecipe, statistics: Statistics, seed: str, own: int = 0
) -> Iterator[Made]:
    """The conversations that the tasks make of a record: one of captions and turns, one of a preference.

    `seed` names the record among all, so that every choice is its own. A record that gives nothing gives none, but for one that
    may be asked questions: at most `own` of its source's own ones, and as many as the recipe says of the others.
    """
    rng = random.Random(seed)
    share = 0.5 if recipe.chinese_share is None else recipe.chinese_share
    language = "zh" if rng.random() < share else "en"
    if record.extra.get("rejected") and record.turns:
        # A preference that the source has, whole: nothing is asked before or after it.
        fits = recipe.max_turns is None or sum(turn.role == "user" for turn in record.turns) <= recipe.max_turns
        if fits and ("turns" in tasks or "preferences" in tasks):
            yield Made(tuple(map(_told, record.turns)))
        return
    answered: list[tuple[Turn, Turn]] = []
    opening: tuple[Turn, ...] = ()
    if "turns" in tasks and record.turns:
        opening = tuple(turn for turn in record.turns[:1] if turn.role == "system")
        spoken = record.turns[len(opening) :]
        answered += [(question, _told(answer)) for question, answer in zip(spoken[::2], spoken[1::2])]
    if "captions" in tasks:  # after the turns, which may show the pictures themselves
        answered += _captions(record, rng)
    if "names" in tasks and not ("captions" in tasks and record.captions):
        answered += _names(record, rng)
    answered = answered[: recipe.max_turns]
    room = own + ("negatives" in tasks) * 2 * recipe.negatives.pairs_per_sample
    if recipe.max_turns is not None:
        room = min(room, recipe.max_turns - len(answered))
    if any(turn.places for pair in answered for turn in pair):
        room = 0  # a picture amid a sentence stays there, and nothing can be asked before it is shown
    if set(tasks) != {"preferences"}:
        yield Made((*opening, *(turn for pair in answered for turn in pair)), room=room)
    if "preferences" in tasks:
        made = preference(rng, record, statistics, language)
        if made is not None:
            yield Made((made.prompt, made.chosen), "-p", {"rejected": made.rejected.text, "error": made.kind})


def with_questions(
    turns: Sequence[Turn], asked: Sequence[tuple[Turn, Turn]], pictures: Sequence[str]
) -> tuple[Turn, ...]:
    """The questions come first: what captions and answers tell of the picture would answer them without a look at it.

    The first question of all shows the pictures, where no turn shows some of several.
    """
    opening = [turn for turn in turns[:1] if turn.role == "system"]
    later = list(turns[len(opening) :])
    if asked and len(pictures) == 1:
        later = [replace(turn, images=(), places=()) for turn in later]
    found = [*opening, *(turn for pair in asked for turn in pair), *later]
    if pictures and not any(turn.images for turn in found):
        first = next(index for index, turn in enumerate(found) if turn.role == "user")
        found[first] = replace(found[first], images=tuple(pictures))
    return tuple(found)


def _captions(record: Record, rng: random.Random) -> list[tuple[Turn, Turn]]:
    """One caption per language, in any order: with several, each answer would begin where the last one ended."""
    found = []
    for language in LANGUAGES:
        texts = [caption.text for caption in record.captions if caption.language == language]
        if texts:
            answer = Turn("assistant", rng.choice(texts), (), "positive", "caption", language)
            found.append((Turn("user", rng.choice(about_pictures()[language])), answer))
    rng.shuffle(found)
    return found


def _names(record: Record, rng: random.Random) -> list[tuple[Turn, Turn]]:
    """What is known to be there, in both languages in any order."""
    picture, found = facts_about(record), []
    for language in LANGUAGES:
        if text := kinds.told(picture, language):
            answer = Turn("assistant", text, (), "positive", "caption", language)
            found.append((Turn("user", rng.choice(about_pictures()[f"names_{language}"])), answer))
    rng.shuffle(found)
    return found


def _told(turn: Turn) -> Turn:
    """An answer says its language."""
    return replace(turn, language=language_of(turn.text)) if turn.role == "assistant" and not turn.language else turn


def _sort(made: Made) -> tuple[int, ...]:
    """(answers, Chinese ones, those that affirm or deny, negative ones, room for questions)"""
    answers = [turn for turn in made.turns if turn.role == "assistant"]
    decided = [
        turn for turn in answers if turn.polarity and turn.kind not in CAPTION_KINDS and "rejected" not in made.extra
    ]
    return (
        len(answers),
        sum(turn.language == "zh" for turn in answers),
        len(decided),
        sum(turn.polarity == "negative" for turn in decided),
        made.room,
    )


# --- questions --------------------------------------------------------------------------------------------------------------

OWN = "own:"
"""Before the labels of a source's own questions, until they are said."""


@lru_cache(maxsize=16)
def source_of(settings: str) -> Any:
    """The source, where it has questions of its own (`most` of each picture, `askable`, `rules`, `exchange`); else None."""
    source = open_source(parse_source(json.loads(settings)))
    return source if hasattr(source, "askable") else None


def askable_of(
    record: Record, source: Any, tasks: Sequence[str], recipe: DataRecipe, statistics: Statistics
) -> Askable:
    """What the record's picture may be asked. `source`: one with questions of its own that are wanted, or None."""
    found: dict[str, Any] = {}
    if "negatives" in tasks:
        found.update(kinds.askable(record, recipe.negatives, statistics))
    if source is not None:
        found.update({OWN + label: both for label, both in source.askable(record).items()})
    return found


def rules_of(recipe: DataRecipe) -> Rules:
    """For all that is asked in a build. The shares of a source's own questions are the recipe's."""
    chinese, negative = (0.5 if share is None else share for share in (recipe.chinese_share, recipe.negative_share))
    common = kinds.rules(recipe.negatives, chinese, negative)
    sources = [source_of(source.model_dump_json()) for source in recipe.sources.values() if "turns" in source.tasks]
    own = next((source.rules() for source in sources if source is not None), None)
    if own is None:
        return common

    def topics(label: str, key: Key) -> Iterable[str]:
        return own.topics(label.removeprefix(OWN), key) if label.startswith(OWN) else common.topics(label, key)

    def closes(label: str, polarity: str) -> bool:
        return own.closes(label.removeprefix(OWN), polarity) if label.startswith(OWN) else True

    quotas = {**common.quotas, **{OWN + kind: number for kind, number in own.quotas.items()}}
    return replace(common, quotas=quotas, topics=topics, closes=closes)


def exchanges(
    record: Record, asked: Sequence[Asked], source: Any, explained_share: float
) -> Iterator[tuple[Turn, Turn]]:
    """Questions with their answers, as they are said."""
    known = facts_about(record) if any(not one.label.startswith(OWN) for one in asked) else None
    for number, one in enumerate(asked):
        if known is None or one.label.startswith(OWN):
            yield source.exchange(record, replace(one, label=one.label.removeprefix(OWN)))
        else:
            yield kinds.exchange(one, known, number == len(asked) - 1, explained_share)


def askable_to_json(found: Askable) -> dict[str, Any]:
    return {
        label: [list(yes), no.to_json() if isinstance(no, Unless) else list(no)] for label, (yes, no) in found.items()
    }


def askable_from_json(data: Mapping[str, Any], names: dict[tuple[str, ...], Key]) -> Askable:
    """`names` holds every key once, for there are millions of the same."""

    def keys(those: Sequence[Sequence[str]]) -> list[Key]:
        return [names.setdefault(key, key) for key in map(tuple, those)]

    return {label: (keys(yes), Unless(**no) if isinstance(no, dict) else keys(no)) for label, (yes, no) in data.items()}

"""What the numbers say in plain words: the sentences on top of a report, each computed, none canned."""

from __future__ import annotations

from collections.abc import Sequence

from skymm.evaluation.report.measure import Gain, Measured, Twins, probabilities
from skymm.evaluation.statistics import Interval, paired_difference
from skymm.page.document import Remark, Words
from skymm.page.numbers import bounds, difference, percent, score

SEES, PARTLY = 0.5, 0.2  # of the way from guessing to always right
LEANS = 0.03  # share of answers; less is no leaning worth a word, however sure
MUTE = 0.5  # share of unreadable answers above which there is nothing to judge
SURE = 0.9
_ENOUGH = 20  # answers that a share in a sentence needs


STYLES = {"level_sees": "good", "level_partly": "fair", "level_barely": "fair", "level_none": ""}  # all others: bad


def named(name: str, words: Words) -> str:
    """What a benchmark calls a metric, a table or an entry, in the language of the page; else as it is, with spaces for
    underscores, so that a new benchmark needs no words.
    """
    return words["labels"].get(name, name.replace("_", " "))


def short_title(measured: Measured, words: Words) -> str:
    """The benchmark's name: its title up to the colon."""
    return named(measured.benchmark.title.split(":")[0].strip(), words)


def level_of(measured: Measured) -> str:
    """Key of the word that stands for the run; "level_none" where nothing can be chosen or seen."""
    unknown, looks = measured.value("seeing.unknown"), measured.interval("seeing.looks")
    if unknown is not None and unknown > MUTE:
        return "level_mute"
    if looks is None or looks.low is None or looks.high is None:
        return "level_none"
    if looks.low > 0:
        return "level_sees" if looks.value >= SEES else "level_partly" if looks.value >= PARTLY else "level_barely"
    return "level_against" if looks.high < 0 else "level_talks"


def verdict(measured: Measured, words: Words, gains: Sequence[Gain] = ()) -> Remark:
    """How much a run sees on a benchmark, and the sentences that say why."""
    level = level_of(measured)
    text = words["between_sentences"].join(_sentences(measured, level, words, gains))
    label = measured.label if measured.label != measured.run.model else ""
    word = words[level] if level != "level_none" else ""
    return Remark(text, word, STYLES.get(level, "bad"), short_title(measured, words), label)


def _sentences(measured: Measured, level: str, words: Words, gains: Sequence[Gain]) -> list[str]:
    run, sentences = measured.run, []
    if not run.answers:
        return [words["say_no_answers"]]
    if len(run.answers) < run.expected:
        sentences.append(words["say_incomplete"].format(answered=len(run.answers), expected=run.expected))
    sentences += _about_yes(measured, words) + _about_options(measured, words)
    if measured.value("seeing.unknown"):
        sentences.append(words["say_unknown"].format(unknown=percent(measured.value("seeing.unknown") or 0)))
    if level == "level_none" and not sentences:
        main = measured.benchmark.main
        value = measured.value(f"official.{main.key}")
        if value is not None:
            sentences.append(words["say_score"].format(metric=named(main.label, words), value=score(value, main.unit)))
    sentences += _about_confidence(measured, words)
    for gain in gains:
        if (gain.benchmark, gain.model) == (measured.benchmark.name, run.model):
            sentences.append(words["say_gain"].format(swv=f"{gain.swv:.1f}", sv=f"{gain.sv:.1f}"))
    return sentences


def _about_yes(measured: Measured, words: Words) -> list[str]:
    where_yes, where_no = measured.value("seeing.yes_where_yes"), measured.value("seeing.yes_where_no")
    gold, yes, no = measured.value("seeing.gold_yes"), measured.interval("seeing.yes"), measured.interval("seeing.no")
    same = measured.value("seeing.same_answer")
    found = []
    if where_yes is not None and where_no is not None:
        key = "say_blind" if level_of(measured) == "level_talks" else "say_looks"
        found.append(words[key].format(where_yes=percent(where_yes), where_no=percent(where_no)))
    if yes is not None and no is not None and gold is not None:
        # Few yes need not mean many no: it may say neither.
        more, less = _leans(yes, gold), _leans(no, 1 - gold)
        key = "say_yes_more" if more else "say_yes_less" if less else "say_yes_even"
        found.append(words[key].format(yes=percent(yes.value), gold=percent(gold)))
    if same:
        found.append(words["say_same"].format(same=percent(same)))
    return found


def _leans(said: Interval, right: float) -> bool:
    """Says it more often than is right: more than chance can explain, and enough to matter."""
    return said.excludes(right) and said.value >= right + LEANS


def _about_options(measured: Measured, words: Words) -> list[str]:
    right, chance = measured.value("seeing.right"), measured.value("seeing.chance")
    if right is None or chance is None:
        return []
    return [words["say_options"].format(right=percent(right), chance=percent(chance))]


def _about_confidence(measured: Measured, words: Words) -> list[str]:
    """How often it is right where it is sure, if it is sure often enough."""
    right = []
    for answer in measured.run.answers:
        chances = probabilities(answer)
        if chances and answer.question.gold in chances:
            choice = max(chances, key=chances.__getitem__)
            if chances[choice] >= SURE:
                right.append(choice == answer.question.gold)
    if len(right) < _ENOUGH:
        return []
    return [words["say_sure"].format(right=percent(sum(right) / len(right)), count=len(right))]


def comparison(first: Measured, second: Measured, words: Words) -> str | None:
    """Which of two is higher in the benchmark's main metric; None where they have none or other questions."""
    found = difference_of(first, second)
    if found is None:
        return None
    if found.value < 0:
        first, second = second, first
        found = difference_of(first, second) or found
    main = first.benchmark.main
    return words["say_higher" if found.excludes(0) else "say_level"].format(
        benchmark=short_title(first, words),
        metric=named(main.label, words),
        higher=first.label,
        lower=second.label,
        difference=difference(found.value, main.unit, sign=False),
        interval=bounds(found.low, found.high, main.unit),
    )


def about_twins(benchmark: str, found: Twins, words: Words) -> str:
    return words["say_twins"].format(
        benchmark=benchmark,
        label=found.label,
        count=found.count,
        zh=percent(found.zh.value),
        en=percent(found.en.value),
        gap=difference(found.gap.value, "rate"),
        interval=bounds(found.gap.low, found.gap.high, "rate"),
    )


def difference_of(first: Measured, second: Measured) -> Interval | None:
    """The difference of the main metric on the same questions; None where there is none to be had."""
    if not first.bootstrap or not second.bootstrap or first.bootstrap.asked != second.bootstrap.asked:
        return None
    return paired_difference(first.bootstrap, second.bootstrap, f"official.{first.benchmark.main.key}")

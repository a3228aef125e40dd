"""Writing that a caption quotes: a sign that says "STOP", 写着“停”的牌子."""

from __future__ import annotations

import re

from skymm.curation.facts.mention import Span

_QUOTES = re.compile(
    r"\"([^\"\n]{1,80})\"|“([^”\n]{1,80})”|「([^」\n]{1,80})」|『([^』\n]{1,80})』|《([^》\n]{1,80})》|(?<!\w)['‘]([^'’\n]{1,60})['’](?!\w)"
)
_SAYS = {
    "en": re.compile(
        r"\b(?:says?|saying|said|reads?|reading|written|writing|spell(?:s|ed|ing)?|label(?:s|ed|led|ing|ling)?|words?|text|letters?|"
        r"printed|prints?|display(?:s|ed|ing)?|shows?|showing|sign|bearing|inscribed|inscription|caption)\W{0,3}(?:\w+\W+){0,3}$",
        re.I,
    ),
    "zh": re.compile(
        r"(?:写着|写有|印着|印有|标着|标有|刻着|刻有|显示着?|上书|题着|字样|文字|内容|读作|标语|字是|字为)[^，。；,;]{0,6}$"
    ),
}
_SAYS_AFTER = {
    "en": re.compile(r"^\s*(?:is |are )?(?:written|printed|painted|inscribed)\b", re.I),
    "zh": re.compile(r"^\s*(?:的)?(?:字样|几个字|[一二两三四五六七八]个(?:大)?字|字)"),
}
_CAPITALS = re.compile(r"\b(?:says|saying|reads|reading)\s+((?:[A-Z0-9]{2,}|[0-9]+)(?:[ -][A-Z0-9]+)*)\b")


def quoted(text: str, language: str) -> tuple[tuple[str, ...], list[Span]]:
    """The writing that is said to be in the picture, and the spans of all quotations: their words name nothing there."""
    found: list[tuple[int, str]] = []
    hidden: list[Span] = []
    for match in _QUOTES.finditer(text):
        content = next(group for group in match.groups() if group is not None).strip()
        hidden.append(match.span())
        titled = match[0].startswith("《")
        said = _SAYS[language].search(text[max(0, match.start() - 60) : match.start()])
        if content and not titled and (said or _SAYS_AFTER[language].match(text[match.end() :])):
            found.append((match.start(), content.rstrip(".,，。") or content))
    for match in _CAPITALS.finditer(text):
        if not any(start <= match.start(1) < end for start, end in hidden):
            found.append((match.start(1), match[1]))
            hidden.append(match.span(1))
    return tuple(dict.fromkeys(content for _, content in sorted(found))), hidden

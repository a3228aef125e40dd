"""What an LLM's chat template writes around what is said: rendered once per sequence of roles, around stand-ins.

A conversation is put together as it is asked: before every answer stands what the template prints for asking at that
point (`add_generation_prompt=True`, and `enable_thinking=False` where the template knows it), and after it what the next
asking prints there. Where a template writes the same text for asking and for whole conversations, and nearly all do, this
is its own text. Where it does not (Qwen3 puts an empty thought before the last answer only, R1 opens one only when it
asks), what is learned follows what is asked.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

# Words that no template may change: it would be seen that they are not found again between their two marks.
_WORDS = "Any  Words,\n\n好 'it's' <b>&\"co\"."
_FIRST_MARK = 0xF0000  # a plane for private use
_STAND_IN = re.compile(f"([\U000f0000-\U000ffffd]){re.escape(_WORDS)}[\U000f0000-\U000ffffd]")
_MARK = re.compile("[\U000f0000-\U000ffffd]")
_LEFT = {"\n\t": "", "\t": "\n", "": None}  # what is left of a line break and a tab -> what the template strips
_RIGHT = {"\t\n": "", "\t": "\n", "": None}

Roles = tuple[str, ...]
Blanks = tuple[str | None, ...]  # per turn: its text where that is blank, which templates treat in ways of their own


@dataclass(frozen=True, slots=True)
class Content:
    """A turn's place: the template's text before it, its number, and what is stripped from its ends."""

    before: str
    number: int
    left: str | None = ""
    right: str | None = ""

    def of(self, text: str) -> str:
        return text.lstrip(self.left).rstrip(self.right)


@dataclass(frozen=True, slots=True)
class Asked:
    """What follows the last answer (or nothing): the turns after it, and the text with which an answer is asked for."""

    contents: tuple[Content, ...]
    opening: str


@dataclass(frozen=True, slots=True)
class Answered:
    """`content.before`: what the model still writes before its answer; `ending`: what follows it at a conversation's end."""

    content: Content
    ending: str


class ChatTemplate:
    """The chat template of a tokenizer. Every method raises ValueError where the template cannot print such turns."""

    def __init__(self, tokenizer: Any):
        if not getattr(tokenizer, "chat_template", None):
            raise ValueError(
                "the tokenizer has no chat template; use an instruction-tuned LLM or set tokenizer.chat_template"
            )
        self.tokenizer = tokenizer
        self.asked = lru_cache(maxsize=1024)(self.asked)
        self.answered = lru_cache(maxsize=1024)(self.answered)

    def has_system_role(self) -> bool:
        try:
            self.asked(("system", "user"), (None, None))
        except ValueError:
            return False
        return True

    def asked(self, roles: Roles, blanks: Blanks, ask: bool = True) -> Asked:
        """`roles` of all turns so far. `ask` False: the conversation ends here."""
        last = max((number for number, role in enumerate(roles) if role == "assistant"), default=-1)
        contents, opening = self._contents(roles, blanks, ask)
        numbers = [content.number for content in contents]
        wanted = [number for number in range(last + 1, len(roles)) if blanks[number] is None]
        if last in numbers:
            contents = contents[numbers.index(last) + 1 :]
        elif last >= 0:
            raise _unprinted("assistant", roles)
        numbers = [content.number for content in contents]
        for number in wanted:
            if numbers.count(number) != 1:
                raise _unprinted(roles[number], roles)
        if any(number <= last and roles[number] != "system" for number in numbers):
            raise ValueError(f"the LLM's chat template repeats turns of {list(roles)}; give another template")
        stripped = [self._stripped(roles, blanks, ask, content) for content in contents]
        return Asked(tuple(stripped), opening)

    def answered(self, roles: Roles, blanks: Blanks) -> Answered:
        """`roles` up to an answer, which is the last of them."""
        last = len(roles) - 1
        contents, ending = self._contents(roles, blanks, False)
        found = next((content for content in contents if content.number == last), None)
        if found is None:
            raise _unprinted("assistant", roles)
        found = self._stripped(roles, blanks, False, found)
        opening = self.asked(roles[:-1], blanks[:-1]).opening
        before = found.before[len(opening) :] if found.before.startswith(opening) else ""
        return Answered(Content(before, last, found.left, found.right), ending)

    def _contents(self, roles: Roles, blanks: Blanks, ask: bool, wide: int = -1) -> tuple[list[Content], str]:
        """The rendering, cut at its contents; the one numbered `wide` has white space at both ends."""
        messages = []
        for number, (role, blank) in enumerate(zip(roles, blanks)):
            said = f"{chr(_FIRST_MARK + 2 * number)}{_WORDS}{chr(_FIRST_MARK + 2 * number + 1)}"
            said = f"\n\t{said}\t\n" if number == wide else said
            messages.append({"role": role, "content": said if blank is None else blank})
        try:
            text = self.tokenizer.apply_chat_template(
                messages, tokenize=False, add_generation_prompt=ask, enable_thinking=False
            )
        except Exception as error:  # a template is a program of its own, and may raise anything
            said = " ".join(str(error).split()) or type(error).__name__
            raise ValueError(f"the LLM's chat template refuses {_listed(roles)}: {said}{_advice(roles)}") from error
        pieces = _STAND_IN.split(text)
        if any(_MARK.search(piece) for piece in pieces[::2]):
            raise ValueError("the LLM's chat template changes what is said inside a turn; give another template")
        contents = [Content(before, (ord(mark) - _FIRST_MARK) // 2) for before, mark in zip(pieces[0::2], pieces[1::2])]
        return contents, pieces[-1]

    def _stripped(self, roles: Roles, blanks: Blanks, ask: bool, content: Content) -> Content:
        """The content with what the template strips from its ends, found by giving it some."""
        plain, end = self._contents(roles, blanks, ask)
        wide, wide_end = self._contents(roles, blanks, ask, wide=content.number)
        place = [one.number for one in plain].index(content.number)
        after = [*(one.before for one in plain[place + 1 :]), end][0]
        wide_after = [*(one.before for one in wide[place + 1 :]), wide_end][0]
        left = wide[place].before.removeprefix(plain[place].before)
        right = wide_after.removesuffix(after)
        return Content(content.before, content.number, _LEFT.get(left, ""), _RIGHT.get(right, ""))


def _listed(roles: Roles) -> str:
    return f"turns of {', '.join(roles)}"


def _advice(roles: Roles) -> str:
    if "system" not in roles:
        return ""
    return (
        "; put the text of the system turn into the first question, leave `system` out of the recipe, or give the tokenizer "
        "a template with a system role"
    )


def _unprinted(role: str, roles: Roles) -> ValueError:
    advice = _advice(roles) if role == "system" else "; give another template"
    return ValueError(f"the LLM's chat template does not print the {role} turn of {_listed(roles)}{advice}")

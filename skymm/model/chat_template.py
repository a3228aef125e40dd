"""What an LLM's chat template writes around what is said: rendered once per sequence of roles, around stand-ins.

A conversation is put together as it is asked: before every answer stands what the template prints for asking at that
point (`add_generation_prompt=True`, and `enable_thinking=False` where the template knows it), and after it what the next
asking prints there. Where a template writes the same text for asking and for whole conversations, and nearly all do, this
is its own text. Where it does not (Qwen3 puts an empty thought before the last answer only, R1 opens one only when it
asks), what is learned follows what is asked.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
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
    """A turn's place: the template's text before it, its number, and what is stripped from its ends (None: any blank)."""

    before: str
    number: int
    left: str | None = ""
    right: str | None = ""

    def of(self, text: str) -> str:
        return text.lstrip(self.left).rstrip(self.right)


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

    @cached_property
    def has_system_role(self) -> bool:
        try:
            self.asked(("system", "user"), (None, None))
        except ValueError:
            return False
        return True

    def asked(self, roles: Roles, blanks: Blanks, ask: bool = True) -> tuple[list[Content], str]:
        """What follows the last answer (or nothing): the turns after it, and the text with which an answer is asked for.

        `roles` of all turns so far. `ask` False: the conversation ends here.
        """
        *contents, end = self._contents(roles, blanks, ask)
        last = max((number for number, role in enumerate(roles) if role == "assistant"), default=-1)
        numbers = [content.number for content in contents]
        if last in numbers:
            start = numbers.index(last) + 1
            contents, numbers = contents[start:], numbers[start:]
        elif last >= 0:
            raise _unprinted("assistant", roles)
        for number in range(last + 1, len(roles)):
            if blanks[number] is None and numbers.count(number) != 1:
                raise _unprinted(roles[number], roles)
        if any(number <= last and roles[number] != "system" for number in numbers):
            raise ValueError(f"the LLM's chat template repeats turns of {list(roles)}; give another template")
        return [self._stripped(roles, blanks, ask, content) for content in contents], end.before

    def answered(self, roles: Roles, blanks: Blanks) -> tuple[Content, str]:
        """Of an answer, the last of `roles`: what the model still writes before it (`before`), and what follows it at the
        end of a conversation.
        """
        last = len(roles) - 1
        *contents, end = self._contents(roles, blanks, False)
        found = next((content for content in contents if content.number == last), None)
        if found is None:
            raise _unprinted("assistant", roles)
        opening = self.asked(roles[:-1], blanks[:-1])[1]
        before = found.before[len(opening) :] if found.before.startswith(opening) else ""
        return replace(self._stripped(roles, blanks, False, found), before=before), end.before

    def _contents(self, roles: Roles, blanks: Blanks, ask: bool, wide: int = -1) -> list[Content]:
        """The rendering, cut at its contents, and what follows the last as one without a number.

        The content numbered `wide` has white space at both ends.
        """
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
        numbers = [(ord(mark) - _FIRST_MARK) // 2 for mark in pieces[1::2]]
        return [Content(before, number) for before, number in zip(pieces[::2], [*numbers, -1])]

    def _stripped(self, roles: Roles, blanks: Blanks, ask: bool, content: Content) -> Content:
        """The content with what the template strips from its ends, found by giving it some."""
        plain = self._contents(roles, blanks, ask)
        wide = self._contents(roles, blanks, ask, wide=content.number)
        place = [one.number for one in plain].index(content.number)
        left = wide[place].before.removeprefix(plain[place].before)
        right = wide[place + 1].before.removesuffix(plain[place + 1].before)
        return replace(content, left=_LEFT.get(left, ""), right=_RIGHT.get(right, ""))


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

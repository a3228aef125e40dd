"""What a model thinks aloud is no part of its answer: one place that tells the two apart, whatever marks they are in.

Marks as models write them, spaces and case aside: <think>, <thinking>, <reasoning>, <seed:think>, ◁think▷, [THINK],
<|begin_of_thought|>, <|START_THINKING|>, 【思考】, <details type="reasoning">, a heading "Thinking" before one "Final response"
("Reasoning" before "Answer"), and the channels of Harmony ("analysis", "final"), also where a tokenizer has dropped their
marks.
"""

from __future__ import annotations

import html
import re
from bisect import bisect_left
from functools import lru_cache

_THOUGHT = (
    r"(?:\w+:)?(?:thinking|think(?:_\w+)?|thoughts?|reason(?:ing)?|reflect(?:ions?)?|analysis|analy[sz]e|rationale|cot|ponder(?:ing)?|"
    r"(?:inner_?|internal_?)?monologue|plan(?:ning)?|verif(?:y|ication)|critique|scratch_?pad|(?:inner|internal)_?(?:thoughts?|"
    r"reasoning)|chain_of_thought|思考过程|思考|推理过程|推理|思维链)"
)
_SAID = r"(?:final_?)?(?:answer|response|conclusion|solution|output|result)|final|box|答案|回答|最终答案"


def _marks(names: str) -> tuple[str, str]:
    """Patterns of the opening and of the closing marks of these names."""
    opening = (
        rf"<\s*(?:{names})(?:\s[^<>]*)?>|◁\s*(?:{names})\s*▷|<\|(?:(?:begin|start)_of_)?(?:{names})(?:_(?:begin|start))?\|>|"
        rf"<\|start_(?:{names})\|>|【\s*(?:{names})\s*】"
    )
    closing = (
        rf"<\s*/\s*(?:{names})\s*>|◁\s*/\s*(?:{names})\s*▷|<\|(?:/|end_of_|end_)(?:{names})\|>|<\|(?:{names})_end\|>|"
        rf"【\s*/\s*(?:{names})\s*】|\[/(?:{names})\]"
    )
    return opening, closing


_OPENING, _CLOSING = (re.compile(pattern, re.I) for pattern in _marks(_THOUGHT))
_ANSWER, _ANSWER_END = (re.compile(pattern, re.I) for pattern in _marks(_SAID))
# These say the same in words that mean something else in small letters, or elsewhere.
_OTHER_OPENING = re.compile(
    r"\Aanalysis(?=[A-Z])|<unused94>|\[THINK\]|<\|im_start\|>think\b|<details\b[^<>]*reasoning[^<>]*>|"
    r"(?i:\A\W*(?:thinking|thought process|思考(?:过程)?)\W*\n)|<\|?channel\|?>\s*(?:analysis|commentary|thought)"
)
_OTHER_CLOSING = re.compile(
    r"【\s*(?:最终)?(?:答案|回答)\s*】|<\|im_start\|>answer\b|</details>|<unused95>|"
    r"<channel\|>|<\|channel\|>\s*final\s*(?:<\|constrain\|>\w+)?(?:<\|message\|>)?|"
    r"(?<=\S)assistantfinal|(?im:^[^\w\n]*(?:final (?:response|answer)|最终(?:回答|答案))[^\w\n]*\n)"
)
_REASONED = re.compile(
    r"\A\W*(?:thinking process|reasoning|analysis|推理(?:过程)?|分析)\W*\n.*"
    r"^[^\w\n]*(?:final |最终)?(?:answer|response|答案|回答)\W+",
    re.I | re.M | re.S,
)
_CHANNEL_END = re.compile(r"<\|(?:end|return|start|call)\|>")
_HEADINGS = ("analysis", "thinking", "thought", "reasoning", "思考", "推理", "分析")


def without_thoughts(text: str) -> str:
    """The answer: what follows the last closing mark of a thought, opened or not, and of that what is marked as the answer.

    "" where a thought was opened and never closed (it was cut), unless the text ends with an answer that is marked as one.
    """
    return _answer_of(text) if _may_think(text) else text


def _may_think(text: str) -> bool:
    return (
        any(mark in text for mark in "<◁[【")
        or "&lt;" in text
        or text.lstrip(" #*\n")[:9].lower().startswith(_HEADINGS)
    )


@lru_cache(maxsize=1 << 14)
def _answer_of(text: str) -> str:
    if "&lt;" in text:
        text = html.unescape(text)
    text = _REASONED.sub("", text)
    # Headings close what a heading opened, and a closing mark of any other kind needs no opening one.
    opened = [*_OPENING.finditer(text), *_OTHER_OPENING.finditer(text)]
    closed = [*_CLOSING.finditer(text)]
    if opened or closed or "<|channel|>" in text:
        closed += _OTHER_CLOSING.finditer(text)
    start = max((mark.end() for mark in closed), default=0)
    after = text[start:]
    is_cut = any(mark.start() >= start for mark in opened)
    channel_end = _CHANNEL_END.search(after) if "<|channel|>" in text else None
    if channel_end:
        after = after[: channel_end.start()]
    marked = _marked(after)
    if is_cut:
        return marked if marked and _ends_with_answer(after) else ""
    return marked or after


def _marked(text: str) -> str:
    """The last that is marked as the answer and says something; "" without."""
    ends = [mark.start() for mark in _ANSWER_END.finditer(text)] + [len(text)]
    for opening in reversed([*_ANSWER.finditer(text)]):
        said = text[opening.end() : ends[bisect_left(ends, opening.end())]].strip()
        if said:
            return said
    return ""


def _ends_with_answer(text: str) -> bool:
    ends = [mark.end() for mark in _ANSWER_END.finditer(text)]
    return bool(ends) and not text[ends[-1] :].strip()

"""What an answer says about option letters, in Chinese or English: half of the strict reading of letters.

Every letter in a sentence is judged by what stands before and behind it: denied ("not A", 排除A), stated ("the answer is
B", 选B, "B is right"), leading ("B. dog"), mentioned ("option B", "(B)"), or no label at all (the article "A", vitamin C,
B型血).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import NamedTuple

from skymm.evaluation.reading.option_words import STATED_WORDS, UNSURE, mask, plain
from skymm.text import normalise
from skymm.thoughts import without_thoughts

NO_LABEL, DENIED, MENTIONED, LEADING, STATED, FINAL = range(6)  # the later, the heavier


class Claim(NamedTuple):
    letter: str  # upper case
    weight: int
    rest: str  # what stands behind it in the sentence


_NEAR = 400  # characters before and behind a letter that can say something about it

_BOXED = re.compile(r"\\boxed\s*\{\s*(?:\\(?:text|textbf|mathrm|mathbf)\s*\{)?([^{}]*)\}+")
_MATHS = re.compile(r"\$([A-Za-z])\$")
_MARKUP = re.compile(
    r"</?(?:s|b|i|u|p|br|em|strong|code|span|div|answer|unk|pad|eos) ?/?>|<\|[^|<>]*\|>|"
    r"[*_`~#\"“”«»「」『』]+|^[-•·>\s]+",
    re.I,
)
_ONE_FORM = str.maketrans(
    "[]{}【】〔〕選擇為應該錯誤確項結論認覺對與還沒無難斷",
    "()()()()选择为应该错误确项结论认觉对与还没无难断",
)
# The mark behind a label at the start of a line ends no sentence.
_LABEL_MARK = re.compile(r"(?m)^(\W*[A-Za-z])\s*(?:\.|、(?![A-Za-z](?![A-Za-z])))")
_SENTENCE_END = re.compile(r"[!。;\n]+|(?<=\?)|\.(?![\dA-Za-z])|…")
_LABEL_ALONE = re.compile(
    r"(?:(?:so|thus|therefore|the|my|final|correct|best)[ ,]+)*(?:answer|option|choice)(?: is)?|"
    r"(?:正确|最终)?(?:答案|选项)[是为]?|答"
)

_HEDGE = (
    r"(?:most |very |quite )?(?:likely|probably|clearly|definitely|certainly|therefore|thus|actually|simply|indeed|"
    r"also|obviously|both|all)"
)
_IS = r"(?:is|are|was|were|be|would be|should be|must be|will be|seems?(?: to be)?|looks|appears to be)"
_NOUN = r"(?:options?|choices?|letters?|answers?)"
_GOOD = r"(?:correct|right|best|true|accurate|appropriate|suitable|valid|answers?)"
_BAD = r"(?:incorrect|wrong|false|inaccurate|invalid|unlikely|impossible|ruled out|eliminated|excluded|out)"
_THE = rf"(?:{_HEDGE} )*(?:the )?"
_ZH_NOUN = r"(?:选项|答案|字母)"
_ZH_ADVERB = r"(?:也|就|都|才|显然|明显|肯定|应该|应|可以|可|均|则|确实|一定)"

_DENIED_LEFT = re.compile(
    rf"(?:\bnot|n't|\bnever|\bcannot|\brather than|\binstead of|\bneither|\bnor|\bexcept(?: for)?|\brul\w+ out|"
    rf"\beliminat\w+|\bexclud\w+|\bunlike|\bthan) "
    rf"(?:be |the |it is |it's |that |think |believe |{_HEDGE} |correct |{_NOUN} )*$|"
    rf"(?:不是|并非|并不是|(?:不|不能|不应|不该|不应该|不可)选择?|不(?:认为|觉得)(?:答案)?(?:应该)?[是选]?|不为|排除|而非|"
    rf"除了?|不可能是|不会是|不应该?是)(?:掉|了)? ?{_ZH_NOUN}? ?$"
)
_DENIED_RIGHT = re.compile(
    rf"[ )]*{_NOUN}? ?(?:(?:is|are|was|were|does|do|ca|could|would|should|must)(?:n't| not)\b|cannot\b|"
    rf"{_IS} (?:{_HEDGE} )*(?:not\b|{_BAD}\b))|[ :,)(-]+(?:{_BAD}|not (?:the )?{_GOOD})\b|"
    rf"[ )]*(?:选项|答案|项)? ?{_ZH_ADVERB}*(?:是|被)?(?:不(?!仅|但|过|[是选为] ?\(?[A-Za-z])|错|并[不非没]|未|没有|排除)|"
    r"[ :,)(]+(?:不对|不正确|不符|错)"
)
_DENIED_AT_END = re.compile(rf"(?:\b{_BAD}|\bnot {_GOOD}|\bno|不对|不正确|不符合?|错误?)[ .)]*$")
_STATED_RIGHT = re.compile(
    rf"[ :,)]*{_NOUN}? ?{_IS} {_THE}(?:{_HEDGE} |only |most |single )*{_GOOD}\b|[ :,)]+(?:correct|right)\b|"
    rf"[ :,)]*(?:选项|答案|项)? ?{_ZH_ADVERB}*是?(?:最为?)?(?:正确|对(?:的|$|[ ,])|合适|符合|准确|恰当|正解|(?:我的)?答案)"
)
# These state a letter whatever stands behind it ...
_STATED_LEFT = re.compile(
    rf"(?:\banswers?(?: to (?:the|this|your) question)?|\bconclusion|\b{_NOUN} (?:that|which) [\w' -]{{1,60}}|"
    rf"\b(?:correct|right|best|final|my|your|appropriate|accurate|suitable|likely|true) (?:{_NOUN}|response|one))"
    rf"(?: {_IS}| ?:| ?=| ?->| -)+ ?(?:that )?(?:it is |it's )?{_THE}{_NOUN}?[ :(-]*$|"
    rf"\b(?:choose|chose|choosing|pick\w*|select\w*|go(?:ing)? with|went with|opt(?:ed|ing)? for|vote for|settle on) "
    rf"?:? ?(?:the )?{_NOUN}?[ :(]*$|"
    r"(?:答案|正解)[ :()]*$|\b(?:correct|right) ?:[ (]*$|"
    rf"(?:答案|结论|选项|结果|正解|选择|答)(?:应该|应当|应|必须|必定|肯定|只能|就|显然|一定|明显|很可能)?"
    rf"(?:就?是|为|选择?| ?:| ?=)+[ :,]*{_ZH_NOUN}?[ :(]*$|"
    rf"(?:选(?!项)择?|勾选|填) ?(?:的是|了|定|:|是|为)* ?{_ZH_NOUN}?[ :(]*$"
)
# ... and these only where the clause ends with it.
_STATED_LEFT_OF_END = re.compile(
    rf"\b(?:it|this|that)(?: is| must be| should be| would be|'s) {_THE}{_NOUN}? ?$|"
    r"\b(?:i|i'd|we|would|must|should) (?:think|believe|guess|say|choose|answer)[ :]*$|\bmy choice[ :]*$|"
    r"(?:^|[,:] ?)(?:so|thus|therefore|hence|ok|okay|well|sure|answer|ans|probably|definitely)[ ,:]*$|"
    r"是 ?(?:选项)? ?$|(?:认为|觉得|所以|因此|故|那么|综上)[ ,:]*$|\bbut (?:rather )?$"
)
_FINAL_LEFT = re.compile(r"\bfinal|最终|最后的?答案")
_CLAUSE_END = re.compile(
    r" ?\)? ?(?:$|[.,:(—-]|(?:because|since|as|due|based|given|for|not|rather|instead|but)\b|[吧呢啊哦了的而]|不是)"
)
_MENTIONED_LEFT = re.compile(r"\b(?:option|choice|letter|answer):? ?$|选项 ?$")
_MENTIONED_RIGHT = re.compile(r" ?(?:选项|项)")
_LEADING_RIGHT = re.compile(
    r" ?(?:[吧呢啊]?$|[.:),、(—])| [^\x00-\x7f]| -| (?:because|since|as|rather than|instead of)\b"
)
_JOINT = re.compile(
    r"\)? ?(?:,? ?(?:or|and|and/or|nor|to)\b|[/、&+,]|和|或者?|与|以?及|还是|跟|到|至)? ?(?:option |choice |选项)?\(? ?"
)
_ARTICLE_RIGHT = re.compile(r" (?!(?:because|since|as|and|or|is|was|due|based|given|for)\b)[a-z]")


def unmarked(text: str) -> str:
    """Normalised, without markup, with one form of brackets and of the characters that the reading looks for."""
    return _MARKUP.sub(" ", normalise(text)).strip().translate(_ONE_FORM)


def sentences_of(text: str) -> Iterator[str]:
    """Sentences without markup and thoughts, a label on a line of its own together with what it labels."""
    text = _BOXED.sub(r"\nfinal answer: \1\n", _MATHS.sub(r"\1", without_thoughts(text)))
    lines = text.replace("\r", "\n").replace("’", "'").split("\n")
    label = ""
    for piece in _SENTENCE_END.split(_LABEL_MARK.sub(r"\1:", "\n".join(map(unmarked, lines)))):
        piece = " ".join(piece.split()).strip(" ,'-—")
        if _LABEL_ALONE.fullmatch(piece.rstrip(" :").lower()):
            label = piece.rstrip(" :") + ": "
        elif piece:
            yield label + piece
            label = ""


def claims_of(sentence: str, words: Mapping[str, str]) -> list[Claim]:
    """What a sentence says about letters, in reading order; `words` are the options' by letter (upper case), plain."""
    said = {plain(sentence[match.end() :][:_NEAR]) for match in STATED_WORDS.finditer(sentence.lower())}
    named = [letter for letter, option in words.items() if option in said and len(option) > 1]
    if len(named) == 1:  # "the answer is C major" is about no C
        return [Claim(named[0], STATED, "")]
    tokens = list(_token("".join(words)).finditer(sentence))
    weights = [_weight(sentence, match, words) for match in tokens]
    _share(sentence, tokens, weights)
    return [
        Claim((match["bracketed"] or match["bare"]).upper(), weight, sentence[match.end() :][:_NEAR])
        for match, weight in zip(tokens, weights)
        if weight != NO_LABEL
    ]


@lru_cache(maxsize=256)
def _token(letters: str) -> re.Pattern[str]:
    either = f"[{letters}{letters.lower()}]"
    return re.compile(
        rf"(?<![A-Za-z0-9])(?<![A-Za-z0-9]['-])(?:\(\s?(?P<bracketed>{either})\s?\)|(?P<bare>{either}))"
        r"(?![A-Za-z0-9]|['-][A-Za-z0-9])"
    )


def _share(sentence: str, tokens: list[re.Match[str]], weights: list[int]) -> None:
    """Letters that are joined ("A or B", A和B) share their weight."""
    forward = range(1, len(tokens))
    for right in (*forward, *reversed(forward)):
        between = sentence[tokens[right - 1].end() : tokens[right].start()]
        if not _JOINT.fullmatch(between):
            continue
        behind = sentence[tokens[right].end() :][:_NEAR]
        ends = "," not in between or _CLAUSE_END.match(behind) or _JOINT.match(behind)
        pair = weights[right - 1 : right + 1]
        if ends and (NO_LABEL in pair or DENIED not in pair):
            weights[right - 1] = weights[right] = max(pair)
        elif pair == [LEADING, DENIED]:  # A、B不对
            weights[right - 1] = DENIED


def _weight(sentence: str, match: re.Match[str], words: Mapping[str, str]) -> int:
    letter, bare = match["bracketed"] or match["bare"], match["bracketed"] is None
    left, right = sentence[max(0, match.start() - _NEAR) : match.start()].lower(), sentence[match.end() :][:_NEAR]
    own, behind = words[letter.upper()], plain(right)
    with_own = bool(own) and behind.startswith(own)
    if _DENIED_LEFT.search(left) or _DENIED_RIGHT.match(right.lower()):
        return DENIED
    if with_own and _DENIED_RIGHT.match(behind[len(own) :]):
        return DENIED
    doubt = mask(right.lower(), words.values()).lstrip(" :,()")
    if UNSURE.search(mask(left, words.values())) or UNSURE.match(doubt):
        return NO_LABEL
    first, upper = not left.strip(), letter.isupper()
    if left.strip() in ("", "option", "choice", "letter", "选项") and right.strip(" .:,)") in ("", "选项", "项"):
        return STATED
    stated_right = (upper or not bare) and _STATED_RIGHT.match(right.lower())
    if bare and letter in "aA" and (first or not upper) and _ARTICLE_RIGHT.match(right) and not stated_right:
        return NO_LABEL
    ends = bool(_CLAUSE_END.match(right)) or with_own
    if _STATED_LEFT.search(left) and (upper or ends or not bare):
        return FINAL if _FINAL_LEFT.search(left) else STATED
    if stated_right or (ends and _STATED_LEFT_OF_END.search(left)):
        return STATED
    if first and (not bare or _leads(letter, right, with_own)):
        return DENIED if _DENIED_AT_END.search(right.lower()) else LEADING
    if with_own and (not bare or right.lstrip()[:1] in (".", ":", ")")):
        return LEADING  # the options are repeated in one line
    mentioned = _MENTIONED_LEFT.search(left) or (upper and _MENTIONED_RIGHT.match(right))
    return MENTIONED if mentioned or not bare else NO_LABEL


def _leads(letter: str, right: str, with_own: bool) -> bool:
    if letter.islower() or letter == "I":
        return right.lstrip()[:1] in (".", ":", ")")
    return bool(_LEADING_RIGHT.match(right)) or (with_own and letter != "A")

"""Which option an answer chooses: the official rule of MMBench, and a strict reading in Chinese and English.

The strict reading prefers "unknown" to a guess. Every letter in an answer is judged by what stands before and behind it:
denied ("not A", 排除A), stated ("the answer is B", 选B, "B is right"), leading ("B. dog"), mentioned ("option B", "(B)"),
or no label at all (the article "A", vitamin C, B型血). What is stated outweighs what leads, that outweighs a mention,
and two letters of the same weight are a contradiction. Only without letters do the options' own words count: the
longest match, whole words, none that is denied.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import NamedTuple

from skymm.evaluation.option_words import STATED, UNSURE, chosen_by_words, mask, plain
from skymm.text import normalise

UNKNOWN = "unknown"
REFUSED = "Z"  # what MMBench writes for an answer that chooses nothing

_REFUSALS = (
    "Sorry, I can't help with images of people yet.",
    "I can't process this file.",
    "I'm sorry, but without the image provided",
    "Cannot determine the answer",
)
_SEPARATORS = str.maketrans(dict.fromkeys(".()[],:;!*#{}", " "))
_OFFICIAL_STATED = re.compile(r"answer\s+is\s+\**([ABCD])", re.I)


def official_mmbench(text: str, choices: Mapping[str, str]) -> str | None:
    """The letter that MMBench's exact matching reads (VLMEvalKit, `can_infer`); "Z" for a refusal, None where it gives
    up. A letter as `official_mmbench_letter` finds it, else the one option whose words are in the answer, unless the
    answer is more than twice as long as all options together.
    """
    return official_mmbench_letter(text, choices) or _official_words(text, choices)


def official_mmbench_letter(text: str, choices: Mapping[str, str]) -> str | None:
    """The first half of that rule: the only option letter among the words of an answer, if it is one of the last four;
    else the letter behind "answer is". Letters count in upper case, except behind "answer is".
    """
    if "Failed to obtain answer via API" in text:
        return None
    if any(refusal in text for refusal in _REFUSALS):
        return REFUSED
    words = text.translate(_SEPARATORS).split()
    letters = [letter for letter in choices if letter in words]
    if len(letters) == 1 and words.index(letters[0]) > len(words) - 5:
        return letters[0]
    if not letters and REFUSED in words:
        return REFUSED
    stated = _OFFICIAL_STATED.search(text)
    return stated[1].upper() if stated and stated[1].upper() in choices else None


def _official_words(text: str, choices: Mapping[str, str]) -> str | None:
    text = text.lower()
    if len(text) > 2 * sum(len(option) for option in choices.values()):
        return None
    contained = [letter for letter, option in choices.items() if option.lower() in text]
    return contained[0] if len(contained) == 1 else None


def option_letter(text: str, choices: Mapping[str, str]) -> str:
    """The key of the option that an answer chooses, read in Chinese or English, or "unknown".

    Args:
        choices: single letters, in either case, with the options' words ("" where they are not known).
    """
    return _option_letter(text, tuple(choices.items()))


_THOUGHT = re.compile(r"<think>.*?(</think>|$)", re.S | re.I)
_BOXED = re.compile(r"\\boxed\s*\{\s*(?:\\(?:text|textbf|mathrm|mathbf)\s*\{)?([^{}]*)\}+")
_ANSWER_TAG = re.compile(r"<answer>", re.I)
_MARKUP = re.compile(
    r"</?(?:s|b|i|u|p|br|em|strong|code|span|div|answer|unk|pad|eos) ?/?>|<\|[^|<>]*\|>|[*_`~#\"“”«»「」『』]+|^[-•·>\s]+",
    re.I,
)
_MATHS = re.compile(r"\$([A-Za-z])\$")
_BRACKETS = str.maketrans("[]{}【】〔〕", "()()()()")
_LABEL_STOP = re.compile(r"(?m)^(\W*[A-Za-z])\s*(?:\.|、(?![A-Za-z](?![A-Za-z])))")
_SENTENCE_END = re.compile(r"[!?。;\n]+|\.(?![\dA-Za-z])|…")
_LABEL_ALONE = re.compile(r"(?:(?:so|thus|therefore|the|my|final|correct|best)[ ,]+)*(?:answer|option|choice)(?: is)?|(?:正确|最终)?(?:答案|选项)[是为]?|答")

_NONE, _DENIED, _MENTIONED, _LEADING, _STATED, _FINAL = range(6)

_HEDGE = (
    r"(?:most |very |quite )?(?:likely|probably|clearly|definitely|certainly|therefore|thus|actually|simply|indeed|also|"
    r"obviously|both|all)"
)
_IS = r"(?:is|are|was|were|be|would be|should be|must be|will be|seems?(?: to be)?|looks|appears to be)"
_NOUN = r"(?:options?|choices?|letters?|answers?)"
_GOOD = r"(?:correct|right|best|true|accurate|appropriate|suitable|valid|answers?)"
_BAD = r"(?:incorrect|wrong|false|inaccurate|invalid|unlikely|impossible|ruled out|eliminated|excluded|out)"
_ADVERB = r"(?:也|就|都|才|显然|明显|肯定|应该|应|可以|可|均|则|确实|一定)"

_DENIED_LEFT = re.compile(
    rf"(?:\bnot|n't|\bnever|\bcannot|\brather than|\binstead of|\bneither|\bnor|\bexcept(?: for)?|\brul\w+ out|\beliminat\w+|"
    rf"\bexclud\w+|\bunlike|\bthan) (?:be |the |it is |{_HEDGE} |correct |{_NOUN} )*$|"
    r"(?:不是|并非|并不是|(?:不|不能|不应|不该|不应该|不可)选择?|不为|排除|而非|除了|不可能是|不会是|不应该?是)(?:掉|了)? ?(?:选项|答案)? ?$"
)
_DENIED_RIGHT = re.compile(
    rf"[ )]*{_NOUN}? ?(?:(?:is|are|was|were|does|do|ca|could|would|should|must)(?:n't| not)\b|cannot\b|"
    rf"{_IS} (?:{_HEDGE} )*(?:not\b|{_BAD}\b))|[ :,)(-]+(?:{_BAD}|not (?:the )?{_GOOD})\b|"
    rf"[ )]*(?:选项|答案|项)? ?{_ADVERB}*(?:是|被)?(?:不(?!仅|但|过)|错|并[不非没]|未|没有|排除)|[ :,)(]+(?:不对|不正确|不符|错)"
)
_STATED_RIGHT = re.compile(
    rf"[ :,)]*{_NOUN}? ?(?:{_IS} )(?:{_HEDGE} )*(?:the )?(?:{_HEDGE} |only |most |single )*{_GOOD}\b|[ :,)]+(?:correct|right)\b|"
    rf"[ :,)]*(?:选项|答案|项)? ?{_ADVERB}*是?(?:最为?)?(?:正确|[对對](?:的|$|[ ,])|合适|符合|准确|恰当|正解|(?:我的)?答案)"
)
_DENIED_LINE = re.compile(rf"(?:\b{_BAD}|\bnot {_GOOD}|\bno|不对|不正确|不符合?|错误?)[ .)]*$")
# These state a letter whatever stands behind it ...
_STATED_LEFT = re.compile(
    rf"(?:\banswers?(?: to (?:the|this|your) question)?|\b(?:correct|right|best|final|my|your|appropriate|accurate|"
    rf"suitable|likely|true) (?:{_NOUN}|response|one)|\bconclusion)(?: {_IS}| ?:| ?=| ?->| -)+ ?(?:that )?(?:it is |it's )?"
    rf"(?:{_HEDGE} )*(?:the )?{_NOUN}?[ :(-]*$|"
    rf"\b(?:choos\w+|choose|chose|pick\w*|select\w*|go(?:ing)? with|went with|opt(?:ed|ing)? for|vote for|settle on) "
    rf"?:? ?(?:the )?{_NOUN}?[ :(]*$|"
    r"(?:答案|正解)[ :(]*$|(?:答案|结论|选项|结果|正解|选择|答)(?:应该|应当|应|必须|必定|肯定|只能|就|显然|一定|明显|很可能)?"
    r"(?:就?是|为|选择?| ?:| ?=)+[ :,]*(?:选项|答案|字母)?[ :(]*$|"
    r"(?:选(?!项)择?|勾选|填) ?(?:的是|了|定|:|是|为)* ?(?:选项|答案)?[ :(]*$"
)
# ... and these only where the sentence, or at least the clause, ends there.
_STATED_LEFT_AT_END = re.compile(
    rf"\b(?:it|this|that)(?: is| must be| should be| would be|'s) (?:{_HEDGE} )*(?:the )?{_NOUN}? ?$|"
    r"\b(?:i|i'd|we|would|must|should) (?:think|believe|guess|say|choose|answer)[ :]*$|\bmy choice[ :]*$|"
    r"(?:^|[,:] ?)(?:so|thus|therefore|hence|ok|okay|well|sure|answer|ans)[ ,:]*$|"
    r"是 ?(?:选项)? ?$|(?:认为|觉得|所以|因此|故|那么|综上)[ ,:]*$"
)
_FINAL_LEFT = re.compile(r"\bfinal|最终|最后的?答案")
_CLAUSE_END = re.compile(r" ?\)? ?(?:$|[.,:(—-]|(?:because|since|as|due|based|given|for)\b|[吧呢啊哦了的])")
_MENTION_LEFT = re.compile(rf"\b{_NOUN}:? ?$|选项 ?$")
_MENTION_RIGHT = re.compile(r" ?(?:选项|项)")
_LEAD_RIGHT = re.compile(r" ?(?:[吧呢啊]?$|[.:),、—])| [^\x00-\x7f]| -| (?:because|since|as|rather than|instead of)\b")
_JOINT = re.compile(r"\)? ?(?:,? ?(?:or|and|and/or|nor)\b|[/、&+,]|和|或者?|与|以?及|还是|跟)? ?(?:option |choice |选项)?\(? ?")
_ARTICLE_BEFORE = re.compile(r" (?!because\b|since\b|as\b|and\b|or\b|is\b|was\b|due\b|based\b|given\b|for\b)[a-z]")


class _Claim(NamedTuple):
    letter: str
    weight: int
    rest: str  # what stands behind it in the sentence


@lru_cache(maxsize=1 << 16)
def _option_letter(text: str, options: tuple[tuple[str, str], ...]) -> str:
    keys = {letter.upper(): letter for letter, _ in options}
    words = {letter.upper(): plain(_MARKUP.sub(" ", option)) for letter, option in options}
    sentences = list(_sentences(text))
    whole = plain(" ".join(sentences))
    same = [letter for letter, option in words.items() if option and option == whole]
    if len(same) == 1 and whole.upper() not in keys:
        return keys[same[0]]
    claims = [
        claim if claim.rest.strip(" .)") else claim._replace(rest=following)
        for sentence, following in zip(sentences, [*sentences[1:], ""])
        for claim in _claims(sentence, words)
    ]
    letter = _weigh(claims)
    if letter is None:
        denied = {claim.letter for claim in claims if claim.weight == _DENIED}
        letter = chosen_by_words(sentences, {key: option for key, option in words.items() if key not in denied})
    elif letter != UNKNOWN and _contradicts(letter, claims, words):
        return UNKNOWN
    return keys.get(letter or UNKNOWN, UNKNOWN)


def _sentences(text: str) -> Iterator[str]:
    """Sentences without markup, a label on a line of its own together with what it labels."""
    text = _MATHS.sub(r"\1", text)
    text = _BOXED.sub(r"\nfinal answer: \1\n", _THOUGHT.sub(" ", text))
    lines = _ANSWER_TAG.sub("\nanswer: ", text).replace("\r", "\n").replace("’", "'").split("\n")
    lines = [_MARKUP.sub(" ", normalise(line)).strip().translate(_BRACKETS) for line in lines]
    label = ""
    for piece in _SENTENCE_END.split(_LABEL_STOP.sub(r"\1:", "\n".join(lines))):
        piece = " ".join(piece.split()).strip(" ,'-—")
        if _LABEL_ALONE.fullmatch(piece.rstrip(" :").lower()):
            label = piece.rstrip(" :") + ": "
        elif piece:
            yield label + piece
            label = ""


def _claims(sentence: str, words: Mapping[str, str]) -> list[_Claim]:
    said = {plain(sentence[match.end() :]) for match in STATED.finditer(sentence.lower())}
    named = [letter for letter, option in words.items() if option in said and len(option) > 1]
    if len(named) == 1:
        return [_Claim(named[0], _STATED, "")]
    letters = "".join(words)
    token = re.compile(
        rf"(?<![A-Za-z0-9])(?<![A-Za-z0-9]['-])(?:\(\s?(?P<bracketed>[{letters}{letters.lower()}])\s?\)|"
        rf"(?P<bare>[{letters}{letters.lower()}]))(?![A-Za-z0-9]|['-][A-Za-z0-9])"
    )
    tokens = list(token.finditer(sentence))
    weights = [_weight(sentence, match, words) for match in tokens]
    # What is joined ("A or B", A和B) shares its weight.
    for order in (range(1, len(tokens)), range(len(tokens) - 1, 0, -1)):
        for right in order:
            between = sentence[tokens[right - 1].end() : tokens[right].start()]
            joint = _JOINT.fullmatch(between)
            behind = sentence[tokens[right].end() :]
            ends = "," not in between or _CLAUSE_END.match(behind) or _JOINT.match(behind)
            pair = weights[right - 1 : right + 1]
            if joint and ends and (_NONE in pair or _DENIED not in pair):
                weights[right - 1] = weights[right] = max(pair)
    return [
        _Claim((match["bracketed"] or match["bare"]).upper(), weight, sentence[match.end() :])
        for match, weight in zip(tokens, weights)
        if weight != _NONE
    ]


def _weight(sentence: str, match: re.Match[str], words: Mapping[str, str]) -> int:
    letter = match["bracketed"] or match["bare"]
    left, right = sentence[: match.start()].lower(), sentence[match.end() :]
    own = words[letter.upper()]
    behind = plain(right)
    followed_by_own = bool(own) and behind.startswith(own)
    if _DENIED_LEFT.search(left):
        return _DENIED
    after_own = behind[len(own) :] if followed_by_own else ""
    if _DENIED_RIGHT.match(right.lower()) or (after_own and _DENIED_RIGHT.match(after_own)):
        return _DENIED
    near = mask(right.lower(), words.values()).lstrip(" :,)")
    if UNSURE.search(mask(left, words.values())) or UNSURE.match(near):
        return _NONE
    upper, bare = letter.isupper(), match["bracketed"] is None
    if not left.strip() and not right.strip(" .:,)"):
        return _STATED
    article = bare and letter in "aA" and bool(_ARTICLE_BEFORE.match(right)) and not (upper and left)
    if article and not _STATED_RIGHT.match(right):
        return _NONE
    at_end = bool(_CLAUSE_END.match(right)) or followed_by_own
    if _STATED_LEFT.search(left) and (upper or at_end or not bare):
        return _FINAL if _FINAL_LEFT.search(left) else _STATED
    if (upper or not bare) and _STATED_RIGHT.match(right.lower()):
        return _STATED
    if _STATED_LEFT_AT_END.search(left) and at_end:
        return _STATED
    if not left.strip() and (not bare or _leads(letter, right, followed_by_own)):
        return _DENIED if _DENIED_LINE.search(right.lower()) else _LEADING
    if followed_by_own and right.lstrip()[:1] in (".", ":", ")") or (followed_by_own and not bare):
        return _LEADING  # the options are repeated in one line
    mentioned = _MENTION_LEFT.search(left) or (upper and _MENTION_RIGHT.match(right))
    return _MENTIONED if not bare or mentioned else _NONE


def _leads(letter: str, right: str, followed_by_own: bool) -> bool:
    if letter.islower() or letter == "I":
        return right.lstrip()[:1] in (".", ":", ")")
    return bool(_LEAD_RIGHT.match(right)) or (followed_by_own and letter != "A")


def _weigh(claims: list[_Claim]) -> str | None:
    """The letter that outweighs the others, "unknown" for a contradiction, None without letters."""
    denied = {claim.letter for claim in claims if claim.weight == _DENIED}
    leading = {claim.letter for claim in claims if claim.weight == _LEADING}
    for weight in (_FINAL, _STATED, _LEADING, _MENTIONED):
        letters = {claim.letter for claim in claims if claim.weight == weight}
        if not letters:
            continue
        contradicted = len(letters) > 1 or letters & denied
        if weight == _STATED:  # several leading letters only repeat the options
            contradicted = contradicted or (len(leading) == 1 and leading != letters)
        return UNKNOWN if contradicted else letters.pop()
    return None


def _contradicts(letter: str, claims: list[_Claim], words: Mapping[str, str]) -> bool:
    """Whether the letter is followed by exactly the words of another option."""
    rests = {plain(claim.rest) for claim in claims if claim.letter == letter and claim.weight > _MENTIONED}
    return any(option in rests for other, option in words.items() if option and other != letter) and words[letter] not in rests

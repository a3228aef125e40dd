"""Yes, no or unknown, read from an answer in Chinese or English.

A strict reading: it prefers "unknown" to a guess. The first sentence decides, and in it what stands first; denial is
looked for before affirmation, for 没有 contains 有. Statements are read where they can only mean one thing ("there is
no dog", 图中没有狗, "it isn't red"); "it is a cat" is unknown, since the question may have been about a dog.
"""

from __future__ import annotations

import re
from functools import lru_cache

from skymm.evaluation.reading.thoughts import without_thoughts
from skymm.text import normalise

YES, NO, UNKNOWN = "yes", "no", "unknown"

_MARKUP = re.compile(r"</?[a-z][^<>]*>|<\|[^|<>]*\||[*_`~#>\"“”«»「」『』【】\[\](){}<|]+")
# A full stop ends a sentence, unless it stands inside a number.
_SENTENCE_END = re.compile(r"[!?。;\n]+|\.(?!\d)|…")
_LABEL = re.compile(
    r"^(?:(?:so|therefore|thus|well|ok|okay|hence|所以|因此|综上|那么)\b[ ,]*)?"
    r"(?:(?:the |my |final |correct |short )*answer(?: to (?:the|this|your) question)?(?: is|:)+|assistant ?:|a ?:|"
    r"(?:我的|正确|最终|最后)*的?(?:答案|回答|结论)(?:应该|应当)?(?:[是为]?:|[是为](?=\S))|答 ?:)[ :,]*"
)
_STATED = re.compile(r"\banswer(?: is|:)|(?:答案|结论)[是为:]")

_END = r"(?=\s*(?:$|[,:.!?、\-—]))"
_PICTURE = r"(?:image|picture|photo|photograph|scene|figure|video)"
_THE = r"(?:the|this|that|these|those)"
_THEY = rf"(?:it|this|that|they|these|those|he|she|{_THE} [\w' -]{{1,40}}?)"
_THERE = rf"(?:in {_THE} {_PICTURE},? )?there"
_IS = r"(?:is|are|was|were|does|do|did|has|have|had|can|could|will|would|should)"
_NOT = r"(?:n't| not\b)"
_CANNOT = r"(?:cannot|can not|can't|could not|couldn't)"

# Tried in this order at the start of the sentence; the first that matches decides.
_ENGLISH = [
    (UNKNOWN, r"yes ?(?:and|or|/|&) ?no\b|no ?(?:and|or|/|&) ?yes\b|no (?:idea|clue|way to|information|answer)\b"),
    (UNKNOWN, r"not (?:really )?(?:sure|certain|clear|enough|possible|known|visible enough|applicable|specified)\b"),
    (NO, r"(?:of course|certainly|definitely|absolutely|probably|apparently|obviously|clearly|surely) not\b"),
    (YES, r"(?:yes|yeah|yep|yup|yea)\b"),
    (YES, rf"(?:(?:that|this|it)(?: is|'s) )?(?:correct|right|true){_END}|affirmative\b|y{_END}"),
    (YES, rf"(?:of course|certainly|definitely|absolutely|indeed){_END}"),
    (NO, r"(?:no|nope|nah|none|never|nothing|nobody|neither)\b(?! doubt)|not\b(?! only)"),
    (NO, rf"(?:(?:that|this|it)(?: is|'s) )?(?:incorrect|wrong|false|untrue){_END}|negative{_END}|n{_END}"),
]
_ENGLISH_UNSURE = (
    r"\b(?:not|n't) (?:\w+ )?(?:sure|certain|clear|possible|enough)\b|\bun(?:sure|certain|clear|able|known)\b|"
    rf"\b{_CANNOT} (?:\w+ )?(?:tell|say|know|answer|determine|judge|confirm|be|make)\b|"
    rf"\b(?:{_CANNOT}|do not|don't) (?:\w+ )?see (?:your|an|any|{_THE}) {_PICTURE}|"
    r"\b(?:do not|don't|didn't|did not) (?:know|have enough)\b|\b(?:hard|difficult|impossible) to\b|"
    r"\b(?:maybe|perhaps|possibly|might|may be|whether|sorry)\b|\bas an ai\b|\bno way to\b"
)
_ENGLISH_STATEMENTS = [
    (NO, rf"{_THERE}(?:'s| {_IS}| (?:seems?|appears?) to be)(?:{_NOT}| (?:no|none|nobody|nothing)\b(?! doubt))"),
    (NO, rf"(?:i|we) (?:do not|don't|{_CANNOT}|did not|didn't) (?:see|find|spot|notice)\b|(?:i|we) see no\b"),
    (NO, rf"(?:in {_THE} {_PICTURE},? )?{_THEY}(?: {_IS}{_NOT}| cannot\b| (?:contains?|shows?|has|have) no\b)"),
    (YES, rf"{_THERE}(?:'s| is| are| was| were| (?:seems?|appears?) to be)\b"),
    (YES, rf"(?:it|they|he|she|this|that|these|those) {_IS}{_END}|(?:i|we) (?:do|can|think so|believe so){_END}"),
]

_IMAGE = r"(?:图片|图像|图画|照片|相片|画面|视频|影像|图|画)(?:里面|当中|之中|里|中|上|内)?(?:来看)?"
_SCENE = rf"(?:[在从]?[这该此本]?[张幅个]?{_IMAGE},? ?)"
_REALLY = r"(?:确实|的确|显然|明显|其实|当然|绝对|肯定|好像|似乎|应该|看起来)"
_HERE = rf"(?:(?:{_SCENE}|我们?|这里|那里){_REALLY}?|{_REALLY})"
_BREAK = r"(?=$|[\s,:、.!?])"
_PARTICLE = r"(?=$|[\s,:、.!?的啊呀哦呢吧了嘛])"
_CHINESE = [
    (UNKNOWN, r"是 ?[/或] ?(?:否|不是)|有 ?[/或] ?(?:无|没有)|是与否|不确定|不知|不清楚|不明|不好说|不一定|不详|不太"),
    (UNKNOWN, r"无法|没法|没办法|无从|不能(?:确定|判断|回答|肯定|看出|断定)|难以|很难|说不|看不[清出懂]|可能|也许"),
    (UNKNOWN, r"是否|是不是|有没有|有无|对不对|会不会|对不起|有可能|有待|没看清|没有(?:办法|足够|图)|或许|大概"),
    (YES, rf"{_REALLY}?没错|不错{_PARTICLE}|无疑|毫无疑问|不假"),
    (UNKNOWN, rf"{_REALLY}(?:不(?:太|确定|知|清楚)|没(?:看清|办法)|无法|看不[清出])"),
    (NO, rf"{_REALLY}?(?:不(?![仅但过同管论止错妨如])|没(?!错|问题|关系)|沒|并[非不没]|非也|绝非|未[见发出看包])"),
    (NO, rf"否(?![则決])|無|无(?![论需所疑])|错误?{_PARTICLE}|从未|从不|看不到|看不见|找不到"),
    (YES, rf"是(?![非一])|有(?![点些时关])|[对對][的了啊呀]?{_BREAK}|正确|正確|存在|确实{_BREAK}|的确{_BREAK}|嗯"),
    (YES, rf"(?:当然|肯定|确实|的确)(?:是|有|存在|{_PARTICLE})|(?:可以|会|能|属于|包含|看得到){_PARTICLE}"),
]
_CHINESE_UNSURE = (
    r"不确定|不知道|不清楚|无法|没法|不能(?:确定|判断|回答)|难以|看不[清出]|可能|也许|或许|是否|是不是|有没有|"
    r"抱歉|对不起"
)
_CHINESE_STATEMENTS = [
    (NO, rf"{_HERE}(?:并?没有?|并?不(?:存在|包含|含有|包括)|看不[到见]|未见|无)"),
    (NO, r"[这那它他她其][们个只张幅里些]?[^,、]{0,8}?(?:不是|并不|没有|并非|不在)"),
    (YES, rf"{_HERE}(?:有|存在|包含|含有|可以看到|能看到)"),
]


def _compile(rules: list[tuple[str, str]]) -> list[tuple[str, re.Pattern[str]]]:
    return [(verdict, re.compile(rf"(?:{pattern})")) for verdict, pattern in rules]


_LEADS = _compile(_ENGLISH) + _compile(_CHINESE)
_UNSURE = re.compile(f"{_ENGLISH_UNSURE}|{_CHINESE_UNSURE}")
_STATEMENTS = _compile(_ENGLISH_STATEMENTS) + _compile(_CHINESE_STATEMENTS)


@lru_cache(maxsize=1 << 16)
def yes_no(text: str) -> str:
    """ "yes", "no" or "unknown": what an answer to a yes/no question says, in Chinese or English.

    The first sentence decides; where it says nothing of the kind, an explicit "the answer is ..." further on does.
    """
    sentences = _sentences(text)
    if not sentences:
        return UNKNOWN
    first = _read(sentences[0])
    if first is not None:
        return first
    for sentence in sentences[1:]:
        stated = _STATED.search(sentence)
        if stated:
            return _read(sentence[stated.start() :]) or UNKNOWN
    return UNKNOWN


def _sentences(text: str) -> list[str]:
    lines = without_thoughts(text).replace("\r", "\n").split("\n")
    plain = "\n".join(_MARKUP.sub(" ", normalise(line).lower().replace("’", "'")) for line in lines)
    pieces = (" ".join(piece.split()).strip(" ,:'-—•·") for piece in _SENTENCE_END.split(plain))
    # "Answer:" on a line of its own belongs to the next line.
    found: list[str] = []
    label = ""
    for piece in filter(None, pieces):
        if re.fullmatch(r"(?:final |the )?answer|assistant|答案?|回答", piece):
            label = f"{piece}: "
            continue
        found.append(label + piece)
        label = ""
    return found


def _read(sentence: str) -> str | None:
    """The verdict of one sentence; None where it has nothing to say about yes and no."""
    sentence = _LABEL.sub("", sentence)
    for verdict, pattern in _LEADS:
        if pattern.match(sentence):
            return verdict
    if _UNSURE.search(sentence):
        return UNKNOWN
    for verdict, pattern in _STATEMENTS:
        if pattern.match(sentence):
            return verdict
    return None

"""Yes, no or unknown, read from an answer in Chinese or English.

A strict reading: it prefers "unknown" to a guess, above all to a wrong yes. An answer is cut into clauses, and each is an
answer that is stated ("the answer is no", \\boxed{no}, {"answer": "no"}, "so no"), a plain yes or no, a statement about
what was asked (`statements`), a doubt, or nothing. What is stated outweighs plain words, these outweigh statements, two of
a kind that differ are no answer unless a correction stands between them ("yes ... wait, no").
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from skymm.statements import Asked, asked_of, content, is_denial, names_another, states, within
from skymm.text import normalise
from skymm.thoughts import without_thoughts

YES, NO, UNKNOWN = "yes", "no", "unknown"
_LONGEST = 20_000  # characters of an answer that are read: the first and the last half of it

_SIMPLE = str.maketrans(
    "沒無圖裡裏這個對錯誤實確與貓隻顯見認為應該會嗎麼畫張輛答複結論綜說問題無從經過仔細觀沒",
    "没无图里里这个对错误实确与猫只显见认为应该会吗么画张辆答复结论综说问题无从经过仔细观没",
)
_BOXED = re.compile(r"\\boxed\s*\{\s*((?:\\\w+\s*\{)?[^{}]*)\}+")
_MARKUP = re.compile(
    r"</?[a-z][^<>]*>|<\|[^|<>]*\|>?|\\(?:textbf|text|mathrm|mathbf|boldsymbol)|"
    r"[*_`~#>\"“”«»「」『』【】\[\]{}|$\\]+|"
    "[\u2190-\u2bff\U0001f000-\U0001faff\ufe0f\u200d]+"
)
# The model goes on by itself with the next question.
_RUNAWAY = re.compile(
    r"\n\s*(?:(?:user|human|question|q|instruction|用户|问题|问)\s*[::]|(?:is|are|does|do|can) [^\n]{3,200}\?|"
    r"[^\n]{3,100}吗\s*\?)",
    re.I,
)
_SENTENCE_END = re.compile(r"(?<=\?)|[!。;\n]+|\.{2,}|\.(?![\d\w])|…+")
_CLAUSE_END = re.compile(
    r"[,:()]+|\s*[—–]+\s*|\s-{1,2}\s|(?<=\S)(?= (?:but|however|although|though|while|whereas|because|since|so|"
    r"therefore|thus|hence|yet|"
    r"with no|without|instead of)\b)|\band (?=(?:there|it|no|not|i|neither|could|can|cannot|couldn't|can't|did|"
    r"didn't)\b)|\bthat (?=there (?:is|are)\b)|"
    r"(?=但是|但|不过|然而|而且|而(?!非)|所以|因此|因为)"
)
_OPTION = re.compile(r"^(?:(?:option|choice|选项)? ?\(?(?:[a-d]|[1-4])[.):、] ?)(?=[^\d\s])", re.M)
_LABEL_ALONE = re.compile(
    r"(?:(?:the|my|final|short|correct) )*(?:answer|response|output|result|conclusion)|assistant|(?:最终|"
    r"正确)?(?:答案|回答|结论)|答"
)
_THE_ANSWER = (
    r"(?:(?:the|my|final|short|correct|right|best|overall) )*(?:answer|response|conclusion|verdict|"
    r"prediction)(?: to (?:the|this|your) question)?"
    r"(?:(?: is| would be| should be| must be| will be| ?:| =)+)(?: (?:that|clearly|therefore|simply|"
    r"definitely))*[ :,]*|"
    r"(?:我的|正确|最终|最后)?的?(?:答案|回答|结论|答)(?:应该|应当|就|应)?(?:[是为选]?[::]|[是为]|选|"
    r"(?<=回答) )[ :,]*"
)
_STATED = re.compile(rf"(?:^|\b|(?<=[\u3400-\u9fff])|(?=[\u3400-\u9fff]))(?:{_THE_ANSWER})")
_NOT_STATED = re.compile(r"\b(?:if|whether|not|cannot|can't|unless|suppose)\b|如果|假如|不能|无法|若")
_CONCLUDES = re.compile(
    r"^(?:and )?(?:so|therefore|thus|hence|consequently|accordingly|overall|in conclusion|in summary|"
    r"to conclude|to sum up|finally|final|"
    r"所以|因此|因而|综上所述|综上|故|总之|由此可见|由此可知|可见)\b[ ,:]*|^(?:所以|因此|因而|综上所述|综上|"
    r"故(?!事)|总之|由此可见)[ ,:]*"
)
_POLITE = re.compile(
    r"^(?:(?:well|hi|hello|hey|ok|okay|sorry|unfortunately|great question|good question|"
    r"thank you(?: for your question)?|thanks|"
    r"i'?m sorry|i am sorry|i apologi[sz]e|hmm+|um+|oh|ah|and|but|yet|then|however|assistant|(?:i|we)(?: would|"
    r"'d)? say|(?:it|that)(?: is| would be|'s) an?(?= (?:yes|no)\b)|(?:on|upon) (?:closer|second|careful|"
    r"further) (?:inspection|look|examination|thought)|我认为|我觉得|您好|你好|好的|很抱歉|抱歉|不好意思|"
    r"对不起|嗯|那么|但是|但|不过|然而|而且|而|当然)\b[ ,]*|(?:您好|你好|好的|很抱歉|抱歉|不好意思|对不起|"
    r"我认为|我觉得|但是|但|不过|然而|而且|而(?!非)|因为)[ ,]*)+"
)
_WAIT = re.compile(
    r"^(?:wait|hold on|correction|scratch that|no wait|等等|等一下|等下|更正|纠正一下)\b|(?:等等|等一下|更正)"
)
_INSTEAD = re.compile(
    r"^(?:actually|sorry|i mean|on second thought|upon closer|rather|my mistake|oh|不对|其实|我错了|应该说)\b|"
    r"^(?:不对|其实|我错了)"
)

_AT_FIRST = re.compile(
    r"(?:at first|initially|i (?:first|initially|originally) thought)\b|(?:起初|一开始|乍看|"
    r"乍一看|最初)"
)

_IT = (
    r"(?:that|this|it|(?:the|this|that) (?:statement|claim|description|sentence|assertion|caption|above)|"
    r"which|上述说法|这个说法|该说法|这)"
)
_BE = r"(?:'s| is| are| was| does| do| did| has| have| were| can)"
_RIGHT = r"(?:correct|right|true|accurate)"
_WRONG = r"(?:incorrect|wrong|false|untrue|inaccurate|not (?:correct|right|true|accurate))"
_STATEMENT = r"(?:the|this) (?:statement|claim|description|assertion)\b.{1,120}? (?:is|was)"
_PLAIN = [
    (NO, rf"{_STATEMENT} {_WRONG}"),
    (YES, rf"{_STATEMENT} {_RIGHT}"),
    (
        UNKNOWN,
        r"(?:yes|no)(?: ?/ ?| or | and )(?:yes|no)|是 ?[/或] ?(?:否|不是)|有 ?[/或] ?(?:无|没有)|是与否|是非题?|"
        r"是否|有没有|是不是|对不对",
    ),
    (
        NO,
        r"(?:no(?: no)*|nope|nah|n|never|none|negative|neither|nothing|not)(?:thing)?(?: of (?:them|these|"
        r"those))?(?: at all| really| exactly| here)*",
    ),
    (
        NO,
        rf"i(?:'m| am) afraid not|not that (?:i|we) (?:can|know|could)\b.*|(?:of course|absolutely|definitely|"
        rf"certainly|probably|apparently|obviously|clearly|surely|"
        rf"most likely|likely) not|(?:{_IT}(?:'s| is| are|是)? ?)?{_WRONG}",
    ),
    (
        NO,
        rf"(?:{_IT} )?(?:is|does|do|are|was|has) not {_RIGHT}|{_IT}(?: is|'s)n't {_RIGHT}|(?:i|we) (?:don't|"
        rf"do not) (?:think|believe)_so",
    ),
    (
        YES,
        rf"(?:yes(?: yes)*|yeah|yep|yup|yea|y|affirmative|exactly|correct|right|true)(?: (?:it|there|they|he|"
        rf"she|i|we|this|that){_BE})?(?: indeed)?",
    ),
    (
        YES,
        rf"{_IT}(?:'s| is|是)? ?(?:absolutely |indeed |totally )?{_RIGHT}|(?:i|we) (?:think|believe|guess|"
        rf"would say)_so",
    ),
    (
        YES,
        rf"(?:there|it|they|he|she|this|that|these|those|i|we|you){_BE}(?: indeed| so| one| some)?|"
        rf"(?:it )?(?:definitely|certainly|indeed) (?:is|does|are)",
    ),
    (
        NO,
        r"(?:当然|肯定|确实|的确|显然|应该|好像|似乎|绝对)?(?:不是|不|没有|没|木有|么有|否|无|不对|不正确|错误?|"
        r"错了|错的|"
        r"不存在|并非如此|并非|并不|并没有|非也|绝非|不会|不能|不可以|不行|没看到|没有看到|看不到|看不见|找不到|"
        r"未见|未发现|不符合|不属于|从未|不准确)(?:的|啊|呀|哦|呢|吧|了)?",
    ),
    (
        YES,
        r"(?:当然|肯定|确实|的确|显然|应该|好像|似乎|绝对)?(?:是|有|对|存在|正确|没错|不错|能|可以|会|属于|符合|"
        r"准确|当然)(?:的|啊|呀|哦|呢|吧|了)?|确实(?:如此)?|的确(?:如此)?|是哒|是滴|无疑|看得到|(?:好像|似乎|"
        r"确实)?有一[个只条辆位把张]",
    ),
]
_PLAIN_RULES = [(verdict, re.compile(rf"(?:{pattern})")) for verdict, pattern in _PLAIN]
_LEADING = re.compile(
    r"(?P<yes>yes|yeah|yep|yup)\b(?! ?(?:/|or\b|and no|would|could|might|is\b|means))|(?P<no>nope|nah)\b|"
    r"(?P<no2>no)(?= (?:there|it|this|that|the|i|they|he|she|we|these|those|in|a|an|because|since|not)\b)|"
    r"(?P<no3>不是的|没有的)|(?P<yes2>是的|对的|没错|有的(?!是))(?!$)"
)
_SURE = re.compile(r"(?:sure|certainly|absolutely|of course|definitely|ok|okay|嗯+|当然|好的|当然可以)(?: thing)?")
_UNSURE = re.compile(
    r"\b(?:not|n't) (?:\w+ )?(?:sure|certain|clear|possible|enough|visible enough|applicable|specified|know|"
    r"determine)\b|"
    r"\bun(?:sure|certain|clear|able|known|determined)\b|\b(?:can ?not|can't|could not|"
    r"couldn't) (?:\w+ )?(?:tell|say|know|answer|"
    r"determine|determined|judge|confirm|be determined|verify|make out|identify|assist|help|comply|provide)\b|"
    r"\b(?:do not|don't|didn't) (?:\w+ )?(?:know|have enough)\b|\b(?:hard|difficult|impossible|too blurry|"
    r"too dark|unclear) to\b(?: (?:tell|say|see|know|determine|judge|confirm|make out|be (?:sure|certain)))?|"
    r"\b(?:maybe|perhaps|possibly|might|may|could be|could also|likely|seemingly|ambiguous|insufficient|"
    r"depends?|n/a)\b|"
    r"\bno (?:idea|clue|way to|information)\b|不确定|不知道?|不清楚|无法|没法|没办法|不能(?:确定|判断|回答|断定|"
    r"肯定)|难以|很难|看不[清出懂]|没看清|不明确|"
    r"可能|也许|或许|大概|说不|不好说|不一定|不详|不太|有待|没有足够|不可知|未知"
)
_FIRM = re.compile(r"\b(?:probably|most likely) (?:not|no)\b")
_REFUSED = re.compile(
    r"\b(?:no|without (?:an?|the|any)) (?:image|picture|photo)s? (?:was |is |were |has been |"
    r"have been )?(?:provided|attached|uploaded|given|"
    r"available|included|shared|here)|\b(?:can ?not|can't|unable to|not able to|don't|do not|"
    r"couldn't) (?:\w+ )?(?:see|view|access|process|"
    r"analy[sz]e|open|interpret|display|look at) (?:\w+ )?(?:(?:the|your|any|an|this|that) )?(?:image|picture|"
    r"photo|visual)s?\b(?! of)|"
    r"\bas an? (?:ai|text|language)|\b(?:upload|attach|provide|share) (?:the|an|your|a|it)\b|"
    r"(?:没有|未|没)(?:提供|上传|看到|收到|附上)(?:任何)?(?:图|照)|没有图|看不[到见](?:任何|这张|该|您的|"
    r"你的)?(?:图|照)|(?:无法|不能|没法)(?:直接)?(?:查看|看到|访问|识别|处理|打开|显示)(?:任何|这张|该|您的|"
    r"你的)?(?:图|照)|"
    r"请(?:您|你)?(?:先|重新)?(?:上传|提供|发送)"
)
_QUOTED = re.compile(
    r"((?:says?|saying|reads?|reading|written|words?|text|labell?ed|写着|写有|字样|标语)[: ,]*)(?:\"[^\"\n]*\"|"
    r"“[^”\n]*”|「[^」\n]*」|'[^'\n]*')",
    re.I,
)
_NAMED = re.compile(r"([^:]{1,60}): *([^:]{1,200})")
_JSON = re.compile(r"\{[^{}]*\}|\[[^\[\]{}]*\]")
_ANSWER_KEYS = re.compile(
    r"(?:final_?|my_?|short_?|correct_?)?(?:answer|response|result|prediction|label|output|verdict|conclusion|"
    r"decision|value)|答案|回答|结论|结果|最终答案",
    re.I,
)
_SIGNS = {YES: "✅✔☑👍🆗⭕", NO: "❌✖✗✘👎🚫🙅"}


@dataclass(slots=True)
class _Evidence:
    """What was said since the last correction."""

    stated: list[str] = field(default_factory=list)
    plain: list[str] = field(default_factory=list)
    about: list[str] = field(default_factory=list)
    after_stated: list[str] = field(default_factory=list)
    doubt: bool = False
    waits: bool = False  # a correction announced that something else would come

    def verdict(self) -> str | None:
        """None where nothing was said at all."""
        if self.stated:
            against = {*self.plain, *self.after_stated} - {self.stated[-1]}
            return UNKNOWN if against else self.stated[-1]
        found = self.plain or self.about
        if self.doubt or len(set(found) | set(self.about)) > 1:
            return UNKNOWN
        return found[0] if found else UNKNOWN if self.waits else None


@lru_cache(maxsize=1 << 16)
def yes_no(text: str, question: str = "") -> str:
    """ "yes", "no" or "unknown": what an answer to a yes/no question says, in Chinese or English.

    Statements ("there is a cat, but no dog") are read by what the question asks for. Without the question a denial is taken
    for a no, and an affirmation says nothing.
    """
    text = _QUOTED.sub(r"\1", without_thoughts(text))
    if len(text) > _LONGEST:
        text = f"{text[: _LONGEST // 2]}\n{text[-_LONGEST // 2 :]}"
    said = _boxed(text) or _in_json(text)
    if said is not None:
        return said
    asked = asked_of(_plain(question))
    lines = _plain(_OPTION.sub("", _RUNAWAY.split(text.strip())[0] if text.strip() else ""))
    if not lines:
        signs = {verdict for verdict, marks in _SIGNS.items() if any(mark in text for mark in marks)}
        return signs.pop() if len(signs) == 1 else UNKNOWN
    if _REFUSED.search(lines):
        return UNKNOWN
    found = [_Evidence()]
    for sentence in _sentences(lines):
        _read(sentence, asked, found)
    verdicts = [one.verdict() for one in found]
    last = next((verdict for verdict in reversed(verdicts) if verdict is not None), None)
    if last is None:
        return YES if _SURE.fullmatch(lines.strip(" .!,")) else UNKNOWN
    return last


def _plain(text: str) -> str:
    """One form: normalised, simplified as far as it matters here, lower-case, without markup and signs, in its lines."""
    lines = (
        _MARKUP.sub(" ", normalise(line).translate(_SIMPLE).lower().replace("’", "'"))
        for line in re.split(r"[\r\n]+", text)
    )
    plain = "\n".join(filter(None, (" ".join(line.split()).strip(" -•·") for line in lines)))
    plain = re.sub(r"\b(think|believe|guess|say) so\b", r"\1_so", plain)
    plain = re.sub(r"\bnothing (?:but|other than|except)\b", "only", plain)
    plain = re.sub(r"there(?: is|'s) no doubt(?: that)?(?= an?\b| the\b)", "there is", plain)
    plain = re.sub(r"(?:there is |there's |without )?(?:no|a) doubt,?(?: that)?|毫无疑问,?", " ", plain)
    return re.sub(
        r"(?:please )?(?:just )?(?:answer|respond|reply)(?: with)? yes or no[.:]?|请回答是或否[。.]?", " ", plain
    ).strip()


def _boxed(text: str) -> str | None:
    boxes = _BOXED.findall(text)
    found = _short(boxes[-1]) if boxes else UNKNOWN
    return found if found != UNKNOWN else None


def _in_json(text: str) -> str | None:
    """What the last JSON (or Python) object says under a name like "answer", or with its only yes or no; else None."""
    for piece in reversed(_JSON.findall(text)):
        try:
            value = json.loads(piece)
        except ValueError:
            try:
                value = ast.literal_eval(piece)
            except (SyntaxError, ValueError, MemoryError, RecursionError, TypeError):
                continue
        if isinstance(value, dict):
            named = [one for key, one in value.items() if _ANSWER_KEYS.fullmatch(str(key))]
            values = named[-1:] or list(value.values())
        else:
            values = list(value) if isinstance(value, list | tuple) else []
        said = {_value(one) for one in values} - {UNKNOWN}
        if len(said) == 1:
            return said.pop()
        if isinstance(value, dict) and value:
            return UNKNOWN
    return None


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return YES if value else NO
    return _short(value) if isinstance(value, str) else UNKNOWN


def _short(text: str) -> str:
    """What a text says that is nothing but a yes or a no, maybe with a reason behind a comma."""
    plain = _plain(text)
    return _plain_verdict(plain.strip(" .,!。")) or _plain_verdict(re.split(r"[,.;。]", plain)[0].strip()) or UNKNOWN


def _plain_verdict(clause: str) -> str | None:
    return next((verdict for verdict, pattern in _PLAIN_RULES if pattern.fullmatch(clause)), None)


def _sentences(lines: str) -> Iterator[str]:
    """Sentences that are no questions, a label on a line of its own together with what it labels."""
    label = ""
    for piece in _SENTENCE_END.split(lines):
        piece = " ".join(piece.split()).strip(" ,'-—•·")
        if _LABEL_ALONE.fullmatch(piece.rstrip(" :")):
            label = f"{piece.rstrip(' :')}: "
        elif piece and not piece.endswith("?"):
            yield label + piece
            label = ""


def _read(sentence: str, asked: Asked | None, found: list[_Evidence]) -> None:
    stated = list(_STATED.finditer(sentence))
    tail = ""
    if stated and not _NOT_STATED.search(sentence[: stated[-1].start()]):
        tail = sentence[stated[-1].end() :]
        said = _tail(tail, asked)
        if said is None:
            tail, said = "", None
        sentence = sentence[: stated[-1].start()] if tail else sentence
    named = _NAMED.fullmatch(sentence)
    is_plain = named and _plain_verdict(re.split(r"[,(]", named[2])[0].strip(" ."))
    if is_plain and names_another(named[1], asked):  # "cat: yes" above "dog: no"
        return
    concludes, goes_on = False, None
    for clause in _CLAUSE_END.split(sentence):
        clause = clause.strip(" ,.:'-")
        if _AT_FIRST.match(clause):
            continue
        if _WAIT.match(clause):
            found.append(_Evidence(waits=True))
            clause = _WAIT.sub("", clause).strip(" ,.")
        while _INSTEAD.match(clause) and (len(found) > 1 or found[-1].plain or found[-1].about):
            if found[-1].plain or found[-1].about:
                found.append(_Evidence())
            clause = _INSTEAD.sub("", clause).strip(" ,.")
        lead = _CONCLUDES.match(clause)
        concludes = concludes or lead is not None
        clause = clause[lead.end() :] if lead else clause
        polite = _POLITE.match(clause)
        if polite and _plain_verdict(clause) is None:
            clause = clause[polite.end() :] if clause[polite.end() :] else ""
        if clause.strip():
            goes_on = _clause(clause.strip(" ,"), asked, found[-1], concludes, goes_on)
    if tail:
        if said == UNKNOWN:
            found[-1].doubt = True
        elif said:
            found[-1].stated.append(said)
            found[-1].after_stated.clear()


def _tail(tail: str, asked: Asked | None) -> str | None:
    """What comes after "the answer is"."""
    first = re.split(r"[,:()—–;]| - | (?=(?:because|since|as|but)\b)|(?=因为)", tail.strip(" '"))[0].strip(" .'")
    if _UNSURE.search(first):
        return UNKNOWN
    return (
        _plain_verdict(first)
        or _plain_verdict(_POLITE.sub("", first))
        or (
            (YES if _LEADING.match(first).lastgroup.startswith("yes") else NO)
            if _LEADING.match(first)
            else states(first, asked)
        )
    )


def _clause(clause: str, asked: Asked | None, found: _Evidence, concludes: bool, goes_on: str | None) -> str | None:
    """Adds what the clause says to what was found; returns what the next one may go on with."""
    said = _plain_verdict(clause)
    if said == UNKNOWN:
        found.doubt = True
    elif said:
        (found.stated if concludes else found.plain).append(said)
    if said:
        return None
    lead = _LEADING.match(clause)
    if lead and lead.end() < len(clause):
        found.plain.append(YES if lead.lastgroup.startswith("yes") else NO)
        clause, goes_on = clause[lead.end() :].strip(" ,"), None
    if _UNSURE.search(clause) and not _FIRM.search(clause):
        found.doubt = found.doubt or within(content(_UNSURE.sub(" ", clause)), asked)
        return None
    about = states(clause, asked, goes_on=goes_on) if asked or not found.plain else None
    if about:
        (found.stated if concludes else found.about).append(about)
        if found.stated and not concludes:
            found.after_stated.append(about)
    return "not" if is_denial(clause) else "said"

"""Parsing Chinese captions: things, numbers, colours, attributes, places and quoted writing.

A noun is taken for what is there only where the characters around it leave no other reading; the patterns for that come first.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple

from skymm.curation.facts.parsed_caption import (
    LIVING_AND_MORE,
    Mention,
    ParsedCaption,
    Span,
    StatedRelation,
    is_place,
    quoted,
)
from skymm.lexicon import CHINESE_NUMBERS, Form, colours_in, forms_of, kinds_of, load, part_of
from skymm.text import words

_HAN = re.compile(r"[\u4e00-\u9fff]")
_CLAUSE = re.compile(r"[，。；！？,.;!?：:\n…（）()、\s]")
_SENTENCE = re.compile(r"[，。；！？,;!?\n…]")
_LONGEST = 5  # jieba's words that together make one name

# Measure words that count things one by one; a plate, pair or herd of them says no number.
MEASURES = "个只名位头匹条辆张把件架艘棵朵本台部座顶根颗枚支盆面扇幅栋盏株家间列块套道所"
# What a word of several characters may begin with before the thing's name: 两人, 大黑狗, 骑马.
_BEFORE = re.compile(
    rf"[{MEASURES}]?(?:[一二两三四五六七八九十几数多各每这那][{MEASURES}群对双排]?|[黑白红黄蓝绿棕灰紫粉橙]|[大小老幼新旧高长短]|"
    r"[骑牵抱拿遛撑打喂放戴穿吃喝弹看着在和与])*"
)
# ... and end with after it: 桌上, 孩子们.
_AFTER = re.compile(r"[们在和与是上里下中旁内外前后边]|前面|后面|上面|下面|里面|旁边|中间")
# A noun before one of these is no part of a longer name.
_FOLLOWERS = frozenset(
    "在正坐站躺趴卧蹲跪靠倚和与跟及同、是有上里中下前后旁边内外间侧处顶底周附都也还又并且而从向往朝对把被将让给为用以穿戴拿抱骑牵走跑跳飞游吃喝看望"
    "盯玩睡停驶行放挂摆排立落举握提背扛推拉打踢扔接投挥击咬舔闻追奔冲滑爬伸张笑说唱奏弹指摸喂遛撑等准试想要会能可经过进出来去到着了一两几三四五六七八"
    "九十每各很非分身手头口脸眼嘴脚腿肩怀脖这那其互相围聚们依倒露长盛装满堆盖铺覆插悬漂浮休歇晒洗搭没不静正紧安正冒开关亮悠慢快乐高愉独单双共"
)
_NOT_FOLLOWERS = re.compile(
    r"(?:头像|上衣|手册|手套|头盔|手机|背包|背心|背景|提包|拉面|打印|分类|单车|高铁|身份|开关|长椅|长凳|关系|开店|安全|安检|快递|手绘)"
)
_NEGATIONS = re.compile(
    r"没有|没戴|没穿|没带|没|無|无|不见|看不到|看不见|缺少|不戴|不穿|未戴|未穿|不带|不是|并非|而不是|除了|除|禁止|拒绝|缺"
)
_NEGATION_ENDS = re.compile(r"而是|但是|但|却|只有|仅有|不过")
_DENIED_AFTER = re.compile(r"(?:们)?(?:都)?(?:不见|不在|没有出现|缺失|消失|以外|之外)")
# Verbs and what goes with them, which part a number from the next noun: 两个戴帽子的男人.
_DONE = "戴穿拿抱骑牵背打有写画印没着了与和"
# Before the noun: the person after it has it, so it is there (戴着红色帽子的老人).
_HAVING = re.compile(
    r"(?:穿|戴|拿|抱|骑|牵|背|打|系|坐|躺|站|趴|带|提|举|推|拉|握|吃|喝|看|放|有|长|挂)(?:着|了|在|有)?(?:[一二两三四五六七八九十几]?[\u4e00-\u9fff]{0,2}[色红白黑黄蓝绿]?的?)?$"
)
# Between a thing and a picture: the picture is on it.
_CARRIES = re.compile(r"[贴印画挂摆放刻绣写立竖](?:着|有|了)|有|是|旁|前|站|坐")
# What follows is compared with, waited for or made up.
_IMAGINED = re.compile(
    r"(?:画着|画有|画了|印着|印有|绣着|绣有|绘有|绘着|刻着|刻有|好像|像|仿佛|如同|犹如|形似|宛如|似|装扮成|打扮成|扮成|做成|变成|扮演|叫做|名为|梦见|想要|"
    r"希望|寻找|等待|等候|等着|等|想象|准备买|如果|假如|关于|适合|属于|供|给|卖给|专为|为了)[^，。；,;]{0,10}$"
)
_COMPARED = re.compile("(?:一样|一般|般|似)的")
_IMITATIONS = re.compile(
    r"(?:玩具|毛绒|模型|卡通|仿真|充气|陶瓷|折纸|纸|乐高|假|雕刻的?|木雕|石雕|木头|木制|木质|塑料|石头|石|铜|金属|布艺|糖果|巧克力|面团|积木|虚拟|动漫)(?:的|小|大)*$"
)
_DEPICTIONS = re.compile(
    r"的?[^，。；,;的]{0,4}(?:图案|画像|雕像|雕塑|塑像|模型|玩具|形状|造型|标志|标识|贴纸|海报|卡通|插图|插画|漫画|油画|壁画|绘画|影子|倒影|剪影|头像|logo|字样|样子|"
    r"面具|服装|图画|涂鸦|徽章|印花|玩偶|公仔|主题|广告|封面|logo)"
)
# The caption is no more than "a photo of ...".
_PHOTO = re.compile(r"^(?:这是)?(?:一[张幅])?[^，。]{0,20}的(?:照片|图片|特写|相片|特写镜头|近照)[。.]?$")
_COLOURLESS = re.compile(r"黑白(?:的)?(?:老)?(?:照片|相片|图片|图像|画面|影像|照|图)")
_MANY = re.compile(
    r"(?:几|数|许多|很多|多|一些|有些|一群|一排|一堆|成群|众多|各种|这些|那些|一束|一串|一队|一列|不少|大量|大批|好多|若干|无数)"
    rf"(?:[{MEASURES}种些])?[^，。]{{0,6}}$"
)
_DEFINITE = re.compile(
    rf"(?:这|那|该|此|其中|另外?|他的|她的|它的|他们的)[一二两三四五六七八九十]?[{MEASURES}]?[^，。]{{0,4}}$"
)
_MORE_OF_IT = re.compile(r"另一|另外|其他|其它|其余|别的|第[二三四]")
_NUMBER = re.compile(
    rf"(?<![第另其几数十百千万半多两二三四五六七八九点\d])(?P<number>[一两二三四五六七八九十俩]|\d+)(?P<measure>[{MEASURES}对]?)"
    rf"(?P<rest>|[^，。{_DONE}]{{0,10}}的(?:小|大|老)?|[^，。的在跑坐站走看吃喝玩放停是{_DONE}]{{0,4}})$"
)
_NOT_EXACTLY = re.compile(r"(?:至少|超过|多于|大约|约|近|将近|不止|最多|或|到|上|和第)$")
_POSTURES = (
    "(?:坐|躺|趴|站|卧|蹲|跪|停|放|摆|睡|靠|立|停靠|停放|摆放|放置|挂|悬挂|栖息|栖|休息|玩耍|漂|漂浮|浮|走|站立|坐落|位于|"
    "落|盘坐|蜷缩|等|吃草|睡觉)"
)
_EXISTS = rf"(?:有|是|{_POSTURES}(?:着|了)|摆满了?|放满了?|停满了?|堆着|装着|盛着|插着|铺着|盖着|长着|飘着)"


class _Noun(NamedTuple):
    """A name in the text from `start` to `end`, and what it may mean."""

    start: int
    end: int
    forms: tuple[Form, ...]

    @property
    def form(self) -> Form:
        """The least doubtful."""
        return min(self.forms, key=lambda form: form.doubtful)


def parse_chinese(text: str) -> ParsedCaption:
    """Positions are in `text` as it is."""
    texts, hidden = quoted(text, "zh")
    # What is quoted denies nothing: the sign that says “禁止吸烟” is there.
    plain = text
    for start, end in hidden:
        plain = plain[: start + 1] + "＿" * (end - start - 2) + plain[end - 1 :]
    caption = _Caption(plain, [noun for noun in _nouns_in(text, hidden) if noun.forms])
    colourless, more_of_it = (pattern.search(plain) is not None for pattern in (_COLOURLESS, _MORE_OF_IT))
    mentions = [caption.mention(index).without(colourless, more_of_it) for index in range(len(caption.nouns))]
    return ParsedCaption(text, "zh", tuple(mentions), _relations(plain, mentions), texts)


# --- the names of things ----------------------------------------------------------------------------------------------


def _word_spans(text: str, hidden: Sequence[Span]) -> list[Span]:
    """Where jieba's words lie in the text, without what is quoted."""
    spans, position = [], 0
    lowered = text.lower()
    for word in words(text):
        start = lowered.find(word, position)
        if start < 0:  # another form of a character, which normalising made plain
            continue
        position = start + len(word)
        if not any(begin <= start < end for begin, end in hidden):
            spans.append((start, position))
    return spans


def _nouns_in(text: str, hidden: Sequence[Span]) -> list[_Noun]:
    """The longest names from left to right that end where a word ends. One that begins within a word (两人, 骑马) has only
    what may stand before a name in front of it.
    """
    spans = _word_spans(text, hidden)
    found, index = [], 0
    while index < len(spans):
        noun, index = _longest_name(text, spans, index)
        if noun is not None:
            found.append(noun)
    return found


def _longest_name(text: str, spans: Sequence[Span], index: int) -> tuple[_Noun | None, int]:
    """The longest name that begins in a word, and which word comes after it."""
    names = load().chinese
    start = spans[index][0]
    for last in range(min(index + _LONGEST, len(spans)) - 1, index - 1, -1):
        end = spans[last][1]
        if end - start != sum(after - before for before, after in spans[index : last + 1]):
            continue  # something that is no word stands between
        for begin in range(start, min(spans[index][1], end)):
            if begin > start and not _BEFORE.fullmatch(text, start, begin):
                continue
            for stop in range(end, max(begin, spans[last][0]), -1):
                name = text[begin:stop].lower()
                ends_well = stop == end or _AFTER.fullmatch(text, stop, end)
                if name in names and ends_well and not _only_counts(text, begin, stop):
                    return _Noun(begin, stop, names[name]), last + 1
    return None, index + 1


def _only_counts(text: str, start: int, end: int) -> bool:
    """Whether a name only counts another: 头 of 两头大象, 盘 of 一盘西兰花."""
    counted = end - start == 1 and start > 0 and text[start - 1] in "一两二三四五六七八九十几俩每这那半"
    return counted and bool(_HAN.match(text, end)) and text[end] not in _FOLLOWERS | {"的"}


# --- what is said of them ---------------------------------------------------------------------------------------------


class _Caption:
    """`text` is without what is quoted."""

    def __init__(self, text: str, nouns: Sequence[_Noun]) -> None:
        self.text, self.nouns = text, nouns

    def mention(self, index: int) -> Mention:
        text, noun = self.text, self.nouns[index]
        form = noun.form
        word = load().words[form.word]
        person, animal = (kind in kinds_of(word.en) for kind in ("person", "animal"))
        offset = self.nouns[index - 1].end if index else 0
        # "黑、白相间的" is one description
        offset = max((match.end() for match in _CLAUSE.finditer(text, offset, noun.start)), default=offset)
        left = text[offset : noun.start]
        number, many, number_span, first = _number_in(left, word.measure, person or animal)
        if word.form != "count" or number is None:
            number, number_span = None, None
        if text.startswith("们", noun.end):
            many = True
        colours, colour_span = ("", None) if person else _colours_in(text, left, noun)
        begins = [one for one in (first, colour_span[0] if colour_span else None) if one is not None]
        return Mention(
            word.en,
            (noun.start, noun.end),
            (offset + min(begins, default=len(left)), noun.end),
            not form.doubtful and self._is_sure(index),
            number,
            _moved(number_span, offset),
            many,
            bool(_DEFINITE.search(left)) or (first is None and self._came_before(index)),
            colours,
            _moved(colour_span, offset),
            _attributes_of(left, text[noun.end :]),
        )

    def _came_before(self, index: int) -> bool:
        """A noun without a number that was spoken of: 一只风筝, 风筝是红色的."""
        return any(one.forms == self.nouns[index].forms for one in self.nouns[:index])

    def _is_sure(self, index: int) -> bool:
        """Whether the text says that it is there."""
        return self._ends_here(index) and not self._denied(index) and not self._imagined(index)

    def _ends_here(self, index: int) -> bool:
        """Whether the noun is the head of its phrase: not of 狗 in 狗的玩具, nor of 电视 in 电视节目."""
        noun = self.nouns[index]
        after = self.text[noun.end :].removeprefix("们")
        if not _HAN.match(after):
            return True
        following = self.nouns[index + 1] if index + 1 < len(self.nouns) else None
        if after.startswith("的"):
            if _PHOTO.match(self.text):
                return True
            if "person" in kinds_of(noun.form.word):
                return not _DEPICTIONS.match(after)
            if after.startswith(_relation_after()) or _HAVING.search(self.text[: noun.start]):
                return True
            return bool(following and part_of(following.forms[0].word, noun.form.word))
        if _NOT_FOLLOWERS.match(after):
            return False
        if following and following.start == noun.end and not following.forms[0].doubtful:
            return False
        return after[0] in _FOLLOWERS

    def _clause_start(self, position: int) -> int:
        return max((match.end() for match in _SENTENCE.finditer(self.text, 0, position)), default=0)

    def _denied(self, index: int) -> bool:
        noun = self.nouns[index]
        clause = self._clause_start(noun.start)
        said = self.text[clause : noun.start]
        ended = max((match.end() for match in _NEGATION_ENDS.finditer(said)), default=0)
        for match in _NEGATIONS.finditer(said, ended):
            # "没戴帽子的男人": what is denied belongs to the man, and he is there.
            denied = clause + match.end()
            if not any(one.start >= denied and self.text.startswith("的", one.end) for one in self.nouns[:index]):
                return True
        return bool(_DENIED_AFTER.match(self.text, noun.end))

    def _imagined(self, index: int) -> bool:
        """Toys, pictures, comparisons: what is named but not there."""
        noun = self.nouns[index]
        clause = self._clause_start(noun.start)
        before = self.text[clause : noun.start]
        if LIVING_AND_MORE & kinds_of(noun.form.word) and _IMITATIONS.search(before):
            return True
        lead = _IMAGINED.search(before)
        # 画着猫的杯子, 像狗一样的云: what is made up is said of a thing that is there.
        if lead and not any(
            clause + lead.start() <= one.start and one.end < noun.start and self._describes(one) for one in self.nouns
        ):
            return True
        end = _SENTENCE.search(self.text, noun.end)
        tail = self.text[noun.end : end.start() if end else len(self.text)]
        return any(
            match[0].startswith("的") and not _CARRIES.search(tail[: match.start()])
            for match in _DEPICTIONS.finditer(tail)
        )

    def _describes(self, noun: _Noun) -> bool:
        return self.text[noun.end] == "的" or _COMPARED.match(self.text, noun.end) is not None


def _moved(span: Span | None, offset: int) -> Span | None:
    return None if span is None else (offset + span[0], offset + span[1])


def _number_in(left: str, measure: str, alive: bool) -> tuple[int | None, bool | None, Span | None, int | None]:
    """(number, whether several, where the number stands, where the phrase begins), positions within `left`."""
    match = _NUMBER.search(left)
    if match is None or (not match["measure"] and (match["rest"] or not alive)):
        several = _MANY.search(left)
        return None, True if several else None, None, several.start() if several else None
    first, said = match.start(), match["number"]
    if match["measure"] in ("张", "幅", "块") and measure not in ("张", "幅", "块"):
        return None, None, None, None  # 一张狗的照片
    if match["measure"] == "对":
        return (2 if said == "一" and alive else None), True, None, first
    number = CHINESE_NUMBERS.get(said)
    if number is None or _NOT_EXACTLY.search(left[:first]) or match["rest"].startswith(("多", "几", "来", "余")):
        return None, True, None, first
    if number == 1:
        only = left[:first].endswith(("只有", "仅有", "只", "唯一的"))
        return (1 if only else None), False, (match.span("number") if only else None), first
    return number, True, match.span("number"), first


@lru_cache(maxsize=1)
def _colour_patterns() -> tuple[re.Pattern[str], re.Pattern[str], re.Pattern[str]]:
    """Before a noun, alone before it, and after it."""
    forms = forms_of("colours", "zh")
    full = "|".join(form for form in forms if form.endswith("色"))
    stems = "|".join(form for form in forms if not form.endswith("色"))
    any_ = f"(?:{full}|{stems})"
    several = rf"(?:{any_}(?:和|与|、|及)?)*{any_}(?:两色|双色|三色)?(?:相间|相衬)?"
    # a stem alone stands right before the noun, or is one of several
    return (
        re.compile(
            rf"(?P<colours>(?:{any_}(?:和|与|、|及)?)*(?:{full}|{any_}{any_}|{any_}相间|(?:{stems})(?:白|黑|红|黄|蓝|绿|灰|棕)?相间)(?:相间)?)(?:的)?[^的，]{{0,4}}$"
        ),
        re.compile(rf"(?<![空明雪清表])(?P<colours>{stems})(?:的|大|小|老)?$"),
        re.compile(
            rf"(?:的?(?:毛|毛色|颜色|车身|身体|外壳))?(?:都|全)?是(?P<colours>{several})的?(?=$|[，。,.;；！!、])"
        ),
    )


def _colours_in(text: str, left: str, noun: _Noun) -> tuple[str, Span | None]:
    """ "黑白相间" -> "black and white", and its span within `left`; none where it is said after the noun ("猫是黑色的")."""
    before, alone, after = _colour_patterns()
    match = before.search(left) or alone.search(left)
    if match is None or left[: match.start()].endswith(("浅", "偏", "接近", "非")):
        match = after.match(text, noun.end)
    if match is None:
        return "", None
    table = forms_of("colours", "zh")
    names = " and ".join(dict.fromkeys(table[part] for part in re.findall("|".join(table), match["colours"])))
    assert colours_in(names), match["colours"]
    return names, None if match.re is after else match.span("colours")


@lru_cache(maxsize=1)
def _attribute_patterns() -> tuple[re.Pattern[str], re.Pattern[str]]:
    long = "|".join(form for form in forms_of("attributes", "zh") if len(form) > 1)
    return (
        re.compile(rf"(?P<said>{long})(?:的)?[^的，]{{0,3}}$|(?P<size>[大小])(?:的)?$"),
        re.compile(rf"(?:都)?(?:是|很)(?P<said>{long})的?(?=$|[，。,.;；！!])"),
    )


def _attributes_of(left: str, right: str) -> tuple[str, ...]:
    """What stands before the noun (木制长椅) or is said after it (长椅是空的)."""
    before, after = _attribute_patterns()
    table = forms_of("attributes", "zh")
    found = []
    if match := before.search(left):
        found.append(table[match["said"] or match["size"]])
    if match := after.match(right):
        found.append(table[match["said"]])
    return tuple(dict.fromkeys(found))


# --- where things are -------------------------------------------------------------------------------------------------


@lru_cache(maxsize=1)
def _relation_after() -> tuple[str, ...]:
    return tuple(f"的{form}" for form in forms_of("relations", "zh"))


@lru_cache(maxsize=1)
def _relation_patterns() -> tuple[re.Pattern[str], re.Pattern[str], re.Pattern[str]]:
    """The relation after a noun; what stands between 桌子 and 猫 in 桌子上有一只猫, and between 猫 and 桌子 in 猫坐在桌子上."""
    after = rf"的?(?P<relation>{'|'.join(forms_of('relations', 'zh'))})"
    manner = "正|都|正在|静静地|安静地|一起|悠闲地|懒洋洋地|独自|只是"
    return (
        re.compile(after),
        re.compile(rf"{after}(?:{_EXISTS}|的)"),
        re.compile(rf"(?:们)?(?:{manner})*(?:{_POSTURES}着?)?在"),
    )


def _relations(text: str, mentions: Sequence[Mention]) -> tuple[StatedRelation, ...]:
    """猫(坐)在桌子上; 桌子上有一只猫; 桌子上的猫."""
    after, there, at = _relation_patterns()
    stated = []
    for index, (first, second) in enumerate(pairwise(mentions)):
        if not (first.sure and second.sure) or first.word == second.word:
            continue
        between = text[first.span[1] : second.phrase[0]]
        if at.fullmatch(between):
            subject, object_ = index, index + 1
        elif there.fullmatch(between):
            subject, object_ = index + 1, index
        else:
            continue
        match = after.match(text, mentions[object_].span[1])
        if match is None:
            continue
        name = forms_of("relations", "zh")[match["relation"]]
        if is_place(mentions[subject].word, name, mentions[object_].word):
            stated.append(StatedRelation(subject, name, object_, match.span("relation")))
    return tuple(stated)


def colour_like(said: str, stem: str) -> str | None:
    """Another color in the form of the one said: 红色 -> 蓝色, 红 -> 蓝; None where that form has no other."""
    if said.endswith("色"):
        return f"{stem}色"
    return stem if len(said) == len(stem) == 1 and stem in "红黄蓝绿黑白灰" else None

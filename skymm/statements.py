"""Whether a clause states or denies what a yes/no question asks, in Chinese or English, by the things that both name.

Question and clause become tokens of one kind: things by the lexicon (puppy and 小狗 are "dog"), colours and numbers by their
English names, other words by their stems; what only frames a statement ("there is", "I can see", 图中有) falls away. A
question after a thing ("Is there a dog?", 有狗吗？) is stated by a clause that names it as there, and denied where the thing
itself is denied; any other question by a clause with its words in its order.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from skymm.lexicon import ENGLISH_NUMBERS, Form, forms_of, kinds_of, load
from skymm.text import words


def _set(words: str) -> frozenset[str]:
    return frozenset(words.split())


_VERBAL = "~"  # behind the stem of "parked", which is no park
NOT, OR, ABOUT = "<not>", "<or>", "<about>"  # a denial, a list goes on, what follows is only spoken about

_PICTURE = r"(?:image|picture|photo|photograph|scene|figure|frame|video|screenshot|painting|shot)s?"
_PLACE = re.compile(
    rf"\b(?:(?:anywhere|visible|present|shown|seen|depicted|featured|pictured|found|here) )*(?:in|on|from|"
    rf"within|inside|of|at) "
    rf"(?:the|this|that|your|an?)? ?(?:given |provided |above |attached |same )*(?:{_PICTURE}|view|sight|background)"
    r"(?: (?:provided|given|shown|above|here|itself))?\b"
)
_SUBJECT = re.compile(rf"^(?:the|this|that|your|an?) (?:given |provided |above )*{_PICTURE}\b(?! of)")
_QUANTITY = re.compile(
    r"\b(?:group|pair|couple|lots?|bunch|number|pack|herd|flock|row|pile|variety|kind|type|sign|evidence|trace|"
    r"indication|hint|"
    r"presence|part|image|picture|photo|photograph|close-?up|view|shot|portrait|depiction|total|instances?|any|"
    r"some|one|none) of\b"
)
_PASS = re.compile(
    r"\b(?:look|looks|seem|seems|appear|appears|appearing) (?:like|as if|as though) (?=there|it|this|that)|"
    r"\bnot only\b|\b(?:it is|it's) (?:true|clear|evident|certain) that\b|\bthat (?=there\b)"
)
_ONE_FORM = [
    (re.compile(pattern), plain)
    for pattern, plain in (
        (r"\b(?:free|devoid|absence) of\b", "without"),
        (r"\bsome(?:one|body)\b", "person"),
        (r"\b(?:rather|other) than\b", "instead"),
        (r"\b(?:more|less|fewer) than \w+", " "),
        (r"\bat all\b|\bamong (?:them|these|those)\b", " "),
        (r"\b(?:on|to|at|in) (?:the )?(left|right|top|bottom|front|back)(?: side)?\b", r"\1"),
    )
]
_FRAME = _set(
    "a an the this that these those there here it its it's is are was were be been being am do does did has "
    "have had i we you he she they him her his their them one's can could will shall would see seen seeing "
    "sees saw spot spotted notice noticed observe observed find found show shows showing shown contain "
    "contains containing contained depict depicts depicted depicting feature features featured featuring "
    "include includes including included display displays displayed visible present presence exist exists "
    "existing appear appears appearing appeared seem seems seemed to think believe confirm conclude say any "
    "some only just also too as so and then actually really clearly definitely certainly indeed currently "
    "obviously exactly total at called named titled my your our what which who that's i'm there's let "
    "anywhere anything something depiction either even still very quite simply however but because since "
    "therefore thus hence though although while in-frame entire specific such please well now object objects "
    "item mentioned identified identify detected visibly actual real unfortunately s mean anyway detect "
    "detects recognize count counted"
)
_NOT = _set(
    "no not never without neither nor none nothing cannot lack lacks lacking absent missing devoid fails fail "
    "nowhere zero 0"
)
_RELATIONS = _set(
    "in on at near with by beside next behind under over above below between inside outside of from to into "
    "onto around through across along against off up down before after front top bottom left right beneath "
    "among than"
)
_ABOUT = _set(
    "like for about whether if instead rather resemble resembles resembling similar shaped imagine "
    "expect typical usually often ask asks asked asking question questions check determine verify search "
    "looking look would should mistaken confuse confused suggest suggests remind reminds"
)
_MADE_UP = _set("toy stuf stuffed fake plush statue statu sculptur cartoon hot inflatabl plastic")
_LIKENESSES = _set(
    "statu statue draw drawing sculptur sculpture poster logo silhouett model map mural sketch toy figurin doll"
)
_HEADS = _set(
    "house food treat kennel statue toy figurine sign breed lover owner walker show park tag bowl bed collar "
    "leash shaped like paw print poop carrier crate door sculpture costume lane path rack light station stop "
    "shop shelter track"
)
_OTHERS = _set("other another else more extra additional")

_ZH_PLACE = re.compile(
    r"(?:[在从]?(?:这|该|此|本|上)?(?:一)?[张幅个副]?(?:图片|图像|照片|相片|画面|图画|视频|截图|场景|图)(?:里面|"
    r"当中|之中|里|中|上|内)?(?:的内容|内容)?"
    r"(?:来看|可以看出|可见|可知|显示|所示|展示)?(?:的(?=[^,]))?)"
)
_ZH_WORDS = re.compile(
    r"空无一人|(?P<keep>无论如何|无论|无疑|不少|不同|不久|没问题|没关系|不仅仅?|不但|不止|不锈钢|目的|所有|正在|"
    r"现在|有点|有些|无人机|没收|是非)|"
    r"(?P<about>像|比|关于|是否|如果|假如|询问|用户问|问题|为了|供)|"
    r"(?P<not>并不存在|不存在|并没有|[零0][个只条辆位]|没有|看不到|看不见|找不到|见不到|没看到|没见到|未发现|"
    r"未看到|未见|没出现|未出现|不是|并非|不在|没|不|未|无(?!人)|非(?!常))|"
    r"(?P<or>和|或者|或|与|及|以及|、|跟|也)|"
    r"(?P<frame>可以看到|可以看见|能看到|能看见|看得到|看到|看见|发现|存在|出现|包含|含有|显示|展示|确实|的确|"
    r"任何|其中|只有|仅有|只是|仅|只|就是|都是|"
    r"都|还有|有|是|的|了|着|在|这|那|它|他们|她们|他|她|们|我们|我|认为|觉得|应该|似乎|好像|看起来|其实|显然|"
    r"一些|一下|很|非常|正|里|中|个|只|吗|呢|吧|啊|请问|请|能|会|可以|而|"
    r"但是|但|不过|所以|因此|因为|位于|正在|一张|一幅|一个|一只|一条|一辆|一位|一名|一把|一匹|一头|一块|一台|"
    r"一座|一架|一艘|一件|一片|一群|几只|几个|"
    r"图片|图像|照片|画面|图)"
)
_MEASURES = "只个条辆位名把匹头块台座架艘件张朵棵根支双对群片间杯瓶盘碗本"
_ZH_NUMBER = re.compile(rf"([一二两俩三四五六七八九十]|\d+)[{_MEASURES}]")
_ZH_DIGITS = dict(zip("一二两俩三四五六七八九十", ["1", "2", "2", "2", "3", "4", "5", "6", "7", "8", "9", "10"]))
_ANY_WORD = re.compile(r"[\u3400-\u9fff]+|[a-z0-9]+(?:['.-][a-z0-9]+)*|、")

_ASKED = re.compile(
    r"(?:is|are|was|were) there (?:a total of |only |exactly |any |an? |some )*(?P<there>.+)|"
    r"(?:does|do|did) (?:the|this|that) .*?(?:image|picture|photo|scene) (?:contain|show|have|include|depict|"
    r"feature)s? (?P<shown>.+)|"
    r"(?:can|do|could) (?:you|we|i) (?:see|find|spot|identify|observe) (?P<seen>.+)|"
    r"(?:is|are) (?P<visible>.+?) (?:visible|present|shown|depicted|pictured|there|in)"
)
_ZH_ASKED = re.compile(
    r"(?:有没有|是否存在|是否有|是否包含|能否看到|能看到|可以看到|看得到|存在|出现了?|包含|有|是否出现)"
)
_INSTRUCTION = re.compile(
    r"[(]?(?:please )?(?:just |only )?(?:answer|respond|reply)\b.*$|\byes or no\b.*$|请?(?:直接|只|仅)?(?:回答|"
    r"用)?[“\"']?是[”\"']?(?:或|还是)[“\"']?否.*$|请(?:直接|只)?回答.*$"
)


@dataclass(frozen=True, slots=True)
class Asked:
    """What a question asks. `thing` are the tokens of what is asked to be there, its head last; () for other questions."""

    tokens: tuple[str, ...]
    thing: tuple[str, ...] = ()
    has_subject: bool = False  # "Is the dog red?": an answer may say "it"


@lru_cache(maxsize=1 << 14)
def asked_of(question: str) -> Asked | None:
    """None where there is no question. Text as `verdict` leaves it: normalised, lower-case, simplified."""
    plain = _INSTRUCTION.sub("", question).strip(" .?:,;。")
    if not plain:
        return None
    chinese = re.search("[\u3400-\u9fff]", plain) is not None
    if chinese:
        plain = re.sub("(?:吗|么|呢|嘛)$", "", re.sub("^(?:请问|请判断|判断)[,:]?", "", plain))
        bare = _ZH_PLACE.sub("", plain, count=1).strip(" ,")
        found = _ZH_ASKED.match(bare)
        rest = re.sub("是不是|是否", "是", bare)
        tokens = tokens_of(bare[found.end() :] if found else rest)
        return Asked(tokens, tuple(one for one in tokens if one != OR) if found else (), not found and bool(tokens))
    plain = re.split(r"(?<=[a-z0-9])[.?!] ", plain)[-1]
    bare = _PLACE.sub(" ", plain).strip()
    match = _ASKED.fullmatch(bare) or _ASKED.fullmatch(f"{bare} in" if _PLACE.search(plain) else bare)
    named = next(filter(None, match.groups()), "") if match else ""
    if match and match["visible"] and not re.match(r"(?:an?|any|some)\b", named):
        named = ""
    tokens = tokens_of(named or bare)
    subject = re.match(
        r"(?:is|are|was|were|does|do|did|has|have|can) (?!(?:it|he|she|they)\b|(?:this|that|these|those) (?:an?|the)\b)",
        bare,
    )
    return Asked(tokens, _noun_phrase(named), bool(subject))


def _noun_phrase(text: str) -> tuple[str, ...]:
    """The tokens before a relation or a verb: of "a man wearing a hat" the man."""
    for match in re.finditer(r" (\w+)", text):
        whole = len(tokens_of(text[: match.end()])) > len(tokens_of(text[: match.start()]))
        if match[1] in _RELATIONS or (
            match[1].endswith("ing") and whole and not _goes_with_next(text[match.start() :])
        ):
            text = text[: match.start()]
            break
    return tuple(token for token in tokens_of(text) if token != OR)


def _goes_with_next(text: str) -> bool:
    """Whether the word and those behind it are one thing: a dining table."""
    said = tuple(text.split())
    return any(said[:length] in load().english for length in (1, 2, 3))


def states(clause: str, question: Asked | None, *, goes_on: str | None = None) -> str | None:
    """ "yes" or "no" where the clause states or denies what is asked, else None.

    Without a question only denials are read. `goes_on`: what the clause before, which this one may be a part of, was: "not"
    a denial, "said" a statement; None where there is none.
    """
    tokens = tokens_of(clause)
    denied = tokens.count(NOT)
    if (
        not denied
        and goes_on == "not"
        and tokens
        and not _has_verb(clause)
        and not re.match(r"only|just|只|仅", clause)
    ):
        tokens, denied = (NOT, *tokens), 1
    if tokens == (NOT,):
        return None if re.fullmatch(r"zero|0|(?:(?:i|we|it) )?can(?:not| not|'t)", clause) else "no"
    if question is None:
        return "no" if tokens[:1] == (NOT,) and len(tokens) > 1 and tokens[1] not in (ABOUT, *_OTHERS) else None
    if question.thing:
        return _existence(tokens, question, clause, bare=goes_on is None and not _has_verb(clause))
    return _proposition(tokens, question, clause)


def is_denial(clause: str) -> bool:
    return NOT in tokens_of(clause)


def content(clause: str) -> tuple[str, ...]:
    return tuple(token for token in tokens_of(clause) if token not in (NOT, OR, ABOUT))


def names_another(clause: str, question: Asked | None) -> bool:
    """Whether things are named and none of them is what the question is about."""
    things = [token for token in content(clause) if token in load().words]
    return bool(things) and not any(within((thing,), question) for thing in things)


def within(tokens: Sequence[str], question: Asked | None) -> bool:
    """Whether all of it is of the question: a doubt about something else is none about the answer."""
    known = question.tokens if question else ()
    return all(any(_is_a(token, one) or _is_a(one, token) for one in known) for token in tokens)


def _existence(tokens: tuple[str, ...], question: Asked, clause: str, bare: bool) -> str | None:
    *qualities, head = question.thing
    found = None
    for place, token in enumerate(tokens):
        before, after = tokens[:place], tokens[place + 1 :]
        if after and clause.isascii() and (after[0] in _HEADS or after[0] in load().words):
            continue  # a dog house is no dog
        if _is_a(head, token):  # what is denied of all animals is denied of dogs
            if after[:1] == (NOT,) and len(after) == 1:
                return "no"
            if NOT in before and _is_denied(before, qualities):
                return "no"
        if before[-1:] == ("of",) and any(one.rstrip(_VERBAL) in _LIKENESSES for one in before[-3:]):
            continue  # a statue of a person
        if (
            not _is_a(token, head)
            or NOT in before
            or ABOUT in before
            or (before and before[-1].rstrip(_VERBAL) in _MADE_UP)
        ):
            continue
        if after[:1] == (NOT,):
            # "The red dog is not there" was read above; "the dog is not red" denies a quality.
            if qualities and content_equals(after[1:], qualities):
                return "no"
            continue
        if len(question.tokens) > len(question.thing):  # "a dog on the sofa"
            if _contains(tokens, question.tokens):
                found = "yes"
            continue
        near = before[-4:]
        last = max((index for index, one in enumerate(near) if one in _RELATIONS or one in load().words), default=-1)
        has_all = all(quality in near[last + 1 :] for quality in qualities)
        is_so = qualities and not before and content_equals(after, qualities)  # "the car is red"
        if (has_all or is_so) and not (bare and len(tokens) == len(question.thing)):
            found = "yes"
    return found


def content_equals(tokens: Sequence[str], wanted: Sequence[str]) -> bool:
    return sorted(token for token in tokens if token != OR) == sorted(wanted)


def _is_denied(before: Sequence[str], qualities: Sequence[str]) -> bool:
    """Whether what comes next is the thing that the last denial is about, alone or in a list."""
    last = max(index for index, token in enumerate(before) if token == NOT)
    between = before[last + 1 :]
    if any(token in _RELATIONS or token == ABOUT or token in _OTHERS or token.endswith("ing") for token in between):
        return False
    lists = max((index + 1 for index, token in enumerate(between) if token == OR), default=0)
    return all(token in qualities or token.rstrip(_VERBAL) in _MADE_UP - {"hot"} for token in between[lists:])


def _proposition(tokens: tuple[str, ...], question: Asked, clause: str) -> str | None:
    wanted = question.tokens
    said = tuple(token for token in tokens if token != NOT)
    if not wanted or not said or ABOUT in tokens:
        return None
    short = len(said) < len(wanted) and _same(said, wanted[-len(said) :])
    rest = (
        len(wanted) - 1
    )  # what an answer says that has a pronoun for the subject: "she is sitting", maybe "on a bench"
    subjectless = (
        question.has_subject
        and rest > 0
        and _same(said[:rest], wanted[1:])
        and all(one in _RELATIONS for one in said[rest : rest + 1])
    )
    start = _contains(said, wanted, found_at=True)
    behind = said[start + len(wanted) :][:1] if start is not None else ()
    if clause.isascii() and behind and (behind[0] in load().words or behind[0] in _HEADS):
        return None  # "this is a cat tree"
    if NOT not in tokens:
        pronoun = re.match(r"(?:it|he|she|they|this|that|these|those|both)(?:'s)?\b", clause) or re.match(
            "[\u3400-\u9fff]", clause
        )
        return "yes" if _contains(tokens, wanted) or (subjectless and pronoun) or _echoes(said, wanted) else None
    if tokens.count(NOT) > 1:
        return None
    place = tokens.index(NOT)
    if start is not None and place < start + len(wanted):
        return "no"
    if short or (_echoes(said, wanted) and place == 0):
        return "no" if place == 0 or _same(said[:1], wanted[:1]) or subjectless else None
    if (
        not question.has_subject
        and place == 0
        and re.match(
            r"(?:it|this|that|"
            r"they)\b",
            clause,
        )
        and _same(said, wanted[: len(said)])
    ):
        return "no"
    ends_with_denial = place == len(tokens) - 1 and _same(said, wanted[: len(said)])  # "the dog is not"
    return "no" if ends_with_denial else None


def _echoes(said: Sequence[str], wanted: Sequence[str]) -> bool:
    """戴了 says that the man wears it."""
    return len(said) == 1 and said[0] in wanted[1:-1] and said[0] not in load().words and not said[0].isascii()


def _contains(tokens: Sequence[str], wanted: Sequence[str], found_at: bool = False) -> int | bool | None:
    for start in range(len(tokens) - len(wanted) + 1):
        if _same(tokens[start : start + len(wanted)], wanted):
            return start if found_at else True
    return None if found_at else False


def _same(said: Sequence[str], wanted: Sequence[str]) -> bool:
    return len(said) == len(wanted) and all(_is_a(one, other) for one, other in zip(said, wanted))


@lru_cache(maxsize=1 << 14)
def _is_a(token: str, kind: str) -> bool:
    if "|" in token:  # a bike may be either
        return all(_is_a(one, kind) for one in token.split("|"))
    if "|" in kind:
        return any(_is_a(token, one) for one in kind.split("|"))
    if token in load().words:
        return kind in kinds_of(token)
    return token.rstrip(f"e{_VERBAL}") == kind.rstrip(f"e{_VERBAL}")


@lru_cache(maxsize=1 << 14)
def tokens_of(clause: str) -> tuple[str, ...]:
    found: list[str] = []
    english: list[str] = []
    text = _PASS.sub(" ", _PLACE.sub(" ", _SUBJECT.sub(" ", clause)))
    text = _QUANTITY.sub(
        " ", re.sub(r"n't\b| not\b", " not", text.replace("can't", "can not").replace("cannot", "can not"))
    )
    text = re.sub(
        r"\b(?:no one|nobody)\b|(?<=not )any(?:one|"
        r"body)\b",
        "no person",
        re.sub(r"\bnothing\b", "no thing", text),
    )
    for pattern, plain in _ONE_FORM:
        text = pattern.sub(plain, text)
    for piece in _ANY_WORD.findall(text):
        if piece[0] >= "\u3400" or piece == "、":
            found += _english(english)
            english = []
            found += _chinese(piece)
        else:
            english.append(piece)
    found += _english(english)
    if found[-2:] == [NOT, "1"]:  # "I could not find one"
        found.pop()
    return tuple(found)


def _english(said: Sequence[str]) -> list[str]:
    found: list[str] = []
    forms, place = load().english, 0
    while place < len(said):
        for length in (4, 3, 2, 1):
            those = forms.get(tuple(said[place : place + length]), ()) if place + length <= len(said) else ()
            if those and not (length == 1 and (said[place] in forms_of("colours", "en") or said[place] in _FRAME)):
                found.append(_one_of(those, " ".join(said[place : place + length])))
                place += length
                break
        else:
            found += _word(said[place])
            place += 1
    return found


def _one_of(forms: Sequence[Form], text: str) -> str:
    """The thing that is meant; all that may be meant, with what was said, where that is not sure."""
    names = {form.word for form in forms} | ({text} if any(form.doubtful for form in forms) else set())
    return "|".join(sorted(names))


def _word(word: str) -> list[str]:
    if word in _NOT:
        return [NOT]
    if word in ("all", "every", "each", "both"):
        return ["all"]
    if word in ("or", "and", "nor"):
        return [OR]
    if word in _ABOUT:
        return [ABOUT]
    if word in forms_of("colours", "en"):
        return [forms_of("colours", "en")[word]]
    if word in ENGLISH_NUMBERS:
        return [str(ENGLISH_NUMBERS[word])]
    word = word.removesuffix("'s")
    if word in _FRAME:
        return []
    return [word if word in _RELATIONS else _stem(word)]


def _stem(word: str) -> str:
    for ending, least in (("ing", 6), ("ies", 5), ("ed", 5), ("es", 5), ("s", 4)):
        if word.endswith(ending) and len(word) >= least and not word.endswith("ss"):
            base = word[: -len(ending)]
            base = base[:-1] if ending in ("ing", "ed") and len(base) > 3 and base[-1] == base[-2] else base
            if ending in ("ing", "ed"):
                return f"{base}{_VERBAL}"
            return base + "y" if ending == "ies" else base.rstrip("e") if ending == "es" else base
    return word.removesuffix("e") if len(word) > 4 else word


def _chinese(run: str) -> list[str]:
    found: list[str] = []
    start = 0
    run = re.sub(_ZH_PLACE, "", run, count=1)
    for match in _ZH_NUMBER.finditer(run):
        if match[1] not in ("一", "1"):
            found.append(_ZH_DIGITS.get(match[1], match[1]))
    number = found
    found = []
    for match in _ZH_WORDS.finditer(run):
        if match["keep"]:
            continue
        found += _nouns(run[start : match.start()])
        start = match.end()
        if match[0] == "空无一人":
            found += [NOT, "person"]
        elif match["not"] or match["or"] or match["about"]:
            found.append(NOT if match["not"] else OR if match["or"] else ABOUT)
    found += _nouns(run[start:])
    return number + found


def _nouns(run: str) -> list[str]:
    run = _ZH_NUMBER.sub("", run)
    return [token for word in words(run) for token in _noun(word)] if run else []


def _noun(word: str) -> list[str]:
    if word in forms_of("colours", "zh"):
        return [forms_of("colours", "zh")[word]]
    forms = load().chinese
    for start in range(len(word)):  # words end with their head: a 大黑狗 is a 狗
        if word[start:] in forms:
            those = forms[word[start:]]
            head = [_one_of(those, word[start:]) if those else word]
            return _nouns(word[:start].strip(_MEASURES)) + head
    return [word]


_VERB = re.compile(
    r"\b(?:is|are|was|were|be|has|have|see|sees|show|shows|contain|contains|depict|depicts|feature|features|"
    r"include|includes|there's|"
    r"it's|can|does|do|did|lies|sits|stands|wears|looks|appears|lacks)\b|\w's\b|[有是在看不没]"
)


def _has_verb(clause: str) -> bool:
    return _VERB.search(clause) is not None

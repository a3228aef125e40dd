"""Whether a clause states or denies what a yes/no question asks, in Chinese or English, by the things that both name.

Question and clause become tokens of one kind: things by the lexicon (puppy and 小狗 are "dog"), colours and numbers by their
English names, other words by their stems; what only frames a statement ("there is", "I can see", 图中有) falls away. A
question after a thing ("Is there a dog?", 有狗吗？) is stated by a clause that names it as there, and denied where the thing
itself is denied; any other question by a clause with its words in its order. How all of this is worded stands in verdict.toml.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

from skymm.lexicon import ENGLISH_NUMBERS, Form, forms_of, kinds_of, load
from skymm.text import words
from skymm.wording import Wording

_SAYS = Wording("skymm", "verdict.toml", "statements")
_VERBAL = "~"  # behind the stem of "parked", which is no park
NOT, OR, ABOUT = "<not>", "<or>", "<about>"  # a denial, a list goes on, what follows is only spoken about

_MEASURES = "只个条辆位名把匹头块台座架艘件张朵棵根支双对群片间杯瓶盘碗本"
_ZH_NUMBER = re.compile(rf"([一二两俩三四五六七八九十]|\d+)[{_MEASURES}]")
_ZH_DIGITS = dict(zip("一二两俩三四五六七八九十", ["1", "2", "2", "2", "3", "4", "5", "6", "7", "8", "9", "10"]))
_ANY_WORD = re.compile(r"[\u3400-\u9fff]+|[a-z0-9]+(?:['.-][a-z0-9]+)*|、")
_CHINESE = re.compile("[\u3400-\u9fff]")


@dataclass(frozen=True, slots=True)
class Asked:
    """What a question asks. `thing` are the tokens of what is asked to be there, its head last; () for other questions."""

    tokens: tuple[str, ...]
    thing: tuple[str, ...] = ()
    has_subject: bool = False  # "Is the dog red?": an answer may say "it"


@lru_cache(maxsize=1 << 14)
def asked_of(question: str) -> Asked | None:
    """None where there is no question. Text as `verdict` leaves it: normalised, lower-case, simplified."""
    plain = _SAYS["instruction"].sub("", question).strip(" .?:,;。")
    if not plain:
        return None
    if _CHINESE.search(plain):
        bare = _SAYS["zh_place"].sub("", _SAYS["zh_politeness"].sub("", plain), count=1).strip(" ,")
        found = _SAYS["zh_asked"].match(bare)
        if found:
            tokens = tokens_of(bare[found.end() :])
            return Asked(tokens, _without(tokens, OR))
        tokens = tokens_of(re.sub("是不是|是否", "是", bare))
        return Asked(tokens, has_subject=bool(tokens))
    plain = re.split(r"(?<=[a-z0-9])[.?!] ", plain)[-1]
    bare = _SAYS["place"].sub(" ", plain).strip()
    place = " in" if _SAYS["place"].search(plain) else ""
    match = _SAYS["asked"].fullmatch(bare) or _SAYS["asked"].fullmatch(bare + place)
    named = next(filter(None, match.groups()), "") if match else ""
    if match and match["visible"] and not re.match(r"(?:an?|any|some)\b", named):
        named = ""
    return Asked(tokens_of(named or bare), _noun_phrase(named), bool(_SAYS["asks_of_a_subject"].match(bare)))


def _without(tokens: Iterable[str], *marks: str) -> tuple[str, ...]:
    return tuple(token for token in tokens if token not in marks)


def _noun_phrase(text: str) -> tuple[str, ...]:
    """The tokens before a relation or a verb: of "a man wearing a hat" the man."""
    for match in re.finditer(r" (\w+)", text):
        behind = text[match.start() :]
        is_verb = match[1].endswith("ing") and not _goes_with_next(behind)
        if is_verb and len(tokens_of(text[: match.end()])) == len(tokens_of(text[: match.start()])):
            is_verb = False  # it says nothing by itself
        if is_verb or _is(match[1], "relations"):
            text = text[: match.start()]
            break
    return _without(tokens_of(text), OR)


def _goes_with_next(text: str) -> bool:
    """Whether the word and those behind it are one thing: a dining table."""
    said = tuple(text.split())
    return any(said[:length] in load().english for length in (1, 2, 3))


def states(clause: str, question: Asked | None, *, goes_on: str | None = None) -> str | None:
    """ "yes" or "no" where the clause states or denies what is asked, else None.

    Without a question only denials are read. `goes_on`: what the clause before, which this one may be a part of, was: "not"
    a denial, "said" a statement; None where there is none.
    """
    tokens, has_verb = tokens_of(clause), _SAYS["verb"].search(clause) is not None
    if goes_on == "not" and tokens and NOT not in tokens and not has_verb and not _SAYS["only"].match(clause):
        tokens = (NOT, *tokens)
    if tokens == (NOT,):
        return None if _SAYS["says_nothing"].fullmatch(clause) else "no"
    if question is None:
        denies = tokens[:1] == (NOT,) and len(tokens) > 1 and tokens[1] != ABOUT and not _is(tokens[1], "others")
        return "no" if denies else None
    if question.thing:
        return _existence(tokens, question, clause, bare=goes_on is None and not has_verb)
    return _proposition(tokens, question, clause)


def is_denial(clause: str) -> bool:
    return NOT in tokens_of(clause)


def content(clause: str) -> tuple[str, ...]:
    return _without(tokens_of(clause), NOT, OR, ABOUT)


def names_another(clause: str, question: Asked | None) -> bool:
    """Whether things are named and none of them is what the question is about."""
    things = [token for token in content(clause) if _is_noun(token)]
    return bool(things) and not any(within((thing,), question) for thing in things)


def within(tokens: Sequence[str], question: Asked | None) -> bool:
    """Whether all of it is of the question: a doubt about something else is none about the answer."""
    known = question.tokens if question else ()
    return all(any(_is_a(token, one) or _is_a(one, token) for one in known) for token in tokens)


def _is(token: str, *lists: str) -> bool:
    """Whether a token is a word of one of these lists."""
    return any(token in _SAYS.words[name] for name in lists)


def _is_noun(token: str) -> bool:
    return token in load().words


def _existence(tokens: tuple[str, ...], question: Asked, clause: str, bare: bool) -> str | None:
    """Whether what is asked for is said to be there. `bare`: no verb says so, as in "a dog"."""
    *qualities, head = question.thing
    found = None
    for place, token in enumerate(tokens):
        before, after = tokens[:place], tokens[place + 1 :]
        if after and clause.isascii() and (_is(after[0], "heads") or _is_noun(after[0])):
            continue  # a dog house is no dog
        # What is denied of all animals is denied of dogs.
        # 狗和猫都没有, 狗也没有
        neither = after[:1] == (OR,) and (after[-1:] == (NOT,) or (after[1:2] == (NOT,) and not clause.isascii()))
        if _is_a(head, token) and (after == (NOT,) or neither or (NOT in before and _is_denied(before, qualities))):
            return "no"
        if before[-1:] == ("of",) and any(_is(one.rstrip(_VERBAL), "likenesses") for one in before[-3:]):
            continue  # a statue of a person
        if not _is_a(token, head) or NOT in before or ABOUT in before:
            continue
        if before and _is(before[-1].rstrip(_VERBAL), "made_up"):
            continue
        if after[:1] == (NOT,):
            # "The red dog is not there" was read above; "the dog is not red" denies a quality.
            if qualities and _are_all_of(after[1:], qualities):
                return "no"
        elif len(question.tokens) > len(question.thing):  # "a dog on the sofa"
            found = "yes" if _place_of(question.tokens, tokens) is not None else found
        else:
            near = before[-4:]
            last = max((index for index, one in enumerate(near) if _is(one, "relations") or _is_noun(one)), default=-1)
            has_all = all(quality in near[last + 1 :] for quality in qualities)
            is_so = qualities and not before and _are_all_of(after, qualities)  # "the car is red"
            if (has_all or is_so) and not (bare and len(tokens) == len(question.thing)):
                found = "yes"
    return found


def _are_all_of(tokens: Sequence[str], wanted: Sequence[str]) -> bool:
    return sorted(_without(tokens, OR)) == sorted(wanted)


def _is_denied(before: Sequence[str], qualities: Sequence[str]) -> bool:
    """Whether what comes next is the thing that the last denial is about, alone or in a list."""
    last = max(index for index, token in enumerate(before) if token == NOT)
    between = before[last + 1 :]
    if any(_is(one, "relations", "others") or one == ABOUT or one.endswith("ing") for one in between):
        return False
    lists = max((index + 1 for index, token in enumerate(between) if token == OR), default=0)
    made_up = _SAYS.words["made_up"] - {"hot"}
    return all(token in qualities or token.rstrip(_VERBAL) in made_up for token in between[lists:])


def _proposition(tokens: tuple[str, ...], question: Asked, clause: str) -> str | None:
    """Whether what is asked is stated word for word, or denied so."""
    wanted, said = question.tokens, _without(tokens, NOT)
    if not wanted or not said or ABOUT in tokens:
        return None
    # What an answer says that has a pronoun for the subject: "she is sitting", maybe "on a bench".
    rest = len(wanted) - 1
    has_pronoun = question.has_subject and rest > 0 and _same(said[:rest], wanted[1:])
    has_pronoun = has_pronoun and all(_is(one, "relations") for one in said[rest : rest + 1])
    start = _place_of(wanted, said)
    behind = said[start + len(wanted) :][:1] if start is not None else ()
    if clause.isascii() and behind and (_is_noun(behind[0]) or _is(behind[0], "heads")):
        return None  # "this is a cat tree"
    echoes = len(said) == 1 and said[0] in wanted[1:-1] and not _is_noun(said[0]) and not said[0].isascii()  # 戴了
    if NOT not in tokens:
        is_stated = start is not None or (has_pronoun and _SAYS["pronoun"].match(clause)) or echoes
        return "yes" if is_stated else None
    if tokens.count(NOT) > 1:
        return None
    place, begins = tokens.index(NOT), _same(said, wanted[: len(said)])
    if start is not None and place < start + len(wanted):
        return "no"
    if (len(said) < len(wanted) and _same(said, wanted[-len(said) :])) or (echoes and place == 0):
        return "no" if place == 0 or _same(said[:1], wanted[:1]) or has_pronoun else None
    if place == len(tokens) - 1:  # "the dog is not"
        return "no" if begins else None
    about_it = not question.has_subject and place == 0 and re.match(r"(?:it|this|that|they)\b", clause)
    return "no" if about_it and begins else None


def _place_of(wanted: Sequence[str], tokens: Sequence[str]) -> int | None:
    """Where in the tokens what is wanted begins."""
    places = range(len(tokens) - len(wanted) + 1)
    return next((start for start in places if _same(tokens[start : start + len(wanted)], wanted)), None)


def _same(said: Sequence[str], wanted: Sequence[str]) -> bool:
    return len(said) == len(wanted) and all(map(_is_a, said, wanted))


@lru_cache(maxsize=1 << 14)
def _is_a(token: str, kind: str) -> bool:
    if "|" in token:  # a bike may be either
        return all(_is_a(one, kind) for one in token.split("|"))
    if "|" in kind:
        return any(_is_a(token, one) for one in kind.split("|"))
    if _is_noun(token):
        return kind in kinds_of(token)
    return token.rstrip(f"e{_VERBAL}") == kind.rstrip(f"e{_VERBAL}")


@lru_cache(maxsize=1 << 14)
def tokens_of(clause: str) -> tuple[str, ...]:
    found: list[str] = []
    english: list[str] = []
    for piece in _ANY_WORD.findall(_SAYS.in_one_form(clause)):
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
            framing = length == 1 and (said[place] in forms_of("colours", "en") or _is(said[place], "frame"))
            if those and not framing:
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
    for mark, name in ((NOT, "not"), ("all", "all"), (OR, "or"), (ABOUT, "about")):
        if _is(word, name):
            return [mark]
    if word in forms_of("colours", "en"):
        return [forms_of("colours", "en")[word]]
    if word in ENGLISH_NUMBERS:
        return [str(ENGLISH_NUMBERS[word])]
    word = word.removesuffix("'s")
    if _is(word, "frame"):
        return []
    return [word if _is(word, "relations") else _stem(word)]


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
    run = _SAYS["zh_place"].sub("", run, count=1)
    numbers = [match[1] for match in _ZH_NUMBER.finditer(run) if match[1] not in ("一", "1")]
    found = [_ZH_DIGITS.get(number, number) for number in numbers]
    start = 0
    for match in _SAYS["zh_words"].finditer(run):
        if match["keep"]:
            continue
        found += _nouns(run[start : match.start()])
        start = match.end()
        if match[0] == "空无一人":
            found += [NOT, "person"]
        elif match["not"] or match["or"] or match["about"]:
            found.append(NOT if match["not"] else OR if match["or"] else ABOUT)
    return found + _nouns(run[start:])


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

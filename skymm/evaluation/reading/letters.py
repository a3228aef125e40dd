"""Which option an answer chooses: the official rule of MMBench, and a strict reading in Chinese and English.

The strict reading prefers "unknown" to a guess. Every letter in a sentence is judged by what stands before and behind it:
denied ("not A", 排除A), stated ("the answer is B", 选B, "B is right"), leading ("B. dog"), mentioned ("option B", "(B)"), or
no label at all (the article "A", vitamin C, B型血). What is stated outweighs what leads, that what is only mentioned, and
two of the same weight are a contradiction. Only without letters do the options' own words count: the longest match, whole
words, none that is denied. How all of this is worded stands in letters.toml.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple

from skymm.text import normalise
from skymm.text import words as words_in
from skymm.thoughts import without_thoughts
from skymm.verdict import yes_no
from skymm.wording import Wording

UNKNOWN = "unknown"
REFUSED = "Z"  # what MMBench writes for an answer that chooses nothing

# --- the official rule ----------------------------------------------------------------------------------------------------

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
    return _official(text, tuple(choices.items()))


@lru_cache(maxsize=1 << 16)
def _official(text: str, options: tuple[tuple[str, str], ...]) -> str | None:
    choices = dict(options)
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


# --- the strict reading -----------------------------------------------------------------------------------------------------

NO_LABEL, DENIED, MENTIONED, LEADING, STATED, FINAL = range(6)  # the later, the heavier
_SAYS = Wording("skymm.evaluation.reading", "letters.toml", "letters")
_WORDS = Wording("skymm.evaluation.reading", "letters.toml", "words")
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


class _Claim(NamedTuple):
    letter: str  # upper case
    weight: int
    rest: str  # what stands behind it in the sentence


def option_letter(text: str, choices: Mapping[str, str]) -> str:
    """The key of the option that an answer chooses, read in Chinese or English, or "unknown".

    Args:
        choices: single letters, in either case, with the options' words ("" where they are not known).
    """
    return _option_letter(text, tuple(choices.items())) if choices else UNKNOWN


@lru_cache(maxsize=1 << 16)
def _option_letter(text: str, options: tuple[tuple[str, str], ...]) -> str:
    keys = {letter.upper(): letter for letter, _ in options}
    words = {letter.upper(): plain(_unmarked(option)) for letter, option in options}
    whole = plain(_unmarked(text))
    same = [letter for letter, option in words.items() if option and whole in (option, *_labelled(letter, option))]
    if len(same) == 1 and whole.upper() not in keys:
        return keys[same[0]]
    sentences = [sentence for sentence in _sentences(text) if not sentence.endswith("?")]  # who asks does not answer
    claims = [
        claim if claim.rest.strip(" .)") else claim._replace(rest=following)
        for sentence, following in zip(sentences, [*sentences[1:], ""])
        for claim in _claims(sentence, words)
    ]
    letter = _heaviest(claims)
    if letter is None:
        denied = {claim.letter for claim in claims if claim.weight == DENIED}
        letter = _chosen_by_words(sentences, {key: option for key, option in words.items() if key not in denied})
    elif letter != UNKNOWN and _belied(letter, claims, words):
        return UNKNOWN
    return keys.get(letter or UNKNOWN, UNKNOWN)


def _labelled(letter: str, option: str) -> list[str]:
    """ "B. dog" and the like, as `plain` leaves it."""
    return [letter.lower() + mark + option for mark in (" ", ") ", ". ", ": ", ")", ".", ":", "、")]


def _heaviest(claims: Sequence[_Claim]) -> str | None:
    """The letter that outweighs the others, "unknown" for a contradiction, None without letters."""
    denied = {claim.letter for claim in claims if claim.weight == DENIED}
    leading = {claim.letter for claim in claims if claim.weight == LEADING}
    for weight in (FINAL, STATED, LEADING, MENTIONED):
        letters = {claim.letter for claim in claims if claim.weight == weight}
        if letters:
            # Several leading letters only repeat the options.
            against_lead = weight == STATED and len(leading) == 1 and leading != letters
            return UNKNOWN if len(letters) > 1 or letters & denied or against_lead else letters.pop()
    return None


def _belied(letter: str, claims: Sequence[_Claim], words: Mapping[str, str]) -> bool:
    """Whether the letter is followed by exactly the words of another option."""
    rests = {plain(claim.rest) for claim in claims if claim.letter == letter and claim.weight > MENTIONED} - {""}
    return words[letter] not in rests and any(option in rests for option in words.values())


def _unmarked(text: str) -> str:
    """Normalised, without markup, with one form of brackets and of the characters that the reading looks for."""
    return _MARKUP.sub(" ", normalise(text)).strip().translate(_ONE_FORM)


def _sentences(text: str) -> Iterator[str]:
    """Sentences without markup and thoughts, a label on a line of its own together with what it labels."""
    text = _BOXED.sub(r"\nfinal answer: \1\n", _MATHS.sub(r"\1", without_thoughts(text)))
    lines = text.replace("\r", "\n").replace("’", "'").split("\n")
    label = ""
    for piece in _SENTENCE_END.split(_LABEL_MARK.sub(r"\1:", "\n".join(map(_unmarked, lines)))):
        piece = " ".join(piece.split()).strip(" ,'-—")
        if _SAYS["label_alone"].fullmatch(piece.rstrip(" :").lower()):
            label = piece.rstrip(" :") + ": "
        elif piece:
            yield label + piece
            label = ""


def _claims(sentence: str, words: Mapping[str, str]) -> list[_Claim]:
    """What a sentence says about letters, in reading order; `words` are the options' by letter (upper case), plain."""
    said = {plain(sentence[match.end() :][:_NEAR]) for match in _WORDS["stated"].finditer(sentence.lower())}
    named = [letter for letter, option in words.items() if option in said and len(option) > 1]
    if len(named) == 1:  # "the answer is C major" is about no C
        return [_Claim(named[0], STATED, "")]
    tokens = list(_token("".join(words)).finditer(sentence))
    weights = [_weight(sentence, match, words) for match in tokens]
    _share(sentence, tokens, weights)
    return [
        _Claim((match["bracketed"] or match["bare"]).upper(), weight, sentence[match.end() :][:_NEAR])
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
        if not _SAYS["joint"].fullmatch(between):
            continue
        behind = sentence[tokens[right].end() :][:_NEAR]
        ends = "," not in between or _SAYS["clause_end"].match(behind) or _SAYS["joint"].match(behind)
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
    if _SAYS["denied_left"].search(left) or _SAYS["denied_right"].match(right.lower()):
        return DENIED
    if with_own and _SAYS["denied_right"].match(behind[len(own) :]):
        return DENIED
    doubt = _mask(right.lower(), words.values()).lstrip(" :,()")
    if _WORDS["unsure"].search(_mask(left, words.values())) or _WORDS["unsure"].match(doubt):
        return NO_LABEL
    first, upper = not left.strip(), letter.isupper()
    if left.strip() in ("", "option", "choice", "letter", "选项") and right.strip(" .:,)") in ("", "选项", "项"):
        return STATED
    stated_right = (upper or not bare) and _SAYS["stated_right"].match(right.lower())
    if bare and letter in "aA" and (first or not upper) and _SAYS["article_right"].match(right) and not stated_right:
        return NO_LABEL
    ends = bool(_SAYS["clause_end"].match(right)) or with_own
    if _SAYS["stated_left"].search(left) and (upper or ends or not bare):
        return FINAL if _SAYS["final_left"].search(left) else STATED
    if stated_right or (ends and _SAYS["stated_left_of_end"].search(left)):
        return STATED
    if first and (not bare or _leads(letter, right, with_own)):
        return DENIED if _SAYS["denied_at_end"].search(right.lower()) else LEADING
    if with_own and (not bare or right.lstrip()[:1] in (".", ":", ")")):
        return LEADING  # the options are repeated in one line
    mentioned = _SAYS["mentioned_left"].search(left) or (upper and _SAYS["mentioned_right"].match(right))
    return MENTIONED if mentioned or not bare else NO_LABEL


def _leads(letter: str, right: str, with_own: bool) -> bool:
    if letter.islower() or letter == "I":
        return right.lstrip()[:1] in (".", ":", ")")
    return bool(_SAYS["leading_right"].match(right)) or (with_own and letter != "A")


# --- the options' own words -------------------------------------------------------------------------------------------------

_QUALITIES = "小大老白黑红黄蓝绿花灰棕"  # a 小狗 is a 狗
_TRIM = " \t.,:;!?'\"()。、-—…"
_ARTICLE = re.compile(r"(?:a|an|the) (?=.)")


@lru_cache(maxsize=1 << 14)
def plain(text: str) -> str:
    """One form for comparing an answer with an option: normalised, lower-case, no article, no marks around it."""
    return _ARTICLE.sub("", normalise(text).replace("’", "'").lower().strip(_TRIM), count=1).strip(_TRIM)


def _mask(text: str, options: Iterable[str]) -> str:
    """The text without the options' own words: an option may well be "cannot be determined"."""
    for option in options:
        if len(option) > 1:
            text = _pattern(option).sub(" ", text)
    return text


def _chosen_by_words(sentences: Sequence[str], options: Mapping[str, str]) -> str | None:
    """The key of the only option that is named and not denied; None where none or several are, or doubt is voiced.

    Options are `plain`. Where an answer is stated ("the answer is ...") only what follows counts. Where one option says
    yes and one says no, the answer is read as yes or no.
    """
    masked = _mask(" . ".join(sentences).lower(), options.values())
    if _WORDS["unsure"].search(masked) or _WORDS["all_or_none"].search(masked):
        return None
    stated = [
        sentence[match.end() :][:_NEAR]
        for sentence in map(str.lower, sentences)
        for match in _WORDS["stated"].finditer(sentence)
    ]
    named = {key for part in stated or [s.lower() for s in sentences] for key in named_in(part, options)}
    if len(named) == 1:
        return named.pop()
    return None if named else _by_verdict(". ".join(sentences), options)


def _by_verdict(text: str, options: Mapping[str, str]) -> str | None:
    keys: dict[str, list[str]] = {"yes": [], "no": [], "unknown": []}
    for key, option in options.items():
        keys[yes_no(option)].append(key)
    verdict = yes_no(text)
    return keys[verdict][0] if verdict != "unknown" and len(keys["yes"]) == len(keys["no"]) == 1 else None


def named_in(sentence: str, options: Mapping[str, str]) -> set[str]:
    """Keys of the options that a sentence names without denying them; a longer match hides the shorter inside it."""
    taken: list[tuple[int, int]] = []
    named = set()
    for key, option in sorted(options.items(), key=lambda item: -len(item[1])):
        for match in _pattern(option).finditer(sentence) if option else ():
            start, end = match.span()
            same = [key for key, other in options.items() if other == option]
            if any(start < stop and begin < end for begin, stop in taken) or not _whole_word(sentence, start, end):
                continue
            if key == same[-1]:
                taken.append((start, end))
            clause = _WORDS["clause_end"].split(sentence[:start])[-1]
            if not _WORDS["denied_left"].search(clause) and not _WORDS["denied_right"].match(sentence[end:]):
                named.add(key)
    return named


@lru_cache(maxsize=1 << 14)
def _pattern(option: str) -> re.Pattern[str]:
    """Letters and digits do not stand next to others, and "3" is not in "3.5"."""
    left = r"(?<![a-z0-9])(?<!\d[.,])" if option[0].isascii() and option[0].isalnum() else ""
    right = r"(?![a-z0-9])(?![.,]\d)" if option[-1].isascii() and option[-1].isalnum() else ""
    return re.compile(left + re.escape(option) + right)


def _whole_word(sentence: str, start: int, end: int) -> bool:
    """Chinese has no spaces, so 猫 is in 熊猫 and 动物 in 动物园. Words end with their head: 大熊猫 is a 熊猫."""
    length = end - start
    if sentence[start:end].isascii() or length > 3:
        return True
    edges = _word_edges(sentence)
    return end in edges and (length > 1 or start in edges or sentence[start - 1] in _QUALITIES)


@lru_cache(maxsize=1 << 12)
def _word_edges(sentence: str) -> frozenset[int]:
    edges, position = set(), 0
    for word in words_in(sentence):
        start = sentence.find(word, position)
        if start >= 0:
            position = start + len(word)
            edges |= {start, position}
    return frozenset(edges)


def voices_doubt(text: str) -> bool:
    return _WORDS["unsure"].search(text.lower()) is not None

"""Yes stays yes: whether a text and its translation affirm and deny the same.

Data about what is not in a picture is worth nothing once a "no" was lost in translation.
"""

from __future__ import annotations

import re

_YES = {
    "en": r"yes|yeah|yep|yup|correct|right|true|indeed|sure|certainly|of course|exactly",
    "zh": "是|对(?!不)|對|有(?!没)|没错|沒錯|正确|当然|嗯|可以|存在",
}
_NO = {
    "en": r"no|nope|not|false|incorrect|wrong|never|none|nothing|neither|there (?:is|are|was|were)(?: not?\b|n['’]t)",
    "zh": "不|没|沒|否|无|無|并没|并不|并非|未|错|假的",
}
# "Yes" and no more: a translation has to be as clear.
_ALONE = {
    "en": r"(?:yes|yeah|yep|no|nope|correct|incorrect|true|false)",
    "zh": "(?:是|是的|对|对的|有|有的|正确|否|不|不是|不是的|不对|没有|没|无)",
}
# Words that deny and hardly ever do anything else, and all that may stand for them in the other language. Measured on the
# 4,271 translated sentences of hsk-sentences-audio 1.0.0: one fails, and it is wrong.
_DENIES = {
    "en": r"\b(?:no(?!\.\s*0| choice)|not(?! only| until)|none|nothing(?! but)|nobody|nowhere|never(?!theless)|neither"
    r"|cannot|without)\b|\b(?!don['’]t worry|doesn['’]t\b.*\buntil|didn['’]t\b.*\buntil)\w+n['’]t\b",
    "zh": "(?<!有)没有(?!关系)|(?<!是)不是|不存在|看不[到见清]|并[未非没不]|不在|没出现",
}
_MAY_DENY = {
    "en": r"\b(?:no|not|none|nothing|nobody|nowhere|never|neither|nor|without|cannot|lacks?|lacking|absent|missing|free of"
    r"|fails?|failed|instead|rather|except|un(?!der|til|it|i|less)\w+|invisible|invalid|\w+less)\b|n['’]t\b",
    "zh": "[不没沒无無未非别莫勿否禁止缺除]",
}


def verdict(text: str, language: str) -> str | None:
    """ "yes" or "no", where an answer begins with one."""
    text = text.strip().lower()
    end = r"\b" if language == "en" else ""
    if re.match(rf"\W*(?:{_YES[language]}){end}", text):
        return "yes"
    return "no" if re.match(rf"\W*(?:{_NO[language]}){end}", text) else None


def same_polarity(text: str, source: str, translation: str, target: str) -> bool:
    """Languages: "en" and "zh", in either direction. What is quoted does not count; give texts without it."""
    said, became = verdict(text, source), verdict(translation, target)
    if re.fullmatch(rf"\W*{_ALONE[source]}\W*", text.strip(), re.I):
        return said == became
    if said and became and said != became:
        return False
    of = {source: text.lower(), target: translation.lower()}
    return all(
        not re.search(_DENIES[one], of[one], re.S) or re.search(_MAY_DENY[other], of[other]) is not None
        for one, other in (("en", "zh"), ("zh", "en"))
    )

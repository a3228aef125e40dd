"""How kinds, shares and sizes are written in an audit."""

from __future__ import annotations

from skymm.curation.audit.words import Words

_CHINESE_KINDS = {
    "existence": "存在",
    "random": "随机",
    "popular": "常见",
    "adversarial": "对抗",
    "count": "计数",
    "position": "位置",
    "color": "颜色",
    "attribute": "属性",
    "OCR": "文字识别",
    "false_premise": "虚假前提",
    "caption": "描述",
    "description": "描述",
    "layout": "布局",
    "name": "命名",
    "text_translation": "文本翻译",
    "translation": "翻译",
    "numerical_calculation": "数值计算",
    "relation": "关系",
}


def kind_name(kind: str, words: Words) -> str:
    """A kind, a language, a polarity in words; what the words do not have stands as it is, with spaces for underscores."""
    if kind in ("unknown", "yes", "no", "en", "zh", "positive", "negative", "all_kinds", "both_languages"):
        return words[kind]
    known = _CHINESE_KINDS if words["html_language"] != "en" else {}
    return "/".join(known.get(part, part.replace("_", " ")) for part in kind.split("/"))


def percent(value: float) -> str:
    """Whole percents, unless that would make almost none none, or almost all all."""
    scaled = value * 100
    return f"{scaled:.0f}%" if 0.995 <= scaled <= 99.005 or scaled in (0, 100) else f"{scaled:.1f}%"


def size_name(num_bytes: float) -> str:
    """Bytes in few letters, in steps of 1024."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if num_bytes < 1024:
            return f"{num_bytes:.3g} {unit}" if num_bytes < 999.5 else f"{num_bytes:.0f} {unit}"
        num_bytes /= 1024
    return f"{num_bytes:,.1f} TiB"

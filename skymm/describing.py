"""How things are described in English and Chinese: colours, other attributes, where things are, and how many.

Each with what it may not be taken for: a wrong colour has to be one that nobody could see instead of the right one, and
a wrong attribute one that excludes it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache


@dataclass(frozen=True, slots=True)
class Colour:
    """`zh` is the stem: 棕 of 棕色. `near` are colours that people call by one another's names."""

    en: str
    zh: str
    near: tuple[str, ...]
    en_also: tuple[str, ...] = ()
    zh_also: tuple[str, ...] = ()
    common: bool = True

    @property
    def zh_noun(self) -> str:
        return f"{self.zh}色"


COLOURS = {
    colour.en: colour
    for colour in (
        Colour("red", "红", ("orange", "pink", "brown", "purple"), ("crimson", "scarlet", "maroon"), ("大红", "鲜红")),
        Colour("orange", "橙", ("red", "brown", "yellow", "gold", "tan", "pink"), (), ("橘", "橘黄", "橙黄", "橘红")),
        Colour("yellow", "黄", ("orange", "gold", "tan", "beige", "brown", "green"), (), ("金黄", "淡黄")),
        Colour("green", "绿", ("blue", "yellow", "turquoise", "gray", "brown"), (), ("翠绿", "嫩绿", "碧绿")),
        Colour("blue", "蓝", ("navy", "black", "purple", "turquoise", "green", "gray"), (), ("天蓝", "湛蓝")),
        Colour("purple", "紫", ("blue", "pink", "red", "navy"), ("violet", "lavender"), ("淡紫",)),
        Colour("pink", "粉", ("red", "purple", "orange", "beige", "white"), (), ("粉红", "桃红")),
        Colour(
            "brown", "棕", ("orange", "red", "tan", "gold", "beige", "black", "gray", "yellow", "green"), (), ("褐",)
        ),
        Colour("gray", "灰", ("silver", "white", "black", "blue", "brown", "beige", "green"), ("grey",), ()),
        Colour("black", "黑", ("navy", "blue", "gray", "brown"), (), ("乌黑", "漆黑")),
        Colour("white", "白", ("gray", "silver", "beige", "tan", "yellow", "pink"), (), ("雪白", "洁白", "纯白")),
        Colour("silver", "银", ("gray", "white"), (), (), common=False),
        Colour(
            "gold", "金", ("yellow", "orange", "brown", "tan", "beige"), ("golden", "blond", "blonde"), (), common=False
        ),
        Colour(
            "tan", "棕褐", ("brown", "beige", "yellow", "orange", "gold", "white"), ("khaki",), ("卡其",), common=False
        ),
        Colour(
            "beige",
            "米",
            ("white", "tan", "yellow", "gray", "brown", "gold", "pink"),
            ("cream",),
            ("米白",),
            common=False,
        ),
        Colour("navy", "藏青", ("blue", "black", "purple"), (), ("藏蓝", "深蓝"), common=False),
        Colour("turquoise", "青", ("blue", "green"), ("teal", "aqua", "cyan"), ("青绿", "蓝绿"), common=False),
    )
}


def confusable(first: str, second: str) -> bool:
    """Whether two colours (English names) could be said of one thing."""
    return first == second or second in COLOURS[first].near or first in COLOURS[second].near


@dataclass(frozen=True, slots=True)
class Attribute:
    """`group`: of one group a thing has at most one. `predicate` is what Chinese says of it, `zh` stands before a
    noun; English says "is `en`" of it, or `en_predicate` where that sounds better.
    """

    en: str
    zh: str
    predicate: str
    group: str
    en_also: tuple[str, ...] = ()
    zh_also: tuple[str, ...] = ()
    en_predicate: str = ""


def _attributes() -> dict[str, Attribute]:
    made = "made of {}"
    those = (
        Attribute(
            "wooden",
            "木制的",
            "是木头做的",
            "material",
            ("wood",),
            ("木质的", "木质", "木制", "木头"),
            made.format("wood"),
        ),
        Attribute(
            "metal",
            "金属的",
            "是金属做的",
            "material",
            ("metallic", "steel"),
            ("金属", "铁制", "钢制"),
            made.format("metal"),
        ),
        Attribute("plastic", "塑料的", "是塑料做的", "material", (), ("塑料",), made.format("plastic")),
        Attribute("glass", "玻璃的", "是玻璃做的", "material", (), ("玻璃",), made.format("glass")),
        Attribute("brick", "砖砌的", "是砖砌的", "material", (), ("砖头",), made.format("brick")),
        Attribute("leather", "皮质的", "是皮质的", "material", (), ("真皮", "皮质", "皮革"), made.format("leather")),
        Attribute("open", "打开的", "是打开的", "opening", ("opened",), ("敞开的", "开着的", "打开着的")),
        Attribute("closed", "关着的", "是关着的", "opening", ("shut",), ("关闭的", "紧闭的", "合上的")),
        Attribute("wet", "湿的", "是湿的", "wetness", ("soaked",), ("湿漉漉的", "潮湿的")),
        Attribute("dry", "干的", "是干的", "wetness", (), ("干燥的",)),
        Attribute("empty", "空的", "是空的", "filling", (), ("空着的", "空荡荡的")),
        Attribute("full", "满的", "是满的", "filling", (), ("装满的",)),
        Attribute("striped", "条纹的", "是有条纹的", "pattern", ("stripy",), ("条纹", "带条纹的")),
        Attribute("plain", "纯色的", "是纯色的", "pattern", (), ("素色的",)),
        Attribute("checkered", "格子的", "是格子图案的", "pattern", ("plaid", "checked"), ("格子",)),
        Attribute("spotted", "带斑点的", "是带斑点的", "pattern", ("polka dot",), ("斑点", "波点")),
        Attribute(
            "big",
            "大",
            "很大",
            "size",
            ("large", "huge", "giant", "enormous", "massive"),
            ("大型", "巨大的", "很大的"),
        ),
        Attribute("small", "小", "很小", "size", ("tiny", "mini"), ("小型", "很小的", "小小的")),
        Attribute("round", "圆形的", "是圆的", "shape", ("circular",), ("圆形", "圆的", "圆圆的")),
        Attribute("square", "方形的", "是方的", "shape", (), ("方形", "正方形的", "方的")),
        Attribute("clean", "干净的", "很干净", "cleanness", (), ("整洁的",)),
        Attribute("dirty", "脏的", "很脏", "cleanness", ("filthy",), ("肮脏的", "脏兮兮的")),
        Attribute("young", "年轻的", "很年轻", "age", (), ("年轻",)),
        Attribute("old", "老的", "年纪很大", "age", ("elderly", "aged"), ("年老的", "年迈的")),
    )
    return {attribute.en: attribute for attribute in those}


ATTRIBUTES = _attributes()


@dataclass(frozen=True, slots=True)
class Relation:
    """`zh` follows the noun: 桌子 + 上. `opposite` cannot be true of the same two things the same way round; relations
    that hold both ways round have none.
    """

    en: str
    zh: str
    opposite: str = ""
    en_also: tuple[str, ...] = ()
    zh_also: tuple[str, ...] = ()


RELATIONS = {
    relation.en: relation
    for relation in (
        Relation("on", "上", "under", ("on top of", "atop", "upon"), ("上面", "之上", "上头")),
        Relation("under", "下面", "on", ("underneath", "beneath"), ("底下", "下边", "下", "之下")),
        Relation("above", "上方", "below", ("over",), ()),
        Relation("below", "下方", "above", (), ()),
        Relation("in front of", "前面", "behind", (), ("前", "前方", "面前", "之前")),
        Relation("behind", "后面", "in front of", ("in back of",), ("后", "后方", "身后", "背后")),
        Relation(
            "left of", "左边", "right of", ("to the left of", "on the left of", "on the left side of"), ("左侧", "左面")
        ),
        Relation(
            "right of",
            "右边",
            "left of",
            ("to the right of", "on the right of", "on the right side of"),
            ("右侧", "右面"),
        ),
        Relation("inside", "里", "outside", ("in", "inside of", "into"), ("里面", "中", "内", "里边", "之中")),
        Relation("outside", "外面", "inside", ("outside of",), ("外", "外边")),
        Relation(
            "next to",
            "旁边",
            "",
            ("beside", "near", "by", "alongside", "close to", "close by"),
            ("旁", "边上", "身边", "附近"),
        ),
    )
}

# What cannot be true of the same two things at once; a thing on a table is above it too.
EXCLUDES = {
    "on": ("under", "below"),
    "under": ("on", "above"),
    "above": ("below", "under", "on"),
    "below": ("above", "on", "under"),
    "in front of": ("behind",),
    "behind": ("in front of",),
    "left of": ("right of",),
    "right of": ("left of",),
    "inside": ("outside",),
    "outside": ("inside",),
}

ENGLISH_NUMBERS = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
NUMBERS = {
    number: (english, chinese)
    for number, (english, chinese) in enumerate(zip(ENGLISH_NUMBERS, "一两三四五六七八九十", strict=True), 1)
}
"""1-10 as said before a noun, in English and before a Chinese measure word (hence 两)."""


@lru_cache(maxsize=1)
def english_numbers() -> dict[str, int]:
    return {english: number for number, (english, _) in NUMBERS.items()} | {str(number): number for number in NUMBERS}


@lru_cache(maxsize=1)
def chinese_numbers() -> dict[str, int]:
    """With 二, 俩 and digits, as captions have them."""
    said = {chinese: number for number, (_, chinese) in NUMBERS.items()} | {"二": 2, "俩": 2}
    return said | {str(number): number for number in NUMBERS}


@lru_cache(maxsize=1)
def english_colours() -> dict[str, str]:
    """How it is written -> name."""
    return {form: colour.en for colour in COLOURS.values() for form in (colour.en, *colour.en_also)}


@lru_cache(maxsize=1)
def chinese_colours() -> dict[str, str]:
    """How it is written, with and without 色, the longest first -> name."""
    stems = {stem: colour.en for colour in COLOURS.values() for stem in (colour.zh, *colour.zh_also)}
    # 银, 金, 米, 青 and 褐 alone are other words.
    alone = {
        stem: name for stem, name in stems.items() if stem not in ("银", "金", "米", "青", "褐", "橘", "橙", "棕褐")
    }
    forms = {f"{stem}色": name for stem, name in stems.items()} | alone
    return dict(sorted(forms.items(), key=lambda item: (-len(item[0]), item[0])))


@lru_cache(maxsize=1)
def english_attributes() -> dict[str, str]:
    return {form: one.en for one in ATTRIBUTES.values() for form in (one.en, *one.en_also)}


@lru_cache(maxsize=1)
def chinese_attributes() -> dict[str, str]:
    """How it is written, the longest first -> English name."""
    forms = {form: one.en for one in ATTRIBUTES.values() for form in (one.zh, *one.zh_also)}
    return dict(sorted(forms.items(), key=lambda item: (-len(item[0]), item[0])))


def colours_in(attribute: str) -> tuple[str, ...] | None:
    """The colours that an attribute of a Thing names ("brown and white"), in its order; None where it is no colour."""
    names = tuple(english_colours().get(part, "") for part in attribute.lower().split(" and "))
    return names if all(names) else None

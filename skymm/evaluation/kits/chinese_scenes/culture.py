"""Festivals, good wishes and spring couplets: only what nobody disputes.

Nothing here differs between regions (the date of a national day would). Texts are (Chinese, English) pairs.
"""

from __future__ import annotations

from dataclasses import dataclass

from skymm.evaluation.kits.chinese_scenes.life import Word, word_group

Text = tuple[str, str]  # Chinese, English


@dataclass(frozen=True, slots=True)
class Festival:
    word: Word
    date: Text
    custom: Text


FESTIVALS = (
    Festival(
        Word("春节", "春節", "Spring Festival"),
        ("农历正月初一", "the first day of the first lunar month"),
        ("贴春联、发红包", "putting up couplets and giving red envelopes"),
    ),
    Festival(
        Word("元宵节", "元宵節", "Lantern Festival"),
        ("农历正月十五", "the fifteenth day of the first lunar month"),
        ("赏花灯、吃汤圆", "looking at lanterns and eating sweet rice balls"),
    ),
    Festival(
        Word("清明节", "清明節", "Qingming Festival"),
        ("公历四月五日前后", "about the fifth of April"),
        ("扫墓、踏青", "sweeping graves and walking in the spring fields"),
    ),
    Festival(
        Word("端午节", "端午節", "Dragon Boat Festival"),
        ("农历五月初五", "the fifth day of the fifth lunar month"),
        ("赛龙舟、吃粽子", "racing dragon boats and eating zongzi"),
    ),
    Festival(
        Word("七夕节", "七夕節", "Qixi Festival"),
        ("农历七月初七", "the seventh day of the seventh lunar month"),
        ("讲牛郎织女的故事", "telling of the Cowherd and the Weaver Girl"),
    ),
    Festival(
        Word("中秋节", "中秋節", "Mid-Autumn Festival"),
        ("农历八月十五", "the fifteenth day of the eighth lunar month"),
        ("赏月、吃月饼", "admiring the moon and eating moon cakes"),
    ),
    Festival(
        Word("重阳节", "重陽節", "Double Ninth Festival"),
        ("农历九月初九", "the ninth day of the ninth lunar month"),
        ("登高、敬老", "climbing heights and honouring the old"),
    ),
    Festival(
        Word("腊八节", "臘八節", "Laba Festival"),
        ("农历十二月初八", "the eighth day of the twelfth lunar month"),
        ("喝用多种米豆熬的粥", "eating porridge of many grains and beans"),
    ),
)

# A wish, and the occasion on which it is said.
WISHES: tuple[tuple[Word, Text], ...] = (
    (Word("恭喜发财", "恭喜發財", "may you be prosperous"), ("过农历新年", "the Chinese New Year")),
    (Word("百年好合", "百年好合", "a hundred years of harmony"), ("婚礼", "a wedding")),
    (Word("寿比南山", "壽比南山", "may you live as long as the mountains"), ("老人过生日", "an old person's birthday")),
    (Word("金榜题名", "金榜題名", "may your name be on the list"), ("参加重要考试", "an important examination")),
    (Word("开业大吉", "開業大吉", "good luck to your business"), ("新店开张", "the opening of a shop")),
    (Word("一路平安", "一路平安", "have a safe journey"), ("出门远行", "leaving on a long journey")),
    (Word("早日康复", "早日康復", "get well soon"), ("生病住院", "a stay in hospital")),
    (Word("乔迁之喜", "喬遷之喜", "joy in the new home"), ("搬进新家", "moving into a new home")),
)


# Spring couplets: the first line hangs on the right, the second on the left, and four characters over the door.
COUPLETS: tuple[tuple[Word, Word, Word], ...] = tuple(
    word_group(table)
    for table in (
        """
        天增岁月人增寿 天增歲月人增壽 heaven adds years, people add to their age
        春满乾坤福满门 春滿乾坤福滿門 spring fills the world, blessings fill the house
        五福临门 五福臨門 the five blessings come to the door
        """,
        """
        一帆风顺年年好 一帆風順年年好 smooth sailing, every year a good one
        万事如意步步高 萬事如意步步高 all as one wishes, every step a rise
        吉星高照 = a lucky star shines on high
        """,
        """
        春归大地人间暖 春歸大地人間暖 spring is back on earth and warms mankind
        福降神州喜临门 福降神州喜臨門 blessings come to the land, joy to the door
        喜气盈门 喜氣盈門 joy fills the house
        """,
        """
        和顺一门有百福 和順一門有百福 a house in harmony has a hundred blessings
        平安二字值千金 = the word peace is worth a thousand pieces of gold
        万象更新 萬象更新 everything takes on a new look
        """,
        """
        又是一年芳草绿 又是一年芳草綠 one more year the grass is green
        依然十里杏花红 依然十里杏花紅 again for ten miles apricot blossoms are red
        大地回春 = spring returns to the earth
        """,
    )
)

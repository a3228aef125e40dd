"""Things and animals of Chinese life that have an emoji: their names, and what people in China know about them.

Only what nobody disputes. A temple is missing on purpose: the one among the emoji is a Hindu temple.
"""

from __future__ import annotations

from dataclasses import dataclass

from skymm.evaluation.kits.chinese_scenes.culture import Text

# The animals of the zodiac in their order.
ZODIAC = "🐀🐂🐅🐇🐉🐍🐎🐐🐒🐓🐕🐖"
NO_ZODIAC = "🐼🐘🦁🐫🦒🐧🐢🦅🦓🦘🦆🐻"

# Sayings with a gap that one animal fills.
SAYINGS: dict[str, Text] = {
    "🐂": ("对＿弹琴", "playing the lute to a ＿"),
    "🐇": ("守株待＿", "waiting by a stump for a ＿"),
    "🐍": ("画＿添足", "drawing a ＿ and giving it feet"),
    "🐉": ("叶公好＿", "Lord Ye, who said that he loved the ＿"),
    "🐎": ("塞翁失＿", "the old man at the border, who lost his ＿"),
    "🐓": ("闻＿起舞", "rising to practise the sword when the ＿ crows"),
    "🐘": ("盲人摸＿", "blind men touching a ＿"),
    "🐸": ("井底之＿", "the ＿ at the bottom of a well"),
}

# In this style they look like something else or like little at all.
UNCLEAR = {"openmoji": "🌕🍵🎻🍚"}


@dataclass(frozen=True, slots=True)
class Thing:
    """Something that has an emoji. `english` has its article, if any; `also` are other right names for it.

    Things of one `kin` could be taken for each other: they never stand in one picture, and none is asked for in vain
    where another one is.
    """

    char: str
    chinese: str
    english: str
    also: tuple[str, ...] = ()
    kin: str = ""

    @property
    def names(self) -> tuple[str, ...]:
        bare = self.english.removeprefix("a ").removeprefix("an ")
        return (self.chinese, self.english, bare, *self.also)


def _things(table: str) -> dict[str, Thing]:
    """Lines of `emoji | Chinese | English | other names, with commas | kin`."""
    found = {}
    for line in table.strip().splitlines():
        char, chinese, english, also, kin = (cell.strip() for cell in line.split("|"))
        found[char] = Thing(char, chinese, english, tuple(filter(None, also.split(", "))), kin or char)
    return found


THINGS = _things("""
    🥟 | 饺子 | a dumpling | 餃子, 水饺, 水餃, dumplings, jiaozi, gyoza, potsticker |
    🍜 | 面条 | noodles | 麵條, 汤面, 湯麵, 面, 麵, 拉面, 拉麵, noodle soup, a bowl of noodles, noodle, ramen | bowl
    🍚 | 米饭 | rice | 米飯, 饭, 飯, 白饭, 白飯, 一碗米饭, a bowl of rice, bowl of rice, cooked rice, white rice | bowl
    🥮 | 月饼 | a moon cake | 月餅, mooncake, mooncakes, moon cakes, a mooncake | bread
    🧧 | 红包 | a red envelope | 紅包, red packet, a red packet, hongbao, red envelopes, lucky money |
    🏮 | 灯笼 | a lantern | 燈籠, 红灯笼, 紅燈籠, red lantern, a red lantern, paper lantern, lanterns, red paper lantern | lamp
    🐉 | 龙 | a dragon | 龍, 中国龙, 中國龍, chinese dragon, a chinese dragon, loong | snake
    🐼 | 熊猫 | a panda | 熊貓, 大熊猫, 大熊貓, panda bear, giant panda, a giant panda, 熊猫头, panda face | bear
    🀄 | 麻将牌 | a mahjong tile | 麻將牌, 麻将, 麻將, 红中, 紅中, mahjong, mahjong tiles, mahjong red dragon |
    🥢 | 筷子 | chopsticks | 一双筷子, 一雙筷子, a pair of chopsticks, pair of chopsticks, chopstick |
    🎆 | 烟花 | fireworks | 煙花, 焰火, 烟火, 煙火, firework | blast
    🧨 | 爆竹 | a firecracker | 鞭炮, 炮仗, firecrackers, dynamite, 炸药 | blast
    🫖 | 茶壶 | a teapot | 茶壺, tea pot, pot | tea
    🍵 | 一杯茶 | a cup of tea | 茶, 热茶, 熱茶, 绿茶, 綠茶, 茶杯, 一碗茶, tea, green tea, teacup, tea cup, a bowl of tea | tea
    🪁 | 风筝 | a kite | 風箏, kites |
    🐟 | 鱼 | a fish | 魚, fishes |
    🐫 | 骆驼 | a camel | 駱駝, 双峰骆驼, 雙峰駱駝, two-hump camel, bactrian camel, camels |
    🦇 | 蝙蝠 | a bat | bats | bat
    🍑 | 桃子 | a peach | 桃, peaches |
    🌕 | 满月 | a full moon | 滿月, 月亮, 圆月, 圓月, moon, the moon, the full moon | moon
    🏓 | 乒乓球 | a table tennis bat | 乒乓球拍, 兵乓球, ping pong, ping-pong, table tennis, ping pong paddle | bat
    🍕 | 披萨 | a pizza | 比萨, 披薩, 比薩, slice of pizza, a slice of pizza, pizza slice |
    🍔 | 汉堡 | a hamburger | 漢堡, 汉堡包, 漢堡包, burger, a burger | bread
    🌮 | 墨西哥卷饼 | a taco | 塔可, tacos | bread
    🎃 | 南瓜灯 | a jack-o'-lantern | 南瓜燈, 南瓜, pumpkin, a pumpkin, jack-o-lantern | lamp
    🎄 | 圣诞树 | a Christmas tree | 聖誕樹 |
    🎸 | 吉他 | a guitar | electric guitar | strings
    🎻 | 小提琴 | a violin | 提琴, fiddle | strings
    ⚽ | 足球 | a football | soccer ball, a soccer ball, soccer | ball
    🏀 | 篮球 | a basketball | 籃球 | ball
    🚗 | 汽车 | a car | 汽車, 车, 車, 轿车, 小汽车, automobile |
    🎈 | 气球 | a balloon | 氣球, balloons |
    🍉 | 西瓜 | a watermelon | watermelon slice, a slice of watermelon, 一片西瓜 |
    🐀 | 老鼠 | a rat | 鼠, 耗子, mouse, a mouse |
    🐂 | 牛 | an ox | 公牛, 黄牛, 黃牛, bull, a bull, cow |
    🐅 | 老虎 | a tiger | 虎 | cat
    🐇 | 兔子 | a rabbit | 兔, bunny, hare |
    🐍 | 蛇 | a snake | | snake
    🐎 | 马 | a horse | 馬, 骏马 | horse
    🐐 | 羊 | a goat | 山羊, sheep |
    🐒 | 猴子 | a monkey | 猴 |
    🐓 | 鸡 | a rooster | 雞, 公鸡, 公雞, chicken, cock | bird
    🐕 | 狗 | a dog | 犬 |
    🐖 | 猪 | a pig | 豬 |
    🐘 | 大象 | an elephant | 象 |
    🐸 | 青蛙 | a frog | 蛙, frog face |
    🦁 | 狮子 | a lion | 獅子, 狮子头, lion face | cat
    🦒 | 长颈鹿 | a giraffe | 長頸鹿 |
    🐧 | 企鹅 | a penguin | 企鵝 | bird
    🐢 | 乌龟 | a turtle | 烏龜, 龟, 龜, 海龟, tortoise |
    🦅 | 鹰 | an eagle | 鷹, 老鹰, 老鷹, hawk | bird
    🦓 | 斑马 | a zebra | 斑馬 | horse
    🦘 | 袋鼠 | a kangaroo | |
    🐻 | 熊 | a bear | 熊头, bear face, brown bear | bear
    🦆 | 鸭子 | a duck | 鴨子, 鸭, 鴨 | bird
""")


# What is known about a thing, without its name. Within a group each sentence is true of its own thing only, so the
# sentences of the others are the wrong options: without the picture there is nothing to choose by.
LORE: tuple[dict[str, Text], ...] = (
    {
        "🥟": (
            "形状像元宝，北方人年夜饭常吃",
            "Shaped like an old gold ingot, it is eaten in the North on New Year's Eve.",
        ),
        "🍜": ("因为长，过生日时吃它来求长寿", "As it is long, it is eaten on birthdays for a long life."),
        "🍚": ("由稻谷煮成，是南方人的主食", "Boiled from a grain, it is the staple food of the South."),
        "🥮": ("中秋节全家分着吃", "Families share it at the Mid-Autumn Festival."),
        "🍵": ("由一种常绿树的嫩叶泡成", "It is made with the young leaves of an evergreen."),
        "🍑": ("神话里西王母请众仙来吃它", "In myth the Queen Mother of the West treats the immortals to it."),
    },
    {
        "🧧": ("过年时长辈用它装压岁钱", "At New Year elders put money for the children into it."),
        "🏮": (
            "正月十五晚上人们观赏它，猜写在上面的谜语",
            "On the fifteenth night of the year people admire it and guess the riddles on it.",
        ),
        "🀄": ("属于一种通常四个人玩的游戏", "It belongs to a game that four people usually play."),
        "🥢": ("成双使用，吃饭时用来夹菜", "Used in pairs, it picks up food."),
        "🎆": ("靠火药升空，在夜里绽放", "Sent up by gunpowder, it opens in the night sky."),
        "🧨": ("传说人们用它的响声吓跑怪兽“年”", "By legend its noise drove away the monster Nian."),
        "🫖": ("宜兴用紫砂做的最有名", "The most famous ones are of purple clay from Yixing."),
        "🪁": ("春天放到天上，山东潍坊以它闻名", "Flown in spring, it has made the city of Weifang famous."),
        "🌕": ("传说嫦娥住在那里", "By legend Chang'e lives there."),
    },
    {
        "🐉": ("古代皇帝的象征，世上并没有这种动物", "The emblem of emperors; no such animal exists."),
        "🐼": ("主要吃竹子，野生的只在中国有", "It mainly eats bamboo, and in the wild lives in China only."),
        "🐟": ("名字和“余”同音，年夜饭上要有它", "As its name sounds like surplus, it is served on New Year's Eve."),
        "🐫": ("古时在丝绸之路上驮运货物", "It carried goods along the Silk Road."),
        "🦇": ("名字和“福”同音，常见于吉祥图案", "As its name sounds like blessing, it is found in lucky patterns."),
    },
)

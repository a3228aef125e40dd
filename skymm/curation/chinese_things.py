"""Things and animals of Chinese life that have an emoji: their names, and what people in China know about them.

Only what nobody disputes, and in a question the wrong options are wrong beyond argument. A temple is missing on purpose:
the one among the emoji is a Hindu temple.
"""

from __future__ import annotations

from dataclasses import dataclass

from skymm.curation.chinese_culture import FESTIVALS, Text

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
    🏮 | 灯笼 | a lantern | 燈籠, 红灯笼, 紅燈籠, red lantern, a red lantern, paper lantern, lanterns, red paper lantern |
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
    🦇 | 蝙蝠 | a bat | bats |
    🍑 | 桃子 | a peach | 桃, peaches |
    🌕 | 满月 | a full moon | 滿月, 月亮, 圆月, 圓月, moon, the moon, the full moon | moon
    🏓 | 乒乓球 | a table tennis bat | 乒乓球拍, 兵乓球, ping pong, ping-pong, table tennis, ping pong paddle |
    🍕 | 披萨 | a pizza | 比萨, 披薩, 比薩, slice of pizza, a slice of pizza, pizza slice |
    🍔 | 汉堡 | a hamburger | 漢堡, 汉堡包, 漢堡包, burger, a burger | bread
    🌮 | 墨西哥卷饼 | a taco | 塔可, tacos | bread
    🎃 | 南瓜灯 | a jack-o'-lantern | 南瓜燈, 南瓜, pumpkin, a pumpkin, jack-o-lantern |
    🎄 | 圣诞树 | a Christmas tree | 聖誕樹 |
    🎸 | 吉他 | a guitar | electric guitar |
    🎻 | 小提琴 | a violin | 提琴, fiddle |
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


def _holidays(*names: str) -> tuple[Text, ...]:
    english = {festival.word.simplified: festival.word.english for festival in FESTIVALS}
    return tuple((name, english[name]) for name in names)


# What is asked about a thing without naming it, "{}" being the place where it stands. The first option is right.
LORE: dict[str, tuple[Text, tuple[Text, Text, Text, Text]]] = {
    "🥟": (
        ("{}的食物主要是怎么做的？", "How is the food at the {} made?"),
        (
            ("用面皮包馅", "a filling is wrapped in thin dough"),
            ("用叶子包糯米", "glutinous rice is wrapped in leaves"),
            ("用米饭卷生鱼片", "rice is rolled around raw fish"),
            ("把面团抹奶酪烤熟", "dough is covered with cheese and baked"),
        ),
    ),
    "🍜": (
        (
            "中国人过生日时常吃{}的食物，它象征什么？",
            "The Chinese eat the food at the {} on birthdays. What does it stand for?",
        ),
        (("长寿", "long life"), ("发财", "wealth"), ("爱情", "love"), ("升官", "promotion")),
    ),
    "🍚": (
        ("{}的食物是用哪种粮食做的？", "Which crop is the food at the {} made from?"),
        (("稻米", "paddy rice"), ("小麦", "wheat"), ("玉米", "maize"), ("土豆", "potatoes")),
    ),
    "🥮": (
        ("{}的食物是哪个节日吃的？", "At which festival is the food at the {} eaten?"),
        _holidays("中秋节", "端午节", "清明节", "重阳节"),
    ),
    "🧧": (
        (
            "过年时，长辈在{}的东西里放什么给孩子？",
            "What do elders put into the thing at the {} for children at New Year?",
        ),
        (("钱", "money"), ("茶叶", "tea leaves"), ("糖果", "sweets"), ("照片", "photographs")),
    ),
    "🏮": (
        (
            "人们在哪个节日晚上专门去观赏{}的东西？",
            "On the night of which festival do people go out to admire things like the one at the {}?",
        ),
        _holidays("元宵节", "清明节", "端午节", "重阳节"),
    ),
    "🐉": (
        (
            "做成{}的动物样子的船，在哪个节日比赛？",
            "At which festival do boats in the shape of the creature at the {} race?",
        ),
        _holidays("端午节", "清明节", "重阳节", "腊八节"),
    ),
    "🐼": (
        ("{}的动物主要吃什么？", "What does the animal at the {} mainly eat?"),
        (("竹子", "bamboo"), ("鱼", "fish"), ("蚂蚁", "ants"), ("海草", "seaweed")),
    ),
    "🀄": (
        (
            "{}的东西是一种游戏里的，这种游戏通常几个人玩？",
            "The thing at the {} belongs to a game. How many people usually play it?",
        ),
        (("四个", "four"), ("一个", "one"), ("七个", "seven"), ("十一个", "eleven")),
    ),
    "🥢": (
        ("{}的东西是用来做什么的？", "What are the things at the {} used for?"),
        (
            ("夹菜吃饭", "picking up food"),
            ("写毛笔字", "writing characters"),
            ("打鼓", "beating a drum"),
            ("织毛衣", "knitting"),
        ),
    ),
    "🎆": (
        ("{}的景象靠中国古代的哪项发明？", "Which invention of ancient China makes the sight at the {} possible?"),
        (("火药", "gunpowder"), ("造纸术", "paper making"), ("指南针", "the compass"), ("印刷术", "printing")),
    ),
    "🧨": (
        (
            "按照传统，人们在哪个节日燃放{}的东西？",
            "At which festival are things like the one at the {} let off by tradition?",
        ),
        _holidays("春节", "清明节", "端午节", "重阳节"),
    ),
    "🫖": (
        ("{}的东西是用来做什么的？", "What is the thing at the {} used for?"),
        (
            ("泡茶", "making tea"),
            ("炒菜", "frying vegetables"),
            ("蒸包子", "steaming buns"),
            ("洗衣服", "washing clothes"),
        ),
    ),
    "🪁": (
        ("中国人传统上在哪个季节放{}的东西？", "In which season do the Chinese traditionally fly the thing at the {}?"),
        (("春天", "spring"), ("夏天", "summer"), ("秋天", "autumn"), ("冬天", "winter")),
    ),
    "🐟": (
        (
            "年夜饭要有{}的动物，因为它的名字和哪个字同音？",
            "The animal at the {} is served on New Year's Eve, for its name sounds like a word for what?",
        ),
        (("余", "surplus"), ("福", "blessing"), ("寿", "long life"), ("喜", "joy")),
    ),
    "🐫": (
        ("{}的动物古时在哪条路线上运货？", "On which old route did the animal at the {} carry goods?"),
        (
            ("丝绸之路", "the Silk Road"),
            ("京杭大运河", "the Grand Canal"),
            ("长江航道", "the Yangtze shipping route"),
            ("郑和的航线", "Zheng He's sea route"),
        ),
    ),
    "🦇": (
        (
            "{}的动物常见于吉祥图案，因为它的名字和哪个字同音？",
            "The animal at the {} is found in lucky patterns, for its name sounds like a word for what?",
        ),
        (("福", "blessing"), ("寿", "long life"), ("喜", "joy"), ("余", "surplus")),
    ),
    "🍑": (
        ("在中国，{}的水果象征什么？", "What does the fruit at the {} stand for in China?"),
        (("长寿", "long life"), ("离别", "parting"), ("贫穷", "poverty"), ("战争", "war")),
    ),
    "🌕": (
        ("全家人在哪个节日一起观赏{}的东西？", "At which festival do families admire the thing at the {} together?"),
        _holidays("中秋节", "端午节", "清明节", "腊八节"),
    ),
    "🍵": (
        ("{}的饮料是用什么做的？", "What is the drink at the {} made from?"),
        (
            ("茶树的叶子", "leaves of the tea plant"),
            ("咖啡豆", "coffee beans"),
            ("可可豆", "cocoa beans"),
            ("葡萄", "grapes"),
        ),
    ),
}

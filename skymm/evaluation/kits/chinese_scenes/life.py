"""Words that stand in Chinese streets: signs, shops, rooms, places, dishes, each in both scripts and in English.

They come in groups of one category, in which neighbours look alike or share characters: a group is where the wrong options
of a question are taken from, so no word may mean the same as another one of its group. Traditional forms are those that
are in use without regional variants beside them.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Word:
    """What is written, in simplified and in traditional characters, and what it means."""

    simplified: str
    traditional: str
    english: str

    def written(self, script: str) -> str:
        return self.traditional if script == "traditional" else self.simplified

    @property
    def same_in_both(self) -> bool:
        return self.simplified == self.traditional


Group = tuple[Word, ...]


def word_group(table: str) -> Group:
    """Lines of `simplified traditional english words`; "=" where the traditional form is the same."""
    words = []
    for line in table.strip().splitlines():
        simplified, traditional, english = line.split(maxsplit=2)
        words.append(Word(simplified, simplified if traditional == "=" else traditional, english))
    return tuple(words)


# --- signs: board -> words ---------------------------------------------------------------------------------------------

SIGNS: dict[str, Group] = {
    "warning": word_group("""
        小心地滑 = caution, wet floor
        小心落石 = beware of falling rocks
        小心玻璃 = caution, glass
        小心触电 小心觸電 danger of electric shock
        小心碰头 小心碰頭 mind your head
        小心夹手 小心夾手 mind your hands
        小心火烛 小心火燭 beware of fire
        小心车辆 小心車輛 watch out for cars
    """),
    "prohibition": word_group("""
        禁止吸烟 禁止吸煙 no smoking
        禁止拍照 = no photography
        禁止停车 禁止停車 no parking
        禁止入内 禁止入內 no entry
        禁止饮食 禁止飲食 no food or drink
        禁止钓鱼 禁止釣魚 no fishing
        禁止游泳 = no swimming
        禁止鸣笛 禁止鳴笛 no honking
    """),
    "request": word_group("""
        请勿触摸 請勿觸摸 please do not touch
        请勿打扰 請勿打擾 please do not disturb
        请勿倚靠 請勿倚靠 please do not lean on it
        请勿喂食 請勿餵食 please do not feed the animals
        请勿踩踏 請勿踩踏 please do not step on it
    """),
    "way": word_group("""
        出口 = exit
        入口 = entrance
        电梯 電梯 elevator
        楼梯 樓梯 stairs
        洗手间 洗手間 restroom
        更衣室 = changing room
        候车室 候車室 waiting room
        售票处 售票處 ticket office
        问讯处 問訊處 information desk
    """),
    "one": word_group("""
        推 = push
        拉 = pull
        停 = stop
        慢 = slow down
        让 讓 give way
        开 開 open
        关 關 close
    """),
}

# --- signboards over doors ---------------------------------------------------------------------------------------------

SHOPS: dict[str, Group] = {
    "store": word_group("""
        书店 書店 bookstore
        花店 = flower shop
        药店 藥店 pharmacy
        鞋店 = shoe shop
    """),
    "shop": word_group("""
        面包店 麵包店 bakery
        理发店 理髮店 barber shop
        眼镜店 眼鏡店 optician
        水果店 = fruit shop
        宠物店 寵物店 pet shop
        玩具店 = toy shop
    """),
    "house": word_group("""
        茶馆 茶館 teahouse
        面馆 麵館 noodle restaurant
        宾馆 賓館 hotel
        饺子馆 餃子館 dumpling restaurant
        照相馆 照相館 photo studio
    """),
    "hall": word_group("""
        图书馆 圖書館 library
        博物馆 博物館 museum
        体育馆 體育館 gymnasium
        美术馆 美術館 art museum
    """),
    "office": word_group("""
        银行 銀行 bank
        医院 醫院 hospital
        邮局 郵局 post office
        学校 學校 school
    """),
}

# --- doorplates and direction signs --------------------------------------------------------------------------------------

ROOMS = word_group("""
    办公室 辦公室 office
    会议室 會議室 meeting room
    休息室 = lounge
    实验室 實驗室 laboratory
    阅览室 閱覽室 reading room
    音乐室 音樂室 music room
    医务室 醫務室 infirmary
""")
STREETS = word_group("""
    和平路 = Heping Road
    人民路 = Renmin Road
    中山路 = Zhongshan Road
    解放路 = Jiefang Road
    建设路 建設路 Jianshe Road
    长江路 長江路 Changjiang Road
    东风路 東風路 Dongfeng Road
    南京路 = Nanjing Road
""")
PLACES = word_group("""
    火车站 火車站 railway station
    汽车站 汽車站 bus station
    机场 機場 airport
    广场 廣場 square
    动物园 動物園 zoo
    植物园 植物園 botanical garden
    图书馆 圖書館 library
    博物馆 博物館 museum
    体育馆 體育館 gymnasium
    医院 醫院 hospital
    码头 碼頭 pier
    大学 大學 university
""")
CITIES = word_group("""
    北京 = Beijing
    南京 = Nanjing
    上海 = Shanghai
    广州 廣州 Guangzhou
    杭州 = Hangzhou
    苏州 蘇州 Suzhou
    重庆 重慶 Chongqing
    天津 = Tianjin
    西安 = Xi'an
    武汉 武漢 Wuhan
    济南 濟南 Jinan
    昆明 = Kunming
""")
WEEKDAYS = word_group("""
    星期一 = Monday
    星期二 = Tuesday
    星期三 = Wednesday
    星期四 = Thursday
    星期五 = Friday
    星期六 = Saturday
    星期日 = Sunday
""")

# --- menus: heading -> dishes --------------------------------------------------------------------------------------------

MENUS: dict[Word, Group] = {
    Word("川菜", "川菜", "Sichuan dishes"): word_group("""
        宫保鸡丁 宮保雞丁 Kung Pao chicken
        鱼香肉丝 魚香肉絲 Yuxiang shredded pork
        麻婆豆腐 = mapo tofu
        回锅肉 回鍋肉 twice-cooked pork
        水煮鱼 水煮魚 Sichuan boiled fish
        酸辣汤 酸辣湯 hot and sour soup
        夫妻肺片 = sliced beef in chilli sauce
    """),
    Word("家常菜", "家常菜", "home-style dishes"): word_group("""
        红烧肉 紅燒肉 red-braised pork
        糖醋排骨 = sweet and sour ribs
        番茄炒蛋 = scrambled eggs with tomato
        清蒸鱼 清蒸魚 steamed fish
        蛋炒饭 蛋炒飯 egg fried rice
        白切鸡 白切雞 poached chicken
        北京烤鸭 北京烤鴨 Peking duck
    """),
    Word("点心", "點心", "dim sum"): word_group("""
        小笼包 小籠包 soup dumplings
        叉烧包 叉燒包 barbecued pork buns
        虾饺 蝦餃 shrimp dumplings
        烧卖 燒賣 shumai
        春卷 春捲 spring rolls
        锅贴 鍋貼 pan-fried dumplings
        葱油饼 蔥油餅 scallion pancake
    """),
    Word("面食", "麵食", "noodles"): word_group("""
        牛肉面 牛肉麵 beef noodles
        鸡丝面 雞絲麵 noodles with shredded chicken
        炸酱面 炸醬麵 noodles with soybean paste
        刀削面 刀削麵 knife-cut noodles
        担担面 擔擔麵 dan dan noodles
        炒面 炒麵 fried noodles
        凉面 涼麵 cold noodles
    """),
    Word("饮品", "飲品", "drinks"): word_group("""
        绿茶 綠茶 green tea
        红茶 紅茶 black tea
        乌龙茶 烏龍茶 oolong tea
        菊花茶 = chrysanthemum tea
        珍珠奶茶 = bubble tea
        酸梅汤 酸梅湯 sour plum drink
        豆浆 豆漿 soy milk
    """),
}
YUAN = Word("元", "元", "yuan")

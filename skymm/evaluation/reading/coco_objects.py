"""Chinese names of COCO's 80 classes of objects, and finding them in a segmented text.

What the English synonyms of CHAIR are for English captions, this is for Chinese ones. It names what a Chinese caption
calls the things that the 80 classes mean, and leaves out what is no such thing although it sounds like one (海狗 is no
dog), and words that are wider than a class (车 may be a car, a bus or a bicycle, as "vehicle" may). Rooms and games
are no objects: 卫生间 is no toilet, and 打网球 names no ball. Written for this project.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache

# "a|b": one thing, which is one of these; "a+b": two things in one word; "": none, although it is cut into a name and
# something else.
_NAMES = {
    "": "狗粮 猫粮 猫砂 狗窝 猫窝",
    "person": "人 人们 人群 人员 人士 众人 行人 路人 有人 某人 旁人 男人 女人 男子 女子 男士 女士 男性 女性 男生 "
    "女生 男孩 女孩 男孩子 女孩子 小男孩 小女孩 男童 女童 孩子 小孩 小孩子 熊孩子 儿童 孩童 小朋友 婴儿 宝宝 "
    "婴幼儿 幼儿 幼童 少年 少女 青少年 青年 年轻人 小伙子 小伙 姑娘 小姑娘 老人 老年人 老人家 老太太 老奶奶 老爷爷 "
    "老头 老汉 中年人 成年人 成人 大人 妇女 妇人 先生 小姐 母亲 妈妈 父亲 爸爸 爷爷 奶奶 外公 外婆 儿子 女儿 哥哥 "
    "姐姐 弟弟 妹妹 兄弟 姐妹 夫妇 夫妻 情侣 恋人 父子 父女 母子 母女 家人 一家人 朋友 伙伴 同伴 小伙伴 同学 同事 "
    "新人 新娘 新郎 伴娘 伴郎 丈夫 妻子 工人 工作人员 员工 厨师 厨师长 面包师 警察 警官 警员 交警 骑警 军人 士兵 "
    "战士 消防员 医生 护士 病人 患者 牙医 学生 老师 教师 教练 司机 驾驶员 驾驶者 飞行员 机长 乘客 旅客 游客 观众 "
    "球迷 球员 选手 运动员 棒球员 击球手 击球员 投手 投球手 捕手 接球手 外野手 守门员 裁判 骑手 骑士 骑车人 骑车者 "
    "骑行者 骑马者 滑雪者 滑雪手 滑板者 滑板手 冲浪者 冲浪手 玩家 舞者 演员 歌手 乐手 模特 艺术家 摄影师 牧民 "
    "牧羊人 农民 农夫 渔民 渔夫 猎人 商人 商贩 小贩 顾客 客人 服务员 侍者 店员 售货员 摊主 牛仔 政客 政治家 旅行者 "
    "旅人 登山者 徒步者 村民 市民 居民 宾客 来宾 嘉宾 队员 主人 女主人 陌生人 外国人 黑人 白人 美女 帅哥 盗贼 小偷 "
    "男女 男男女女 老老少少 两人",
    "bicycle": "自行车 单车 脚踏车 山地车 山地自行车 公路车 三轮车 独轮自行车 骑自行车 骑单车",
    "car": "汽车 小汽车 轿车 小轿车 小车 出租车 的士 计程车 跑车 越野车 吉普车 吉普 面包车 敞篷车 警车 私家车 "
    "老爷车 豪车 商务车",
    "motorcycle": "摩托车 摩托 轻便摩托车 小摩托 踏板车 踏板摩托车 电动摩托车 骑摩托车 骑摩托",
    "airplane": "飞机 客机 喷气式飞机 喷气机 喷气式客机 战斗机 战机 民航客机 螺旋桨飞机 双翼飞机 双翼机 水上飞机",
    "bus": "公交车 公共汽车 公交 巴士 公车 大巴 大巴车 双层巴士 双层公交车 双层公共汽车 校车 小巴 中巴 客车 "
    "长途客车 旅游巴士 观光巴士",
    "train": "火车 列车 高铁 动车 火车头 地铁列车 蒸汽火车 蒸汽机车 货运列车 货运火车 客运列车 火车机车",
    "truck": "卡车 大卡车 货车 大货车 小货车 厢式货车 皮卡 皮卡车 消防车 半挂车 半挂卡车 垃圾车 翻斗车 自卸车 "
    "油罐车 重卡",
    "boat": "船 小船 船只 船舶 轮船 帆船 游船 渔船 快艇 游艇 皮划艇 皮艇 独木舟 木船 木舟 货船 驳船 渡轮 渡船 汽艇 "
    "汽船 摩托艇 救生艇 橡皮艇 划艇 小艇 游轮 邮轮 军舰 战舰 龙舟 小舟 船上",
    "traffic light": "红绿灯 交通灯 交通信号灯 信号灯 交通指示灯 交通信号",
    "fire hydrant": "消防栓 消火栓 消防龙头",
    "stop sign": "停止标志 停止标识 停止牌 停车标志 停车标识 停车牌 停车指示牌 停车让行标志 停止路标",
    "parking meter": "停车计时器 停车收费表 停车收费器 停车收费机 停车计费器 停车表 停车咪表 咪表",
    "bench": "长椅 长凳 长条椅 长条凳 长板凳 条凳",
    "bird": "鸟 小鸟 鸟儿 鸟类 飞鸟 海鸟 水鸟 野鸟 鸟群 鸽子 白鸽 海鸥 鸭 鸭子 小鸭子 野鸭 绿头鸭 鹅 大鹅 天鹅 "
    "白天鹅 黑天鹅 鹰 老鹰 雄鹰 猎鹰 秃鹰 鱼鹰 猫头鹰 鹦鹉 金刚鹦鹉 孔雀 麻雀 山雀 乌鸦 喜鹊 燕子 翠鸟 啄木鸟 蜂鸟 "
    "知更鸟 鸵鸟 企鹅 火烈鸟 鹤 丹顶鹤 仙鹤 鹭 白鹭 苍鹭 鹭鸶 鸬鹚 鹈鹕 秃鹫 公鸡 火鸡 野鸡 鹌鹑 家禽 水禽",
    "cat": "猫 猫咪 小猫 小猫咪 花猫 橘猫 幼猫 奶猫 虎斑猫 母猫 公猫 家猫 野猫 波斯猫 暹罗猫 猫儿",
    "dog": "狗 小狗 狗狗 犬 幼犬 小犬 犬只 猎犬 牧羊犬 警犬 斗牛犬 金毛犬 金毛 金毛寻回犬 拉布拉多 拉布拉多犬 "
    "哈士奇 柯基 柯基犬 吉娃娃 贵宾犬 贵宾狗 比熊犬 博美犬 萨摩耶 斗牛梗 梗犬 腊肠犬 腊肠狗 雪橇犬 导盲犬 哈巴狗 "
    "巴哥犬 雪纳瑞 狼狗 猎狗 流浪狗 宠物狗 幼狗 花狗 斑点狗 斑点犬 狗儿",
    "horse": "马 马匹 小马 骏马 赛马 马儿 马驹 小马驹 母马 公马 种马 野马 矮种马 矮马 马群 马背",
    "sheep": "羊 绵羊 山羊 小羊 羊羔 羔羊 小羊羔 羊群 公羊 母羊 羊只",
    "cow": "牛 奶牛 乳牛 母牛 公牛 小牛 牛犊 小牛犊 黄牛 水牛 野牛 肉牛 耕牛 牛群 牛只 牛儿",
    "elephant": "大象 小象 象 象群 非洲象 亚洲象 幼象 母象 公象 小大象",
    "bear": "熊 黑熊 棕熊 灰熊 白熊 狗熊 北极熊 熊猫 大熊猫",
    "zebra": "斑马",
    "giraffe": "长颈鹿",
    "backpack": "背包 双肩包 双肩背包 书包 登山包",
    "umbrella": "伞 雨伞 阳伞 遮阳伞 太阳伞 洋伞 油纸伞",
    "handbag": "手提包 手袋 手提袋 手包 提包 拎包 挎包 单肩包 斜挎包 皮包 女包 钱包 公文包",
    "tie": "领带 领结",
    "suitcase": "行李箱 手提箱 旅行箱 拉杆箱 皮箱 行李 手提行李",
    "frisbee": "飞盘",
    "skis": "双板 滑雪双板 雪板",
    "snowboard": "单板 滑雪单板 单板滑雪板",
    "skis|snowboard": "滑雪板",
    "sports ball": "球 皮球 沙滩球 球儿",
    "kite": "风筝",
    "baseball bat": "棒球棒 球棒 棒球棍 棒球球棒",
    "baseball glove": "棒球手套 接球手套 捕手手套",
    "skateboard": "滑板",
    "surfboard": "冲浪板",
    "tennis racket": "网球拍 球拍 网球球拍",
    "bottle": "瓶 瓶子 水瓶 酒瓶 奶瓶 油瓶 药瓶 玻璃瓶 塑料瓶 饮料瓶 啤酒瓶 红酒瓶 葡萄酒瓶 矿泉水瓶 调料瓶",
    "wine glass": "酒杯 高脚杯 高脚酒杯 红酒杯 葡萄酒杯 香槟杯",
    "cup": "茶杯 咖啡杯 马克杯 水杯 纸杯 塑料杯 保温杯",
    "cup|wine glass": "杯 杯子 玻璃杯",
    "fork": "叉 叉子 餐叉",
    "fork+knife": "刀叉",
    "knife": "刀 刀子 小刀 餐刀 菜刀 厨刀 切刀 水果刀 面包刀 刀具",
    "spoon": "勺 勺子 汤勺 汤匙 茶匙 木勺 饭勺 匙子 调羹",
    "bowl": "碗 碗里 饭碗 汤碗 瓷碗 沙拉碗 碗筷 小碗 大碗",
    "banana": "香蕉 芭蕉",
    "apple": "苹果 青苹果 红苹果",
    "sandwich": "三明治 三文治 汉堡 汉堡包 芝士汉堡",
    "orange": "橙子 橘子 桔子 柑橘 甜橙 橙 脐橙",
    "broccoli": "西兰花 西蓝花 青花菜 绿花菜",
    "carrot": "胡萝卜 红萝卜 胡萝卜丝 胡萝卜片",
    "hot dog": "热狗",
    "pizza": "披萨 比萨 披萨饼 比萨饼 匹萨",
    "donut": "甜甜圈 甜圈 多纳圈 百吉饼 贝果",
    "cake": "蛋糕 生日蛋糕 婚礼蛋糕 结婚蛋糕 纸杯蛋糕 杯子蛋糕 芝士蛋糕 奶酪蛋糕 奶油蛋糕 巧克力蛋糕 小蛋糕 薄煎饼 "
    "松饼",
    "chair": "椅 椅子 座椅 餐椅 木椅 转椅 摇椅 折叠椅 办公椅 电脑椅 扶手椅 沙滩椅 高脚椅 高脚凳 吧台椅 吧椅 吧凳 "
    "凳子 凳 圆凳 儿童椅 婴儿椅 座位 椅上",
    "bench|chair": "板凳",
    "chair|couch": "躺椅 沙发椅 单人沙发",
    "chair+dining table": "桌椅 桌凳",
    "couch": "沙发 长沙发 双人沙发 三人沙发 懒人沙发 真皮沙发 皮沙发",
    "bed|couch": "沙发床",
    "potted plant": "盆栽 盆栽植物 盆景 盆花 花盆 绿植 室内植物",
    "bed": "床 双人床 单人床 婴儿床 双层床 上下铺 床铺 病床 木床 床上 床边 床尾 大床 小床",
    "dining table": "餐桌 饭桌 桌子 桌 桌上 桌面 桌边 桌旁 书桌 办公桌 电脑桌 课桌 茶几 咖啡桌 木桌 圆桌 方桌 长桌 "
    "野餐桌 小桌子",
    "toilet": "马桶 抽水马桶 坐便器 座便器 坐便 便器 便池 小便池 小便器 尿池 蹲便器 马桶圈 马桶盖 马桶座",
    "tv": "电视 电视机 液晶电视 平板电视 彩电 显示器 显示屏 电脑显示器 电视屏幕",
    "laptop": "笔记本电脑 手提电脑 手提式电脑 电脑 计算机 台式电脑 台式机 台式计算机 个人电脑",
    "book|laptop": "笔记本",
    "mouse": "鼠标 电脑鼠标 无线鼠标",
    "remote": "遥控器 电视遥控器",
    "keyboard": "键盘 电脑键盘 无线键盘",
    "cell phone": "手机 智能手机 移动电话 电话 电话机 座机 苹果手机",
    "microwave": "微波炉",
    "oven": "烤箱 炉灶 炉子 灶台 灶 燃气灶 煤气灶 烤炉 电炉",
    "toaster": "烤面包机 吐司机 多士炉 面包机",
    "sink": "水槽 洗手池 洗手盆 洗手台 洗脸池 洗脸盆 洗漱台 洗碗池 洗涤槽 洗菜池 盥洗池 面盆 台盆",
    "refrigerator": "冰箱 电冰箱 冰柜 冷柜 冷藏柜 雪柜",
    "book": "书 书本 书籍 图书 课本 故事书 绘本 本书",
    "clock": "钟 时钟 钟表 挂钟 闹钟 座钟 大钟 石英钟 电子钟 钟楼",
    "vase": "花瓶",
    "scissors": "剪刀 剪子",
    "teddy bear": "泰迪熊 玩具熊 毛绒熊 毛绒玩具熊 玩偶熊 小熊玩偶 熊玩偶 布偶熊 玩具小熊 毛绒小熊 熊娃娃",
    "bear|teddy bear": "小熊",
    "dog|teddy bear": "泰迪",
    "hair drier": "吹风机 电吹风 吹风筒",
    "toothbrush": "牙刷 电动牙刷",
    "train|motorcycle": "机车",
    "bus|train": "电车 有轨电车",
    "bicycle|car|motorcycle": "电动车",
    "bicycle|motorcycle": "电瓶车 电动自行车",
    "cat+dog": "猫狗",
    "cow+sheep": "牛羊",
    "cow+horse": "牛马",
}
# Games as much as balls: a ball where they are counted ("一个足球"), a game elsewhere ("踢足球", "网球比赛").
_BALL_OR_GAME = frozenset(
    ("足球", "篮球", "网球", "棒球", "排球", "垒球", "橄榄球", "高尔夫球", "保龄球", "乒乓球", "台球")
)
_COUNTED = re.compile(r"[个颗只枚]$")
# A word that means something else after these: "给人温暖的感觉" has nobody in it, "三点钟" no clock.
_NOT_AFTER = {
    "人": re.compile(r"[给让令使叫引惹]$|^使得$"),
    "钟": re.compile(r"[点分秒]$"),
}
_NOT_STRIPPED = frozenset({"一床", "一刀", "大马"})  # a bed as a measure, at one stroke, Malaysia
# What may stand before a name within a word: numbers with their measures, how a thing looks, what is done with it.
_BEFORE = re.compile(
    r"^(?:(?:[一二两三四五六七八九十几数多各每]+[个只条位名群头匹张把]?|[黑白红黄蓝绿棕灰紫粉大小老幼新旧高长])+|"
    r"[骑牵抱拿遛撑打喂看坐握划][着了]?(?=[马牛羊狗猫鸟象熊伞书船刀]$))"
)
_LONGEST = 5  # words that together make one name, as they are segmented
_HAN = re.compile(r"[\u4e00-\u9fff]+")

Found = tuple[str, tuple[str, ...]]  # what was said, and the classes of which it is one


@lru_cache(maxsize=1)
def chinese_names() -> Mapping[str, tuple[tuple[str, ...], ...]]:
    """Name -> the things that it names -> the classes of which each is one."""
    return {
        name: tuple(tuple(thing.split("|")) for thing in classes.split("+") if thing)
        for classes, names in _NAMES.items()
        for name in names.split()
    }


def chinese_objects(words: Sequence[str]) -> list[Found]:
    """The objects named by the words of a clause, as `skymm.text.words` cuts it, in reading order.

    The longest run of words that is a name is taken, so that 热狗 and 泰迪熊 are no dog and no bear however they are cut.
    """
    names = chinese_names()
    found: list[Found] = []
    position = 0
    while position < len(words):
        size, word = _longest_name(words, position, names)
        before = words[position - 1] if position else ""
        if word in _BALL_OR_GAME and _COUNTED.search(before):
            found.append((word, ("sports ball",)))
        elif word in names and not (word in _NOT_AFTER and _NOT_AFTER[word].search(before)):
            found.extend((word, classes) for classes in names[word])
        position += size
    return found


def _longest_name(words: Sequence[str], position: int, names: Mapping[str, object]) -> tuple[int, str]:
    """How many words from here on make a name, and the name; else one, and the word.

    A name may begin within the first word, for Chinese puts the head last, and what is unknown to the dictionary is cut
    too late: 放风筝 is a word with 风筝 in it, and 和甜甜圈 is cut as 和甜甜, 圈.
    """
    for size in range(min(_LONGEST, len(words) - position), 0, -1):
        run = words[position : position + size]
        if not all(map(_HAN.fullmatch, run)):
            continue
        text = "".join(run)
        if text in names:
            return size, text
        shortest = 2 if size == 1 else 3
        for start in range(1, min(len(run[0]), len(text) - shortest + 1)):
            if text[start:] in names:
                return size, text[start:]
    return 1, _plain(words[position], names)


def _plain(word: str, names: Mapping[str, object]) -> str:
    """The word without what may stand around a name in it, where that leaves a name: 孩子们, 两人, 黑狗, 骑着马."""
    bare = word.removesuffix("们")
    if bare in names:
        return bare
    stripped = _BEFORE.sub("", bare)
    return stripped if stripped in names and bare not in _NOT_STRIPPED else word

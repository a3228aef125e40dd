"""The closed classes of Chinese words by which a caption is read without a parser."""

from __future__ import annotations

import re

# Measure words that count things one by one; a plate, pair or herd of them says no number.
MEASURES = "个只名位头匹条辆张把件架艘棵朵本台部座顶根颗枚支盆面扇幅栋盏株家间列块套道所"
# What a word of several characters may begin with before the thing's name: 两人, 大黑狗, 骑马.
BEFORE = re.compile(
    rf"[{MEASURES}]?(?:[一二两三四五六七八九十几数多各每这那][{MEASURES}群对双排]?|[黑白红黄蓝绿棕灰紫粉橙]|[大小老幼新旧高长短]|"
    r"[骑牵抱拿遛撑打喂放戴穿吃喝弹看着在和与])*"
)
# ... and end with after it: 桌上, 孩子们.
AFTER = re.compile(r"[们在和与是上里下中旁内外前后边]|前面|后面|上面|下面|里面|旁边|中间")

# A noun before one of these is no part of a longer name.
FOLLOWERS = frozenset(
    "在正坐站躺趴卧蹲跪靠倚和与跟及同、是有上里中下前后旁边内外间侧处顶底周附都也还又并且而从向往朝对把被将让给为用以穿戴拿抱骑牵走跑跳飞游吃喝看望"
    "盯玩睡停驶行放挂摆排立落举握提背扛推拉打踢扔接投挥击咬舔闻追奔冲滑爬伸张笑说唱奏弹指摸喂遛撑等准试想要会能可经过进出来去到着了一两几三四五六七八"
    "九十每各很非分身手头口脸眼嘴脚腿肩怀脖这那其互相围聚们依倒露长盛装满堆盖铺覆插悬漂浮休歇晒洗搭没不静正紧安正冒开关亮悠慢快乐高愉独单双共"
)
NOT_FOLLOWERS = re.compile(
    r"(?:头像|上衣|手册|手套|头盔|手机|背包|背心|背景|提包|拉面|打印|分类|单车|高铁|身份|开关|长椅|长凳|关系|开店|安全|安检|快递|手绘)"
)

NEGATIONS = re.compile(
    r"没有|没戴|没穿|没带|没|無|无|不见|看不到|看不见|缺少|不戴|不穿|未戴|未穿|不带|不是|并非|而不是|除了|除|禁止|拒绝|缺"
)
NEGATION_ENDS = re.compile(r"而是|但是|但|却|只有|仅有|不过")
DENIED_AFTER = re.compile(r"(?:们)?(?:都)?(?:不见|不在|没有出现|缺失|消失|以外|之外)")
# Verbs and what goes with them, which part a number from the next noun: 两个戴帽子的男人.
DONE = "戴穿拿抱骑牵背打有写画印没着了与和"
# Before the noun: the person after it has it, so it is there (戴着红色帽子的老人).
HAVING = re.compile(
    r"(?:穿|戴|拿|抱|骑|牵|背|打|系|坐|躺|站|趴|带|提|举|推|拉|握|吃|喝|看|放|有|长|挂)(?:着|了|在|有)?(?:[一二两三四五六七八九十几]?[\u4e00-\u9fff]{0,2}[色红白黑黄蓝绿]?的?)?$"
)
# Between a thing and a picture: the picture is on it.
CARRIES = re.compile(r"[贴印画挂摆放刻绣写立竖](?:着|有|了)|有|是|旁|前|站|坐")
# What follows is compared with, waited for or made up.
IMAGINED = re.compile(
    r"(?:画着|画有|画了|印着|印有|绣着|绣有|绘有|绘着|刻着|刻有|好像|像|仿佛|如同|犹如|形似|宛如|似|装扮成|打扮成|扮成|做成|变成|扮演|叫做|名为|梦见|想要|"
    r"希望|寻找|等待|等候|等着|等|想象|准备买|如果|假如|关于|适合|属于|供|给|卖给|专为|为了)[^，。；,;]{0,10}$"
)
COMPARED = re.compile("(?:一样|一般|般|似)的")
IMITATIONS = re.compile(
    r"(?:玩具|毛绒|模型|卡通|仿真|充气|陶瓷|折纸|纸|乐高|假|雕刻的?|木雕|石雕|木头|木制|木质|塑料|石头|石|铜|金属|布艺|糖果|巧克力|面团|积木|虚拟|动漫)(?:的|小|大)*$"
)
DEPICTIONS = re.compile(
    r"的?[^，。；,;的]{0,4}(?:图案|画像|雕像|雕塑|塑像|模型|玩具|形状|造型|标志|标识|贴纸|海报|卡通|插图|插画|漫画|油画|壁画|绘画|影子|倒影|剪影|头像|logo|字样|样子|"
    r"面具|服装|图画|涂鸦|徽章|印花|玩偶|公仔|主题|广告|封面|logo)"
)
PHOTO = re.compile(r"^(?:这是)?(?:一[张幅])?[^，。]{0,20}的(?:照片|图片|特写|相片|特写镜头|近照)[。.]?$")
COLOURLESS = re.compile(r"黑白(?:的)?(?:老)?(?:照片|相片|图片|图像|画面|影像|照|图)")
MANY = re.compile(
    r"(?:几|数|许多|很多|多|一些|有些|一群|一排|一堆|成群|众多|各种|这些|那些|一束|一串|一队|一列|不少|大量|大批|好多|若干|无数)"
    rf"(?:[{MEASURES}种些])?[^，。]{{0,6}}$"
)
DEFINITE = re.compile(
    rf"(?:这|那|该|此|其中|另外?|他的|她的|它的|他们的)[一二两三四五六七八九十]?[{MEASURES}]?[^，。]{{0,4}}$"
)
MORE_OF_IT = re.compile(r"另一|另外|其他|其它|其余|别的|第[二三四]")

POSTURES = (
    "(?:坐|躺|趴|站|卧|蹲|跪|停|放|摆|睡|靠|立|停靠|停放|摆放|放置|挂|悬挂|栖息|栖|休息|玩耍|漂|漂浮|浮|走|站立|坐落|位于|"
    "落|盘坐|蜷缩|等|吃草|睡觉)"
)
EXISTS = rf"(?:有|是|{POSTURES}(?:着|了)|摆满了?|放满了?|停满了?|堆着|装着|盛着|插着|铺着|盖着|长着|飘着)"

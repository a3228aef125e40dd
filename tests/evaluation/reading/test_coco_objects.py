"""Chinese captions: every class has names, and what only sounds like an object is none."""

from __future__ import annotations

import pytest

from skymm.evaluation.reading.coco_objects import chinese_names, chinese_objects
from skymm.text import words

CLASSES = (
    "person bicycle car motorcycle airplane bus train truck boat traffic_light fire_hydrant stop_sign parking_meter bench "
    "bird cat dog horse sheep cow elephant bear zebra giraffe backpack umbrella handbag tie suitcase frisbee skis "
    "snowboard sports_ball kite baseball_bat baseball_glove skateboard surfboard tennis_racket bottle wine_glass cup fork "
    "knife spoon bowl banana apple sandwich orange broccoli carrot hot_dog pizza donut cake chair couch potted_plant bed "
    "dining_table toilet tv laptop mouse remote keyboard cell_phone microwave oven toaster sink refrigerator book clock "
    "vase scissors teddy_bear hair_drier toothbrush"
)


def named(text: str) -> list[str]:
    return ["|".join(classes) for _, classes in chinese_objects(words(text))]


def test_names_are_of_the_80_classes_and_all_of_them_have_some():
    expected = {name.replace("_", " ") for name in CLASSES.split()}
    assert len(expected) == 80
    assert {one for things in chinese_names().values() for thing in things for one in thing} == expected
    certain = {thing[0] for things in chinese_names().values() for thing in things if len(thing) == 1}
    assert certain == expected


@pytest.mark.parametrize(
    ("text", "classes"),
    [
        ("一只小狗趴在沙发上", ["dog", "couch"]),
        ("草地上有一只犬", ["dog"]),
        ("他在吃热狗", ["hot dog"]),
        ("长颈鹿和斑马", ["giraffe", "zebra"]),
        ("手机和遥控器放在桌上", ["cell phone", "remote", "dining table"]),
        ("男人、女孩和人们", ["person", "person", "person"]),
        ("一辆公交车、一辆卡车和一辆自行车", ["bus", "truck", "bicycle"]),
        ("红绿灯旁边有一个消防栓和停车标志", ["traffic light", "fire hydrant", "stop sign"]),
        ("厨房里有冰箱、微波炉、烤箱和水槽", ["refrigerator", "microwave", "oven", "sink"]),
        ("戴着棒球手套的捕手和棒球棒", ["baseball glove", "person", "baseball bat"]),
        ("抱着泰迪熊的孩子", ["teddy bear", "person"]),
        ("一只熊猫和一只北极熊", ["bear", "bear"]),
        ("停车收费表", ["parking meter"]),
        ("网球拍", ["tennis racket"]),
        ("花瓶和盆栽", ["vase", "potted plant"]),
        ("剪刀、牙刷和吹风机", ["scissors", "toothbrush", "hair drier"]),
        ("苹果、香蕉、橙子、胡萝卜、西兰花", ["apple", "banana", "orange", "carrot", "broccoli"]),
    ],
)
def test_objects_are_found(text, classes):
    assert named(text) == classes


@pytest.mark.parametrize(
    ("text", "classes"),
    [
        ("一人一伞", ["person", "umbrella"]),
        ("两碗米饭和三瓶啤酒", ["bowl", "bottle"]),
        ("一只黑狗和一只白猫", ["dog", "cat"]),
        ("孩子们和小朋友们", ["person", "person"]),
        ("有几只羊", ["sheep"]),
        ("他骑着马", ["horse"]),
        ("海滩上放风筝", ["kite"]),
        ("他们在看电视", ["tv"]),
        ("小朋友们在吃披萨和甜甜圈", ["person", "pizza", "donut"]),
        ("大学生和篮球运动员", ["person", "person"]),
    ],
)
def test_names_inside_words_are_found(text, classes):
    """Numbers, colours, verbs, and words that the dictionary cuts in the wrong place."""
    assert named(text) == classes


@pytest.mark.parametrize(
    ("text", "classes"),
    [
        ("滑雪板", ["skis|snowboard"]),
        ("一杯咖啡", ["cup|wine glass"]),
        ("一只小熊", ["bear|teddy bear"]),
        ("盘子旁边有刀叉", ["fork", "knife"]),
        ("桌椅", ["chair", "dining table"]),
    ],
)
def test_wide_and_double_names(text, classes):
    assert named(text) == classes


@pytest.mark.parametrize(
    "text",
    [
        "海狗、河马、海马、木马、蜗牛、犀牛、浣熊、羚羊",
        "机器人、雪人和稻草人",
        "公交车站、火车站、自行车道、停车场、电话亭、斑马线",
        "牛奶、牛肉、面包、书架、书店、床单、床头柜、桌布、牛仔裤、马铃薯、象棋、狗粮",
        "给人一种宁静的感觉，让人放松",
        "三点钟",
        "打网球、踢足球、棒球比赛、篮球场",
        "气球和地球",
        "卫生间和车辆",
        "橙色的天空",
        "马上就要开始了",
        "",
        "a dog and a 3.5 m long bus",
    ],
)
def test_what_is_no_object(text):
    assert named(text) == []


def test_a_ball_is_one_where_balls_are_counted():
    assert named("孩子在踢足球，地上有一个足球") == ["person", "sports ball"]
    assert named("一颗网球") == ["sports ball"] and named("他喜欢网球") == []
    assert named("墙上有一个钟") == ["clock"] and named("人在这里") == ["person"]


def test_what_was_said_is_kept():
    assert chinese_objects(["双层", "巴士", "旁边", "有", "公交", "车"]) == [
        ("双层巴士", ("bus",)),
        ("公交车", ("bus",)),
    ]
    assert chinese_objects(["热", "狗"]) == [("热狗", ("hot dog",))]

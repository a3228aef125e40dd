"""Objects in captions: words as the official scorers have them, and names of COCO's classes in Chinese and English."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from official import oracle

from skymm.evaluation.reading.english import singular, singular_as_published, tokens
from skymm.evaluation.reading.mentions import (
    Vocabulary,
    chinese_names,
    chinese_objects,
    official_mentions,
    read_vocabulary,
    strict_mentions,
)
from skymm.lexicon import vocabulary as words_of
from skymm.text import words

# In the official form, spaces in the wrong places included.
SYNONYMS = """person, girl, man, woman, people, adult, baby, passenger, player
motorcycle,  motor bike, motorbike
airplane, plane, jet
bus, minibus
train
bird, duck
dog, puppy
bear
tie, bow, bow tie
sports ball, ball
tennis racket, racket
wine glass
cup
cake,  cheesecake, cupcake
chair, seat
couch, sofa
dining table, table
toilet
laptop, computer, laptop computer
cell phone, phone, iPhone
hot dog
skis, ski
teddy bear
traffic light, street light
"""


@pytest.fixture
def vocabulary(tmp_path: Path) -> Vocabulary:
    (tmp_path / "synonyms.txt").write_text(SYNONYMS, "utf-8")
    return read_vocabulary(tmp_path / "synonyms.txt")


# --- English words ------------------------------------------------------------------------------------------------------

TOKENS = {
    "A dog.": "A dog .",
    "the dog's bowl": "the dog 's bowl",
    "the dogs' bowls.": "the dogs ' bowls .",
    "it isn't, we'll see": "it is n't , we 'll see",
    "a sign 'dog' here": "a sign ' dog ' here",
    "(dogs) [cat]": "( dogs ) [ cat ]",
    "dog... cat": "dog ... cat",
    "a semi-truck, 2.5 m at 5:45": "a semi-truck , 2.5 m at 5:45",
    "1,000 dogs,cats": "1,000 dogs , cats",
    "dogs! cats? birds; men": "dogs ! cats ? birds ; men",
    "dog. A cat.\n\nBirds.": "dog . A cat . Birds .",
    'says "a dog."': 'says " a dog . "',
    '"a dog." it says': '" a dog. " it says',
    "": "",
    " . ": ".",
    "''": "' '",
    "dog/cat": "dog/cat",
}


def test_tokens():
    assert {text: " ".join(tokens(text)) for text in TOKENS} == TOKENS


WORDS = (
    "person people man woman child children bus tennis glass glas skis ski scissors knife calf tie puppy mouse goose "
    "ox oxen couch vase sandwich bench potty thief canoe buffalo policeman"
)
SINGULARS = {  # word -> right, as published; one that is not in the list stays as it is
    **{"dogs": ("dogs", "dogs"), "bus": ("bus", "bu"), "buses": ("bus", "bus"), "tennis": ("tennis", "tenni")},
    **{"glass": ("glass", "glas"), "glasses": ("glass", "glass"), "skis": ("skis", "ski"), "skies": ("skies", "skies")},
    **{"scissors": ("scissors", "scissors"), "knives": ("knife", "knife"), "calves": ("calf", "calf")},
    **{"puppies": ("puppy", "puppy"), "potties": ("potty", "potty"), "ties": ("tie", "ties")},
    **{"thieves": ("thief", "thieves"), "canoes": ("canoe", "canoes"), "buffaloes": ("buffalo", "buffalo")},
    **{"women": ("woman", "woman"), "policemen": ("policeman", "policeman"), "mice": ("mouse", "mouse")},
    **{"grandchildren": ("grandchildren", "grandchildren"), "geese": ("goose", "goose"), "oxen": ("oxen", "oxen")},
    **{"couches": ("couch", "couch"), "vases": ("vase", "vase"), "sandwiches": ("sandwich", "sandwich")},
    **{"people": ("people", "people"), "this": ("this", "this")},
}


def test_singulars_right_and_with_the_published_mistakes():
    known = frozenset(WORDS.split())
    assert {word: (singular(word, known), singular_as_published(word, known)) for word in SINGULARS} == SINGULARS
    for word, known, one in (("people", "person", "person"), ("people", "dog", "people"), ("oxen", "ox", "ox")):
        assert singular(word, frozenset({known})) == one
    assert singular("children", frozenset({"child"})) == "child"


def test_the_published_table_of_singulars_comes_out_by_rule():
    """Every entry, as far as it makes a difference to what is counted."""
    table = json.loads(oracle("chair/singularize_table.json").read_text("utf-8"))
    vocabulary = json.loads(oracle("chair/chair_vocab.json").read_text("utf-8"))
    classes, pairs = vocabulary["inverse_synonym_dict"], vocabulary["double_word_dict"]
    known = frozenset(part for name in (*classes, *pairs) for part in name.split())
    meant = {word: classes.get(word, word if word in known else None) for word in {*known, *table, *table.values()}}
    mine = {word: singular_as_published(word, known) for word in table}
    assert len(table) == 199
    assert {word: meant.get(one) for word, one in mine.items()} == {word: meant[one] for word, one in table.items()}


# --- Chinese names ------------------------------------------------------------------------------------------------------


def test_names_are_of_the_80_classes_and_all_of_them_have_some():
    expected = {word.en for word in words_of("coco80")}
    things = [thing for named in chinese_names().values() for thing in named]
    assert len(expected) == 80 and {one for thing in things for one in thing} == expected
    assert {thing[0] for thing in things if len(thing) == 1} == expected


CHINESE = {
    **{
        "一只小狗趴在沙发上": "dog couch",
        "草地上有一只犬": "dog",
        "他在吃热狗": "hot_dog",
        "停车收费表": "parking_meter",
    },
    **{"手机和遥控器放在桌上": "cell_phone remote dining_table", "男人、女孩和人们": "person person person"},
    **{
        "一辆公交车、一辆卡车和一辆自行车": "bus truck bicycle",
        "长颈鹿和斑马": "giraffe zebra",
        "网球拍": "tennis_racket",
    },
    **{"红绿灯旁边有一个消防栓和停车标志": "traffic_light fire_hydrant stop_sign", "花瓶和盆栽": "vase potted_plant"},
    **{"厨房里有冰箱、微波炉、烤箱和水槽": "refrigerator microwave oven sink", "抱着泰迪熊的孩子": "teddy_bear person"},
    **{"戴着棒球手套的捕手和棒球棒": "baseball_glove person baseball_bat", "一只熊猫和一只北极熊": "bear bear"},
    **{
        "剪刀、牙刷和吹风机": "scissors toothbrush hair_drier",
        "苹果、香蕉、橙子、胡萝卜、西兰花": "apple banana orange carrot broccoli",
    },
    # names inside words: numbers, colours, verbs, and words that the dictionary cuts in the wrong place
    **{
        "一人一伞": "person umbrella",
        "两碗米饭和三瓶啤酒": "bowl bottle",
        "一只黑狗和一只白猫": "dog cat",
        "有几只羊": "sheep",
    },
    **{"孩子们和小朋友们": "person person", "他骑着马": "horse", "海滩上放风筝": "kite", "他们在看电视": "tv"},
    **{"小朋友们在吃披萨和甜甜圈": "person pizza donut", "大学生和篮球运动员": "person person"},
    # wide and double names; a ball is one where balls are counted
    **{"滑雪板": "skis|snowboard", "一杯咖啡": "cup|wine_glass", "一只小熊": "bear|teddy_bear"},
    **{"盘子旁边有刀叉": "fork knife", "桌椅": "chair dining_table", "墙上有一个钟": "clock", "人在这里": "person"},
    **{"孩子在踢足球，地上有一个足球": "person sports_ball", "一颗网球": "sports_ball", "他喜欢网球": ""},
    # what is no object
    **dict.fromkeys(
        ("海狗、河马、海马、木马、蜗牛、犀牛、浣熊、羚羊", "机器人、雪人和稻草人", "三点钟", "气球和地球"), ""
    ),
    **dict.fromkeys(
        ("公交车站、火车站、自行车道、停车场、电话亭、斑马线", "给人一种宁静的感觉，让人放松", "卫生间和车辆"), ""
    ),
    **dict.fromkeys(("牛奶、牛肉、面包、书架、书店、床单、床头柜、桌布、牛仔裤、马铃薯、象棋、狗粮", "橙色的天空"), ""),
    **dict.fromkeys(("打网球、踢足球、棒球比赛、篮球场", "马上就要开始了", "", "a dog and a 3.5 m long bus"), ""),
}


def test_objects_of_chinese_captions():
    found = {
        text: " ".join("|".join(classes).replace(" ", "_") for _, classes in chinese_objects(words(text)))
        for text in CHINESE
    }
    assert found == CHINESE


def test_what_was_said_is_kept():
    assert chinese_objects(["双层", "巴士", "旁边", "有", "公交", "车"]) == [
        ("双层巴士", ("bus",)),
        ("公交车", ("bus",)),
    ]
    assert chinese_objects(["热", "狗"]) == [("热狗", ("hot dog",))]


# --- mentions -----------------------------------------------------------------------------------------------------------

MENTIONS = [  # caption, by the rule of 2018, strictly
    ("Two dogs and a man.", "dog person", "dog person"),
    ("A dog, another dog and a puppy", "dog dog dog", "dog dog dog"),
    ("A bus and three buses", "bus", "bus bus"),
    ("a tennis racket", "tennis_racket", "tennis_racket"),  # officially by "racket" alone
    ("a tennis ball", "sports_ball", "sports_ball"),
    ("a glass, a wine glass and wine glasses", "wine_glass wine_glass", "wine_glass wine_glass"),
    ("a hot dog", "hot_dog", "hot_dog"),
    ("hot-dog stands", "", "hot_dog"),
    ("a dog-friendly place", "", ""),
    ("a baby bird and an adult bear", "bird bear", "bird bear"),
    ("a passenger train on a train track near home plate", "train", "train"),
    ("a teddy bear with a bow tie", "teddy_bear tie", "teddy_bear tie"),
    ("the toilet seat", "toilet", "toilet"),
    ("a toilet with its seat up", "toilet", "toilet"),
    ("a seat", "chair", "chair"),
    ("a dining table", "dining_table", "dining_table"),
    ("a cheesecake and an iPhone", "", "cake cell_phone"),
    ("a motor bike", "", "motorcycle"),  # the official list has it with a space before
    ("a pair of skis", "skis", "skis"),
    ("two ties", "", "tie"),
    ("the man's dog", "person dog", "person dog"),
    ("baby, bird", "person bird", "person bird"),
    ("People sit there", "person", "person"),
    ("nothing at all", "", ""),
    ("一只狗和一辆bus", "", "dog bus"),
    ("人们坐在沙发上。A man too", "person", "person couch person"),
    ("滑雪板", "", "skis|snowboard"),
]


def kinds(mentions: tuple) -> str:
    return " ".join("|".join(classes).replace(" ", "_") for _, classes in mentions)


def test_both_readings(vocabulary):
    found = []
    for caption, _, strictly in MENTIONS:
        strict = kinds(strict_mentions(vocabulary, caption))
        same = sorted(strict.split()) == sorted(strictly.split())
        found.append((caption, kinds(official_mentions(vocabulary, caption)), strictly if same else strict))
    assert found == MENTIONS
    # A table and its class are one word alone and never a pair, or "dining" would be missing from the words counted.
    assert "dining table" not in vocabulary.pairs and vocabulary.pairs["traffic light"] == "traffic light"


def test_a_table_of_singulars_goes_before_the_rules(tmp_path, vocabulary):
    (tmp_path / "singulars.json").write_text(json.dumps({"buses": "bus", "dogs": "dawg"}), "utf-8")
    by_table = read_vocabulary(tmp_path / "synonyms.txt", tmp_path / "singulars.json")
    assert kinds(official_mentions(by_table, "bus, buses, dogs, dog, men")) == "bus bus dog"
    assert kinds(official_mentions(vocabulary, "bus, buses, dogs, dog, men")) == "bus dog dog person"


def test_json_lists_say_the_same_and_wrong_ones_are_refused(tmp_path, vocabulary):
    lists = {"inverse_synonym_dict": dict(vocabulary.classes), "double_word_dict": dict(vocabulary.pairs)}
    (tmp_path / "vocab.json").write_text(json.dumps(lists), "utf-8")
    same = read_vocabulary(tmp_path / "vocab.json")
    assert (same.pairs, same.parts) == (vocabulary.pairs, vocabulary.parts)
    for name, content, message in (
        ("vocab.json", '{"classes": {}}', "expected inverse_synonym_dict and double_word_dict"),
        ("list.json", "[1]", "expected one JSON object"),
        ("page.txt", "a page about something else", "found no line 'name, synonym, synonym'"),
        ("missing.txt", None, "no file at"),
    ):
        if content is not None:
            (tmp_path / name).write_text(content, "utf-8")
        with pytest.raises(ValueError, match=message):
            read_vocabulary(tmp_path / name)


def test_every_mention_of_4000_official_captions():
    """From either form of the lists, and from the singulariser's table or the rules that stand in for it."""
    for model, mentions in (("instructblip", 2812), ("llava", 9955)):
        lines = oracle(f"chair/captions/Instruction2_{model}.json").read_text("utf-8").splitlines()
        captions = [json.loads(line)["text"] for line in lines]
        assert len(captions) == 2000
        for lists, table in (("chair_vocab.json", "singularize_table.json"), ("synonyms.txt", None)):
            vocabulary = read_vocabulary(oracle(f"chair/{lists}"), oracle(f"chair/{table}") if table else None)
            assert sum(len(official_mentions(vocabulary, caption)) for caption in captions) == mentions, (model, lists)

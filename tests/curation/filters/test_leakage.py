"""Evaluation data is known again, templates are not taken for it, and the index survives a file."""

from __future__ import annotations

import numpy as np
import pytest
from filter_pictures import candidate, encoded, photo
from PIL import Image

from skymm.conversation import Turn
from skymm.curation.filters.leakage import PICTURE, QUESTION, LeakageIndex
from skymm.curation.filters.pictures import Fingerprint

SHOWN = [encoded(photo(seed)) for seed in range(12)]


LONG_EN = "In which year did the person on the left of the picture win the second of her prizes in chemistry?"
LONG_ZH = (
    "图片左边的人在哪一年因为发现两种新的放射性元素而获得了她的第二个诺贝尔化学奖，当时她在哪所大学里担任教授的职位？"
)
TEMPLATE_EN = "Does this artwork belong to the type of painting that hangs in a museum? Please answer yes or no."
TEMPLATE_ZH = "这幅作品是不是属于挂在大型公立美术博物馆里面的那一种油画类型的作品？请回答是或者否，不要回答其他的内容。"


@pytest.fixture(scope="module")
def index() -> LeakageIndex:
    questions = [("Is there a dog in the image? Please answer yes or no.", [data]) for data in SHOWN]
    questions += [(LONG_EN, [SHOWN[0]]), (LONG_ZH, [SHOWN[1]])]
    questions += [(TEMPLATE_EN, [data]) for data in SHOWN[:2]] + [(TEMPLATE_ZH, [data]) for data in SHOWN[:2]]
    return LeakageIndex.build(questions)


def reason(index: LeakageIndex, *pictures: bytes, **fields) -> str | None:
    return index.reason(candidate(*pictures, **fields))


COPIES = {
    "the same bytes": lambda image: encoded(image),
    "re-encoded": lambda image: encoded(image, quality=30),
    "another format": lambda image: encoded(image, "PNG"),
    "halved": lambda image: encoded(image.resize((image.width // 2, image.height // 2))),
    "stretched": lambda image: encoded(image.resize((128, 128))),
    "mirrored": lambda image: encoded(image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)),
    "mirrored, scaled, re-encoded": lambda image: encoded(
        image.transpose(Image.Transpose.FLIP_LEFT_RIGHT).resize((100, 75)), quality=50
    ),
    "grey": lambda image: encoded(image.convert("L")),
    "1 % off": lambda image: encoded(image.crop((1, 1, image.width - 1, image.height - 1))),
}


def test_copies_are_found(index):
    for name, copy in COPIES.items():
        assert {reason(index, copy(photo(seed))) for seed in range(12)} == {PICTURE}, name
        assert reason(index, encoded(photo(99)), copy(photo(3))) == PICTURE, "among several"


def test_other_pictures_are_let_through(index):
    assert [reason(index, encoded(photo(seed))) for seed in range(100, 160)] == [None] * 60
    assert reason(index) is None


NEAR = [
    *((0, 8, 48, True), (0, 9, 0, False), (0, 0, 49, False)),
    *((1, 4, 16, True), (1, 5, 0, False), (1, 0, 17, False)),
]


def test_how_near_is_near():
    none, one = np.zeros(0, np.uint64), np.zeros(1, np.uint64)
    for plain, coarse, fine, found in NEAR:
        index = LeakageIndex(none, one, np.zeros((1, 4), np.uint64), one + np.uint64(plain), none)
        bits = (1 << fine) - 1
        seen = Fingerprint((1 << coarse) - 1, tuple(bits >> 64 * word & (1 << 64) - 1 for word in range(4)), (0, 0, 0))
        assert index.has_picture(seen) == found, (plain, coarse, fine)


def test_long_questions_are_found_wherever_they_stand(index):
    for text in (LONG_EN, LONG_ZH):
        inside = f"Here it is. {text} And so on."
        asked = {"turns": (Turn("user", inside), Turn("assistant", "!"))}
        answered = {"turns": (Turn("user", "?"), Turn("assistant", inside))}
        for fields in ({"captions": (inside,)}, asked, answered):
            assert reason(index, encoded(photo(99)), **fields) == QUESTION, fields
            assert reason(index, **fields) == QUESTION, "without a picture too"


NO_LEAKS = [
    *("Is there a dog in the image? Please answer yes or no.", TEMPLATE_EN, TEMPLATE_ZH, "图里有狗吗？"),
    " ".join(LONG_EN.split()[:12]),  # twelve words of it
    "When did the person on the right win a prize in physics, and who was there with her at that time?",
]


def test_templates_and_short_questions_are_no_leak(index):
    for text in NO_LEAKS:
        fields = {"turns": (Turn("user", text), Turn("assistant", "Yes"))}
        assert reason(index, encoded(photo(99)), **fields) is None, text
        assert reason(index, SHOWN[5], **fields) == PICTURE, "with the picture it is one"


def test_twelve_words_pass_and_thirteen_do_not(index):
    assert reason(index, captions=(" ".join(LONG_EN.split()[2:14]),)) is None
    thirteen = " ".join(LONG_EN.split()[2:15])
    assert reason(index, captions=(thirteen,)) == reason(index, captions=(f"{thirteen.upper()}!",)) == QUESTION


def test_pictures_that_do_not_decode_are_known_by_their_bytes():
    broken, blank = SHOWN[0][:900], encoded(Image.new("RGB", (64, 64), "white"))
    index = LeakageIndex.build([("?", [broken, blank])])
    assert len(index.coarse) == 0
    assert reason(index, broken) == PICTURE and reason(index, blank) == PICTURE
    assert reason(index, encoded(Image.new("RGB", (65, 64), "white"))) is None
    assert reason(index, SHOWN[1][:900]) == "unreadable image"


def test_save_and_load(index, tmp_path):
    path = tmp_path / "x.npz"
    index.save(path)
    again = LeakageIndex.load(path)
    assert reason(again, SHOWN[3]) == PICTURE and reason(again, captions=(LONG_ZH,)) == QUESTION
    assert {reason(again, encoded(photo(seed))) for seed in range(100, 110)} == {None}
    LeakageIndex.build([]).save(path)
    assert reason(LeakageIndex.load(path), SHOWN[0], captions=(LONG_EN,)) is None


def test_files_that_are_no_index_are_refused_and_nothing_in_them_runs(tmp_path):
    path, one = tmp_path / "x.npz", np.zeros(1, np.uint64)
    fields = dict.fromkeys(("exact", "coarse", "fine", "plain"), one)
    for content in (
        b"",
        b"PK\x03\x04 no zip",
        b"\x93NUMPY",
        b"\x80\x04N.",
        fields,
        {**fields, "grams": np.array([{}])},
    ):
        np.savez(path, **content) if isinstance(content, dict) else path.write_bytes(content)
        with pytest.raises(ValueError, match=r"x\.npz: .*LeakageIndex\.save"):
            LeakageIndex.load(path)
    with pytest.raises(ValueError, match=r"nowhere\.npz: .*build it anew"):
        LeakageIndex.load(tmp_path / "nowhere.npz")

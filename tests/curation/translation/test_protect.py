"""What may not change comes back as it was, or not at all."""

import random

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from skymm.curation.translation.protect import BRACKETS, LETTERS, Markers, protect, restore

STYLES = [BRACKETS, LETTERS, Markers("<x", "/>"), Markers("((", "))")]
# Full of what looks like a marker, or begins or ends one.
NASTY = st.lists(
    st.sampled_from(
        [
            *("⟦", "⟧", "⟦1⟧", "X", "X1X", "X 2 X", "1", "٣", "12", " ", "月", "万", " million", '"', "“", "”", "'"),
            *("<x", "/>", "<", ">", "[", "]", "(", ")", "((", "))", ",", ".", "-", "🐼", "\u200d", "\ufe0f", "$"),
            *("`", "a", "Tom", "狗", "\n", "{", "http://a.b", "@", "%s"),
        ]
    )
).map("".join)


@pytest.mark.parametrize("markers", STYLES)
@given(text=st.one_of(NASTY, st.text()))
@example("X1X3万X")
@example("5X⟦1⟧⟦⟧")
def test_any_text_comes_back(markers, text):
    protected = protect(text, ("Tom", "X", "狗"), markers)
    assert restore(protected.text, protected) == text


KEPT = {
    "There are 3 dogs and two cats.": ["3"],
    "两只狗和12只猫。": ["12"],
    "The dog is at [0.1, 0.25, 0.3, 0.4].": ["[0.1, 0.25, 0.3, 0.4]"],
    "<box>(1,2),(3,4)</box>里有什么？": ["<box>(1,2),(3,4)</box>"],
    'The sign says "STOP" and “慢”.': ["STOP", "慢"],
    "标牌上写着「小心地滑」。": ["小心地滑"],
    "The dogs' owner doesn't say 'hi there'.": ["hi there"],
    'A 32" TV and a 24" one.': ["32", "24"],
    "见https://a.cn/x?y=1。Mail me@b.org!": ["https://a.cn/x?y=1", "me@b.org"],
    "<image>\nWhat is {name}, %s or [IMG]?": ["<image>", "{name}", "%s", "[IMG]"],
    "一只🐼和👨‍👩‍👧。": ["🐼", "👨‍👩‍👧"],
    "At 10:30 it is -5 degrees; 1,000 people, 50%.": ["10:30", "-5", "1,000", "50%"],
    "It costs $5 or $10, MP3 and 3D, covid-19.": ["5", "10", "MP3", "3D", "covid-19"],
    "The 1980s, 1st, 5pm and 5 PM.": ["1980", "1", "5", "5"],
    "Solve $x^2 + 1$ with `print(3)`.": ["$x^2 + 1$", "`print(3)`"],
    # Written otherwise in the other language: March, 30,000, 300万.
    "3月有3万人。": [],
    "3 million people in 12 months": ["12"],
    "a < b and c > d": [],
    "Tom和小明看Tommy": ["Tom", "小明"],
}


def test_what_is_protected():
    assert {text: list(protect(text, ("小明", "Tom")).pieces) for text in KEPT} == KEPT


def test_the_order_may_change_and_spaces_do_no_harm():
    protected = protect('3 dogs and "cats" at 5:00', (), LETTERS)
    assert protected.text == 'X1X dogs and "X2X" at X3X'
    assert restore("X3X有 X 1 X 只狗和“X2X”", protected) == "5:00有 3 只狗和“cats”"


def test_lost_doubled_made_up_or_altered_is_no_translation():
    for markers in STYLES:
        protected = protect("3 dogs, 5 cats", (), markers)
        one, two, three = markers(1), markers(2), markers(3)
        assert restore(f"{one}只狗，{two}只猫", protected) == "3只狗，5只猫"
        lost, doubled, made_up = f"{one}只狗", f"{one}只狗，{two}只猫{two}", f"{one}{two}{three}"
        altered = (f"{one}只狗，{two[:-1]}只猫", "3只狗，5只猫", f"{one}，{markers('02')}", f"{one}，{markers('２')}")
        for spoiled in (lost, doubled, made_up, *altered):
            assert restore(spoiled, protected) is None, spoiled


def test_what_looks_like_a_marker_is_protected_whole():
    """A model would stumble over ⟦⟦1⟧⟧."""
    assert protect("a ⟦7⟧ b").text == "a ⟦1⟧ b" and protect("a X7X b", (), LETTERS).text == "a X1X b"


def test_half_a_bracket_left_over_is_altered():
    protected = protect("3 dogs")
    assert restore("⟦1⟧只狗", protected) and restore("⟦1⟧⟧只狗", protected) is None


def test_english_sets_figures_apart():
    protected = protect("有3只狗，5点，1日", (), LETTERS)
    translation = "There areX1Xdogs at X2Xpm on the X3Xst"
    assert restore(translation, protected) == "There are3dogs at 5pm on the 1st"
    assert restore(translation, protected, "en") == "There are 3 dogs at 5pm on the 1st"


def test_long_and_nasty_texts_take_no_time():
    rng = random.Random("long")
    import time

    start = time.perf_counter()
    for alphabet in ("(1", "[.,;1 -", "aA-1", "\"'“”a ", "{}<>a", "X1 ", "👩\u200d1", "`$\\(["):
        text = "".join(rng.choice(alphabet) for _ in range(4000))
        protect(text)
        protect(alphabet[0] * 4000)
    assert time.perf_counter() - start < 3

"""Records through the whole step, with a translator that knows its sentences and nothing else."""

import random
from collections import Counter

import pytest

from skymm.conversation import Conversation, Turn, parse
from skymm.curation.record import Caption, Facts, Picture, Record, Thing
from skymm.curation.translation import AMID_TEXT, PREFERENCE, TWO_LANGUAGES, checks, translate_records
from skymm.curation.translation.cache import TranslationCache
from skymm.curation.translation.translators import TranslationStopped, Translator
from skymm.recipe.data import TranslationRecipe

WORDS = {
    "Is there a dog?": "有狗吗？",
    "Yes": "是",
    "No": "没有",
    "No, there is no dog.": "没有，没有狗。",
    "A dog lies on a red sofa.": "一只狗躺在红色沙发上。",
    "The sign next to the dog says ⟦1⟧.": "狗旁边的标牌上写着⟦1⟧。",
    "How many cats are there?": "有多少只猫？",
    "There are ⟦1⟧ cats at ⟦2⟧.": "⟦2⟧处有⟦1⟧只猫。",
    "You look at pictures.": "你看图。",
    "There is a cat on the table.": "有一只猫在桌子上。",
}


class Known(Translator):
    """Every text that it does not know has no translation; `asked` are all texts that it was given."""

    name = identity = "known"

    def __init__(self, words=WORDS, batch_size=3, lives=10**9):
        self.words = {"zh": dict(words), "en": {chinese: english for english, chinese in words.items()}}
        self.batch_size, self.asked, self.lives = batch_size, [], lives

    def translate(self, texts, source, target):
        assert 0 < len(texts) <= self.batch_size
        self.lives -= 1
        if self.lives < 0:
            raise TranslationStopped("gone", {0: self.words[target].get(texts[0], "")})
        self.asked += texts
        return [self.words[target].get(text, "") for text in texts]


@pytest.fixture
def run(tmp_path):
    def run(records, translator=None, cache="cache", **more):
        recipe = TranslationRecipe(**{"model": "known", "to": "zh", "min_round_trip": 0} | more)
        translator = translator or Known()
        return translate_records(records, recipe, (translator, translator), TranslationCache(tmp_path / cache))

    return run


def talk(*texts, **fields):
    return tuple(
        Turn("assistant" if index % 2 else "user", text, **(fields if index % 2 else {}))
        for index, text in enumerate(texts)
    )


PICTURES = {"jpg": Picture(data=b"a picture")}
FACTS = Facts(things=(Thing("dog", 1),), complete="coco80")


def test_captions_stand_beside_their_originals(run):
    record = Record("a", PICTURES, (Caption("A dog lies on a red sofa.", "en"),), (), FACTS, {"licence": "x"})
    [made], reasons = run([record])
    assert made == Record(
        "a", PICTURES, (*record.captions, Caption("一只狗躺在红色沙发上。", "zh")), (), FACTS, {"licence": "x"}
    )
    assert reasons == {}


def test_a_conversation_becomes_a_record_beside_its_own(run):
    turns = (
        Turn("system", "You look at pictures."),
        Turn("user", "Is there a dog?", ("0.jpg", "1.png")),
        Turn("assistant", "No, there is no dog.", (), "negative", "existence", "en"),
        Turn("user", "How many cats are there?"),
        Turn("assistant", "There are 12 cats at [0.5, 0.25].", (), "positive", "count"),
    )
    captions = (Caption("A dog lies on a red sofa.", "en"),)
    record = Record("a", PICTURES, captions, turns, FACTS, {"licence": "x"})
    [first, second], reasons = run([record])
    assert reasons == {} and first.turns == turns and len(first.captions) == 2 and first.key == "a"
    assert second == Record(
        "a-zh",
        PICTURES,
        (),
        (
            Turn("system", "你看图。"),
            Turn("user", "有狗吗？", ("0.jpg", "1.png")),
            Turn("assistant", "没有，没有狗。", (), "negative", "existence", "zh"),
            Turn("user", "有多少只猫？"),
            Turn("assistant", "[0.5, 0.25]处有12只猫。", (), "positive", "count", "zh"),
        ),
        FACTS,
        {"licence": "x", "translated_from": "en"},
    )
    conversation = Conversation(second.key, second.turns, second.extra)
    assert parse(conversation.to_json(), "a-zh") == conversation, "it can be written to a shard"


def test_in_place_of_the_original(run):
    captions = (Caption("A dog lies on a red sofa.", "en"), Caption("Unknown words.", "en"))
    records = [Record("a", PICTURES, captions, talk("Is there a dog?", "Yes"), FACTS)]
    [made], reasons = run(records, keep_original=False)
    assert made.key == "a" and made.pictures == PICTURES and made.facts == FACTS
    assert made.captions == (Caption("一只狗躺在红色沙发上。", "zh"), captions[1])
    assert [turn.text for turn in made.turns] == ["有狗吗？", "是"] and made.extra == {"translated_from": "en"}
    assert reasons == {"the model gave no translation": 1}


def test_a_conversation_is_translated_whole_or_not_at_all(run):
    turns = talk("Is there a dog?", "Yes", "Unknown words?", "Further unknown words.")
    for keep in (True, False):
        made, reasons = run([Record("a", turns=turns)], keep_original=keep)
        assert made == [Record("a", turns=turns)] and reasons == {"the model gave no translation": 1}


def test_what_is_there_in_the_language_already_is_left_alone(run):
    translator = Known()
    records = [
        Record("a", captions=(Caption("图里有狗。", "zh"), Caption("A dog lies on a red sofa.", "en"))),
        Record("b", turns=talk("有狗吗？", "是")),
        Record("c", turns=talk("3 + 4 = ?", "7", language="en")),
        Record("d"),
    ]
    assert run(records, translator) == (records, {}) and translator.asked == []


PLACED = (Turn("user", "Which is redder,  or ?", ("0.jpg", "1.jpg"), places=(17, 21)), Turn("assistant", "Yes"))
STAY = [
    # To translate a translation exercise would ask for what is said already.
    (TWO_LANGUAGES, {"turns": talk("What is 狗 in English?", "dog", "Is there a dog?", "有")}),
    (PREFERENCE, {"turns": talk("Is there a dog?", "Yes"), "extra": {"rejected": "No"}}),
    (AMID_TEXT, {"turns": PLACED}),
]


@pytest.mark.parametrize(("reason", "fields"), STAY)
def test_conversations_that_stay_as_they_are(run, reason, fields):
    translator, records = Known(), [Record("a", **fields)]
    assert run(records, translator) == (records, {reason: 1}) and translator.asked == []


def test_quoted_writing_and_given_names_do_not_change_the_language(run):
    words = {"What does ⟦1⟧ say?": "⟦1⟧说什么？", "It says “⟦1⟧”.": "上面写着“⟦1⟧”。"}
    records = [Record("a", turns=talk("What does Rex say?", "It says “小心狗”."))]
    made, reasons = run(records, Known(words), protect=["Rex"])
    assert reasons == {} and [turn.text for turn in made[1].turns] == ["Rex说什么？", "上面写着“小心狗”。"]


def test_writing_in_the_picture_stays_where_it_stands_out(run):
    facts = Facts(texts=("SLOW DOWN", "dog", "A"))
    records = [Record("a", captions=(Caption("The sign next to the dog says SLOW DOWN.", "en"),), facts=facts)]
    [made], reasons = run(records)
    assert reasons == {} and made.captions[1].text == "狗旁边的标牌上写着SLOW DOWN。"


def test_numbers_alone_need_no_model(run):
    translator = Known()
    made, reasons = run(
        [Record("a", turns=talk("How many cats are there?", "25", "Is there a dog?", "“小心”"))], translator
    )
    assert reasons == {} and [turn.text for turn in made[1].turns] == ["有多少只猫？", "25", "有狗吗？", "“小心”"]
    assert len(translator.asked) == 2
    made, reasons = run([Record("b", turns=talk("有狗吗？", "Adidas", language="zh"))], to="en")
    assert reasons == {} and [turn.text for turn in made[1].turns] == ["Is there a dog?", "Adidas"]
    assert made[1].key == "b-en" and made[1].extra == {"translated_from": "zh"}


def test_the_round_trip_tells_bad_translations_from_good_ones(run):
    class Forgetful(Known):
        def translate(self, texts, source, target):
            said = super().translate(texts, source, target)
            if target == "en":
                return ["The stock market fell." if "沙发" in text else one for text, one in zip(texts, said)]
            return said

    captions = (Caption("A dog lies on a red sofa.", "en"), Caption("There is a cat on the table.", "en"))
    translator = Forgetful()
    [made], reasons = run([Record("a", captions=captions)], translator, min_round_trip=30)
    assert [one.text for one in made.captions[2:]] == ["有一只猫在桌子上。"]
    assert reasons == {"the round trip came back different": 1} and len(translator.asked) == 4
    [made], reasons = run([Record("a", captions=captions)], min_round_trip=0)
    assert len(made.captions) == 4


def test_broken_text_is_counted_and_reaches_no_model(run):
    translator = Known()
    captions = tuple(
        Caption(text, "en") for text in ("half \ud83d a pair", "\udc00", "A dog lies on a red sofa.", "  ", "...")
    )
    [made], reasons = run([Record("a", captions=captions)], translator)
    assert reasons == {"the text is not valid Unicode": 2}
    assert made.captions[5].text == "一只狗躺在红色沙发上。" and translator.asked == ["A dog lies on a red sofa."]
    broken = Known({"A dog lies on a red sofa.": "一只狗\ud83d躺在红色沙发上。"})
    assert run(records := [Record("a", captions=captions[2:3])], broken, cache="other") == (
        records,
        {"the model gave no translation": 1},
    )


def some_records(rng):
    texts = [text.replace("⟦1⟧", "7").replace("⟦2⟧", "(3, 4)") for text in WORDS if "sign" not in text] + [
        "Unknown.",
        "No?",
    ]
    return [
        Record(
            f"r{n}",
            captions=tuple(Caption(rng.choice(texts), "en") for _ in range(rng.randint(0, 3))),
            turns=talk(*(rng.choice(texts) for _ in range(2 * rng.randint(0, 3)))),
        )
        for n in range(40)
    ]


@pytest.mark.parametrize("keep", [True, False])
def test_what_comes_out_does_not_depend_on_what_stands_beside(run, keep):
    rng = random.Random("records")
    records = some_records(rng)
    together, reasons = run(records, cache="a", keep_original=keep, min_round_trip=30)
    alone, sum_of_reasons = [], Counter()
    for record in records:
        made, why = run([record], Known(batch_size=1), cache="b", keep_original=keep, min_round_trip=30)
        alone += made
        sum_of_reasons += why
    assert together == alone and reasons == sum_of_reasons and 0 < sum(reasons.values()) < 60
    assert [record.key for record in together if not record.key.endswith("-zh")] == [record.key for record in records]
    assert any(record.key.endswith("-zh") for record in together) == keep


def test_a_run_that_was_stopped_goes_on_and_asks_nothing_twice(run):
    records = some_records(random.Random("stopped"))
    expected = run(records, cache="whole")
    asked = []
    for lives in (1, 0, 2):
        translator = Known(lives=lives, batch_size=2)
        with pytest.raises(TranslationStopped, match="gone"):
            run(records, translator)
        asked += translator.asked
    translator = Known(batch_size=2)
    assert run(records, translator) == expected
    assert max(Counter([*asked, *translator.asked]).values()) == 1
    whole = Known()
    run(records, whole, cache="third")
    assert len(asked) + len(translator.asked) + 3 == len(whole.asked), "what came before each stop counts too"


def test_a_missing_tool_is_told_before_anything_is_translated(run, monkeypatch):
    translator = Known()

    def missing():
        raise ValueError("pip install sacrebleu")

    monkeypatch.setattr(checks, "chrf", missing)
    with pytest.raises(ValueError, match="pip install sacrebleu"):
        run([Record("a", captions=(Caption("A dog lies on a red sofa.", "en"),))], translator, min_round_trip=30)
    assert translator.asked == []

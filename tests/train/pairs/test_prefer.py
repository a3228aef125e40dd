"""Preference pairs made with a model: every way, in both languages, the same after a kill, and refused where lengths tell."""

import io
import json
from dataclasses import replace

import pytest
import torch
from parrot import Parrot
from PIL import Image

from skymm.answering.protocol import Reply
from skymm.conversation import Conversation, Turn
from skymm.curation.facts.co_occurrence import Statistics
from skymm.curation.facts.scoring import Scorer, furthest, record_of
from skymm.data.shard_writing import write_shards
from skymm.data.shards import CARD, conversation_of, read_shard
from skymm.train.pairs.audit import balanced, examine, refusals, warnings
from skymm.train.pairs.make import AUDIT, JOURNAL, prefer, refusal
from skymm.train.pairs.ways import Making

FACTS = {"things": [{"name": "dog", "count": 1}, {"name": "person", "count": 1}], "complete": "coco80"}
LAST = {  # the last question of a sample, and its answer
    "caption en": ("Describe it.", "A dog sits beside a man.", "caption", "positive"),
    "caption zh": ("描述一下。", "一只狗坐在一个男人旁边。", "caption", "positive"),
    "existence en": ("Is there a cat?", "No, there is no cat.", "existence", "negative"),
    "existence zh": ("图里有狗吗？", "有，图里有狗。", "existence", "positive"),
}


def picture(number):
    data = io.BytesIO()
    Image.new("RGB", (32, 32), (9 * number, 255 - 9 * number, 99)).save(data, "PNG")
    return data.getvalue()


@pytest.fixture(scope="module")
def shards(tmp_path_factory):
    """Twelve samples in three shards, each with an earlier question; and one without a picture, one that is broken."""
    samples = []
    for number in range(12):
        name = list(LAST)[number % 4]
        question, answer, kind, polarity = LAST[name]
        turns = (
            Turn("user", "Is there a bus?", ("png",)),
            Turn("assistant", "No.", (), "negative", "existence", "en"),
            Turn("user", question),
            Turn("assistant", answer, (), polarity, kind, name[-2:]),
        )
        talk = Conversation(f"s{number:02d}", turns, {"facts": FACTS, "licence": "mine", "source": "me"})
        samples.append((talk, {"png": picture(number)}))
    samples.append((Conversation("text", (Turn("user", "Who?"), Turn("assistant", "Nobody.", language="en"))), {}))
    samples.append((replace(samples[0][0], key="broken"), {"png": b"no picture"}))
    directory = tmp_path_factory.mktemp("shards")
    write_shards(samples, directory, "in", 5)
    return directory


def made(out):
    return [conversation_of(sample) for path in sorted(out.glob("*.tar")) for sample in read_shard(path)]


def bytes_of(out):
    return {path.name: path.read_bytes() for path in out.iterdir() if path.suffix in (".tar", ".json")}


def hallucinating(ask):
    """As wrong as it can be: the opposite, or a cat where there is none."""
    chinese = any("\u4e00" <= one <= "\u9fff" for one in ask.prompt)
    if "Is there" in ask.prompt or "图里有" in ask.prompt:
        return "Yes, there is a cat." if not chinese else "没有，图里没狗。"
    return "A cat sits beside a man." if not chinese else "一只猫坐在一个男人旁边。"


def test_weakened_is_what_the_policy_says_of_the_picture_under_noise(shards, tmp_path):
    policy = Parrot(hallucinating)
    audit = prefer(shards, tmp_path / "out", Making(("weakened",), step=700), policy)
    found = made(tmp_path / "out")
    assert audit["pairs"] == len(found) == 12 and audit["left out"] == {
        "weakened": {"shows no picture": 1, "unreadable image": 1}
    }
    assert {(row["language"], row["pairs"], row["languages differ"]) for row in audit["rows"]} == {
        ("en", 6, 0),
        ("zh", 6, 0),
    }
    for talk in found:
        ask = next(one for one in policy.asked if one.id == talk.key.partition("-")[0])
        assert talk.targets[-1].text == LAST[f"{talk.targets[-1].kind} {talk.targets[-1].language}"][1]
        assert talk.extra["rejected"] == hallucinating(ask) and talk.extra["error"] == "weakened"
        assert len(talk.turns) == 4 and ask.history == talk.turns[:2] and ask.sampling.temperature == 0
        how = talk.extra["made"]
        assert (how["way"], how["model"], how["step"]) == ("weakened", "parrot", 700)
        assert how["scores"]["rejected"]["wrong"] and not how["scores"]["chosen"]["wrong"]
        assert (talk.extra["licence"], talk.extra["source"]) == ("mine", "me")
        sent = Image.open(io.BytesIO(ask.images[0]))
        assert len(sent.getcolors(1 << 16)) > 500, "the picture of one color has noise on it"
    assert json.loads((tmp_path / "out" / AUDIT).read_text()) == audit


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        (lambda ask: ask.prompt.rpartition("Answer: ")[2].partition("\n")[0], "both sides are the same"),
        (lambda ask: "一只猫坐在一个男人旁边。", "little of the answer is left"),
        (lambda ask: "Yes, a cat.", "little of the answer is left"),
        (lambda ask: "A dog sits beside a man. " * 3, "one side has more than 2 times the words"),
        (lambda ask: Reply("A", finish_reason="length"), "the answer was cut (--max-new-tokens)"),
        (lambda ask: Reply("", error="gone"), "no answer"),
    ],
)
def test_an_injected_error_that_is_none_is_left_out(shards, tmp_path, said, reason):
    """English captions of three samples; other samples get a good error."""
    writer = Parrot(lambda ask: said(ask) if "Answer: A dog sits" in ask.prompt else "没有改")
    making = Making(("injected",))
    with pytest.raises(ValueError, match="no pair came out"):
        prefer(shards, tmp_path / "out", making, Parrot(), writer)
    audit = json.loads((tmp_path / "out" / AUDIT).read_text())
    assert audit["left out"]["injected"][reason] >= 3


def test_injected_is_asked_in_the_language_of_the_answer_without_pictures(shards, tmp_path):
    answers = {
        "A dog sits": "Changed answer: A cat sits beside a man.\n\nQuestion: And",
        "一只狗坐": "改动后的回答：一只猫坐在一个男人旁边。",
    }
    writer = Parrot(
        lambda ask: next(
            (
                Reply(one, finish_reason="length" if "\n" in one else "stop")
                for start, one in answers.items()
                if start in ask.prompt
            ),
            Reply("嗯 no"),
        )
    )
    policy = Parrot()
    policy.base_llm = lambda: writer
    prefer(shards, tmp_path / "out", Making(("injected",)), policy)
    assert not policy.asked
    found = made(tmp_path / "out")
    assert {talk.extra["rejected"] for talk in found} == {"A cat sits beside a man.", "一只猫坐在一个男人旁边。"}
    assert not any(ask.images for ask in writer.asked)
    for ask in writer.asked:
        assert ask.prompt.rstrip().endswith(("Changed answer:", "改动后的回答："))
    assert found[0].extra["made"]["scores"]["rejected"] == {"right": ["man"], "wrong": ["cat"]}


def test_rules_need_no_model(shards, tmp_path):
    prefer(shards, tmp_path / "out", Making(("rule",)))
    found = made(tmp_path / "out")
    assert found and all(talk.turns[0].images == ("png",) and len(talk.turns) == 2 for talk in found)
    assert {talk.extra["made"]["way"] for talk in found} == {"rule"} and {
        talk.targets[0].language for talk in found
    } == {"en", "zh"}
    assert all(talk.extra["error"] == talk.targets[0].kind for talk in found)


def test_on_policy_takes_the_best_and_the_worst_of_several_answers(shards, tmp_path):
    texts = [
        "Here is a cat on a chair.",
        "A man with a cat here.",
        "A man with a dog here.",
        "It is nice.",
        "一只狗在这里。",
    ]
    said = iter(texts * 3)
    policy = Parrot(lambda ask: next(said) if "Describe" in ask.prompt else "？")
    prefer(shards, tmp_path / "out", Making(("on_policy",), answers=5, temperature=0.7), policy)
    found = made(tmp_path / "out")
    assert len(found) == 3 and {ask.sampling.temperature for ask in policy.asked} == {0.7}
    for talk in found:
        assert (talk.targets[-1].text, talk.extra["rejected"]) == (texts[2], texts[0]), "two things made up before one"
        assert talk.extra["made"]["scores"] == {
            "chosen": {"right": ["man", "dog"], "wrong": []},
            "rejected": {"right": [], "wrong": ["cat", "chair"]},
        }
    left_out = json.loads((tmp_path / "out" / AUDIT).read_text())["left out"]["on_policy"]
    assert left_out["no answer is truer than another"] == 9 and left_out["shows no picture"] == 1


def test_sentences_go_on_from_what_is_true(shards, tmp_path):
    firsts, seconds = ["A cat is here. X", "A dog is here. X"], ["A bus is near. X", "A man is near. X"]
    turn = iter(range(10**6))

    def say(ask):
        those = {"": firsts, "A dog is here.": seconds, "一": firsts}.get(ask.said, ["Good night."])
        return those[next(turn) % 2 % len(those)]

    making = Making(("on_policy",), answers=4, describe=True, sentences=True, seed=1)
    policy = Parrot(say)
    audit = prefer(shards, tmp_path / "out", making, policy)
    found = made(tmp_path / "out")
    told = {(talk.extra["made"].get("given", ""), talk.targets[-1].text, talk.extra["rejected"]) for talk in found}
    assert told == {
        ("", "A dog is here.", "A cat is here."),
        ("A dog is here.", "A dog is here. A man is near.", "A dog is here. A bus is near."),
    }
    assert {"A dog is here.", "A dog is here. A man is near."} < {ask.said for ask in policy.asked}
    assert audit["rows"][0]["mean words, chosen"] == 4, "what both sides have in common is not counted"
    assert all(len(talk.turns) == 2 and talk.turns[0].images == ("png",) for talk in found)


def dicing(ask):
    """Sampled answers are true or not by torch's dice, as a model's are."""
    if not ask.sampling.temperature or torch.rand(1) < 0.5:
        return hallucinating(ask)
    return next(answer for question, answer, *_ in LAST.values() if question == ask.prompt)


def test_the_same_bytes_after_a_kill_and_nobody_is_asked_twice(shards, tmp_path):
    making = Making(("weakened", "rule", "on_policy"), answers=2, batch_size=2)
    torch.manual_seed(1)
    prefer(shards, tmp_path / "whole", making, Parrot(dicing))
    torch.manual_seed(3)  # whatever was diced before plays no part
    with pytest.raises(KeyboardInterrupt):
        prefer(shards, tmp_path / "out", making, Parrot(dicing, dies_after=9))
    with (tmp_path / "out" / JOURNAL).open("a") as file:
        file.write('{"shard": 0, "half')
    going_on = Parrot(dicing)
    prefer(shards, tmp_path / "out", making, going_on)
    assert bytes_of(tmp_path / "out") == bytes_of(tmp_path / "whole")
    assert len(going_on.asked) == 36 - 6, "the batch that was whole before the kill is kept"
    assert "on_policy" in {talk.extra["made"]["way"] for talk in made(tmp_path / "out")}


def test_what_was_begun_otherwise_is_refused(shards, tmp_path):
    making = Making(("weakened",))
    with pytest.raises(KeyboardInterrupt):
        prefer(shards, tmp_path / "out", making, Parrot(dies_after=0))
    for other, policy in ((replace(making, step=100), Parrot()), (making, Parrot(name="another"))):
        with pytest.raises(ValueError, match=r"answers.jsonl was begun with another (step|model) "):
            prefer(shards, tmp_path / "out", other, policy)
    prefer(shards, tmp_path / "out", making, Parrot(hallucinating))
    with pytest.raises(ValueError, match="already holds finished shards"):
        prefer(shards, tmp_path / "out", making, Parrot(hallucinating))
    with pytest.raises(ValueError, match="found way 'weak', expected some of weakened, injected, rule, on_policy"):
        Making(("weak",))
    with pytest.raises(ValueError, match="--writer"):
        prefer(shards, tmp_path / "new", Making(("injected",)), Parrot())


def test_lengths_that_tell_are_refused_and_mended_without_asking_again(shards, tmp_path):
    def longer(ask):
        return hallucinating(ask).rstrip(".。") + (" again and again." if ask.prompt.isascii() else "又是这样的。")

    making = Making(("weakened",))
    with pytest.raises(ValueError, match=r"weakened \(en\): always the shorter answer is right in 100% of 6 pairs"):
        prefer(shards, tmp_path / "out", making, Parrot(longer))
    assert not (tmp_path / "out" / CARD).exists() and json.loads((tmp_path / "out" / AUDIT).read_text())["refused"]
    silent = Parrot(dies_after=0)
    with pytest.raises(ValueError, match="for the balance of lengths"):
        prefer(shards, tmp_path / "out", making, silent, balance_lengths=True)


def pair(chosen, rejected, way="weakened", language="en"):
    about = {"key": "k", "question": "q", "given": "", "kind": way}
    return {"way": way, "language": language, "chosen": chosen, "rejected": rejected, **about}


@pytest.mark.parametrize(
    ("chosen", "rejected", "language", "asks", "reason"),
    [
        ("No, there is none.", "Nope, not one.", "en", True, "both sides say the same"),
        ("有，图里有狗。", "白色。", "zh", True, "one side says neither yes nor no"),
        ("A dog.", "a  dog.", "en", False, "both sides are the same"),
        ("A dog.", "一只猫。", "en", False, "in another language"),
        ("一只狗。", "A cat.", "zh", False, "in another language"),
        ("A dog.", "A cat and a bus.", "en", False, "one side has more than 2 times the words"),
        ("Yes.", "No.", "en", True, None),
        ("三只狗。", "四只狗。", "zh", False, None),
        ("3", "4", "zh", False, None),
    ],
)
def test_why_a_pair_goes(chosen, rejected, language, asks, reason):
    about = {"question": "Is there a dog?" if language == "en" else "图里有狗吗？", "asks yes or no": asks}
    assert refusal(pair(chosen, rejected, language=language) | about, 2) == reason


def test_the_audit_measures_what_can_be_told_without_reading():
    longer, shorter, even = pair("a b c d", "a b"), pair("a b", "a b c d"), pair("a b", "b a")
    assert not refusals(examine([longer, shorter] * 50)) and not refusals(examine([even] * 50))
    assert "always the longer" in refusals(examine([longer] * 3 + [shorter] * 1 + [longer] * 40))[0]
    assert not refusals(examine([longer] * 3)), "three say nothing"
    far = [pair("a b c d e f g h", "a")] * 30 + [pair("a", "a b")] * 30
    assert "8" not in (told := refusals(examine(far)))[0] and "chosen answers have 4.5 words on average" in told[0]
    assert "100% of 40 chosen answers" in warnings(examine([pair("No.", "Yes.")] * 40))[0]
    assert not warnings(examine([pair("No.", "Yes."), pair("有。", "没有。")] * 40))
    furthest_apart = pair("a b c d e f g", "a")
    kept, gone = balanced([longer, furthest_apart, shorter, even, pair("一二三 四", "五", language="zh")])
    assert kept == [longer, shorter, even] and gone[0] == furthest_apart and len(gone) == 2
    assert examine([pair("A dog.", "一只狗。")])[0]["languages differ"] == 1


@pytest.mark.parametrize(
    ("text", "language", "right", "wrong"),
    [
        ("A puppy and a woman on a couch.", "en", ("dog", "woman"), ("couch",)),
        ("A swan in the street.", "en", (), ("swan",)),
        ("There is no cat. An animal lies on the grass.", "en", ("animal",), ()),
        ("一只小狗和一辆公交车。", "zh", ("dog",), ("bus",)),
        ("没有猫，也没有公交车。", "zh", (), ()),
    ],
)
def test_a_thing_is_right_wrong_or_neither(text, language, right, wrong):
    talk = Conversation("k", (Turn("user", "?", ("jpg",)), Turn("assistant", "!")), {"facts": FACTS})
    score = Scorer(record_of(talk), Statistics()).score(text, language)
    assert (score.right, score.wrong) == (right, wrong)


def test_what_only_a_denial_names_may_be_made_up():
    asked = (Turn("user", "Is there a cat?", ("jpg",)), Turn("assistant", "No.", (), "negative", "existence", "en"))
    told = (Turn("user", "What else?"), Turn("assistant", "A bus stop.", (), None, None, "en"))
    scorer = Scorer(record_of(Conversation("k", asked + told, {"facts": FACTS})), Statistics())
    assert scorer.score("A cat and a bus.", "en").wrong == ("cat",), "what an answer brings up may be there"


def test_of_equals_those_of_like_length_are_set_against_each_other():
    talk = Conversation("k", (Turn("user", "?", ("jpg",)), Turn("assistant", "!")), {"facts": FACTS})
    texts = ["A dog.", "A dog that sleeps in the sun.", "A cat that sleeps in the sun here.", "Sun."]
    scorer = Scorer(record_of(talk), Statistics())
    scores = [scorer.score(text, "en") for text in texts]
    assert furthest(texts, scores) == (1, 2)
    assert furthest(texts[2:], scores[2:]) is None, "silence is no true answer"


def test_with_a_model_on_disk_through_the_door(shards, tmp_path, tiny_model, monkeypatch, capsys):
    """Random weights say nothing that is one, so what is seen is that all are asked, alike in two runs, and counted."""
    from skymm import cli

    for part in tiny_model:
        part.save_pretrained(tmp_path / "model")
    lines = []
    for out in ("one", "two"):
        ways = [word for way in ("weakened", "injected", "on_policy") for word in ("--way", way)]
        arguments = ["data", "prefer", shards, "--model", tmp_path / "model", "--out", tmp_path / out, *ways]
        monkeypatch.setattr("sys.argv", ["skymm", *map(str, arguments), "--max-new-tokens", "6", "--answers", "2"])
        with pytest.raises(SystemExit):
            cli.main()
        lines.append((tmp_path / out / JOURNAL).read_text())
        audit = json.loads((tmp_path / out / AUDIT).read_text())
        for way in ("weakened", "injected", "on_policy"):
            pairs = sum(row["pairs"] for row in audit["rows"] if row["way"] == way)
            assert pairs + sum(audit["left out"][way].values()) == 14
    assert lines[0] == lines[1] and "unreadable image" in lines[0]

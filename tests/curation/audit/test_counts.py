"""Every number is what was put in, whoever counts; what is kept does not depend on how the data is cut; what cannot be read
is told."""

import json
import pickle
import random

import pytest

from skymm.conversation import parse
from skymm.curation.audit.counts import Counts, Lowest, count_shards, digest
from skymm.curation.audit.findings import findings
from skymm.curation.filters.leakage import LeakageIndex
from skymm.data.shards import Sample


def counted(directory, **options):
    return count_shards(directory, **{"workers": 1, **options})


def test_the_lowest_hashes_stay_however_the_data_is_cut():
    chance = random.Random(0)
    ranks = {chance.randrange(2**64): number for number in range(500)}
    expected = [ranks[rank] for rank in sorted(ranks)]
    for size in (0, 1, 60, 1000):
        for parts in (1, 2, 9):
            merged = Lowest(size)
            for part in range(parts):
                mine = Lowest(size)
                for rank in list(ranks)[part::parts]:
                    mine.add({rank: ranks[rank]})
                assert len(mine) <= 2 * size
                merged.add(mine)
            assert list(merged.chosen().values()) == expected[:size], (size, parts)
    assert digest("ab", "c") != digest("a", "bc") != digest("abc") and digest("\ud800") != digest("?")


def test_every_number_of_six_samples(shards):
    one, two = shards.picture(1, (60, 240)), shards.picture(2, (100, 100), "JPEG")
    dog_and_cat = [
        ("Is there a dog?", "Yes", "existence", "positive", "en"),
        ("Is there a cat?", "No", "existence", "negative", "en"),
    ]
    facts = {"things": [{"name": "Dog", "count": 1}, {"name": "cat"}]}
    hello = [("Say hello.", "Hello there, my good friend.", None, None, "zh")]
    samples = [
        shards.sample("a", dog_and_cat, {"png": one}, facts=facts, source="coco", licence="CC-BY"),
        shards.sample("b", [("图里有狗吗？", "没有", "existence", "negative", "zh")], {"png": one}, source="coco"),
        shards.sample("c", [("Is it red?", "Yes.", "color", "negative", None)], {"0.jpg": two, "1.png": one}, facts=3),
        shards.sample("d", hello),
        shards.sample("e", hello),
        shards.sample("f", [("这是什么？", "一只小猫", "name", "positive", None)], {"jpg": two}),
    ]
    known = shards.write("known", samples, 4, {"source": "ours", "licences": {"coco": "MIT", "ours": "CC0"}})
    counts = counted(known)
    assert {name: count for name, count in counts.totals.items() if count and name != "picture_bytes"} == {
        **{"samples": 6, "pictures": 5, "questions": 7, "text_only": 2, "several_pictures": 1, "shards": 2},
        "shard_bytes": sum(path.stat().st_size for path in known.glob("*.tar")),
        **{"existence_questions": 3, "denied_facts": 1, "polarity_against_answer": 1, "answers_of_other_script": 2},
    }
    assert counts.balance()[2:] == (2, 3, 2, 2, 2)
    assert [(row.language, row.total, row.negative) for row in counts.languages] == [("en", 3, 2), ("zh", 4, 1)]
    assert {row.kind: row[2:5] for row in counts.kinds} == {
        **{"existence": (1, 2, 0), "color": (0, 1, 0), "unknown": (0, 0, 2), "name": (1, 0, 0)}
    }
    assert {f"{row.kind} {row.language}": row.total for row in counts.kinds_by_language} == {
        **{"existence en": 2, "existence zh": 1, "color en": 1, "unknown zh": 2, "name zh": 1}
    }
    assert counts.things == {"dog": {"positive": 1}, "cat": {"negative": 1}, "狗": {"negative": 1}}
    lengths = counts.histograms
    assert lengths["question_en"] == {2: 2, 3: 1, 4: 2} and lengths["answer_en"] == {1: 3}
    assert lengths["answer_zh"][5] == 2 and lengths["question_zh"].total() == 2 and lengths["rounds"] == {1: 5, 2: 1}
    assert lengths["sides"] == {60: 3, 100: 2} and lengths["aspects"] == {25: 3, 100: 2}
    assert {name: (one["total"], one["copies"]) for name, one in counts.repeats.items()} == {
        **{"pictures": (5, 3), "texts": (3, 1), "wholes": (6, 1), "keys": (6, 0)}
    }
    assert counts.sources == {("ours", "CC0"): 4, ("coco", "CC-BY"): 1, ("coco", "MIT"): 1}
    before = [(kind, *told[1:]) for (kind, _, *told), count in counts.before.items() if told[1]]
    assert before == [("existence", "yes", 1, "no")] and counts.before.total() == 4


def test_a_copy_has_the_same_pictures_and_words_and_a_key_is_one_of_its_directory(shards):
    turns = [("What is it?", "A small dog.", "caption", "positive", "en")]
    samples = [shards.sample(f"{key}", turns, {"png": shards.picture(one)}) for key, one in enumerate((1, 1, 2, 3))]
    one, other = shards.write("same", samples), shards.write("other", samples[:1])
    copies = {name: found["copies"] for name, found in counted([one, other]).repeats.items()}
    assert copies == {"texts": 4, "pictures": 2, "wholes": 2, "keys": 0}


def test_halves_are_of_pictures_and_order_is_counted_with_how_far_yes_leads(shards):
    """All questions of a picture fall into one half, whatever sample they stand in."""
    said = ["No", "No", "Yes", "No", "A dog.", "No"]
    turns = [(f"Is it {place}?", one, "color", None, "en") for place, one in enumerate(said)]
    samples = [shards.sample(f"{key}", turns, {"png": shards.picture(3)}) for key in range(20)]
    counts = counted(shards.write("order", samples))
    assert len({half for _, _, half, *_ in counts.before}) == 1
    assert len({one.half for one in counts.questions["color", "en"].values()}) == 1
    told = {(last, more, one) for _, _, _, last, more, one in counts.before}
    assert told == {("", 0, "no"), ("no", -1, "no"), ("no", -2, "yes"), ("yes", -1, "no"), ("no", -2, "no")}


def test_cutting_into_shards_changes_no_figure(shards):
    few, many = (counted(shards.write(f"{n}", shards.balanced(60), n)) for n in (60, 7))
    for name in ("answers", "things", "histograms", "guesses", "before", "sources", "repeats", "samples"):
        one, other = getattr(few, name), getattr(many, name)
        assert one.keys() == other.keys() if name == "samples" else one == other, name


def test_what_cannot_be_read_is_counted_by_reason(shards):
    good, image = shards.spoken(("Is it?", "Yes.")), shards.picture(1, (64, 64), "JPEG")
    nowhere = json.dumps({"turns": [{"role": "user", "text": "?", "images": ["jpg"]}]}).encode()
    members = [
        *(("a.jpg", image), ("a.json", good)),
        *(("b.jpg", b"<!doctype html><title>404</title>"), ("b.json", good)),
        *(("c.jpg", b""), ("c.json", good)),
        *(("d.json", b'{"turns": [{"role"'), ("e.json", "{}".encode("utf-16")), ("f.jpg", image), ("g.json", nowhere)),
        *(("h.jpg", image[:-40]), ("h.json", good)),
        *(("a.jpg", image), ("a.json", good)),
    ]
    shards.tar(shards.root / "bad" / "a.tar", members)
    counts = counted(shards.root / "bad")
    reasons = {"unreadable image": 2, "bad json": 2, "missing json": 1, "missing image member": 1}
    assert counts.unreadable == reasons
    assert counts.totals["samples"] == 3 and counts.repeats["keys"]["copies"] == 1 and counts.bad_shards == []
    told = counts.examples["unreadable image"][0]
    assert "an HTML page" in told and "a.tar: b.jpg" in told
    decoded = counted(shards.root / "bad", decode=True)
    assert decoded.totals["samples"] == 2, "damage behind the header shows when pixels are read"


def test_bad_shards_are_told_and_the_rest_is_counted(shards):
    directory = shards.write("cut", shards.balanced(40), 20)
    first, _ = sorted(directory.glob("*.tar"))
    first.write_bytes(first.read_bytes()[:-12_000])
    shards.tar(directory / "x-links.tar", [("../a.png", b"")])
    shards.tar(directory / "y-wrong.tar", [("a.cls", b"3")])
    (directory / "card.json").write_bytes(b"\xff\xfe{")
    counts = counted(directory)
    names = [path.rpartition("/")[2] for path, _ in counts.bad_shards]
    assert names == [first.name, "x-links.tar", "y-wrong.tar"]
    assert 20 < counts.totals["samples"] < 40 and "card.json" in counts.examples["card"][0]
    assert "damaged or cut short" in counts.bad_shards[0][1] and "outside" in counts.bad_shards[1][1]


def test_strange_values_crash_nothing(shards):
    turns = [{"role": "user", "text": "Is there?"}, {"role": "assistant", "text": "Yes"}]
    odd = {"turns": turns, "source": {"x": ["\ud800"]}, "licence": ["MIT", 4], "facts": []}
    members = [
        ("a.json", json.dumps(odd).encode()),
        ("half.json", json.dumps({"turns": [{"role": "user", "text": "Is \ud800 there?"}]}).encode()),
        ("b.json", json.dumps({"turns": [{"role": "system", "text": "Be brief."}]}).encode()),
        *(("c.jpg.features.safetensors", b"x"), ("c.json", shards.spoken(("Is it?", "Yes.")))),
    ]
    shards.tar(shards.root / "odd" / "a.tar", members)
    (shards.root / "odd" / "card.json").write_text("[1, 2]")
    counts = counted(shards.root / "odd")
    assert (counts.totals["samples"], counts.totals["questions"], counts.totals["pictures"]) == (3, 2, 1)
    assert counts.unreadable == {"bad json": 1} and not counts.totals["picture_bytes"]


def test_leaks_are_counted_by_any_number_of_processes(shards, tmp_path):
    question = "What stands on the plate of copper beside the window of the old house at the river?"
    turns = [(question if n == 5 else "What is this?", f"number {n}", "name", "positive", "en") for n in range(8)]
    samples = [shards.sample(f"{n}", [turn], {"png": shards.picture(n)}) for n, turn in enumerate(turns)]
    directory, index = shards.write("leaks", samples, 4), str(tmp_path / "index.npz")
    LeakageIndex.build([(question, [shards.picture(99)]), ("What is in it?", [shards.picture(3)])]).save(index)
    told = []
    serial, parallel = (counted(directory, leakage=index, workers=n, advance=told.append) for n in (1, 2))
    assert serial == parallel and told == [1, 1, 1, 1]
    assert serial.leaked == {"picture of an evaluation set": 1, "question of an evaluation set": 1}
    assert serial.examples["picture of an evaluation set"] == ["3"] and serial.shards == parallel.shards
    assert findings(serial)[0].name == "leaked", "what may not be trained on is told first"


def test_memory_grows_by_24_bytes_a_sample(monkeypatch):
    """What would be kept, but for chosen questions and samples, is what would be sent to another process."""
    monkeypatch.setattr("skymm.curation.audit.counts.NUM_QUESTIONS", 0)

    def size(num_samples):
        counts = Counts(0)
        for index in range(num_samples):
            words = " ".join(random.Random(index).choices("abcdefgh", k=20))
            answer = {"role": "assistant", "text": f"{words} {index}", "kind": f"kind {index % 3}"}
            data = json.dumps({"turns": [{"role": "user", "text": f"{index} {words}?"}, answer]}).encode()
            counts.add(Sample(f"{index:06d}", {"json": data}, "a.tar", index), parse(data, f"{index:06d}"), {}, {})
        return len(pickle.dumps(counts))

    assert 24 <= (size(1500) - size(500)) / 1000 < 26


def test_no_shards_and_no_workers_are_errors(tmp_path):
    for nothing in (tmp_path / "nowhere", tmp_path, []):
        with pytest.raises(ValueError, match="no shards found"):
            count_shards(nothing)
    (tmp_path / "a.tar").write_bytes(b"")
    with pytest.raises(ValueError, match="workers is 0"):
        count_shards(tmp_path, workers=0)

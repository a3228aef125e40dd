"""Every number is what was put in, whoever counts; what cannot be read is told."""

import io
import json
import pickle
import random

import pytest
from PIL import Image

from skymm.conversation import parse
from skymm.curation.audit.count import Plan, count_shards
from skymm.curation.audit.counts import Counts
from skymm.curation.audit.findings import findings
from skymm.curation.audit.reading import asked_thing
from skymm.curation.audit.summary import summarise
from skymm.curation.facts.picture_facts import facts_about
from skymm.curation.filters.leakage import LeakageIndex
from skymm.curation.negatives.balance import Asked
from skymm.curation.negatives.kinds import exchange
from skymm.curation.record import Caption, Picture, Record
from skymm.data.shards import Sample


def audited(directory, **options):
    plan = options.pop("plan", None)
    return summarise(count_shards(directory, plan, workers=1, **options))


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
    counts = count_shards(known, workers=1)
    audit = summarise(counts)
    told = {name: count for name, count in audit.totals.items() if count and name != "picture_bytes"}
    assert told == {
        **{"samples": 6, "pictures": 5, "questions": 7, "text_only": 2, "several_pictures": 1, "shards": 2},
        "shard_bytes": sum(path.stat().st_size for path in known.glob("*.tar")),
        **{"facts": 1, "bad_facts": 1, "existence_questions": 3, "denied_facts": 1, "polarity_against_answer": 1},
        "answers_of_other_script": 2,
    }
    overall = audit.overall
    assert (overall.positive, overall.negative, overall.unknown, overall.yes, overall.no) == (2, 3, 2, 2, 2)
    assert [(row.language, row.total, row.negative) for row in audit.languages] == [("en", 3, 2), ("zh", 4, 1)]
    assert {row.name: (row.positive, row.negative, row.unknown) for row in audit.kinds} == {
        **{"existence": (1, 2, 0), "color": (0, 1, 0), "unknown": (0, 0, 2), "name": (1, 0, 0)}
    }
    assert {f"{row.name} {row.language}": row.total for row in audit.kinds_by_language} == {
        **{"existence en": 2, "existence zh": 1, "color en": 1, "unknown zh": 2, "name zh": 1}
    }
    things = {one.name: (one.pictures, one.positive, one.negative) for one in audit.things}
    assert things == {"dog": (1, 1, 0), "cat": (1, 0, 1), "狗": (0, 0, 1)}
    lengths = audit.histograms
    assert lengths["question_en"] == {2: 2, 3: 1, 4: 2} and lengths["answer_en"] == {1: 3}
    assert lengths["answer_zh"][5] == 2 and sum(lengths["question_zh"].values()) == 2
    assert lengths["rounds"] == {1: 5, 2: 1} and audit.formats == {"JPEG": 2, "PNG": 3}
    assert lengths["sides"] == {60: 3, 100: 2} and lengths["aspects"] == {25: 3, 100: 2}
    assert {name: (one.total, one.copies, one.within, one.across) for name, one in audit.repeats.items()} == {
        **{"pictures": (5, 3, 2, 1), "texts": (3, 1, 0, 1), "wholes": (6, 1, 0, 1), "keys": (6, 0, 0, 0)}
    }
    assert {
        (row.source, row.licence): (row.samples, row.pictures, row.answers, row.chinese) for row in audit.sources
    } == {**{("ours", "CC0"): (4, 3, 4, 3), ("coco", "CC-BY"): (1, 1, 2, 0), ("coco", "MIT"): (1, 1, 1, 1)}}
    before = [(last, more, said, count) for (_, last, more, said), count in counts.before.items() if last]
    assert before == [("yes", 1, "no", 1)] and sum(counts.before.values()) == 4


def test_a_copy_has_the_same_pictures_and_words(shards):
    turns = [("What is it?", "A small dog.", "caption", "positive", "en")]
    colours = (1, 1, 2, 3)
    samples = [shards.sample(f"{key}", turns, {"png": shards.picture(one)}) for key, one in enumerate(colours)]
    repeats = audited(shards.write("same", samples)).repeats
    assert [repeats[name].copies for name in ("texts", "pictures", "wholes")] == [3, 1, 1]


def test_order_of_answers_is_counted_by_kind_with_how_far_yes_leads(shards):
    said = ["No", "No", "Yes", "No", "A dog.", "No"]
    turns = [(f"Is it {place}?", one, "color", None, "en") for place, one in enumerate(said)]
    counts = count_shards(shards.write("order", [shards.sample("a", turns)]), workers=1)
    told = {(last, more, one) for _, last, more, one in counts.kinds["color"].before["en"]}
    assert told == {("", 0, "no"), ("no", -1, "no"), ("no", -2, "yes"), ("yes", -1, "no"), ("no", -2, "no")}


def test_cutting_into_shards_changes_no_figure(shards):
    few, many = shards.write("few", shards.balanced(60), 60), shards.write("many", shards.balanced(60), 7)
    one, other = audited(few), audited(many)
    for name in ("overall", "kinds_by_language", "things", "histograms", "guesses", "before", "sources"):
        assert getattr(one, name) == getattr(other, name), name


def test_what_cannot_be_read_is_counted_by_reason(shards):
    good = shards.spoken(("Is it?", "Yes."))
    image = shards.picture(1, (64, 64), "JPEG")
    shards.tar(
        shards.root / "bad" / "a.tar",
        [
            *(("a.jpg", image), ("a.json", good)),
            *(("b.jpg", b"<!doctype html><title>404</title>"), ("b.json", good)),
            *(("c.jpg", b""), ("c.json", good)),
            ("d.json", b'{"turns": [{"role"'),
            ("e.json", "{}".encode("utf-16")),
            ("f.jpg", image),
            ("g.json", json.dumps({"turns": [{"role": "user", "text": "?", "images": ["jpg"]}]}).encode()),
            *(("h.jpg", image[:-40]), ("h.json", good)),
            *(("a.jpg", image), ("a.json", good)),
        ],
    )
    audit = audited(shards.root / "bad")
    assert {wrong.name: wrong.count for wrong in audit.unreadable} == {
        "unreadable image": 2,
        "bad json": 2,
        "missing json": 1,
        "missing image member": 1,
    }
    assert audit.totals["samples"] == 3 and audit.repeats["keys"].copies == 1 and audit.bad_shards == ()
    assert "an HTML page" in audit.unreadable[1].examples[0] and "a.tar: b.jpg" in audit.unreadable[1].examples[0]
    decoded = audited(shards.root / "bad", plan=Plan(decode=True))
    assert decoded.totals["samples"] == 2, "damage behind the header shows when pixels are read"


def test_bad_shards_are_told_and_the_rest_is_counted(shards):
    directory = shards.write("cut", shards.balanced(40), 20)
    first, _ = sorted(directory.glob("*.tar"))
    first.write_bytes(first.read_bytes()[:-12_000])
    shards.tar(directory / "x-links.tar", [("../a.png", b"")])
    shards.tar(directory / "y-wrong.tar", [("a.cls", b"3")])
    (directory / "z-empty.tar").write_bytes(b"")
    (directory / "card.json").write_bytes(b"\xff\xfe{")
    audit = audited(directory)
    assert [path.rpartition("/")[2] for path, _ in audit.bad_shards] == [
        first.name,
        "x-links.tar",
        "y-wrong.tar",
        "z-empty.tar",
    ]
    assert 20 < audit.totals["samples"] < 40 and "card.json" in audit.details["card"][0]
    assert "damaged or cut short" in audit.bad_shards[0][1] and "outside" in audit.bad_shards[1][1]


def test_strange_values_crash_nothing(shards):
    turns = [{"role": "user", "text": "Is there?"}, {"role": "assistant", "text": "Yes"}]
    members = [
        (
            "a.json",
            json.dumps({"turns": turns, "source": {"x": ["\ud800"]}, "licence": ["MIT", 4], "facts": []}).encode(),
        ),
        ("half.json", json.dumps({"turns": [{"role": "user", "text": "Is \ud800 there?"}]}).encode()),
        ("b.json", json.dumps({"turns": [{"role": "system", "text": "Be brief."}]}).encode()),
        ("c.json", json.dumps({"turns": [{"role": "user", "text": "alone"}]}).encode()),
    ]
    shards.tar(shards.root / "odd" / "a.tar", members)
    (shards.root / "odd" / "card.json").write_text("[1, 2]")
    audit = audited(shards.root / "odd")
    assert audit.totals["samples"] == 3 and audit.totals["questions"] == 1 and audit.totals["bad_facts"] == 1
    assert [(wrong.name, wrong.count) for wrong in audit.unreadable] == [("bad json", 1)]
    assert json.dumps(audit.to_json(), ensure_ascii=False).encode("utf-8")


def test_images_whose_features_alone_are_left(shards):
    members = [("a.jpg.features.safetensors", b"x"), ("a.json", shards.spoken(("Is it?", "Yes.")))]
    shards.tar(shards.root / "left" / "a.tar", members)
    totals = audited(shards.root / "left").totals
    assert totals["pictures"] == totals["pictures_left_out"] == 1 and not totals.get("picture_bytes")


def textured(seed, quality=90):
    """A picture with enough in it for perceptual hashes."""
    chance = random.Random(seed)
    patches = Image.new("RGB", (8, 8))
    patches.putdata([tuple(chance.randrange(256) for _ in range(3)) for _ in range(64)])
    stored = io.BytesIO()
    patches.resize((96, 96), Image.Resampling.BICUBIC).save(stored, "JPEG", quality=quality)
    return stored.getvalue()


def test_near_copies_and_leaks_are_counted_by_any_number_of_processes(shards, tmp_path):
    texts = [f"number {n} stands on a plate of copper" for n in range(6)]
    pictures = [textured(n) for n in range(6)]
    texts += [texts[0], "quite another sentence about it"]
    pictures += [textured(0, 95), textured(1, 95)]  # the same, saved again
    samples = [
        shards.sample(f"{n}", [("What is this?", text, "name", "positive", "en")], {"jpg": picture})
        for n, (text, picture) in enumerate(zip(texts, pictures))
    ]
    directory = shards.write("near", samples, 4)
    index = str(tmp_path / "index.npz")
    LeakageIndex.build([("What is in it?", [textured(3, 95)])]).save(index)
    told = []
    serial, parallel = (count_shards(directory, Plan(similar=True, leakage=index), n, told.append) for n in (1, 2))
    assert serial == parallel and told == [1, 1, 1, 1]
    one, other = (json.dumps(summarise(counts).to_json(), ensure_ascii=False) for counts in (serial, parallel))
    assert one == other
    audit = summarise(serial, similar=True)
    assert audit.alike == {"picture": 2, "picture and words": 1} and summarise(serial).alike == {}
    (leaked,) = audit.checked
    assert (leaked.name, leaked.count) == ("leakage: picture of an evaluation set", 1) and leaked.examples == ("3",)
    assert findings(audit)[0].name == "checked", "what may not be trained on is told first"


def test_memory_grows_by_36_bytes_a_sample(monkeypatch):
    """What would be kept is what would be sent to another process."""
    monkeypatch.setattr("skymm.curation.audit.counts.NUM_QUESTIONS", 50)

    def size(num_samples):
        counts = Counts(8)
        counts.open_shard("a.tar")
        for index in range(num_samples):
            words = random.Random(index).choices("abcdefgh", k=20)
            data = json.dumps(
                {
                    "turns": [
                        {"role": "user", "text": f"{index} {' '.join(words)}?"},
                        {"role": "assistant", "text": f"{' '.join(words)} {index}", "kind": f"kind {index % 3}"},
                    ]
                }
            ).encode()
            sample = Sample(f"{index:06d}", {"json": data}, "a.tar", index)
            counts.add(sample, parse(data, sample.key), {}, {})
        return len(pickle.dumps(counts))

    grown = (size(2500) - size(500)) / 2000
    assert 36 <= grown < 38


def test_names_beyond_the_limit_are_told(shards, monkeypatch):
    monkeypatch.setattr("skymm.curation.audit.counts.NUM_OBJECTS", 10)
    names = [[(f"Is there a thing{index}?", "Yes", "existence", "positive", "en")] for index in range(200)]
    directory = shards.write("names", (shards.sample(f"{index}", one) for index, one in enumerate(names)))
    audit = audited(directory)
    assert len(audit.things) == 10 and 100 < audit.num_things < 400
    assert audit.totals["existence_questions"] == 200


def test_no_shards_and_no_workers_are_errors(tmp_path):
    with pytest.raises(ValueError, match="no shards found"):
        count_shards(tmp_path / "nowhere")
    with pytest.raises(ValueError, match="no shards found"):
        count_shards(tmp_path)
    with pytest.raises(ValueError, match="no shards found"):
        count_shards([])
    (tmp_path / "a.tar").write_bytes(b"")
    with pytest.raises(ValueError, match="workers = 0"):
        count_shards(tmp_path, workers=0)


@pytest.mark.parametrize("language", ["en", "zh"])
def test_every_question_of_the_builder_is_read(language):
    """What `skymm data build` asks, whatever the template, names its thing to the audit."""
    record = Record("a", {"jpg": Picture(data=b"x")}, (Caption("a dog and two cats on the grass under a kite", "en"),))
    named = set()
    for seed in range(40):
        for thing in ("dog", "cat", "grass"):
            asked = Asked("existence/random", (thing,), "positive", language, seed)
            question, answer = exchange(asked, facts_about(record), True, 0.5)
            assert asked_thing(question.text, answer.kind), question.text
            named.add(asked_thing(question.text, answer.kind))
    assert {"en": {"dog", "cats"}, "zh": {"狗", "猫"}}[language] <= named

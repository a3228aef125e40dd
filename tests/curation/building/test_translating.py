"""A recipe with [translation], built whole, with a model behind an endpoint of this machine."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from built import card, conversations, digests
from clips import write_clip
from curation.sources import miniatures
from endpoint import Endpoint, prompt_of
from photos import COLOURS, THINGS, ZH_COLOURS, ZH_THINGS, pairs_of, photos

from skymm.conversation import Conversation, Turn
from skymm.curation.building.build import build
from skymm.curation.building.workers import Local
from skymm.data.shard_writing import write_shards
from skymm.data.shards import expand, read_shard
from skymm.recipe import DataRecipe, parse

WORDS = dict(zip([*COLOURS, *THINGS], [*ZH_COLOURS, *ZH_THINGS]))
SAID = {
    "What is lying there?": "那里放着什么？",
    "A brown dog on the wet grass.": "湿草地上的一只棕色的狗。",
    "Is it asleep or awake?": "它是睡着还是醒着？",
    "It is awake and looks at us.": "它醒着，正看着我们。",
}
NUM_PHOTOS = 16


@pytest.fixture(autouse=True)
def _no_long_pauses(monkeypatch):
    monkeypatch.setattr("openai._base_client.MAX_RETRY_DELAY", 0.01)
    monkeypatch.setattr("openai._base_client.INITIAL_RETRY_DELAY", 0.01)
    monkeypatch.setattr("skymm.endpoint.PAUSE", 0.0)


def translated(text: str) -> str:
    """Into the other language: what the photos' captions and the spoken sentences say."""
    if text in SAID:
        return SAID[text]
    if found := re.fullmatch(r"a (\w+) (\w+) and a (\w+) (\w+)", text):
        one, of_one, other, of_other = (WORDS[word] for word in found.groups())
        return f"{one}的{of_one}和{other}的{of_other}"
    back = {chinese: english for english, chinese in (WORDS | SAID).items()}
    if text in back:
        return back[text]
    one, other = text.split("和")
    return " and ".join("a " + " ".join(back[word] for word in part.split("的")) for part in (one, other))


def asked(request) -> str:
    return re.search(r"<text>\n(.*)\n</text>", prompt_of(request), re.S)[1]


def answer(request) -> str:
    return translated(asked(request))


def spoken(directory: Path, *keys: str, garbled: bool = False) -> dict:
    """A conversation in English under each key, of a picture of its own; the recipe's source for them."""
    texts = list(SAID)
    turns = (Turn("user", texts[0], ("png",)), Turn("assistant", texts[1]), Turn("user", texts[2]))
    turns += (Turn("assistant", texts[3]),)
    if garbled:
        turns += (Turn("user", "And now?"), Turn("assistant", "It aaaaaaaaaaaaaa"))
    pictures = (miniatures.picture(index, "PNG") for index in range(len(keys)))
    write_shards([(Conversation(key, turns), {"png": picture}) for key, picture in zip(keys, pictures)], directory, "s")
    return {"format": "shards", "shards": str(directory), "tasks": ["turns"]}


@pytest.fixture(scope="module")
def sources(tmp_path_factory) -> dict:
    """Photos with captions, half of them in English alone; and three conversations in English."""
    root = tmp_path_factory.mktemp("inputs")
    table = photos(root / "photos", NUM_PHOTOS)
    return {"photos": pairs_of(table, "captions"), "spoken": spoken(root / "spoken", *"abc")}


def recipe(inputs: dict, server: Endpoint, cache: Path, **translation) -> DataRecipe:
    known = {"model": f"openai:{server.url}#m", "to": "zh", "cache": str(cache), "batch_size": 2, **translation}
    return parse({"sources": inputs, "translation": known, "filters": {"duplicates": None}}, DataRecipe)


def captions_of(sources: dict) -> dict[str, tuple[str, str]]:
    """How the key of a photo's conversation begins -> its captions in the table, English and Chinese."""
    lines = Path(sources["photos"]["table"]).read_text("utf-8").splitlines()[1:]
    return {f"photos_{line.partition('.')[0]}_jpg": tuple(line.split("\t")[1:]) for line in lines}


def pictures_of(out: Path) -> dict[str, list[bytes]]:
    samples = [sample for shard in expand(out) for sample in read_shard(shard)]
    return {sample.key: [sample.members[name] for name in sample.images] for sample in samples}


def shards_of(out: Path) -> dict[str, str]:
    """The card names the endpoint, which has another port each time."""
    return {name: digest for name, digest in digests(out).items() if name != "card.json"}


def test_translated_captions_arrive_with_their_language(sources, tmp_path):
    """And asking again costs no request and gives the same bytes."""
    with Endpoint(answer) as server:
        described = recipe(sources, server, tmp_path / "cache.sqlite")
        out = build(described, tmp_path / "out")
        num_requests = len(server.requests)
        assert digests(build(described, tmp_path / "other")) == digests(out) and len(server.requests) == num_requests
    found = {one.key: one for one in conversations(out) if one.extra["source"] == "photos"}
    assert len(found) == NUM_PHOTOS
    alone = [english for english, chinese in captions_of(sources).values() if not chinese]
    assert len(alone) == NUM_PHOTOS / 2
    for key, one in found.items():
        english, chinese = next(texts for name, texts in captions_of(sources).items() if key.startswith(name))
        wanted = {"en": english, "zh": chinese or translated(english)}
        assert {turn.language: turn.text for turn in one.targets} == {
            name: text for name, text in wanted.items() if text
        }
        assert {(turn.polarity, turn.kind) for turn in one.targets} == {("positive", "caption")}
    assert {asked(request) for request in server.requests} >= set(alone) and len(server.requests) > 20
    assert card(out)["sources"]["photos"]["not translated"] == {}


def test_a_translated_conversation_stands_beside_its_own_with_the_same_picture(sources, tmp_path):
    with Endpoint(answer) as server:
        out = build(recipe(sources, server, tmp_path / "cache.sqlite", sources=["spoken"]), tmp_path / "out")
    found = {one.key: one for one in conversations(out)}
    pictures = pictures_of(out)
    assert {key for key in found if key.startswith("spoken")} == {
        f"spoken_00000-{id}{to}" for id in "abc" for to in ("", "-zh")
    }
    for index, name in enumerate("abc"):
        english, chinese = found[f"spoken_00000-{name}"], found[f"spoken_00000-{name}-zh"]
        assert [turn.text for turn in english.turns] == list(SAID)
        assert [turn.text for turn in chinese.turns] == list(SAID.values())
        assert {turn.language for turn in english.targets} == {"en"} and {
            turn.language for turn in chinese.targets
        } == {"zh"}
        assert chinese.extra["translated_from"] == "en" and chinese.turns[0].images == english.turns[0].images
        assert pictures[english.key] == pictures[chinese.key] == [miniatures.picture(index, "PNG")]
    assert {asked(request) for request in server.requests} <= {*SAID, *SAID.values()}, "and nothing of the photos"
    assert card(out)["sources"]["spoken"]["records"] == 6


def test_in_the_place_of_the_original(sources, tmp_path):
    with Endpoint(answer) as server:
        out = build(recipe(sources, server, tmp_path / "cache.sqlite", keep_original=False), tmp_path / "out")
    assert {turn.language for one in conversations(out) for turn in one.targets} == {"en", "zh"}
    for one in conversations(out):
        languages = {turn.language for turn in one.targets}
        has_both = len(languages) == 2  # the table had both already, so there was nothing to translate
        assert has_both or languages == {"zh"}


def test_two_builds_that_ask_on_their_own_are_byte_identical(sources, tmp_path):
    """With a cache each, in one process and in two, from endpoints that answer in another order."""
    built = []
    for workers in (1, 2):
        with Endpoint(answer) as server:
            described = recipe(sources, server, tmp_path / f"{workers}.sqlite", batch_size=3 * workers)
            built.append(shards_of(build(described, tmp_path / f"out{workers}", Local(workers))))
            assert len(server.requests) > 20
    assert built[0] == built[1] and built[0]


def test_an_endpoint_that_goes_away_stops_the_build_and_what_it_said_is_not_asked_again(sources, tmp_path):
    lives = [12]

    def dying(request):
        lives[0] -= 1
        return answer(request) if lives[0] >= 0 else (401, {"error": {"message": "expired"}})

    with Endpoint(dying) as server:
        described = recipe(sources, server, tmp_path / "cache.sqlite", batch_size=1)
        with pytest.raises(ValueError, match="refuses the key in OPENAI_API_KEY"):
            build(described, tmp_path / "out")
        assert not (tmp_path / "out" / "card.json").exists()
        answered = [asked(request) for request in server.requests[:12]]
        first = len(server.requests)
        lives[0] = 999
        whole = shards_of(build(described, tmp_path / "out"))
        assert len(set(answered)) == 12 and {asked(request) for request in server.requests[first:]}.isdisjoint(answered)
    with Endpoint(answer) as server:
        again = recipe(sources, server, tmp_path / "another.sqlite")
        assert shards_of(build(again, tmp_path / "new")) == whole


def test_the_times_of_a_clip_are_in_the_language_of_what_is_asked(tmp_path):
    pytest.importorskip("av", reason="clips need PyAV: pip install 'skymm[video]'")
    write_clip(tmp_path / "v.mp4")
    asked, answered, *_ = SAID
    row = {"video": "v.mp4", "conversations": [{"from": "human", "value": f"<video>\n{asked}"}]}
    row["conversations"].append({"from": "gpt", "value": answered})
    (tmp_path / "rows.json").write_text(json.dumps([row]), "utf-8")
    source = {"format": "conversations", "table": str(tmp_path / "rows.json"), "tasks": ["turns"], "num_frames": 2}
    with Endpoint(answer) as server:
        out = build(recipe({"clips": source}, server, tmp_path / "cache.sqlite"), tmp_path / "out")
    found = {one.turns[0].text for one in conversations(out)}
    assert found == {f"1.0 seconds:\n3.0 seconds:\n{asked}", f"第 1.0 秒：\n第 3.0 秒：\n{SAID[asked]}"}


def test_what_is_not_translated_is_counted_and_stays_as_it_was(sources, tmp_path):
    refused = next(english for english, chinese in captions_of(sources).values() if not chinese)

    def unwilling(request):
        return "I'm sorry, I can't see any picture." if asked(request) == refused else answer(request)

    with Endpoint(unwilling) as server:
        out = build(recipe(sources, server, tmp_path / "cache.sqlite"), tmp_path / "out")
    told = card(out)["sources"]["photos"]
    assert told["not translated"] == {"the model gave no translation": 1}
    assert told["records"] == NUM_PHOTOS and told["left out"] == told["captions and conversations left out"] == {}
    (one,) = [one for one in conversations(out) if [turn.text for turn in one.targets] == [refused]]
    assert [turn.language for turn in one.targets] == ["en"]


def test_what_was_cut_off_before_it_was_translated_is_counted_once(tmp_path):
    source = spoken(tmp_path / "in", "a", "b", garbled=True)
    with Endpoint(answer) as server:
        out = build(recipe({"it": source}, server, tmp_path / "cache.sqlite"), tmp_path / "out")
    told = card(out)["sources"]["it"]
    assert (told["records"], told["captions and conversations left out"]) == (4, {"repetitive text": 2})
    assert {len(one.turns) for one in conversations(out)} == {len(SAID)}


def test_a_conversation_whose_key_a_translation_has_as_well(tmp_path):
    """The source has an `a` and an `a-zh`; the translation of the first is called so, too, and keeps its own picture."""
    source = spoken(tmp_path / "in", "a", "a-zh", "b")
    with Endpoint(answer) as server:
        out = build(recipe({"it": source}, server, tmp_path / "cache.sqlite"), tmp_path / "out")
    first, second, third = ([miniatures.picture(index, "PNG")] for index in range(3))
    wanted = {"a": first, "a-zh": first, "a-zh-zh": second, "b": third, "b-zh": third}
    assert pictures_of(out) == {f"it_00000-{key}": pictures for key, pictures in wanted.items()}
    assert card(out)["sources"]["it"]["left out"] == {"key is there twice": 1}

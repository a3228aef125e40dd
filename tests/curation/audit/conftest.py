"""Hand-made shards whose every number is known."""

from __future__ import annotations

import io
import json
import random
import tarfile
from pathlib import Path

import pytest
from PIL import Image

from skymm.conversation import Conversation, Turn
from skymm.data.shard_writing import write_shards


def picture(colour=0, size=(96, 96), kind="PNG"):
    """A picture that is another one for every colour."""
    stored = io.BytesIO()
    Image.new("RGB", size, (colour % 256, colour // 256 % 256, 7)).save(stored, kind)
    return stored.getvalue()


def sample(key, turns, pictures=None, **extra):
    """(question, answer, kind, polarity, language) each; pictures by member name."""
    spoken = []
    for question, answer, kind, polarity, language in turns:
        spoken.append(Turn("user", question, tuple(pictures or {}) if not spoken else ()))
        spoken.append(Turn("assistant", answer, (), polarity, kind, language))
    return Conversation(key, tuple(spoken), extra), dict(pictures or {})


def tar(path, members):
    """A shard as it lies on disk, with nothing checked: (name, bytes) in order."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w") as file:
        for name, data in members:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            file.addfile(info, io.BytesIO(data))
    return path


def spoken(*pairs, **fields):
    """The JSON of a sample with questions and answers."""
    turns = [{"role": role, "text": text} for pair in pairs for role, text in zip(("user", "assistant"), pair)]
    return json.dumps({"turns": turns, **fields}).encode()


def balanced(num_samples, seed=0, start=0):
    """Samples in which nothing is wrong: 24 things in two languages, each asked as often where it is as where it is not,
    yes and no by a coin for each question, explained answers."""
    names = {"en": ["panda", "rose", "bus", "key"], "zh": ["熊猫", "玫瑰", "公交车", "钥匙"]}
    for index in range(start, start + num_samples):
        chance = random.Random(f"{seed}/{index}")
        turns = []
        for place in range(2):
            language = ("en", "zh")[(index + place) % 2]
            name, there = chance.choice(names[language]), chance.random() < 0.5
            question = f"Is there a {name}?" if language == "en" else f"图里有{name}吗？"
            answer = {
                ("en", True): f"Yes, there is a {name} in it.",
                ("en", False): f"No, there is no {name} in it.",
                ("zh", True): f"是的，图片里有一个{name}。",
                ("zh", False): f"没有，图片里没有{name}。",
            }[language, there]
            turns.append((question, answer, "existence", "positive" if there else "negative", language))
        yield sample(f"{index:06d}", turns, {"png": picture(index)}, source="made", licence="CC0")


def biased(num_samples):
    """Everything that findings are about: pandas are always there, rocks never, counts tell, English only, 9 of 10 yes,
    tiny pictures, copies, no licence."""
    for index in range(num_samples):
        there = index % 10 != 0
        name = "panda" if there else "rock"
        turns = [
            (f"Is there a {name}?", "Yes" if there else "No", "existence", "positive" if there else "negative", "en"),
            (
                f"Are there {'two' if there else 'nine'} dogs?",
                "Yes" if there else "No",
                "count",
                "positive" if there else "negative",
                "en",
            ),
        ]
        yield sample(f"{index:06d}", turns, {"png": picture(index // 2, (40, 40))})


class Shards:
    """Writes directories of shards under one root."""

    picture, sample, tar, spoken = staticmethod(picture), staticmethod(sample), staticmethod(tar), staticmethod(spoken)
    balanced, biased = staticmethod(balanced), staticmethod(biased)

    def __init__(self, root: Path):
        self.root = root

    def write(self, name, samples, max_samples=1000, card=None):
        directory = self.root / name
        write_shards(samples, directory, "train", max_samples, card)
        return directory


@pytest.fixture
def shards(tmp_path):
    return Shards(tmp_path)


@pytest.fixture(scope="session")
def shared(tmp_path_factory):
    """Written once: `balanced` (200 samples in four shards) and `biased` (300 in three)."""
    made = Shards(tmp_path_factory.mktemp("audit"))
    made.balanced_dir = made.write("balanced", made.balanced(200), 50)
    made.biased_dir = made.write("biased", made.biased(300), 100)
    return made

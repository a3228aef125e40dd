"""An audit finds near copies and what a benchmark asks about, by the same filters as a build."""

import io

from PIL import Image

from skymm.conversation import Conversation, Turn
from skymm.curation.audit.count import Plan
from skymm.curation.audit.likeness import Leakage, likenesses
from skymm.curation.audit.page import audit_shards
from skymm.curation.filters.leakage import LeakageIndex
from skymm.data.shard_writing import write_shards


def picture(seed: int, quality: int = 90) -> bytes:
    import random

    rng = random.Random(seed)
    patches = Image.new("RGB", (8, 8))
    patches.putdata([tuple(rng.randrange(256) for _ in range(3)) for _ in range(64)])
    file = io.BytesIO()
    patches.resize((96, 96), Image.Resampling.BICUBIC).save(file, "JPEG", quality=quality)
    return file.getvalue()


def sample(key: str, data: bytes, text: str):
    turns = (Turn("user", "What is this?", ("jpg",)), Turn("assistant", text, (), "positive", "name", "en"))
    return Conversation(key, turns), {"jpg": data}


def test_near_copies_and_leaks_are_counted_by_any_number_of_processes(tmp_path):
    samples = [sample(f"{n}", picture(n), f"number {n} stands on a plate of copper") for n in range(6)]
    samples += [sample("6", picture(0, 95), "number 0 stands on a plate of copper")]  # the same, saved again
    samples += [sample("7", picture(1, 95), "quite another sentence about it")]
    write_shards(samples, tmp_path / "shards", "s", max_samples=4)
    index = tmp_path / "index.npz"
    LeakageIndex.build([("What is in it?", [picture(3, 95)])]).save(index)
    for workers in (1, 2):
        plan = Plan(checks={"leakage": Leakage(str(index))}, likenesses=likenesses())
        audited = audit_shards(tmp_path / "shards", tmp_path / "a.html", plan=plan, workers=workers)
        assert audited.audit.alike == {"picture": 2, "picture and words": 1}
        (leaked,) = audited.audit.checked
        assert (leaked.name, leaked.count) == ("leakage: picture of an evaluation set", 1)

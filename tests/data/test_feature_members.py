"""Features beside the samples: what is read is what was written for this very image by these very towers."""

import io
import json
import tarfile

import pytest
import torch
from PIL import Image
from safetensors.torch import load, save

from skymm.conversation import Conversation, Turn
from skymm.data.feature_members import FeatureMembers
from skymm.data.shard_writing import write_shards
from skymm.data.shards import FEATURES, conversation_of, read_shard
from skymm.images import UnreadableImage

SHAPES = ((4, 3), (2, 5))
MEMBERS = FeatureMembers(("a", "b"), SHAPES)


def png(level: int) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (2, 2), (level, level, level)).save(buffer, "PNG")
    return buffer.getvalue()


def encode(images):
    """Features that tell which picture they are of."""
    values = torch.tensor([float(image.getpixel((0, 0))[0]) for image in images])
    return [values[:, None, None].expand(len(images), *shape) for shape in SHAPES]


def conversation(key, *images):
    return Conversation(key, (Turn("user", "q", images), Turn("assistant", "a")))


@pytest.fixture
def shard(tmp_path):
    samples = [(conversation("one", "png"), {"png": png(7)}), (conversation("none"), {})]
    samples += [(conversation("two", "1.png", "0.png"), {"0.png": png(1), "1.png": png(2)})]
    samples += [(conversation(f"more{index}", "png"), {"png": png(10 + index)}) for index in range(5)]
    (path,) = write_shards(samples, tmp_path / "source", "s")
    return path


@pytest.mark.parametrize("precision", ["bfloat16", "int8"])
@pytest.mark.parametrize("drop_images", [False, True])
def test_every_image_has_its_own_features(shard, tmp_path, precision, drop_images):
    options = {"precision": precision, "drop_images": drop_images, "batch_size": 3}
    assert MEMBERS.copy_shard(shard, tmp_path / "copy.tar", encode, **options) == 8
    assert MEMBERS.copy_shard(shard, tmp_path / "again.tar", encode, **options) == 8
    assert (tmp_path / "copy.tar").read_bytes() == (tmp_path / "again.tar").read_bytes()
    copied, source = list(read_shard(tmp_path / "copy.tar")), list(read_shard(shard))
    assert [conversation_of(sample) for sample in copied] == [conversation_of(sample) for sample in source]
    for sample, original in zip(copied, source, strict=True):
        for name in conversation_of(sample).images:
            level = Image.open(io.BytesIO(original.members[name])).getpixel((0, 0))[0]
            for tensor, shape in zip(MEMBERS.of(sample, name), SHAPES, strict=True):
                assert tensor.dtype == torch.bfloat16 and tuple(tensor.shape) == shape
                assert torch.allclose(tensor.float(), torch.tensor(float(level)), rtol=0.01)
        kept = {name: data for name, data in sample.members.items() if not name.endswith(FEATURES)}
        dropped = set(original.images) if drop_images else set()
        assert kept == {name: data for name, data in original.members.items() if name not in dropped}


def test_stock_tools_read_them(shard, tmp_path):
    MEMBERS.copy_shard(shard, tmp_path / "copy.tar", encode)
    with tarfile.open(tmp_path / "copy.tar") as tar:
        names = tar.getnames()
        tensors = load(tar.extractfile("two.1.png.features.safetensors").read())
    assert names[:3] == ["one.json", "one.png", "one.png.features.safetensors"]
    assert {name: tuple(one.shape) for name, one in tensors.items()} == {"tower-0": (4, 3), "tower-1": (2, 5)}
    assert (tensors["tower-0"] == 2).all() and tensors["tower-0"].dtype == torch.bfloat16


def test_features_of_a_copy_are_written_anew(shard, tmp_path):
    MEMBERS.copy_shard(shard, tmp_path / "copy.tar", encode)
    others = FeatureMembers(("c", "b"), SHAPES)
    others.copy_shard(tmp_path / "copy.tar", tmp_path / "others.tar", encode)
    sample = next(read_shard(tmp_path / "others.tar"))
    assert others.of(sample, "png") and len(sample.members) == 3
    MEMBERS.copy_shard(shard, tmp_path / "bare.tar", encode, drop_images=True)
    with pytest.raises(
        ValueError, match=r'bare\.tar: one has no image png, only what is left of it.*features = "shards"'
    ):
        MEMBERS.copy_shard(tmp_path / "bare.tar", tmp_path / "x.tar", encode)


def test_what_does_not_fit_is_refused(shard, tmp_path):
    MEMBERS.copy_shard(shard, tmp_path / "copy.tar", encode)
    sample = next(read_shard(tmp_path / "copy.tar"))
    with pytest.raises(
        ValueError, match=r"one\.png\.features\.safetensors is of other towers: found \('a', 'b'\), expected"
    ):
        FeatureMembers(("a", "c"), SHAPES).of(sample, "png")
    with pytest.raises(ValueError, match=r"has features of shapes .*skymm data features RECIPE --into DIR"):
        FeatureMembers(("a", "b"), ((4, 3), (2, 6))).of(sample, "png")
    sample.members["png"] = png(8)
    with pytest.raises(ValueError, match="is of another image than the one beside it"):
        MEMBERS.of(sample, "png")
    with pytest.raises(
        ValueError, match=r"s-00000\.tar: one\.png\.features\.safetensors is missing, found one\.json, one\.png;"
    ):
        MEMBERS.of(next(read_shard(shard)), "png")
    with pytest.raises(ValueError, match=r"the towers gave features of shapes \(\(4, 3\),\), expected"):
        MEMBERS.copy_shard(shard, tmp_path / "x.tar", lambda images: encode(images)[:1])


@pytest.mark.parametrize(
    "damaged",
    [
        b"",
        b"x" * 40,
        save({"tower-0": torch.zeros(4, 3)}),
        save({"tower-0": torch.zeros(1)}, {"skymm": json.dumps([])}),
    ],
)
def test_a_damaged_member_is_named(shard, tmp_path, damaged):
    MEMBERS.copy_shard(shard, tmp_path / "copy.tar", encode)
    sample = next(read_shard(tmp_path / "copy.tar"))
    sample.members["png" + FEATURES] = damaged
    with pytest.raises(ValueError, match=r"copy\.tar: one\.png\.features\.safetensors cannot be read"):
        MEMBERS.of(sample, "png")


def test_a_killed_copy_leaves_nothing_under_its_name(shard, tmp_path):
    calls = []

    def die(images):
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return encode(images)

    with pytest.raises(KeyboardInterrupt):
        MEMBERS.copy_shard(shard, tmp_path / "copy.tar", die, batch_size=3)
    assert not (tmp_path / "copy.tar").exists()
    assert not list(tmp_path.glob("*.tar"))


def test_an_unreadable_image_is_named(tmp_path):
    (path,) = write_shards([(conversation("k", "jpg"), {"jpg": b"<html>404</html>"})], tmp_path, "s")
    with pytest.raises(UnreadableImage, match=r"s-00000\.tar: k\.jpg: found an HTML page"):
        MEMBERS.copy_shard(path, tmp_path / "copy.tar", encode)

"""Features computed once, in a directory or beside the samples, are the ones that would be computed again, or are refused."""

import io
import json
import pickle
import resource
import tarfile
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors.torch import load, save

from skymm.conversation import Conversation, Turn
from skymm.data.features import FeatureCache, FeatureMembers, image_key
from skymm.data.key_index import KEYS
from skymm.data.shard_writing import write_shards
from skymm.data.shards import FEATURES, conversation_of, read_shard
from skymm.images import UnreadableImage

SHAPES = ((4, 3), (2, 5))
IMAGES = [(image_key(bytes([index])), Image.new("L", (2, 2), index)) for index in range(10)]


def encode(images):
    """Features that tell which picture they are of."""
    values = torch.tensor([float(image.convert("L").getpixel((0, 0))) for image in images])
    return [values[:, None, None].expand(len(images), *shape) for shape in SHAPES]


def cache(path, fingerprints=("a", "b"), shapes=SHAPES):
    return FeatureCache(path, fingerprints=fingerprints, shapes=shapes)


def fill(features, images, **options):
    return sum(features.add(images, encode, **options))


def check(features, images):
    for key, image in images:
        for tensor, shape in zip(features.get(key), SHAPES):
            assert tensor.dtype == torch.bfloat16 and tuple(tensor.shape) == shape
            assert (tensor == image.getpixel((0, 0))).all()


def test_every_image_gets_its_own_features_also_after_reopening(tmp_path):
    assert fill(cache(tmp_path), IMAGES[:7], batch_size=3) == 7
    again = cache(tmp_path)
    check(again, IMAGES[:7])
    assert IMAGES[8][0] not in again and len(again) == 7


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs Linux's /proc")
def test_what_was_looked_at_is_not_held(tmp_path):
    """A mapped file of 64 MiB would be 64 MiB of this process after one epoch."""
    features = FeatureCache(tmp_path, fingerprints=["a"], shapes=[(64, 8192)])
    keys = [image_key(bytes([index])) for index in range(64)]
    images = [(key, Image.new("L", (1, 1))) for key in keys]
    assert sum(features.add(images, lambda pictures: [torch.zeros(len(pictures), 64, 8192)], batch_size=4)) == 64

    def resident():
        return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()

    features.get(keys[0])
    before = resident()
    for key in keys:
        features.get(key)
    assert resident() - before < 16 * 2**20


def test_nothing_is_computed_twice(tmp_path):
    features = cache(tmp_path)
    assert fill(features, IMAGES[:4] + IMAGES[:4]) == 4
    assert fill(features, IMAGES[2:8]) == 4
    check(features, IMAGES[:8])
    with pytest.raises(KeyError):
        features.get(IMAGES[9][0])


def test_a_killed_build_goes_on(tmp_path):
    fill(cache(tmp_path), IMAGES[:5], batch_size=2)
    with (tmp_path / "tower-0.bf16").open("ab") as file:
        file.write(b"half a row")
    with (tmp_path / KEYS).open("ab") as file:
        file.write(b"half")
    again = cache(tmp_path)
    assert len(again) == 5 and fill(again, IMAGES) == 5
    check(cache(tmp_path), IMAGES)


def test_rows_lost_by_one_tower_are_computed_again(tmp_path):
    fill(cache(tmp_path), IMAGES[:6])
    data = (tmp_path / "tower-1.bf16").read_bytes()
    (tmp_path / "tower-1.bf16").write_bytes(data[: 4 * 2 * 5 * 2 + 3])
    again = cache(tmp_path)
    assert len(again) == 4
    fill(again, IMAGES)
    check(again, IMAGES)


def test_a_loader_s_process_gets_the_names_of_the_files_and_not_what_they_hold(tmp_path):
    features = cache(tmp_path)
    fill(features, IMAGES)
    before = len(pickle.dumps(features))
    features.get(IMAGES[0][0])  # now the files are mapped
    sent = pickle.dumps(features)
    assert len(sent) == before < 1000
    check(pickle.loads(sent), IMAGES)


def test_other_towers_are_refused(tmp_path):
    cache(tmp_path)
    with pytest.raises(ValueError, match="of other towers"):
        cache(tmp_path, fingerprints=("a", "c"))
    with pytest.raises(ValueError, match="of other towers"):
        cache(tmp_path, shapes=[(4, 3), (2, 6)])


def test_an_encoder_of_the_wrong_shape_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"tower 1 gave features of shape \(1, 2, 4\), expected \(1, 2, 5\)"):
        list(cache(tmp_path).add(IMAGES[:1], lambda images: [torch.zeros(1, 4, 3), torch.zeros(1, 2, 4)]))


def test_int8_is_half_the_size_and_within_a_percent(tmp_path):
    generator = torch.Generator().manual_seed(0)
    values = [torch.randn(4, 50, 64, generator=generator) * 10.0 ** torch.arange(4)[:, None, None] for _ in range(2)]
    values[0][0, 0] = 0  # a patch of nothing stays nothing
    images = IMAGES[:4]
    sizes = {}
    for precision in ("bfloat16", "int8"):
        features = FeatureCache(
            tmp_path / precision, fingerprints=("a", "b"), shapes=[(50, 64)] * 2, precision=precision
        )
        assert sum(features.add(images, lambda pictures: values)) == 4
        again = FeatureCache(tmp_path / precision, fingerprints=("a", "b"), shapes=[(50, 64)] * 2)
        assert again.precision == precision
        for index, (key, _) in enumerate(images):
            for stored, value in zip(again.get(key), values):
                assert stored.dtype == torch.bfloat16 and stored.shape == (50, 64)
                error = (stored.float() - value[index]).norm() / value[index].norm()
                assert error < {"bfloat16": 0.003, "int8": 0.012}[precision]
        assert (again.get(images[0][0])[0][0] == 0).all()
        sizes[precision] = sum(path.stat().st_size for path in (tmp_path / precision).glob("tower-*"))
    assert sizes["int8"] < 0.52 * sizes["bfloat16"]
    with pytest.raises(ValueError, match="of other towers"):
        FeatureCache(tmp_path / "int8", fingerprints=("a", "b"), shapes=[(50, 64)] * 2, precision="bfloat16")


# --- beside the samples -----------------------------------------------------------------------------------------------

MEMBERS = FeatureMembers(("a", "b"), SHAPES)


def png(level: int) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (2, 2), (level, level, level)).save(buffer, "PNG")
    return buffer.getvalue()


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

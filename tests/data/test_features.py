"""Features computed once are the ones that would be computed again, or are refused."""

import pickle
import resource
from pathlib import Path

import pytest
import torch
from PIL import Image

from skymm.data.features import FeatureCache, image_key
from skymm.data.key_index import KEYS

SHAPES = [(4, 3), (2, 5)]
IMAGES = [(image_key(bytes([index])), Image.new("L", (2, 2), index)) for index in range(10)]


def encode(images):
    """Features that tell which picture they are of."""
    values = torch.tensor([float(image.getpixel((0, 0))) for image in images])
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
    assert len(sent) == before
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


def test_a_cache_travels_as_its_directory(tmp_path):
    features = cache(tmp_path)
    fill(features, IMAGES)
    luggage = pickle.dumps(features)
    assert len(luggage) < 1000 and IMAGES[0][0] not in luggage
    check(pickle.loads(luggage), IMAGES)

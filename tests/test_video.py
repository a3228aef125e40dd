"""Clips to frames: the right ones, at the times that the file says, upright; what is no clip is said."""

from __future__ import annotations

import io
import sys

import pytest
from clips import number_of, turned, write_clip, write_sound
from PIL import Image

from skymm.images import UnreadableImage
from skymm.video import frames_of, is_video

pytest.importorskip("av", reason="clips need PyAV: pip install 'skymm[video]'")


def seen(source, **how) -> list[tuple[float, int]]:
    """(seconds, number) of each frame; PyAV's pictures are off by one or two levels of grey."""
    return [(round(frame.seconds, 2), round(number_of(frame.data))) for frame in frames_of(source, **how)]


@pytest.mark.parametrize(
    ("name", "codec"),
    [("a.mp4", "libx264"), ("a.mkv", "libx264"), ("a.webm", "libvpx-vp9"), ("a.avi", "mpeg4"), ("a.ts", "libx264")],
)
def test_frames_stand_amid_equal_parts_in_every_container(name, codec, tmp_path):
    clip = write_clip(tmp_path / name, codec=codec)
    assert is_video(clip.read_bytes()[:200])
    assert seen(clip, num_frames=4) == seen(clip.read_bytes(), fps=1) == [(0.5, 5), (1.5, 15), (2.5, 25), (3.5, 35)]
    assert seen(clip, num_frames=2, fps=5) == [(1.0, 10), (3.0, 30)], "no more than so many"
    assert seen(clip, fps=0.1) == [(2.0, 20)], "one at least"
    assert seen(clip, num_frames=100) == [(number / 10, number) for number in range(40)], "each once"


@pytest.mark.parametrize(
    ("pts", "expected"),
    [
        (range(1000, 1010), [(0.2, 2), (0.7, 7)]),
        ([0, 1, 2, 3, 50, 51, 52, 100, 200, 400], [(10.0, 7), (20.0, 8)]),
        ([7], [(0.0, 0)]),
    ],
    ids=["starts late", "at any pace", "one frame"],
)
def test_times_are_those_of_the_file_from_its_first_frame_on(pts, expected, tmp_path):
    for name in ("a.mp4", "a.mkv"):
        assert seen(write_clip(tmp_path / name, len(pts), pts=list(pts)), num_frames=2) == expected


def test_frames_are_upright(tmp_path):
    clip = write_clip(tmp_path / "a.mp4", 4)
    for data, size, bright in ((clip.read_bytes(), (64, 48), (8, 8)), (turned(clip.read_bytes()), (48, 64), (40, 8))):
        image = Image.open(io.BytesIO(frames_of(data, num_frames=1)[0].data)).convert("L")
        assert image.size == size and image.getpixel(bright) > 200 and image.getpixel((8, 40)) < 50


def test_what_is_no_whole_clip_is_said(tmp_path):
    whole = write_clip(tmp_path / "a.mp4", options={"movflags": "faststart"}).read_bytes()
    film = write_clip(tmp_path / "a.mkv").read_bytes()
    for data, message in (
        (b"", "cannot be decoded"),
        (b"some text" * 30, "cannot be decoded"),
        (write_sound(tmp_path / "a.wav").read_bytes(), "found audio and no pictures"),
        (whole[:1000], "cannot be decoded"),
        (whole[: len(whole) * 3 // 4], "the rest was cut off"),
        (film[: len(film) // 2], "the rest was cut off|no frame that has a time"),
    ):
        with pytest.raises(UnreadableImage, match=f"^CLIP: .*({message})"):
            frames_of(data, "CLIP")
    titled = write_clip(tmp_path / "t.mp4").read_bytes()
    assert seen(titled.replace(b"VideoHandler", "电影".encode("gb18030").ljust(12)), num_frames=1) == [(2.0, 20)]
    with pytest.raises(OSError, match="nowhere"):
        frames_of(tmp_path / "nowhere.mp4")


def test_pictures_and_other_files_are_no_clips(tmp_path):
    Image.new("RGB", (8, 8)).save(tmp_path / "a.avif")
    for data in ((tmp_path / "a.avif").read_bytes(), b"", b"GIF89a", b"RIFF\0\0\0\0WEBP", b"\xff\xd8\xff\xe0"):
        assert not is_video(data[:200])


def test_without_pyav_it_is_said_how_to_install_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(ValueError, match=r"pip install 'skymm\[video\]'"):
        frames_of(b"")

"""Clips to frames: a few pictures of a clip, each with its time; whatever is no readable clip becomes one kind of error.

The home of PyAV, which is installed on request. Builds and `skymm ask` take their frames here, so both see the same bytes.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from io import BytesIO
from itertools import chain
from pathlib import Path
from types import ModuleType
from typing import Any

from PIL import Image

from skymm.images import MAX_PIXELS, UnreadableImage

NUM_FRAMES = 8
"""Frames of a clip where nobody says how many."""
_QUALITY = 90  # of the JPEG that a frame becomes
_WHOLE = 0.95  # of the length that a file says it has: with less it was cut off
_ANEW = "ffmpeg -i OLD NEW.mp4"
_PICTURES = (b"avif", b"avis", b"heic", b"heix", b"mif1", b"msf1")  # brands of MP4's kin that hold no film
_BOXES = (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip")
_BEGINNINGS = (b"\x1aE\xdf\xa3", b"FLV\x01", b"\0\0\x01\xba", b"0&\xb2u")  # Matroska and WebM, FLV, MPEG-PS, WMV


@dataclass(frozen=True, slots=True)
class Frame:
    """`seconds`: from the clip's first frame on. `data`: a JPEG."""

    seconds: float
    data: bytes


def is_video(beginning: bytes) -> bool:
    """What the first 200 bytes of a file say: MP4, MOV, Matroska, WebM, AVI, FLV, MPEG, WMV."""
    if beginning[4:8] in _BOXES:
        return beginning[8:12] not in _PICTURES
    if beginning.startswith(b"RIFF"):
        return beginning[8:12] == b"AVI "
    return beginning.startswith(_BEGINNINGS) or beginning[:1] == beginning[188:189] == b"G"  # MPEG-TS


def frames_of(
    source: bytes | str | Path, where: str = "clip", *, num_frames: int = NUM_FRAMES, fps: float | None = None
) -> list[Frame]:
    """The frames amid `num_frames` equal parts of a clip, in their order; of a clip with fewer, each once.

    Args:
        source: a file, or its bytes. where: names it in errors.
        fps: so many a second, and `num_frames` at most.

    Upright, as the file says which side is up. Raises UnreadableImage for what cannot be decoded: no clip, no pictures in it,
    cut off, damaged, without times; and ValueError where PyAV is not installed.
    """
    av = _av()
    try:
        with _opened(source) as container:
            shown, keys = _times(container, where)
        with _opened(source) as container:
            stream = container.streams.video[0]
            seconds = [float((pts - shown[0]) * stream.time_base) for pts in shown]
            wanted = [shown[index] for index in _spread(seconds, num_frames, fps)]
            return [
                Frame(float((frame.pts - shown[0]) * stream.time_base), _encoded(frame, stream))
                for frame in _decoded(container, wanted, keys, where)
            ]
    except (av.error.FFmpegError, EOFError) as error:
        raise UnreadableImage(f"{where}: a clip that cannot be decoded ({error}); is it whole?") from error


def _av() -> ModuleType:
    try:
        import av
    except ImportError as error:
        raise ValueError("clips are read by PyAV, which is not installed: pip install 'skymm[video]'") from error
    return av


def _opened(source: bytes | str | Path) -> Any:
    """Raises OSError for a file that is not there or not to be read."""
    if not isinstance(source, bytes):
        Path(source).open("rb").close()
    # Titles are in whatever encoding their author's machine had, and nobody here reads them.
    return _av().open(BytesIO(source) if isinstance(source, bytes) else str(source), metadata_errors="ignore")


def _times(container: Any, where: str) -> tuple[list[int], list[int]]:
    """When frames are shown, sorted, and those with which decoding can begin, in the stream's own unit. Nothing is decoded.

    Raises UnreadableImage for what has no pictures, or ends before the time that it names.
    """
    if not container.streams.video:
        kinds = ", ".join(stream.type for stream in container.streams) or "nothing"
        raise UnreadableImage(f"{where}: found {kinds} and no pictures; expected a video")
    stream = container.streams.video[0]
    if stream.codec_context is None:
        raise UnreadableImage(f"{where}: a clip in a codec that PyAV does not have; write it anew: {_ANEW}")
    if stream.width * stream.height > MAX_PIXELS:
        raise UnreadableImage(f"{where}: {stream.width} x {stream.height} pixels, the limit is {MAX_PIXELS} in all")
    shown, keys, end = set(), [], 0.0
    for packet in _packets(container, where):
        if packet.pts is None:
            continue
        # Not from where it starts: Matroska counts the time before its first frame too.
        ends = packet.pts - min(packet.stream.start_time or 0, 0) + (packet.duration or 0)
        end = max(end, float(ends * packet.time_base))
        if packet.stream is stream and not packet.is_discard:
            shown.add(packet.pts)
            keys += [packet.pts] * packet.is_keyframe
    if not keys:
        raise UnreadableImage(f"{where}: no frame that has a time; is it whole? If so, write it anew: {_ANEW}")
    said = max(float((stream.duration or 0) * stream.time_base), (container.duration or 0) / 1_000_000)
    if end + 2 / (stream.average_rate or 1) < _WHOLE * said:
        raise UnreadableImage(f"{where}: {end:.1f} seconds of {said:.1f}, the rest was cut off; fetch it again")
    # Frames before the first that stands alone lack what they are made of.
    return sorted(pts for pts in shown if pts >= min(keys)), sorted(keys)


def _packets(container: Any, where: str) -> Iterator[Any]:
    try:
        yield from container.demux()
    except IndexError as error:  # PyAV's, which looks for streams at the beginning only
        raise UnreadableImage(f"{where}: a stream begins amid the file; write it anew: {_ANEW}") from error


def _spread(times: Sequence[float], num_frames: int, fps: float | None) -> list[int]:
    """Indices of the frames that are seen amid equal parts. `times`: of all, in seconds, sorted, from 0 on."""
    length = times[-1] * len(times) / max(1, len(times) - 1)  # the last one is seen as long as the others
    parts = num_frames if fps is None else min(num_frames, max(1, round(length * fps)))
    found = (bisect_right(times, (part + 0.5) / parts * length) - 1 for part in range(parts))
    return list(dict.fromkeys(found))


def _decoded(container: Any, wanted: Sequence[int], keys: Sequence[int], where: str) -> Iterator[Any]:
    """The frames of these times, or the first behind. What lies between two of them is jumped over where it can be."""
    stream = container.streams.video[0]
    frames, at = container.decode(stream), keys[0]
    for pts in wanted:
        if at < keys[bisect_right(keys, pts) - 1]:
            frames = _from(container, stream, pts, keys)
        frame = next((frame for frame in frames if frame.pts is not None and frame.pts >= pts), None)
        if frame is None or frame.is_corrupt:
            seconds = float((pts - keys[0]) * stream.time_base)
            raise UnreadableImage(f"{where}: the frame at {seconds:.1f} seconds is damaged, or not there")
        at = frame.pts
        yield frame


def _from(container: Any, stream: Any, pts: int, keys: Sequence[int]) -> Iterator[Any]:
    """Frames from one at this time or before it on. MPEG-TS jumps too far, so the key before is tried then."""
    for key in reversed(keys[: bisect_right(keys, pts)]):
        container.seek(key, stream=stream)
        frames = container.decode(stream)
        first = next(frames, None)
        if first is not None and first.pts is not None and first.pts <= pts:
            return chain([first], frames)
    return iter(())


def _encoded(frame: Any, stream: Any) -> bytes:
    image, ratio = frame.to_image(), stream.sample_aspect_ratio or 1
    if ratio != 1:  # pixels that are no squares
        image = image.resize((max(1, round(image.width * ratio)), image.height))
    if frame.rotation:
        image = image.rotate(frame.rotation, Image.Resampling.NEAREST, expand=True)
    buffer = BytesIO()
    image.save(buffer, "JPEG", quality=_QUALITY)
    return buffer.getvalue()

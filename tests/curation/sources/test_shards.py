"""Shards that cannot be trusted or are cut off."""

from __future__ import annotations

import io
import json
import pickle
import tarfile
from pathlib import Path

import pytest
from curation.sources import miniatures
from curation.sources.gathered import gather, source_of
from curation.sources.miniatures import GOOD, picture

from skymm.data.shards import ShardError


def shard(path: Path, *members: tuple[str, bytes] | tarfile.TarInfo) -> dict:
    with tarfile.open(path, "w") as tar:
        for member in members:
            info = member if isinstance(member, tarfile.TarInfo) else tarfile.TarInfo(member[0])
            content = b"" if isinstance(member, tarfile.TarInfo) else member[1]
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return {"format": "shards", "shards": str(path)}


def test_what_stands_before_a_cut_is_given(tmp_path):
    whole = miniatures.our_shards(tmp_path, broken=False)
    path = tmp_path / "ours" / "train-00000.tar"
    records = gather(whole).records
    path.write_bytes(path.read_bytes()[: records[9].pictures["jpg"].offset + 100])  # amid the tenth picture
    gathered = gather(whole)
    assert gathered.records == records[:9]
    assert gathered.reasons() == ["shard is damaged"] and "9 keys before it" in gathered.rejected[0].detail


def test_a_lost_end_is_damage_too(tmp_path):
    whole = miniatures.our_shards(tmp_path, broken=False)
    path = tmp_path / "ours" / "train-00000.tar"
    content = path.read_bytes()
    path.write_bytes(content[: len(content.rstrip(b"\0")) // 512 * 512 + 512])
    gathered = gather(whole)
    assert len(gathered.records) == GOOD - 1 and gathered.reasons() == ["shard is damaged"]


def test_unsafe_shards_are_refused_before_their_first_record(tmp_path):
    for name, kind, message in [
        ("link.jpg", tarfile.SYMTYPE, "is a link or a device"),
        ("hard.jpg", tarfile.LNKTYPE, "is a link or a device"),
        ("device.jpg", tarfile.CHRTYPE, "is a link or a device"),
        ("/absolute.txt", tarfile.REGTYPE, "leads outside of the shard"),
        ("a/../../up.txt", tarfile.REGTYPE, "leads outside of the shard"),
    ]:
        bad = tarfile.TarInfo(name)
        bad.type, bad.linkname = kind, "/etc/passwd"
        source = source_of(shard(tmp_path / "bad.tar", ("a.jpg", picture(1)), ("a.txt", b"fine"), bad))
        (row,) = source.rows()
        with pytest.raises(ShardError, match=message):
            next(iter(source.records(row)))


def test_what_is_no_shard_is_refused(tmp_path):
    path = tmp_path / "a.tar"
    for content, message in (b"\x1f\x8b\x08\x00" + bytes(600), r"compressed \(gzip\)"), (bytes(10240), "an empty tar"):
        path.write_bytes(content)
        with pytest.raises(ShardError, match=message):
            gather({"format": "shards", "shards": str(path)})
    with pytest.raises(ValueError, match="no shards found"):
        gather({"format": "shards", "shards": str(tmp_path / "none.tar")})


def test_nothing_is_ever_unpickled(tmp_path):
    class Trap:
        def __reduce__(self):
            return (Path.touch, (tmp_path / "sprung",))

    trap = pickle.dumps(Trap())
    fields = shard(
        tmp_path / "a.tar",
        *(("a.pkl", trap), ("a.pyd", trap), ("a.pth", trap), ("a.jpg", picture(1)), ("a.txt", b"fine")),
        *(("b.pyd", trap), ("b.jpg", picture(2))),
    )
    gathered = gather(fields)
    assert [record.captions[0].text for record in gathered.records] == ["fine"]
    assert gathered.reasons() == ["caption is missing"] and "pyd, jpg" in gathered.rejected[0].detail
    assert gather(fields, caption_member="pyd").reasons() == ["caption cannot be read", "caption cannot be read"]
    assert not (tmp_path / "sprung").exists()


def test_a_key_that_is_there_twice_is_told_whether_beside_itself_or_not(tmp_path):
    def sample(key: str, number: int) -> list[tuple[str, bytes]]:
        return [(f"{key}.jpg", picture(number)), (f"{key}.txt", b"caption %d" % number)]

    members = [*sample("a", 1), *sample("a", 2), *sample("b", 3), *sample("a", 4)]
    gathered = gather(shard(tmp_path / "a.tar", *members))
    assert [record.captions[0].text for record in gathered.records] == ["caption 1", "caption 3"]
    assert gathered.reasons() == ["key is there twice", "key is there twice"]


def test_member_names_of_others(tmp_path):
    fields = shard(
        tmp_path / "a.tar",
        *(("a.image.jpg", picture(1)), ("a.mask.png", picture(2, "PNG")), ("a.caption.txt", b"  one\n")),
        *(("x/b.0.jpg", picture(3, "PNG")), ("x/b.1.jpg", picture(4)), ("x/b.caption.txt", b"two")),
    )
    found = gather(fields, caption_member="caption.txt", image_members=["image.jpg", "jpg"]).records
    assert [list(record.pictures) for record in found] == [["jpg"], ["0.png", "1.jpg"]]
    assert [record.captions[0].text for record in found] == ["one", "two"]


def test_pictures_of_one_number_keep_apart(tmp_path):
    turns = [
        {"role": "user", "text": "What?", "images": ["0.jpg", "0.png"]},
        {"role": "assistant", "text": "Two dogs.", "language": "en"},
    ]
    members = [("a.0.jpg", picture(1)), ("a.0.png", picture(2)), ("a.json", json.dumps({"turns": turns}).encode())]
    (record,) = gather(shard(tmp_path / "a.tar", *members)).records
    assert [each.read() for each in record.pictures.values()] == [picture(1), picture(2)]
    assert record.turns[0].images == ("0.jpg", "1.jpg")


def test_json_that_utf_8_cannot_say_is_rejected(tmp_path):
    odd = json.dumps({"url": "\ud83d"}).encode()
    fields = shard(tmp_path / "a.tar", ("a.jpg", picture(1)), ("a.json", odd), ("a.txt", b"fine"))
    assert gather(fields).reasons() == ["text is not Unicode"]

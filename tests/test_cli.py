"""The door: help is instant, mistakes are one sentence, commands do what they say."""

import resource
import subprocess
import sys
import tarfile

import pytest
from PIL import Image


def skymm(*arguments: object) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, "-m", "skymm.cli", *map(str, arguments)], capture_output=True, text=True)


def test_help_takes_under_half_a_second():
    """Of a processor's time, at best: other tests run beside this one."""
    seconds = []
    for _ in range(6):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        result = skymm("--help")
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        seconds.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
        if seconds[-1] < 0.5:
            break
    assert result.returncode == 0 and min(seconds) < 0.5
    for command in ("quickstart", "train", "doctor", "ask", "look", "data", "eval"):
        assert command in result.stdout


def test_look_shows_samples_and_tokens(tiny_data, tiny_llm):
    result = skymm("look", tiny_data / "stage2", "-n", 2, "--llm", tiny_llm)
    assert result.returncode == 0
    assert result.stdout.count("320 x 320 JPEG") == 2 and "有" in result.stdout and "⟦image⟧" in result.stdout
    assert "learned" in result.stdout and "negative" in result.stdout
    only = skymm("look", tiny_data / "stage2", "--key", "00000003")
    assert "00000003" in only.stdout and "00000004" not in only.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["look", "{tmp}/nowhere"], "no shards found: "),
        (["look", "{data}/stage2", "--key", "zebra"], "no sample with key 'zebra'"),
        (["train", "{tmp}/nowhere.toml"], "no recipe at"),
        (["train", "{tmp}/typo.toml"], "unknown key 'stepz'; did you mean 'steps'?"),
        (["ask", "{tmp}/nowhere", "{picture}", "Is it?"], "nowhere"),
        (["ask", "{tmp}", "{tmp}/nowhere.jpg", "Is it?"], "no image at"),
        (["ask", "{tmp}", "{tmp}/typo.toml", "Is it?"], "typo.toml"),
        (["ask", "{tmp}", "{tmp}/huge.png", "Is it?"], "30000 x 30000"),
        (["doctor", "{tmp}"], "found no log.jsonl in"),
        (["doctor", "{tmp}/typo.toml"], "unknown key 'stepz'; did you mean 'steps'?"),
        (["eval", "score", "mme", "{tmp}/nowhere"], "nowhere"),
        (["eval", "score", "pop", "{tmp}"], "unknown benchmark 'pop'; did you mean 'pope'?"),
        (
            ["eval", "run", "eval/mme.toml", "root={tmp}", "--model", "{tmp}", "--out", "{tmp}/o"],
            "expected folders named as MME",
        ),
    ],
)
def test_mistakes_are_one_sentence(arguments, message, tmp_path, tiny_data):
    (tmp_path / "typo.toml").write_text('out = "x"\nsteps = 1\nstepz = 2\n[data.a]\nshards = "s"\n')
    Image.new("RGB", (8, 8)).save(tmp_path / "picture.png")
    write_huge_png(tmp_path / "huge.png")
    places = {"tmp": tmp_path, "data": tiny_data, "picture": tmp_path / "picture.png"}
    result = skymm(*(argument.format(**places) for argument in arguments))
    assert result.returncode == 1 and result.stderr.startswith("skymm: ")
    assert message in result.stderr and "Traceback" not in result.stderr


def write_huge_png(path):
    """A PNG whose header says 30,000 x 30,000; its pixels would be 2.7 GB."""
    import struct
    import zlib

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 30000, 30000, 8, 2, 0, 0, 0)
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0")) + chunk(b"IEND", b"")
    )


def test_a_tar_with_wrong_members_is_told_at_once(tmp_path):
    with tarfile.open(tmp_path / "wrong.tar", "w") as tar:
        (tmp_path / "a.cls").write_text("3")
        tar.add(tmp_path / "a.cls", "a.cls")
    result = skymm("look", tmp_path / "wrong.tar")
    assert result.returncode == 1 and ".cls" in result.stderr.replace("'cls'", ".cls") and "json" in result.stderr


def test_a_question_without_an_image(tiny_model, tmp_path):
    model, processor = tiny_model
    model.save_pretrained(tmp_path / "model")
    processor.save_pretrained(tmp_path / "model")
    assert skymm("ask", tmp_path / "model", "-", "你好", "--max-new-tokens", 4).returncode == 0


def test_scoring_speaks_json(tmp_path):
    import json

    (tmp_path / "existence.txt").write_text("a.jpg\tIs it?\tYes\tyes\na.jpg\tIs that?\tNo\tyes\n")
    printed = json.loads(skymm("eval", "score", "mme", tmp_path, "--json").stdout)
    assert printed["subtasks"]["existence"]["score"] == 50.0 and printed["perception"] == 50.0

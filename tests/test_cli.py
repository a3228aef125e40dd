"""The door: help is instant, mistakes are one sentence, commands do what they say."""

import json
import resource
import struct
import subprocess
import sys
import tarfile
import zlib

from PIL import Image

from skymm import cli


def test_help_takes_under_half_a_second():
    """Of a processor's time, at best: other tests run beside this one."""
    seconds = []
    for _ in range(6):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        result = subprocess.run([sys.executable, "-m", "skymm.cli", "--help"], capture_output=True, text=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        seconds.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
        if seconds[-1] < 0.5:
            break
    assert result.returncode == 0 and min(seconds) < 0.5
    for command in ("quickstart", "train", "doctor", "ask", "look", "data", "eval"):
        assert command in result.stdout


def test_look_shows_samples_and_tokens(skymm, tiny_data, tiny_llm):
    result = skymm("look", tiny_data / "stage2", "-n", 2, "--llm", tiny_llm)
    assert result.returncode == 0
    assert result.stdout.count("320 x 320 JPEG") == 2 and "有" in result.stdout and "⟦image⟧" in result.stdout
    assert "learned" in result.stdout and "negative" in result.stdout
    only = skymm("look", tiny_data / "stage2", "--key", "00000003")
    assert "00000003" in only.stdout and "00000004" not in only.stdout


def huge_png() -> bytes:
    """Its header says 30,000 x 30,000; its pixels would be 2.7 GB."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 30000, 30000, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(b"\0")) + chunk(b"IEND", b"")


def test_mistakes_are_one_sentence(skymm, tmp_path, tiny_data):
    typo, nowhere, huge, picture, wrong = (
        tmp_path / name for name in ("typo.toml", "nowhere", "huge.png", "picture.png", "wrong.tar")
    )
    typo.write_text('out = "x"\nsteps = 1\nstepz = 2\n[data.a]\nshards = "s"\n')
    Image.new("RGB", (8, 8)).save(picture)
    huge.write_bytes(huge_png())
    (tmp_path / "a.cls").write_text("3")
    with tarfile.open(wrong, "w") as tar:
        tar.add(tmp_path / "a.cls", "a.cls")
    run = ("eval", "run", "eval/mme.toml", f"root={tmp_path}", "--model", tmp_path, "--out", tmp_path / "o")
    for arguments, message in (
        (("look", nowhere), "no shards found: "),
        (("look", wrong), "a.cls"),
        (("look", tiny_data / "stage2", "--key", "zebra"), "no sample with key 'zebra'"),
        (("train", f"{nowhere}.toml"), "no recipe at"),
        (("train", typo), "unknown key 'stepz'; did you mean 'steps'?"),
        (("ask", nowhere, picture, "Is it?"), "nowhere"),
        (("ask", tmp_path, f"{nowhere}.jpg", "Is it?"), "no image at"),
        (("ask", tmp_path, picture, f"{nowhere}.mp4", "Is it?"), "nowhere.mp4; give files"),
        (("ask", tmp_path, typo, "Is it?"), "typo.toml"),
        (("ask", tmp_path, huge, "Is it?"), "30000 x 30000"),
        (("doctor", tmp_path), "found no log.jsonl in"),
        (("doctor", typo), "unknown key 'stepz'; did you mean 'steps'?"),
        (("eval", "score", "mme", nowhere), "nowhere"),
        (("eval", "score", "pop", tmp_path), "unknown benchmark 'pop'; did you mean 'pope'?"),
        (run, "expected folders named as MME"),
    ):
        result = skymm(*arguments)
        assert result.returncode == 1 and result.stderr.startswith("skymm: "), arguments
        assert message in result.stderr and "Traceback" not in result.stderr, result.stderr


def test_the_demo_says_what_it_needs(skymm, monkeypatch):
    monkeypatch.setattr(cli, "find_spec", lambda name: None)
    result = skymm("demo", "somewhere")
    assert result.returncode == 1 and result.stderr == (
        "skymm: the demo needs gradio, which is not installed: pip install 'skymm[demo]'\n"
    )


def test_a_question_without_an_image(skymm, tiny_model, tmp_path):
    for part in tiny_model:
        part.save_pretrained(tmp_path / "model")
    asked = skymm("ask", tmp_path / "model", "-", "你好", "--max-new-tokens", 4)
    assert asked.returncode == 0 and asked.stdout.strip()


def test_scoring_speaks_json(skymm, tmp_path):
    (tmp_path / "existence.txt").write_text("a.jpg\tIs it?\tYes\tyes\na.jpg\tIs that?\tNo\tyes\n")
    printed = json.loads(skymm("eval", "score", "mme", tmp_path, "--json").stdout)
    assert printed["subtasks"]["existence"]["score"] == 50.0 and printed["perception"] == 50.0

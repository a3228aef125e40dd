"""How other processes of this machine are started."""

from __future__ import annotations

import multiprocessing
from collections.abc import Sequence
from multiprocessing.context import BaseContext


def fresh_context(imports: Sequence[str] = ()) -> BaseContext:
    """Processes that inherit nothing of this one. Those started first say which `imports` they all share.

    Forking a process that has threads (torch, ray) or has touched CUDA breaks in ways that show late. A fork server is a
    process that has neither: it imports once what its forks need. Where there is none, they start from nothing.
    """
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(list(imports))
    return context

# SPDX-License-Identifier: Apache-2.0
"""Which instructions compute the floating-point sums of a run: sums in another order round differently.

torch, oneDNN, MKL and numpy choose their code by the processor, and wider vectors add up in another order. A search
follows such differences to another network. So a run holds all of them to AVX2, which every x86-64 processor of the
last ten years has, and searches and trains with one thread; what it computed with stands in its figures.
"""

from __future__ import annotations

import os
import platform
from pathlib import Path

from typing_extensions import TypedDict

PINNED = {
    "ATEN_CPU_CAPABILITY": "avx2",
    "ONEDNN_MAX_CPU_ISA": "AVX2",
    "MKL_CBWR": "COMPATIBLE",
    "NPY_DISABLE_CPU_FEATURES": "X86_V4 AVX512_ICL AVX512_SPR",
}
"""Variables by which the libraries are told. They read them once, when they are loaded or first compute."""

_CPUINFO = Path("/proc/cpuinfo")


def pin() -> None:
    """Set PINNED, but not over the user's own settings, where the processor has AVX2. To be called before torch and
    numpy are imported."""
    if {"avx2", "fma"} <= set(_cpuinfo("flags").split()):
        for name, value in PINNED.items():
            os.environ.setdefault(name, value)


class Arithmetic(TypedDict):
    """What a process computes with: processor, instructions and threads of torch, settings of the others."""

    cpu: str
    torch_instructions: str
    torch_threads: int
    settings: dict[str, str]


def used() -> Arithmetic:
    """What the present process computes with."""
    import torch

    return {
        "cpu": cpu(),
        "torch_instructions": torch.backends.cpu.get_cpu_capability(),
        "torch_threads": torch.get_num_threads(),
        "settings": {name: os.environ.get(name, "") for name in PINNED},
    }


def cpu() -> str:
    """The processor's name."""
    return _cpuinfo("model name") or platform.processor() or platform.machine()


def cores() -> int:
    """The number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _cpuinfo(field: str) -> str:
    """The first value of a field of /proc/cpuinfo; "" where there is none (other systems, other processors)."""
    try:
        text = _CPUINFO.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    for line in text.splitlines():
        name, _, value = line.partition(":")
        if name.strip() == field:
            return value.strip()
    return ""

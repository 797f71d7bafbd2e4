# SPDX-License-Identifier: Apache-2.0
"""HLS C++ == integer reference: compile a bundle's HLS files with g++ and ap_int headers, run them, compare outputs."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nba.core import assets
from nba.core.errors import ToolError
from nba.core.files import naming
from nba.core.tools import require_tool, run_tool
from nba.emit.hls import from_bytes, to_bytes
from nba.ir.network import Network

INCLUDE_VARIABLE = "NBA_HLS_INCLUDE"
"""Environment variable that names a folder with ap_int.h and hls_stream.h."""
_HEADERS = ("ap_int.h", "hls_stream.h")
_FLAGS = ("-std=c++14", "-O1", "-fno-ivopts", "-Wall", "-Wextra", "-Wno-unknown-pragmas", "-Wno-unused-label")
"""Induction variables are left as they are (-fno-ivopts): g++ 12.2 at -O1 and -O2 compiles some designs whose number
of columns is no power of two to programs that give other codes than at -O0, under the sanitizers or without that pass.
Neither these nor valgrind find anything in the source (tests/hls/test_networks.py, seeds 6008, 6011)."""
_HEADER_NOISE = ("-Wno-uninitialized", "-Wno-maybe-uninitialized")
"""Warnings that ap_int's own constructors cause once they are inlined."""


@dataclass(frozen=True, kw_only=True, slots=True)
class HlsResult:
    """Outcome of one comparison. `by_mode` counts output codes that differ in every mode; `seconds` includes
    compilation."""

    images: int
    by_mode: tuple[int, ...]
    seconds: float

    @property
    def mismatches(self) -> int:
        """Output codes that differ, of all modes."""
        return sum(self.by_mode)


def find_headers() -> tuple[Path, ...]:
    """Include folders with ap_int.h and hls_stream.h: $NBA_HLS_INCLUDE, or the ones that come with nba-codesign.

    Raises ToolError if $NBA_HLS_INCLUDE names a folder that does not hold both.
    """
    named = os.environ.get(INCLUDE_VARIABLE)
    if named:
        if all((Path(named) / h).is_file() for h in _HEADERS):
            return (Path(named),)
        raise ToolError(
            f"{INCLUDE_VARIABLE}={named}: holds no {' and '.join(_HEADERS)}; name a folder that does, or unset it"
        )
    own = assets.root("templates") / "hls" / "include"
    return (own, own / "ap_types")


def require_compiler() -> None:
    """Raise ToolError if the C++ compiler or the headers are missing."""
    require_tool("g++")
    find_headers()


def compile_hls(sources: tuple[Path, ...], program: Path, *, defines: tuple[str, ...] = ()) -> None:
    """Compile `sources` into the executable `program`; the compiler's output goes to `program` + ".log".

    Raises ToolError if g++ is missing, or the sources do not compile.
    """
    includes = [part for folder in find_headers() for part in ("-isystem", str(folder))]
    flags = [*_FLAGS, *_HEADER_NOISE, *(f"-D{d}" for d in defines), *includes]
    program.parent.mkdir(parents=True, exist_ok=True)
    command = ["g++", *flags, "-o", str(program), *(str(s.resolve()) for s in sources)]
    run_tool(command, cwd=program.parent, log_path=program.with_suffix(".log"))


def run_hls(
    program: Path,
    network: Network,
    x: np.ndarray,
    *,
    arguments: tuple[str, ...] = (),
    batch: int | None = None,
) -> np.ndarray:
    """Output codes [B, H, W, C] of a compiled bench for input codes x [B, H, W, C], `batch` frames per call.

    `arguments` go before the file names. Raises ToolError if the bench fails, finds the row schedule stuck, or writes
    more or less than a frame for every frame.
    """
    last = network.tensors[-1]
    given, got = program.with_suffix(".in"), program.with_suffix(".out")
    with naming(given):
        given.write_bytes(to_bytes(x, network.master_bits))
    got.unlink(missing_ok=True)
    tail = () if batch is None else (str(batch),)
    run_tool([str(program), *arguments, str(given), str(got), *tail], cwd=program.parent)
    data = got.read_bytes() if got.is_file() else b""
    wanted = len(to_bytes(np.zeros((len(x), last.height, last.width, last.channels)), network.master_bits))
    if len(data) != wanted:
        found = f"{len(data)} bytes of output codes for {len(x)} frames, not {wanted}"
        raise ToolError(f"{got}: {found}; the bench is broken")
    return from_bytes(data, last)


def verify_hls(
    folder: Path,
    network: Network,
    x: np.ndarray,
    expected: np.ndarray,
    work: Path,
    modes: tuple[np.ndarray, ...] = (),
    image: Path | None = None,
) -> HlsResult:
    """Compile the HLS files in `folder` (a bundle's hls/), run x [B, H, W, C] and compare all outputs with `expected`;
    of a design of several modes in each of them, `modes` being what the further ones must give. image: the file of the
    streamed weights, of a design that has them.

    Intermediate files go to `work`. Raises ToolError as `compile_hls` and `run_hls` do.
    """
    begin = time.perf_counter()
    program = work.resolve() / "csim"
    compile_hls((folder / "main.cpp", folder / "top.cpp"), program)
    by_mode = []
    for m, wanted in enumerate((expected, *modes)):
        arguments = (*((str(m),) if modes else ()), *(() if image is None else (str(image.resolve()),)))
        got = run_hls(program, network, x, arguments=arguments)
        by_mode.append(int(np.count_nonzero(got != wanted)))
    return HlsResult(images=int(x.shape[0]), by_mode=tuple(by_mode), seconds=time.perf_counter() - begin)

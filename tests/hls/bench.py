# SPDX-License-Identifier: Apache-2.0
"""Many designs in one g++ run: parsing ap_int's headers costs more than compiling a small design."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nba.core.files import write_atomic
from nba.emit.hls import DEFAULT_TOP, render_hls
from nba.emit.memories import image_bytes
from nba.ir.accelerator import Accelerator
from nba.ir.design import Cost, Design
from nba.ir.network import Network, Weights, weights_digest
from nba.machine.check import check_design
from nba.machine.program import lower
from nba.verify.hls import compile_hls, run_hls

BATCH = 2


@dataclass(frozen=True, kw_only=True, slots=True)
class Case:
    """A design, its weights, input codes [B, H, W, C], and the outputs that they must give."""

    name: str
    design: Design
    weights: Weights
    x: np.ndarray
    expected: np.ndarray


def design_of(name: str, network: Network, weights: Weights, accelerator: Accelerator) -> Design:
    """A legal Design around a network and an accelerator; cost and platform do not matter to HLS."""
    cost = Cost(
        first_output_latency_cycles=0, interval_cycles=0, dsp=0, bram=0.0, lut=1, ff=1, energy_pj=1.0, power_w=1.0
    )
    design = Design(
        name=name, network=network, accelerator=accelerator, platform="none", clock_mhz=200.0, cost=cost,
        weights_sha256=weights_digest(weights), seed=0, versions=(),
    )  # fmt: skip
    check_design(design, weights, where=name)
    return design


def render(design: Design, weights: Weights, top: str = DEFAULT_TOP) -> dict[str, str]:
    """The HLS files for some device."""
    return render_hls(design, weights, top=top, part="xc7z020clg400-1")


def write_bundle(folder: Path, files: dict[str, str]) -> None:
    """Write rendered files below `folder`."""
    for path, text in files.items():
        write_atomic(folder / path, text)


@dataclass(frozen=True, kw_only=True, slots=True)
class Group:
    """Compiled cases; `outputs` runs one of them."""

    program: Path
    cases: tuple[Case, ...]

    def outputs(self, index: int, image: Weights | None = None) -> np.ndarray:
        """Output codes of case `index`, `BATCH` frames per call, so that memories hold old rows when one starts.
        image: what the image of weights is made of, if not of those of the case."""
        case = self.cases[index]
        arguments: tuple[str, ...] = (str(index),)
        if case.design.accelerator.memory is not None:
            program = lower(case.design.network, case.design.accelerator)
            file = self.program.with_name(f"weights_{index}.bin")
            file.write_bytes(image_bytes(program, case.design.network.layers, image or case.weights))
            arguments = (*arguments, str(file))
        return run_hls(self.program, case.design.network, case.x, arguments=arguments, batch=BATCH)


def compile_group(work: Path, cases: tuple[Case, ...], defines: tuple[str, ...] = ()) -> Group:
    """Emit and compile all `cases` as one program that takes the number of a case as its first argument."""
    lines = ["#include <cstdlib>"]
    for i, case in enumerate(cases):
        write_bundle(work / f"case_{i}", render(case.design, case.weights, top=f"case_{i}"))
        lines += [f'#include "case_{i}/hls/top.cpp"', f"#define main main_{i}"]
        lines += [f'#include "case_{i}/hls/main.cpp"', "#undef main"]
    calls = "".join(f"    case {i}: return main_{i}(argc - 1, argv + 1);\n" for i in range(len(cases)))
    lines.append("int main(int argc, char **argv) {\n  switch (std::atoi(argv[1])) {")
    lines.append(f"{calls}  }}\n  return 2;\n}}\n")
    write_atomic(work / "group.cpp", "\n".join(lines))
    compile_hls((work / "group.cpp",), work / "group", defines=defines)
    return Group(program=work / "group", cases=cases)

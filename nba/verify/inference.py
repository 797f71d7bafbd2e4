# SPDX-License-Identifier: Apache-2.0
"""A bundle's RTL as an inference engine: images in, the integers that the hardware gives, and the cycles it takes."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from nba.core.errors import DesignError, ToolError
from nba.emit.predicted import Cycles
from nba.emit.vectors import frame_codes, stream_bytes, stream_codes
from nba.machine.program import lower
from nba.verify.bundle import check_bundle
from nba.verify.rtl import Simulator, run_script


@dataclass(frozen=True, kw_only=True, slots=True)
class SimulatedJob:
    """One job (a layer on its chunk) in a batch. start, end: by frame, the first cycle and that of the last memory
    write, counted from the start of the batch."""

    chunk: int
    job: int
    layer: int
    name: str
    start: tuple[int, ...]
    end: tuple[int, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class BatchCycles:
    """The simulated cycles of a batch, which are those of the exact schedule.

    first_output_latency_cycles: from the start to the last beat of the first output frame. batch_interval_cycles:
    between two output frames in the middle of the batch, None for a single frame. batch_cycles: from the start until
    the machine is done. output_cycles: when the last beat of each output frame leaves, from 0. jobs: chunk by chunk.
    """

    first_output_latency_cycles: int
    batch_interval_cycles: int | None
    batch_cycles: int
    output_cycles: tuple[int, ...]
    jobs: tuple[SimulatedJob, ...]


class Simulated(NamedTuple):
    """logits: int64 [B, classes], the output codes of each image in the order of the map (row, column, channel), so
    that the column of a classifier's logits is the number of the class. cycles: what the batch took."""

    logits: np.ndarray
    cycles: BatchCycles


def simulate(
    bundle: Path | str, images: np.ndarray, *, simulator: Simulator = "verilator", mode: int = 0,
    work: Path | str | None = None,
) -> Simulated:  # fmt: skip
    """Simulate the Verilog of a bundle on `images`, one batch without pauses.

    images: [B, H, W, C] of the network's input, B from 1 on ([B, H, W] if it has one channel): uint8 pixels, or codes
    of any other integer type within the range of the input's codes. simulator: "verilator" (compiles first) or
    "icarus" (starts at once, about a hundred times as slow). mode: of a design of several modes, the one that computes.
    work: a folder for the compiled model and the logs, which a later call can use again; a temporary one if None.

    As in verification, what is simulated is the design of the bundle rendered anew, after a comparison with the folder.
    Raises DesignError if the bundle is not what its design renders to, or has no such mode; DataError for images of
    another shape, type or range; ToolError if a tool is missing, or if the simulation breaks off or leaves the
    predicted cycles.
    """
    if work is None:
        with tempfile.TemporaryDirectory() as folder:
            return simulate(bundle, images, simulator=simulator, mode=mode, work=folder)
    work = Path(work)
    checked = check_bundle(Path(bundle), work / "bundle")
    design = checked.design
    if not 0 <= mode < len(design.networks):
        raise DesignError(str(bundle), [f"mode {mode}: not one of the design; legal: 0..{len(design.networks) - 1}"])
    network = design.networks[mode]
    program = lower(design.network, design.accelerator, design.modes)
    sent = stream_bytes(frame_codes(network, images), program.in_cols, program.in_lanes, program.code_bits)
    source, target = work / "input.hex", work / "output.hex"
    source.write_text("".join(f"{frame.hex()}\n" for frame in sent), encoding="ascii")
    target.unlink(missing_ok=True)
    (found,) = run_script(
        checked.folder, simulator, "--input", str(source.resolve()), "--output", str(target.resolve()),
        "--mode", str(mode), work=work,
    )  # fmt: skip
    if not target.is_file():
        raise ToolError(f"{simulator}: the batch broke off or left the predicted cycles; log: {found['log']}")
    frames = [bytes.fromhex(line) for line in target.read_text(encoding="ascii").split()]
    codes = stream_codes(frames, network.tensors[-1], program.out_cols, program.out_lanes)
    return Simulated(logits=codes.reshape(len(codes), -1).astype(np.int64), cycles=_cycles(found["simulated"]))


def _cycles(raw: Cycles) -> BatchCycles:
    return BatchCycles(
        first_output_latency_cycles=raw["first_output_latency"],
        batch_interval_cycles=raw["batch_interval_cycles"] if raw["frames"] > 1 else None,
        batch_cycles=raw["batch"],
        output_cycles=tuple(raw["outputs"]),
        jobs=tuple(
            SimulatedJob(
                chunk=job["chunk"], job=job["job"], layer=job["layer"], name=job["name"], start=tuple(job["start"]),
                end=tuple(job["end"]),
            )
            for job in raw["jobs"]
        ),
    )  # fmt: skip

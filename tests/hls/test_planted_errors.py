# SPDX-License-Identifier: Apache-2.0
"""Errors planted in the emitted HLS must be seen: the comparison is not one that cannot fail."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from nba.core.errors import ToolError
from nba.core.tools import run_tool
from nba.emit.hls import vector_files
from nba.emit.memories import image_bytes
from nba.ir.accelerator import WeightMemory
from nba.machine.program import lower
from nba.verify.hls import verify_hls
from tests.hls.bench import Case, design_of, render, write_bundle
from tests.hls.operators import CHANNELS, FULL, HALVES, Operator, operator_case


@dataclass(frozen=True, kw_only=True, slots=True)
class Mutant:
    """One text in one file, and what replaces it."""

    path: str
    old: str
    new: str


MUTANTS = (
    Mutant(path="hls/lib/nba_requant.h", old="total = product + round", new="total = product"),
    Mutant(path="hls/lib/nba_types.h", old="(1) << k) >> 1", new="(1) << k) >> 2"),
    Mutant(path="hls/lib/nba_engine.h", old="banks[b][l] : pad[l]", new="banks[b][l] : code_t(0)"),
    Mutant(path="hls/lib/nba_buffer.h", old="p0 + offset(ring, r));", new="p0 + r);"),
    Mutant(path="hls/lib/nba_sched.h", old="rows_held(state[ring]) < rings[ring].rows", new="true"),
    Mutant(path="hls/weights.h", old="ull", new="ull ^ 16ull"),
)
HALF_MUTANTS = (
    Mutant(path="hls/lib/nba_engine.h", old="(job.half_first != 0) != turned", new="job.half_first != 0"),
    Mutant(path="hls/lib/nba_engine.h", old="g >= job.turn_lo", new="g > job.turn_lo"),
    Mutant(path="hls/lib/nba_engine.h", old="g < job.turn_hi", new="true"),
)
CHANNEL_MUTANTS = (
    Mutant(path="hls/lib/nba_requant.h", old="job.shift + more", new="job.shift"),
    Mutant(path="hls/lib/nba_requant.h", old="(1) << (shift - 1)", new="(1) << (job.shift - 1)"),
    Mutant(path="hls/lib/nba_engine.h", old="Io::pads(job.pad_base + word, pad)", new="Io::pads(job.pad_base, pad)"),
    Mutant(path="hls/lib/nba_engine.h", old="job.pad_base < 0", new="true"),
    Mutant(path="hls/top.cpp", old="more[i] = ", new="more[i] = i ? 0 : "),
)
STREAM_MUTANTS = (
    Mutant(path="hls/lib/nba_stream.h", old="fetch.first + reader.done", new="fetch.first"),
    Mutant(path="hls/lib/nba_stream.h", old="store.loaded != store.used", new="true"),
    Mutant(path="hls/lib/nba_stream.h", old="store.used) < SLOTS", new="store.used) <= SLOTS"),
    Mutant(path="hls/lib/nba_stream.h", old="store.take * slot_words", new="0"),
    Mutant(path="hls/lib/nba_stream.h", old="store.fill * kind.slot_rows", new="0 * kind.slot_rows"),
    Mutant(path="hls/lib/nba_stream.h", old="reader.done / kind.parts", new="0"),
    Mutant(path="hls/lib/nba_engine.h", old="job.streamed ? place.slot : ", new="job.streamed ? 0 : "),
)  # fmt: skip
STREAM_STUCK = Mutant(path="hls/lib/nba_stream.h", old="start.row == job.rows_out - 1", new="true")
STUCK = Mutant(path="hls/lib/nba_sched.h", old=">= (own ? need_rows", new="> (own ? need_rows")


@pytest.fixture(scope="module")
def case() -> Case:
    return operator_case(replace(FULL, stride=2, residual=False, pp=4, size=(7, 9)))


def _mutated(case: Case, mutant: Mutant, folder: Path) -> Path:
    files = render(case.design, case.weights)
    assert mutant.old in files[mutant.path]
    write_bundle(folder, {**files, mutant.path: files[mutant.path].replace(mutant.old, mutant.new, 1)})
    return folder / "hls"


@pytest.mark.sampled(every=2)
@pytest.mark.parametrize("mutant", MUTANTS, ids=[m.path for m in MUTANTS])
def test_mutant_is_caught(case: Case, mutant: Mutant, tmp_path: Path) -> None:
    folder = _mutated(case, mutant, tmp_path)
    result = verify_hls(folder, case.design.network, case.x, case.expected, tmp_path)
    assert result.mismatches > 0
    assert result.images == np.shape(case.x)[0]


@pytest.mark.parametrize("mutant", HALF_MUTANTS, ids=[m.new for m in HALF_MUTANTS])
def test_mutant_of_two_groups_is_caught(mutant: Mutant, tmp_path: Path) -> None:
    case = operator_case(HALVES)
    result = verify_hls(_mutated(case, mutant, tmp_path), case.design.network, case.x, case.expected, tmp_path)
    assert result.mismatches > 0


@pytest.mark.parametrize("mutant", CHANNEL_MUTANTS, ids=[m.old for m in CHANNEL_MUTANTS])
def test_mutant_of_shifts_or_pad_codes_is_caught(mutant: Mutant, tmp_path: Path) -> None:
    case = operator_case(CHANNELS)
    result = verify_hls(_mutated(case, mutant, tmp_path), case.design.network, case.x, case.expected, tmp_path)
    assert result.mismatches > 0


@pytest.fixture(scope="module")
def streaming() -> tuple[Case, bytes]:
    """A design whose slices come from memory in several pieces, in rounds behind those of the frames, into slots that
    are used again; and the image of its weights."""
    case = operator_case(Operator(name="streamed", channels=32, out_channels=32, size=(4, 5)))
    accelerator = case.design.accelerator
    (chunk,) = accelerator.chunks
    (job,) = chunk.jobs
    accelerator = replace(
        accelerator,
        chunks=(replace(chunk, jobs=(replace(job, stage=1, slices=4, streamed=True),)),),
        rings=tuple(replace(ring, rows=4) for ring in accelerator.rings),
        memory=WeightMemory(bus_bits=32, latency=7),
    )
    design = design_of(case.name, case.design.network, case.weights, accelerator)
    image = image_bytes(lower(design.network, accelerator), design.network.layers, case.weights)
    return replace(case, design=design), image


def test_streamed_weights_are_exact(streaming: tuple[Case, bytes], tmp_path: Path) -> None:
    """`make csim` too reads the image, which lies beside the folder; a truncated one is refused."""
    case, image = streaming
    write_bundle(tmp_path, render(case.design, case.weights))
    file = tmp_path / "weights.bin"
    file.write_bytes(image)
    network = case.design.network
    assert verify_hls(tmp_path / "hls", network, case.x, case.expected, tmp_path / "work", image=file).mismatches == 0
    for path, data in vector_files(network, case.x, case.expected).items():
        (tmp_path / path).write_bytes(data)
    assert "every output equal" in run_tool(["make", "csim"], cwd=tmp_path / "hls").output
    file.write_bytes(image[:-4])
    done = run_tool(["make", "csim"], cwd=tmp_path / "hls", check=False)
    assert done.returncode != 0
    assert f"no image of weights of {len(image)} bytes" in done.output


@pytest.mark.sampled(every=2)
@pytest.mark.parametrize("mutant", STREAM_MUTANTS, ids=[m.old for m in STREAM_MUTANTS])
def test_mutant_of_streamed_weights_is_caught(streaming: tuple[Case, bytes], mutant: Mutant, tmp_path: Path) -> None:
    case, image = streaming
    folder = _mutated(case, mutant, tmp_path)
    (tmp_path / "weights.bin").write_bytes(image)
    image_file = tmp_path / "weights.bin"
    result = verify_hls(folder, case.design.network, case.x, case.expected, tmp_path, image=image_file)
    assert result.mismatches > 0


def test_stuck_schedule_is_named(case: Case, tmp_path: Path) -> None:
    folder = _mutated(case, STUCK, tmp_path)
    with pytest.raises(ToolError, match="stuck"):
        verify_hls(folder, case.design.network, case.x, case.expected, tmp_path)


def test_slices_that_never_come_are_named(streaming: tuple[Case, bytes], tmp_path: Path) -> None:
    """Every row frees a slot, so that later rows wait for slices that no fetch of the round brings."""
    case, image = streaming
    folder = _mutated(case, STREAM_STUCK, tmp_path)
    image_file = tmp_path / "weights.bin"
    image_file.write_bytes(image)
    with pytest.raises(ToolError, match="stuck"):
        verify_hls(folder, case.design.network, case.x, case.expected, tmp_path, image=image_file)

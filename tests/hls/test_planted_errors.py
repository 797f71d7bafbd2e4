# SPDX-License-Identifier: Apache-2.0
"""Errors planted in the emitted HLS must be seen: the comparison is not one that cannot fail."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from nba.core.errors import ToolError
from nba.verify.hls import verify_hls
from tests.hls.bench import Case, render, write_bundle
from tests.hls.operators import CHANNELS, FULL, HALVES, operator_case


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
STUCK = Mutant(path="hls/lib/nba_sched.h", old=">= (ends ? need_rows", new="> (ends ? need_rows")


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


def test_stuck_schedule_is_named(case: Case, tmp_path: Path) -> None:
    folder = _mutated(case, STUCK, tmp_path)
    with pytest.raises(ToolError, match="stuck"):
        verify_hls(folder, case.design.network, case.x, case.expected, tmp_path)

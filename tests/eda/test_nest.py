# SPDX-License-Identifier: Apache-2.0
"""The model of a mapping against the RTL: what engines read and write, counted in Icarus."""

from __future__ import annotations

from pathlib import Path

import pytest
from template_pairs import subject
from test_events import FRAMES, simulated

from tests.unit.nest.engine import has_single_steps, nest_events, other_reads

pytestmark = pytest.mark.eda

SEEDS = (404, 405, 410, 413)


@pytest.mark.parametrize("seed", SEEDS)
def test_the_mapping_counts_what_the_engines_do(seed: int, tmp_path: Path) -> None:
    case = subject(seed)
    assert not has_single_steps(case.program)
    network, accelerator = case.design.network, case.design.accelerator
    found, want = simulated(case, tmp_path), nest_events(network, accelerator)
    assert found["macs"] == FRAMES * want.macs
    assert found["weight_reads"] == FRAMES * want.weight_words
    others = FRAMES * other_reads(network, accelerator, case.program)
    assert found["edge_reads"] - others == FRAMES * want.activation_words
    assert found["requants"] == FRAMES * want.outputs

# SPDX-License-Identifier: Apache-2.0
"""The cocotb bench of every library module, over its parameters, in Icarus; some of them in Verilator as well."""

from __future__ import annotations

from pathlib import Path

import pytest
from params import BENCHES, VERILATOR_BENCHES
from runner import Params, bench

pytestmark = pytest.mark.eda

CASES = [(module, params) for module, sets in BENCHES.items() for params in sets]


@pytest.mark.parametrize(("module", "params"), CASES, ids=[f"{m}-{i}" for i, (m, _) in enumerate(CASES)])
def test_icarus(module: str, params: Params, tmp_path: Path) -> None:
    bench(module, params, tmp_path)


@pytest.mark.parametrize(("module", "params"), VERILATOR_BENCHES, ids=[m for m, _ in VERILATOR_BENCHES])
def test_verilator(module: str, params: Params, tmp_path: Path) -> None:
    bench(module, params, tmp_path, sim="verilator")

# SPDX-License-Identifier: Apache-2.0
"""Induction proofs of the FORMAL blocks, at small parameters that reach every branch of the module."""

from __future__ import annotations

from pathlib import Path

import pytest
from params import PROOFS
from runner import LIB, Params, modules, prove

pytestmark = pytest.mark.eda

PROVED = [module for module in modules() if "`ifdef FORMAL" in (LIB / f"{module}.v").read_text()]
CASES = [(module, params) for module in PROVED for params in PROOFS.get(module, ({},))]


@pytest.mark.parametrize(("module", "params"), CASES, ids=[f"{m}-{i}" for i, (m, _) in enumerate(CASES)])
def test_proof(module: str, params: Params, tmp_path: Path) -> None:
    prove(module, params, tmp_path)


def test_parameters_are_of_modules_with_a_proof() -> None:
    assert set(PROOFS) <= set(PROVED)

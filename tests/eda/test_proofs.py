# SPDX-License-Identifier: Apache-2.0
"""Induction proofs of the FORMAL blocks, at small parameters that reach every branch of the module."""

from __future__ import annotations

from pathlib import Path

import pytest
from datapath import PROOFS as DATAPATH_PROOFS
from params import PROOFS
from runner import LIB, GateError, Params, modules, prove

pytestmark = pytest.mark.eda

PROVED = [module for module in modules() if "`ifdef FORMAL" in (LIB / f"{module}.v").read_text()]
CASES = [(module, params) for module in PROVED if module not in DATAPATH_PROOFS for params in PROOFS.get(module, ({},))]


@pytest.mark.sampled(every=4)
@pytest.mark.parametrize(("module", "params"), CASES, ids=[f"{m}-{i}" for i, (m, _) in enumerate(CASES)])
def test_proof(module: str, params: Params, tmp_path: Path) -> None:
    prove(module, params, tmp_path)


def test_parameters_are_of_modules_with_a_proof() -> None:
    assert set(PROOFS) | set(DATAPATH_PROOFS) <= set(PROVED)


def test_contradicting_assumptions_prove_nothing(tmp_path: Path) -> None:
    lib = tmp_path / "lib"
    lib.mkdir()
    text = (LIB / "nba_skid.v").read_text()
    assert text.count("assume (rst);") == 1
    (lib / "nba_skid.v").write_text(text.replace("if (!f_past_q) assume (rst);", "assume (rst && !rst);"))
    with pytest.raises(GateError, match="contradict"):
        prove("nba_skid", {"W": 2}, tmp_path, lib)

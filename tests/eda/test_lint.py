# SPDX-License-Identifier: Apache-2.0
"""The four gates over every module of the Verilog library, at the corners of its parameters, without waivers."""

from __future__ import annotations

from pathlib import Path

import pytest
from datapath import MUTANTS as DATAPATH_MUTANTS
from mutants import MUTANTS
from params import LINT
from runner import BENCHES, GATES, LIB, GateError, Params, lint, modules
from template_mutants import MUTANTS as CORE_MUTANTS

pytestmark = [pytest.mark.eda, pytest.mark.xdist_group("gates")]

CASES = [(module, params) for module in modules() for params in ({}, *LINT.get(module, ()))]


@pytest.mark.sampled(every=8)
@pytest.mark.parametrize("gate", GATES)
@pytest.mark.parametrize(("module", "params"), CASES, ids=[f"{m}-{i}" for i, (m, _) in enumerate(CASES)])
def test_gate(gate: str, module: str, params: Params, tmp_path: Path) -> None:
    lint(gate, module, params, tmp_path)


def test_pyverilog_parses_every_module(tmp_path: Path) -> None:
    from pyverilog.vparser.parser import VerilogParser
    from pyverilog.vparser.preprocessor import VerilogPreprocessor

    output = tmp_path / "preprocessed.v"
    parser = VerilogParser(outputdir=str(tmp_path), debug=False)
    for module in modules():
        VerilogPreprocessor([str(LIB / f"{module}.v")], str(output)).preprocess()
        tree = parser.parse(output.read_text())
        assert [definition.name for definition in tree.description.definitions] == [module]


@pytest.mark.parametrize("module", modules())
def test_file_conventions(module: str) -> None:
    text = (LIB / f"{module}.v").read_text()
    assert text.isascii()
    assert "\t" not in text
    assert text.startswith(f"// SPDX-License-Identifier: Apache-2.0\n// {module}: ")
    assert "`default_nettype none\n" in text
    assert text.endswith("`default_nettype wire\n")


@pytest.mark.parametrize(
    ("gate", "old", "new"),
    [
        ("verilator", "buf_data_q <= s_data", "buf_data_q <= {s_data, 1'b0}"),
        ("icarus", "assign s_ready = s_ready_q;", "assign s_ready = s_redy_q;"),
        ("yosys", "output wire         s_ready,", "output wire         s_ready,\n  output wire         s_open,"),
    ],
)
def test_gates_can_fail(gate: str, old: str, new: str, tmp_path: Path) -> None:
    lib = tmp_path / "lib"
    lib.mkdir()
    text = (LIB / "nba_skid.v").read_text()
    assert text.count(old) == 1
    (lib / "nba_skid.v").write_text(text.replace(old, new))
    with pytest.raises(GateError):
        lint(gate, "nba_skid", {}, tmp_path, lib)


def test_catalogue_lists_every_module() -> None:
    lines = (LIB.parent / "README.md").read_text().splitlines()
    rows = [[cell.strip(" `") for cell in line.split("|")[1:-1]] for line in lines if line.startswith("| `nba_")]
    mutated = {mutant.module for mutant in (*MUTANTS, *DATAPATH_MUTANTS)}
    mutated |= {planted.mutant.module for planted in CORE_MUTANTS}
    assert {row[0]: row[2:] for row in rows} == {
        module: [
            "yes" if "`ifdef FORMAL" in (LIB / f"{module}.v").read_text() else "no",
            "yes" if (BENCHES / f"bench_{module}.py").exists() else "designs",
            "yes" if module in mutated else "no",
        ]
        for module in modules()
    }

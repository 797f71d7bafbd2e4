# SPDX-License-Identifier: Apache-2.0
"""From a TFLite file to hardware, with everything real: Verilog computes the integers that LiteRT nearly computes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from nba.api import load_spec
from nba.core.errors import SpecError
from nba.core.progress import Silent
from nba.explore import mapping
from nba.explore.choose import Effort
from nba.flow import metrics, pipelines
from nba.flow.artifacts import load_network
from nba.ir.network import weights_digest
from nba.machine.design_file import load_design
from tests.imports.files import whole_network

QUICK = Effort(scout_steps=20, climb_steps=20, finalists=1, reorder_steps=0, refine_steps=5, exact=False)
SPEC = """
name: imported
given: {file: model.tflite}
platform: pynq-z2
budgets: {dsp: 24, bram: 60}
verify: {verilator: 2, icarus: 0, hls: 2, tests: cycles}
"""


@pytest.mark.eda
def test_from_a_file_to_hardware(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mapping, "Effort", lambda: QUICK)
    whole_network(5).write(tmp_path / "model.tflite")
    (tmp_path / "spec.yaml").write_text(SPEC)
    build, said = tmp_path / "b", []
    spec = load_spec(tmp_path / "spec.yaml")
    found = pipelines.run_spec(spec, build, progress=Silent(), say=said.append)
    rows = metrics.table(found)
    assert all(row.holds is not False for row in rows)
    (line,) = [row for row in rows if row.label == "imported network"]
    assert line.holds
    assert "model.tflite" in line.value
    assert {name: part["mismatches"] for name, part in found["bit_exact"].items()} == {"verilator": 0, "hls": 0}
    assert "given" not in found
    assert "accuracy" not in found
    network, weights = load_network(build / "train")
    design, _ = load_design(build / "design" / "design.json")
    assert design.network.layers == network.layers
    assert design.weights_sha256 == weights_digest(weights)
    assert not design.random_weights
    assert json.loads((build / "metrics.json").read_text())["imported"]["layers"] == len(network.layers)
    again: list[str] = []
    pipelines.run_spec(spec, build, progress=Silent(), say=again.append, last="map")
    assert [line.split()[0] for line in again if "up to date" in line] == ["given", "map"]
    whole_network(6).write(tmp_path / "model.tflite")
    pipelines.run_spec(spec, build, progress=Silent(), say=again.append, last="given")
    assert load_network(build / "train")[0] != network


def test_what_cannot_be_built_is_said_before_anything_is_done(tmp_path: Path) -> None:
    (tmp_path / "spec.yaml").write_text(SPEC)
    spec = load_spec(tmp_path / "spec.yaml")
    with pytest.raises(SpecError, match=r"model\.tflite: No such file or directory; give a TFLite file"):
        pipelines.check(spec)
    file = whole_network(5)
    file.operators[0].builtinOptions.dilationHFactor = 3
    file.write(tmp_path / "model.tflite")
    with pytest.raises(SpecError, match=r"operator 0 \(CONV_2D\): dilation 3x1; legal: 1x1"):
        pipelines.run_spec(spec, tmp_path / "b", progress=Silent(), say=lambda line: None)
    assert not (tmp_path / "b").exists()

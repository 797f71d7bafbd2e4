# SPDX-License-Identifier: Apache-2.0
"""`nba-codesign run` with `precision: switchable`, from end to end and with everything real; `map` on what it left."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest

from nba.flow.artifacts import load_images
from nba.flow.metrics_model import parse_metrics
from nba.flow.pipelines import SWITCHABLE
from nba.ir.shared import load_shared
from nba.learn.quant.export import accuracy, exact_codes
from tests.documented import undocumented
from tests.torch.test_run import nba

pytestmark = [pytest.mark.torch, pytest.mark.eda, pytest.mark.xdist_group("run-switchable")]

MAPPING_EFFORT = 12_000
SPEC = f"""
name: small
seed: 3
dataset: {{name: digits, train_images: 300}}
network:
  stem_channels: 8
  stages: [{{channels: 8, blocks: 1, stride: 2}}, {{channels: 12, blocks: 1}}]
  operators: [k3_e1, k3_e2, skip]
  head_channels: 16
precision: switchable
switchable: {{bitwidths: [2, 4, 32], hierarchy: mcu-class, mapping_effort: {MAPPING_EFFORT}}}
platform: pynq-z2
budgets: {{dsp: 40, bram: 20}}
objective: edp
schedule:
  search: {{pretrain_epochs: 1, joint_epochs: 1}}
  train: {{epochs: 3}}
verify: {{verilator: 0, icarus: 2, hls: 4}}
"""


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with spec.yaml and its build."""
    folder = tmp_path_factory.mktemp("switchable")
    (folder / "spec.yaml").write_text(SPEC)
    done = nba("run", "spec.yaml", "-o", "build", cwd=folder)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "FAILED" not in done.stdout
    for bits in (2, 4, 32):
        assert f"at {bits} bits" in done.stdout
    return folder


def test_accuracies_are_those_of_the_stored_networks(built: Path) -> None:
    """One set of codes on disk gives the accuracy of every integer network, image by image."""
    text = (built / "build" / "metrics.json").read_text()
    metrics = json.loads(text)
    assert parse_metrics(text) == metrics
    found = load_shared(built / "build" / "train")
    images = load_images(built / "build" / "train" / "images.npz")
    assert found.bitwidths == (2, 4)
    for bits in found.bitwidths:
        network, weights = found.at(bits)
        assert all(
            np.shares_memory(lw.weight, m) for lw, m in zip(weights, found.masters, strict=True) if lw.weight.size
        )
        said = metrics["switchable"]["accuracy"][str(bits)]
        assert said["arithmetic"] == "integer"
        assert said["accuracy"] == accuracy(exact_codes(network, weights, images.x), images.y)
    assert metrics["switchable"]["accuracy"]["32"]["arithmetic"] == "fake"
    assert metrics["switchable"]["hardware_bits"] == [2, 4]
    assert metrics["accuracy"]["integer"] == min(metrics["switchable"]["accuracy"][b]["accuracy"] for b in ("2", "4"))


def test_every_bitwidth_is_mapped_and_shown(built: Path) -> None:
    metrics = json.loads((built / "build" / "metrics.json").read_text())
    costs = metrics["automap"]["bits"]
    assert metrics["automap"]["hierarchy"] == "mcu-class"
    assert costs["2"]["edp_js"] < costs["4"]["edp_js"] < costs["32"]["edp_js"]
    for bits, found in costs.items():
        assert found["edp_pj_cycles"] == found["energy_pj"] * found["latency_cycles"]
        mapping = json.loads((built / "build" / "mapping" / f"at{bits}.json").read_text())
        assert sum(layer["cost"]["cycles"] for layer in mapping["layers"]) == found["latency_cycles"]
        assert mapping["evaluations"] < 2 * MAPPING_EFFORT * len(mapping["layers"])
        assert "parallel-for" in (built / "build" / "mapping" / f"at{bits}.txt").read_text()
    page = (built / "build" / "report" / "report.html").read_text()
    assert "accuracy against EDP" in page
    assert 'id="switchable"' in page


def test_the_hardware_works_at_both_bitwidths(built: Path) -> None:
    metrics = json.loads((built / "build" / "metrics.json").read_text())
    for name in ("icarus", "hls"):
        assert metrics["bit_exact"][name]["mismatches"] == 0
        assert metrics["bit_exact"][name]["modes"] == [0, 0]
    assert metrics["cycles"]["simulated"]["icarus"] == metrics["cycles"]["predicted"]
    assert metrics["resources"]["predicted"] == metrics["resources"]["synthesised"]
    assert set(metrics["seconds"]) == {stage.name for stage in SWITCHABLE}
    assert set(metrics["baselines"]) == {"float", "int8"}
    assert undocumented(metrics) == set()


def test_nothing_is_done_twice(built: Path) -> None:
    done = nba("run", "spec.yaml", "-o", "build", cwd=built)
    assert done.returncode == 0
    assert done.stderr.count("up to date") == len(SWITCHABLE)


def test_map_takes_the_run(built: Path) -> None:
    """The same network, seed and effort: the command prints the mapping that the run found."""
    metrics = json.loads((built / "build" / "metrics.json").read_text())
    done = nba("map", "build", "--platform", "mcu-class", "--bits", "4", "--seed", "3", "-o", "map.json", cwd=built)
    assert done.returncode == 0, done.stderr
    assert "parallel-for" in done.stdout
    assert "not mapped, because they have no multiply-accumulates: pool: average pooling" in done.stdout
    energy = json.loads((built / "map.json").read_text())["energy_pj"]
    assert energy == metrics["automap"]["bits"]["4"]["energy_pj"]
    assert re.search(r"EDP, \(sum of energies\) x \(sum of latencies\): ", done.stdout)

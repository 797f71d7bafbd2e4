# SPDX-License-Identifier: Apache-2.0
"""Every objective through search, training, mapping and emission, as a user calls them; budgets at the end of a run."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from nba.core.sources import PACKAGE
from nba.machine.design_file import load_design
from nba.machine.usage import OBJECTIVES, UNITS

pytestmark = [pytest.mark.torch, pytest.mark.xdist_group("objectives")]

SPEC = """
name: small
seed: 3
dataset: {{name: digits, train_images: 300}}
network:
  stem_channels: 6
  stages: [{{channels: 6, blocks: 1}}, {{channels: 8, blocks: 1, stride: 2}}]
  operators: [k3_e1, k3_e3, skip]
  head_channels: 12
bitwidths: [4, 8]
platform: pynq-z2
objective: {objective}
budgets: {{dsp: 40, bram: 20, {budgets}}}
schedule:
  search: {{pretrain_epochs: 1, joint_epochs: 2, hardware_first: 200, hardware_last: 200}}
  train: {{epochs: 2}}
"""


def nba(*arguments: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run nba-codesign in `cwd`."""
    env = {**os.environ, "PYTHONPATH": str(PACKAGE.parent)}
    command = [sys.executable, "-m", "nba", *map(str, arguments)]
    return subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True)


@pytest.mark.sampled(every=4)
@pytest.mark.parametrize("objective", OBJECTIVES)
def test_an_objective_goes_through(objective: str, tmp_path: Path) -> None:
    """From the spec to a bundle within all budgets; the curves and the figures are those of the objective."""
    budgets = "lut: 45000, power_w: 1.5, latency_us: 200, fps: 2000"
    (tmp_path / "spec.yaml").write_text(SPEC.format(objective=objective, budgets=budgets))
    done = nba("train", "spec.yaml", "-o", "build", cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    for label in ("LUT", "energy and power", "frames per second", "latency", "accuracy"):
        assert label in done.stdout
    metrics = json.loads((tmp_path / "build" / "metrics.json").read_text())
    design, _ = load_design(tmp_path / "build" / "design" / "design.json")
    cost = design.cost
    assert metrics["objective"]["name"] == objective
    assert metrics["objective"]["unit"] == UNITS[objective]  # type: ignore[index]
    shown = {
        "interval": metrics["steady_interval_cycles"], "latency": cost.first_output_latency_cycles,
        "energy": cost.energy_pj,
        "edp": cost.energy_pj * metrics["steady_interval_cycles"],
    }  # fmt: skip
    assert metrics["objective"]["value"] == shown[objective]
    assert metrics["budgets"] == {
        "dsp": 40, "bram": 20.0, "lut": 45000, "power_w": 1.5, "latency_us": 200.0, "fps": 2000.0
    }  # fmt: skip
    assert cost.lut <= 45000
    assert cost.power_w <= 1.5
    assert cost.first_output_latency_cycles <= 20_000
    assert cost.interval_cycles <= 50_000
    search = json.loads((tmp_path / "build" / "search" / "search.json").read_text())
    assert search["objective"] == objective
    joint = [record for record in search["records"] if record["joint"]]
    assert joint
    assert all(record["cost"] > 0 for record in joint)
    if objective == "interval":
        assert all(record["cost"] == record["interval_cycles"] for record in joint)
    done = nba("emit", "build/design/design.json", "-o", "bundle", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "bundle" / "rtl" / "nba_small.v").is_file()


def test_sixteen_bits_go_through(tmp_path: Path) -> None:
    """A space of 8 and 16 bits, its stem at 16: every code of the design and of the files has 16."""
    spec = SPEC.replace("bitwidths: [4, 8]", "bitwidths: [8, 16]").replace(
        "head_channels", "stem_bits: 16\n  head_channels"
    )
    spec = spec.replace("joint_epochs: 2", "joint_epochs: 1").replace("epochs: 2}", "epochs: 1}")
    (tmp_path / "spec.yaml").write_text(spec.format(objective="interval", budgets="fps: 2000"))
    done = nba("train", "spec.yaml", "-o", "build", cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    design, _ = load_design(tmp_path / "build" / "design" / "design.json")
    assert {tensor.bits for tensor in design.network.tensors} == {16}
    assert [layer.act_bits for layer in design.network.layers if layer.name in ("stem", "header")] == [16, 8]
    done = nba("emit", "build/design/design.json", "-o", "bundle", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    top = (tmp_path / "bundle" / "rtl" / "nba_small.v").read_text()
    assert ".C_BITS(16)" in top
    assert ".C_BITS(8)" not in top


def test_a_missed_accuracy_floor_is_said_and_nothing_is_lost(tmp_path: Path) -> None:
    """The run ends with status 1, tells by how much, and keeps what it made; the floor is no reason to search again."""
    (tmp_path / "spec.yaml").write_text(SPEC.format(objective="fps", budgets="accuracy: 1.0"))
    done = nba("train", "spec.yaml", "-o", "build", cwd=tmp_path)
    assert done.returncode == 1, done.stdout + done.stderr
    said = " ".join(done.stdout.split())  # the table folds long lines
    assert "budgets.accuracy 1 missed by " in said
    reached = json.loads((tmp_path / "build" / "metrics.json").read_text())["accuracy"]["integer"]
    assert f"missed by {100 * (1 - reached):.2f} points" in said
    assert load_design(tmp_path / "build" / "design" / "design.json")
    (tmp_path / "spec.yaml").write_text(SPEC.format(objective="fps", budgets="accuracy: 0.05"))
    done = nba("train", "spec.yaml", "-o", "build", cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr.count("up to date") == 2


def test_an_impossible_budget_ends_the_run_with_the_closest_design(tmp_path: Path) -> None:
    (tmp_path / "spec.yaml").write_text(SPEC.format(objective="energy", budgets="power_w: 0.0000001"))
    done = nba("train", "spec.yaml", "-o", "build", cwd=tmp_path)
    assert done.returncode == 2
    assert "budgets.power_w: 1e-07" in done.stderr
    assert "the closest design found needs" in done.stderr

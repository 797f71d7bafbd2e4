# SPDX-License-Identifier: Apache-2.0
"""`nba-codesign run` on a small spec, from end to end and with everything real, as a user calls it."""

from __future__ import annotations

import hashlib
import json
import math
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from nba.core.sources import PACKAGE, digest_tree
from nba.flow.metrics_model import parse_metrics
from nba.flow.pipelines import MIXED
from tests.documented import undocumented

pytestmark = [pytest.mark.torch, pytest.mark.eda, pytest.mark.xdist_group("run")]

SPEC = """
name: small
seed: 3
dataset: {name: digits, train_images: 300}
network:
  stem_channels: 8
  stem_pool: {kernel: 3, stride: [1, 2]}
  stages: [{channels: 8, blocks: 1}, {channels: 12, blocks: 1, stride: [2, 1]}]
  operators: [k3_e1, k3_e3, k5_e1, k5_e3, skip]
  head_channels: 16
platform: pynq-z2
budgets: {dsp: 40, bram: 20}
schedule:
  search: {pretrain_epochs: 1, joint_epochs: 2, hardware_first: 200, hardware_last: 200}
  train: {epochs: 3}
verify: {verilator: 2, icarus: 2, hls: 4}
"""


def nba(*arguments: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run nba-codesign in `cwd`."""
    env = {**os.environ, "PYTHONPATH": str(PACKAGE.parent)}
    command = [sys.executable, "-m", "nba", *map(str, arguments)]
    return subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with spec.yaml and its build."""
    folder = tmp_path_factory.mktemp("run")
    (folder / "spec.yaml").write_text(SPEC)
    done = nba("run", "spec.yaml", "-o", "build", cwd=folder)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "FAILED" not in done.stdout
    for label in (
        "accuracy",
        "frames per second",
        "DSP",
        "BRAM",
        "bit-exact, HLS",
        "cycles predicted = simulated, Icarus",
    ):
        assert label in done.stdout
    return folder


def test_the_metrics_hold_what_they_promise(built: Path) -> None:
    text = (built / "build" / "metrics.json").read_text()
    metrics = json.loads(text)
    assert parse_metrics(text) == metrics
    assert {name: metrics["bit_exact"][name]["mismatches"] for name in metrics["bit_exact"]} == {
        "verilator": 0,
        "icarus": 0,
        "hls": 0,
    }
    assert all(
        metrics["bit_exact"][name]["images"] >= least for name, least in (("verilator", 2), ("icarus", 2), ("hls", 4))
    )
    assert undocumented(metrics) == set()
    cycles = metrics["cycles"]
    assert cycles["predicted"]["jobs"]
    assert cycles["steady"]["interval_cycles"] == metrics["steady_interval_cycles"]
    assert cycles["simulated"] == {"verilator": cycles["predicted"], "icarus": cycles["predicted"]}
    resources = metrics["resources"]
    assert resources["predicted"] == resources["synthesised"]
    assert resources["predicted"]["dsp"] <= resources["budget"]["dsp"] == 40
    assert resources["predicted"]["bram"] <= resources["budget"]["bram"] == 20
    assert set(metrics["seconds"]) == {stage.name for stage in MIXED}
    assert 0 < metrics["accuracy"]["integer"] <= 1
    assert set(metrics["baselines"]) == {"float", "int8"}
    for at in (metrics["accuracy"], *metrics["baselines"].values()):
        share = at.get("integer", at.get("accuracy"))
        assert (at["images"], at["standard_error"]) == (359, math.sqrt(share * (1 - share) / 359))
    assert (metrics["seed"], metrics["name"], metrics["platform"]) == (3, "small", "pynq-z2")
    design = json.loads((built / "build" / "design" / "design.json").read_text())
    text = json.dumps(design, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    assert metrics["design_id"] == hashlib.sha256(text.encode()).hexdigest()


def test_nothing_is_done_twice(built: Path) -> None:
    done = nba("run", "spec.yaml", "-o", "build", cwd=built)
    assert done.returncode == 0
    assert done.stderr.count("up to date") == len(MIXED)


def test_a_spoiled_bundle_is_emitted_again_and_nothing_else(built: Path) -> None:
    before = digest_tree(built / "build" / "bundle")
    (built / "build" / "bundle" / "rtl" / "nba_chunk.v").unlink()
    done = nba("run", "spec.yaml", "-o", "build", cwd=built)
    assert done.returncode == 0
    assert done.stderr.count("up to date") == len(MIXED) - 1
    assert digest_tree(built / "build" / "bundle") == before


def test_stages_by_themselves(built: Path, tmp_path: Path) -> None:
    """`emit` gives the bundle of the run, byte for byte; `synth` and `report` work on what the run left."""
    done = nba("emit", built / "build" / "design" / "design.json", "-o", "bundle", "--images", "4", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert digest_tree(tmp_path / "bundle") == digest_tree(built / "build" / "bundle")
    done = nba("report", built / "build", "-o", "page.html", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "page.html").read_text().startswith("<!DOCTYPE html>")
    done = nba("synth", "bundle", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "= synthesised" in done.stdout


def test_a_changed_prediction_is_refused(built: Path, tmp_path: Path) -> None:
    """Also where the manifest's digests fit: the prediction is computed anew."""
    shutil.copytree(built / "build" / "bundle", tmp_path / "bundle")
    predicted, manifest = tmp_path / "bundle" / "sim" / "predicted.json", tmp_path / "bundle" / "manifest.json"
    values = json.loads(predicted.read_text())
    for batch in values[0].values():
        batch["jobs"][0]["end"][0] += 1
    predicted.write_text(json.dumps(values))
    files = json.loads(manifest.read_text())
    files["files"]["sim/predicted.json"] = hashlib.sha256(predicted.read_bytes()).hexdigest()
    manifest.write_text(json.dumps(files))
    for command in ("verify", "synth"):
        done = nba(command, "bundle", cwd=tmp_path)
        assert done.returncode == 2
        assert "sim/predicted.json: is not what the design renders to" in done.stderr
        assert "Traceback" not in done.stderr


@pytest.mark.parametrize(("budget", "named"), [("dsp: 1", "budgets.dsp: 1 "), ("bram: 0.5", "budgets.bram: 0.5 ")])
def test_impossible_budgets(tmp_path: Path, budget: str, named: str) -> None:
    """Said before anything is learned, with the closest design; no folder is left behind."""
    old = "dsp: 40" if budget.startswith("dsp") else "bram: 20"
    # A header so wide that no memory of the smallest network is small enough for LUTs alone.
    wide = SPEC.replace("head_channels: 16", "head_channels: 512") + "accelerator: {max_chunks: 2, weights: on_chip}\n"
    (tmp_path / "spec.yaml").write_text(wide.replace(old, budget))
    done = nba("run", "spec.yaml", "-o", "build", cwd=tmp_path)
    assert done.returncode == 2
    assert named in done.stderr
    assert "the closest design found needs" in done.stderr
    assert "Traceback" not in done.stderr
    assert [p.name for p in tmp_path.iterdir()] == ["spec.yaml"]

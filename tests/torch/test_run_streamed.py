# SPDX-License-Identifier: Apache-2.0
"""A run whose weights come from external memory: for a board file of the user, from the spec to simulated hardware."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from nba.api import load_spec
from nba.core.progress import Progress, Silent
from nba.explore import mapping
from nba.explore.streaming import StreamEffort
from nba.flow import pipelines
from nba.flow.artifacts import read_part
from nba.flow.commands import report_page
from nba.flow.metrics import table
from nba.flow.metrics_model import parse_metrics
from nba.machine.design_file import load_design
from nba.machine.program import lower
from tests.documented import undocumented

pytestmark = [pytest.mark.torch, pytest.mark.eda, pytest.mark.xdist_group("run_streamed")]

SHORT = StreamEffort(sift_steps=100, start_steps=200, starts=1, rounds=((2, 10), (1, 20)))
BOARD = """
name: my-board
family: 7-series
part: {name: xc7z010clg400-1, source: a test}
device: {dsp: 80, bram: 60, lut: 17600, ff: 35200, source: a test}
memory: {ports: 2, bytes_per_cycle: 8, latency_cycles: 37, at_clock_mhz: 160, source: a test}
"""
SPEC = """
name: streams
seed: 3
dataset: {name: digits, train_images: 24, test_images: 4, classes: ["1", "4", "6", "8"]}
network:
  stem_channels: 4
  stages: [{channels: 4, blocks: 1, stride: 2}, {channels: 6, blocks: 1, stride: 2}]
  operators: [k3_e1, k3_e3]
  head_channels: 16
bitwidths: [4, 8]
platform: my-board.yaml
budgets: {dsp: 40, bram: 20, lut: 17600}
accelerator: {weights: streamed, memory_share: 0.5}
architecture: arch.yaml
schedule:
  train: {epochs: 1, batch_size: 16, optimiser: sgd, learning_rate: 0.01, fold_fraction: 0.0, baselines: false}
verify: {verilator: 0, icarus: 2, hls: 2}
"""


class Heard(Silent):
    """Remembers tasks and how much of each was done."""

    def __init__(self) -> None:
        self.tasks: list[list[object]] = []

    def start(self, task: str, total: int | None = None) -> None:
        self.tasks.append([task, total, 0, False])

    def advance(self, n: int = 1, note: str = "") -> None:
        done = self.tasks[-1][2]
        assert isinstance(done, int)
        self.tasks[-1][2] = done + n

    def finish(self) -> None:
        self.tasks[-1][3] = True


def run(folder: Path, spec: str, progress: Progress) -> tuple[dict[str, object], set[str]]:
    """The metrics of a run up to verification, and the stages that did something."""
    (folder / "spec.yaml").write_text(spec)
    said: list[str] = []
    found = pipelines.run_spec(
        load_spec(folder / "spec.yaml"), folder / "build", last="verify", progress=progress, say=said.append
    )
    return dict(found), {line.split()[0] for line in said if " done in " in line}


def test_a_run_that_streams(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mapping, "StreamEffort", lambda: SHORT)
    (tmp_path / "my-board.yaml").write_text(BOARD)
    (tmp_path / "arch.yaml").write_text("blocks:\n- {operator: k3_e1, bits: 8}\n- {operator: k3_e3, bits: 4}\n")
    heard = Heard()
    metrics, did = run(tmp_path, SPEC, heard)
    assert did == {"architecture", "train", "map", "emit", "verify"}
    assert [task[3] for task in heard.tasks if task[0] == "map"] == [True]
    assert all(total == done for name, total, done, _ in heard.tasks if name == "map")

    build = tmp_path / "build"
    design, _ = load_design(build / "design" / "design.json")
    program = lower(design.network, design.accelerator)
    memory = metrics["memory"]
    assert isinstance(memory, dict)
    assert memory == read_part(build / "design")["memory"]
    assert memory == {
        "bytes_per_frame": program.streamed_bytes, "bytes_per_cycle": 4, "latency_cycles": 37,
        "slots": design.accelerator.memory.slots, "share": 0.5,
    }  # fmt: skip
    assert memory["bytes_per_frame"] == 4 * sum(fetch.beats for fetch in program.fetches) > 0
    text = (build / "metrics.json").read_text()
    assert parse_metrics(text) == json.loads(text)
    assert undocumented(json.loads(text)) == set()

    found = json.loads(text)
    assert {name: at["mismatches"] for name, at in found["bit_exact"].items()} == {"icarus": 0, "hls": 0}
    assert found["verify_failures"] == []
    assert found["cycles"]["simulated"] == {"icarus": found["cycles"]["predicted"]}
    rows = {line.label: line for line in table(metrics)}
    said = f"{memory['bytes_per_frame']:,} bytes per frame from external memory, a port of 4 bytes per cycle"
    assert rows["weights"].value.startswith(said)
    assert "37 cycles of latency" in rows["weights"].value
    assert f"{memory['slots']} slots" in rows["weights"].value
    readme = (build / "bundle" / "README.md").read_text()
    assert f"| weights | {memory['bytes_per_frame']} bytes per frame from external memory" in readme
    assert f"reads {memory['bytes_per_frame']} bytes, at most 4 per cycle" in readme
    page = report_page(build, None).read_text()
    assert "Weights from external memory" in page
    assert said in page

    env = {**os.environ, "PATH": os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"]))}
    command = ["make", "sim", "FRAMES=2", "TESTS=cycles,memory", f"PYTHON={sys.executable}"]
    done = subprocess.run(command, cwd=build / "bundle", env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "PASSED" in done.stdout

    assert run(tmp_path, SPEC, Silent())[1] == set()
    metrics, did = run(tmp_path, SPEC.replace("weights: streamed, memory_share: 0.5", "weights: auto"), Silent())
    assert did >= {"architecture", "map", "emit", "verify"}
    assert metrics["memory"] is None
    assert {line.label: line.value for line in table(metrics)}["weights"] == "on chip"
    assert "| weights | on chip |" in (build / "bundle" / "README.md").read_text()

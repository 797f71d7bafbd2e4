# SPDX-License-Identifier: Apache-2.0
"""Kills and errors: a killed run ends with the same design as an undisturbed one, and many processes fail as one."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from nba.sources import PACKAGE

pytestmark = [pytest.mark.torch, pytest.mark.xdist_group("faults")]

SPEC = """
name: small
seed: 3
dataset: {name: digits, train_images: 24, test_images: 4}
network:
  stem_channels: 4
  stages: [{channels: 4, blocks: 1, stride: 2}, {channels: 6, blocks: 1, stride: 2}]
  operators: [k3_e1, k3_e3]
  head_channels: 8
bitwidths: [4, 8]
platform: pynq-z2
budgets: {dsp: 40, bram: 20}
schedule:
  search: {pretrain_epochs: 2, joint_epochs: 4, hardware_first: 100, hardware_last: 100}
  train: {epochs: 8, batch_size: 32, ema: 0.9}
"""
KILLS = 3


def _command(*before: str, out: str) -> list[str]:
    return [*before, "-m", "nba", "train", "spec.yaml", "-o", out]


def _environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(PACKAGE.parent)}


def _design(folder: Path) -> str:
    return str(json.loads((folder / "metrics.json").read_text())["design_id"])


def test_kills_at_any_moment_change_nothing(tmp_path: Path) -> None:
    (tmp_path / "spec.yaml").write_text(SPEC)
    began = time.monotonic()
    subprocess.run(
        _command(sys.executable, out="whole"), cwd=tmp_path, env=_environment(), check=True, capture_output=True
    )
    duration, moments = time.monotonic() - began, random.Random(11)
    killed = 0
    for _ in range(KILLS):
        process = subprocess.Popen(
            _command(sys.executable, out="killed"), cwd=tmp_path, env=_environment(),
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        try:
            process.wait(moments.uniform(0.3, 0.95) * duration)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            killed += process.wait() == -signal.SIGKILL
    assert killed > 0
    subprocess.run(
        _command(sys.executable, out="killed"), cwd=tmp_path, env=_environment(), check=True, capture_output=True
    )
    assert _design(tmp_path / "killed") == _design(tmp_path / "whole")
    for name in ("search/search.json", "train/curves.json", "train/weights.npz"):
        assert (tmp_path / "killed" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def _torchrun(folder: Path, spec: str) -> subprocess.CompletedProcess[str]:
    (folder / "spec.yaml").write_text(spec)
    start = (sys.executable, "-m", "torch.distributed.run", "--nproc_per_node=2")
    return subprocess.run(
        _command(*start, out="build"), cwd=folder, env=_environment(), capture_output=True, text=True, timeout=240
    )


def test_two_processes_write_one_build(tmp_path: Path) -> None:
    done = _torchrun(tmp_path, SPEC.replace("epochs: 8", "epochs: 2").replace("joint_epochs: 4", "joint_epochs: 1"))
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("accuracy") == 1
    assert done.stderr.count("search  done") == 1
    assert len(_design(tmp_path / "build")) == 64


def test_an_error_of_all_is_said_once(tmp_path: Path) -> None:
    """The batch cannot be shared out: every process finds out at the same time, and all end."""
    done = _torchrun(tmp_path, SPEC.replace("{pretrain_epochs: 2,", "{batch_size: 30, pretrain_epochs: 2,"))
    assert done.returncode != 0
    assert done.stderr.count("schedule.search.batch_size: 30 images are not shared out evenly by 2 processes") == 1
    assert "internal error" not in done.stderr

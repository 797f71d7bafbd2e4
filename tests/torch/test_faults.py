# SPDX-License-Identifier: Apache-2.0
"""Kills and errors: a killed run ends with the same design as an undisturbed one, and many processes fail as one."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
import torch

from nba.learn.data.images import ArrayImages, Shape, batches_of
from tests.processes import alive, marked_environment, wait_until
from tests.torch.test_ranks import free_port

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
KILLS = 4
TORCHRUN = (sys.executable, "-m", "torch.distributed.run", "--nproc_per_node=2")


def _command(*before: str, out: str) -> list[str]:
    return [*before, "-m", "nba", "train", "spec.yaml", "-o", out]


def _design(folder: Path) -> str:
    return str(json.loads((folder / "metrics.json").read_text())["design_id"])


def _steps(build: Path) -> set[tuple[str, int]]:
    """Everything that a run has written so far, by name and time."""
    found = set()
    for path in build.rglob("*"):
        with suppress(OSError):
            found.add((path.name, path.stat().st_mtime_ns))
    return found


def test_kills_at_any_moment_change_nothing(tmp_path: Path) -> None:
    """A run that is killed after some number of files that it wrote, again and again, comes to the same design."""
    (tmp_path / "spec.yaml").write_text(SPEC)
    subprocess.run(
        _command(sys.executable, out="whole"), cwd=tmp_path, env=marked_environment(), check=True, capture_output=True
    )
    moments, killed = random.Random(11), 0
    for _ in range(KILLS):
        process = subprocess.Popen(
            _command(sys.executable, out="killed"), cwd=tmp_path, env=marked_environment(),
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        seen, left = _steps(tmp_path / "killed"), moments.randrange(5, 30)
        while left > 0 and process.poll() is None:
            now = _steps(tmp_path / "killed")
            left, seen = left - len(now - seen), seen | now
            time.sleep(moments.random() / 50)
        process.kill()
        killed += process.wait() == -signal.SIGKILL
    assert killed > 0
    subprocess.run(
        _command(sys.executable, out="killed"), cwd=tmp_path, env=marked_environment(), check=True, capture_output=True
    )
    assert _design(tmp_path / "killed") == _design(tmp_path / "whole")
    for name in ("search/search.json", "train/curves.json", "train/weights.npz"):
        assert (tmp_path / "killed" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def _torchrun(folder: Path, spec: str) -> subprocess.CompletedProcess[str]:
    (folder / "spec.yaml").write_text(spec)
    return subprocess.run(
        _command(*TORCHRUN, out="build"), cwd=folder, env=marked_environment(), capture_output=True, text=True
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
    assert done.stderr.count("schedule.search.batch_size: 30 images cannot be divided evenly among 2 processes") == 1
    assert "internal error" not in done.stderr


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGHUP])
def test_no_process_outlives_torchrun(tmp_path: Path, number: signal.Signals) -> None:
    """Neither those that it started nor their workers, which decode images."""
    (tmp_path / "spec.yaml").write_text(SPEC.replace("joint_epochs: 4", "joint_epochs: 9999"))
    env = marked_environment()
    process = subprocess.Popen(
        _command(*TORCHRUN, out="build"), cwd=tmp_path, env=env, text=True, stderr=subprocess.PIPE
    )  # fmt: skip
    wait_until((tmp_path / "build" / ".nba" / "work" / "search" / "search.pt").exists, process)
    assert len(alive(env)) >= 3
    process.send_signal(number)
    process.communicate()
    wait_until(lambda: not alive(env))


@pytest.mark.parametrize("name", ["WORLD_SIZE", "RANK", "MASTER_PORT"])
def test_a_wrong_environment_is_explained(tmp_path: Path, name: str) -> None:
    (tmp_path / "spec.yaml").write_text(SPEC)
    given = {"WORLD_SIZE": "2", "RANK": "1", "MASTER_ADDR": "localhost", "MASTER_PORT": "1", name: "x"}
    done = subprocess.run(
        _command(sys.executable, out="build"), cwd=tmp_path, env=marked_environment(**given), capture_output=True,
        text=True,
    )  # fmt: skip
    assert done.returncode == 2, done.stderr
    assert f"{name}=x" in done.stderr
    assert "torchrun sets" in done.stderr
    assert not (tmp_path / "build").exists()


@pytest.mark.parametrize(("rank", "waits"), [(0, "for 1 of the 2 processes (RANK=1)"), (1, "for the process that")])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_process_without_its_peer_says_what_it_waits_for_and_heeds_signals(
    tmp_path: Path, rank: int, waits: str, number: signal.Signals
) -> None:
    """Rank 0 holds the store, to which nobody comes; rank 1 finds none."""
    (tmp_path / "spec.yaml").write_text(SPEC)
    env = marked_environment(
        WORLD_SIZE="2", RANK=str(rank), MASTER_ADDR="127.0.0.1", MASTER_PORT=str(free_port())
    )  # fmt: skip
    process = subprocess.Popen(
        _command(sys.executable, out="build"), cwd=tmp_path, env=env, text=True, stderr=subprocess.PIPE
    )  # fmt: skip
    assert process.stderr is not None
    said = process.stderr.readline()
    assert said.startswith(f"nba-codesign: RANK={rank}, WORLD_SIZE=2, ")
    assert f": waiting {waits}" in said
    assert said.endswith("; unset WORLD_SIZE where it does not start this program\n")
    process.send_signal(number)
    stderr = process.communicate()[1]
    status, word = (143, "terminated") if number == signal.SIGTERM else (130, "interrupted")
    assert (process.returncode, stderr) == (
        status, f"nba-codesign: {word}; run the same command again to continue\n"
    )  # fmt: skip
    assert not (tmp_path / "build").exists()


def _decode() -> None:
    """Images of a stream, decoded by workers, forever."""
    pixels = np.zeros((4, 4, 4, 1), dtype=np.uint8)
    images = ArrayImages(pixels, Shape(height=4, width=4, channels=1), (), 2)
    for _ in batches_of(images, [torch.tensor([0, 1])] * 4, 1):
        Path("ready").touch()
        signal.pause()


def test_workers_end_with_their_process(tmp_path: Path) -> None:
    env = marked_environment()
    code = "from tests.torch.test_faults import _decode; _decode()"
    process = subprocess.Popen([sys.executable, "-c", code], cwd=tmp_path, env=env, text=True)
    wait_until((tmp_path / "ready").exists, process)
    assert len(alive(env)) == 3
    process.kill()
    process.wait()
    wait_until(lambda: not alive(env))

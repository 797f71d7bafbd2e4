# SPDX-License-Identifier: Apache-2.0
"""Disks that are full, read-only or broken, and outputs that nobody takes: what is said, and what is left."""

from __future__ import annotations

import errno
import json
import os
import re
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from nba.core.errors import DiskError
from nba.core.files import naming, write_atomic
from nba.emit.bundle import emit_bundle
from tests.processes import marked_environment
from tests.tiny import tiny_design

NBA = f"{sys.executable} -m nba"
SPEC = """
name: small
dataset: {name: digits, train_images: 16, test_images: 2}
network:
  stem_channels: 4
  stages: [{channels: 4, blocks: 1, stride: 2}]
  operators: [k3_e1, k3_e3]
  head_channels: 8
platform: pynq-z2
budgets: {dsp: 40, bram: 20}
schedule:
  search: {pretrain_epochs: 1, joint_epochs: 1, hardware_first: 50, hardware_last: 50}
"""
FULL = "No space left on device; free some space there"


@pytest.mark.parametrize(
    ("number", "advice"),
    [(errno.ENOSPC, "free some space"), (errno.EDQUOT, "quota"), (errno.EROFS, "writable"), (errno.EIO, "look at"),
     (errno.EFBIG, "ulimit -f")],
)  # fmt: skip
def test_the_file_and_what_to_do(tmp_path: Path, number: int, advice: str, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "x.json"
    path.write_text("before")

    def fail(*given: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(DiskError, match=rf"x\.json: cannot be written: {os.strerror(number)}; .*{advice}"):
        write_atomic(path, "after")
    assert [p.read_text() for p in tmp_path.iterdir()] == ["before"]


def test_other_errors_stay_what_they_are(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), naming(tmp_path):
        (tmp_path / "none").read_text()


def _shell(command: str, cwd: Path, **more: Any) -> tuple[int, str, str]:
    """Status of the first program of a pipe, and what the shell's stdout and stderr got."""
    done = subprocess.run(
        ["bash", "-c", f"{command}; exit ${{PIPESTATUS[0]}}"], cwd=cwd, env=marked_environment(), capture_output=True,
        text=True, **more,
    )  # fmt: skip
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize("command", ["spec digits", "--help", "--version", "doctor"])
def test_output_that_cannot_be_written(tmp_path: Path, command: str) -> None:
    """Closed, or a full disk."""
    status, _, stderr = _shell(f"{NBA} {command} >&-", tmp_path)
    assert (status, stderr) == (
        2, "nba-codesign: standard output is closed; give it a file or a pipe (or /dev/null)\n"
    )  # fmt: skip
    status, _, stderr = _shell(f"{NBA} {command} > /dev/full", tmp_path)
    assert (status, stderr) == (2, f"nba-codesign: standard output: cannot be written: {FULL}\n")


UNREAD = (
    "spec digits", "--help", "--version", "run --help", "doctor", "nonsense 2>&1", "map alexnet --platform eyeris 2>&1",
    "run digits -o b 2>&1",
)  # fmt: skip


@pytest.mark.parametrize("buffered", [True, False])
@pytest.mark.parametrize("command", UNREAD)
def test_output_that_nobody_reads_ends_with_its_own_status(tmp_path: Path, command: str, buffered: bool) -> None:
    """Not with 1, which says that a claim does not hold; whether Python holds the output back or not."""
    environment = f"PYTHONUNBUFFERED={'' if buffered else 1}"
    assert _shell(f"{environment} {NBA} {command} | true", tmp_path) == (141, "", "")


@pytest.mark.eda
@pytest.mark.parametrize("command", ["verify bundle --only hls", "verify bundle --only hls 2>&1"])
def test_a_verification_that_nobody_reads(tmp_path: Path, command: str) -> None:
    emit_bundle(*tiny_design(), tmp_path / "bundle")
    status, stdout, stderr = _shell(f"{NBA} {command} | true", tmp_path)
    assert (status, stdout) == (141, "")
    assert all(line.startswith("  verify: ") for line in stderr.splitlines()), stderr


@pytest.mark.parametrize("buffered", [True, False])
@pytest.mark.parametrize("lost", ["> >(true)", ">/dev/full", ">&-"])
def test_stderr_alone_may_be_lost(tmp_path: Path, lost: str, buffered: bool) -> None:
    """What is said there goes nowhere; output and status are as ever."""
    (tmp_path / "spec.yaml").write_text(SPEC.replace("search:", "preset: published-auto-nba-cifar\n  search:"))
    environment = f"PYTHONUNBUFFERED={'' if buffered else 1}"
    status, stdout, _ = _shell(f"sleep 0.1; {environment} {NBA} spec spec.yaml 2{lost}", tmp_path)
    assert (status, stdout[:12]) == (0, "name: small\n")
    assert _shell(f"{environment} {NBA} spec none 2{lost}", tmp_path)[:2] == (2, "")
    assert _shell(f"{environment} {NBA} nonsense 2{lost}", tmp_path)[:2] == (2, "")


@pytest.mark.torch
@pytest.mark.parametrize(("where", "status"), [("2> >(head -1 >/dev/null)", 0), ("2>&1 | head -1", 141)])
def test_a_search_whose_messages_nobody_reads(tmp_path: Path, where: str, status: int) -> None:
    """It goes on where its output is another stream, and ends where that is the same pipe."""
    (tmp_path / "spec.yaml").write_text(SPEC)
    assert _shell(f"{NBA} search spec.yaml -o b {where}", tmp_path)[0] == status
    assert (tmp_path / "b" / "metrics.json").exists() == (status == 0)


def test_closed_stdin_and_stderr(tmp_path: Path) -> None:
    """The files that a command opens must not take their place."""
    status, stdout, _ = _shell(f"{NBA} spec digits 2>&- <&-", tmp_path)
    assert (status, stdout[:13]) == (0, "name: digits\n")
    assert _shell(f"{NBA} spec none 2>&-", tmp_path) == (2, "", "")
    assert _shell(f"{NBA} spec none 2>/dev/full", tmp_path) == (2, "", "")


@pytest.mark.eda
@pytest.mark.parametrize("command", ["verify bundle --only hls", "synth bundle"])
def test_verification_without_space_names_its_own_file(command: str, tmp_path: Path) -> None:
    """What is full is the folder for temporary files, not the output."""
    emit_bundle(*tiny_design(), tmp_path / "bundle")
    status, stdout, stderr = _shell(
        f"{NBA} {command}", tmp_path, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000)),
    )  # fmt: skip
    assert (status, stdout, stderr.count("\n")) == (2, "", 1), stderr
    assert re.fullmatch(r"nba-codesign: /.*/bundle/[\w/.]+: cannot be written: File too large; raise the .*\n", stderr)


@pytest.mark.torch
def test_a_search_without_space_goes_on_once_there_is_some(tmp_path: Path) -> None:
    """Files may grow to a size, to a smaller one, and then to any."""
    (tmp_path / "spec.yaml").write_text(SPEC)
    for limit, file in ((10_000, "search/search.pt"), (80, "search/events.out.tfevents.*")):
        status, stdout, stderr = _shell(
            f"{NBA} search spec.yaml -o b", tmp_path,
            preexec_fn=lambda size=limit: resource.setrlimit(resource.RLIMIT_FSIZE, (size, size)),
        )  # fmt: skip
        said = [line for line in stderr.splitlines() if "cannot be written" in line]
        assert (status, stdout, len(said)) == (2, "", 1), stderr
        assert "Traceback" not in stderr
        assert said[0].startswith(f"nba-codesign: b/.nba/work/{file}: cannot be written: File too large; raise the ")
        assert said[0].endswith("; run the same command again to continue")
        assert list((tmp_path / "b").rglob("*.part")) == []
    assert _shell(f"{NBA} search spec.yaml -o b", tmp_path)[0] == 0
    assert json.loads((tmp_path / "b" / "metrics.json").read_text())["seed"] == 0

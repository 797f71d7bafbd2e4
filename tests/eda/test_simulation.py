# SPDX-License-Identifier: Apache-2.0
"""The simulation script of a bundle: batches of any size, and the installed script on a bundle that is not trusted."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from template_pairs import subject, write_bundle

from nba.core import assets
from nba.core.tools import run_tool
from nba.machine.schedule import schedule
from nba.verify.rtl import simulate_rtl

pytestmark = pytest.mark.eda

SEED = 30
"""A design with stages, whose last frames leave early."""


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("any") / "bundle"
    write_bundle(subject(SEED), folder)
    return folder


def test_any_number_of_frames(bundle: Path, tmp_path: Path) -> None:
    """More than there are images, which then come again; the script computes the cycles, which are the schedule's."""
    sizes = (7, 1, 3, 13)
    assert not {str(n) for n in sizes} <= set(json.loads((bundle / "sim" / "predicted.json").read_text())[0])
    run = simulate_rtl(bundle, "icarus", frames=sizes, work=tmp_path, tests=("cycles", "stalls"))
    for size, batch in zip(sizes, run.batches, strict=True):
        assert batch.holds
        assert batch.images == size == len(batch.simulated["jobs"][0]["start"])
        exact = schedule(subject(SEED).program, size)
        assert batch.simulated["batch_interval_cycles"] == exact.interval_cycles
        assert batch.simulated["batch"] == exact.batch_cycles
        assert batch.simulated["jobs"][-1]["end"] == exact.job_end[-1][-1].tolist()


def test_the_installed_script_runs_nothing_that_lies_in_the_bundle(bundle: Path, tmp_path: Path) -> None:
    """In isolation: modules beside the bundle's own script, and in the working directory, are not executed."""
    for folder in (bundle / "sim", tmp_path):
        for name in ("argparse", "bench", "host", "control", "recurrence", "cocotbext"):
            if not (folder / f"{name}.py").exists():
                (folder / f"{name}.py").write_text("raise SystemExit('executed')\n")
    command = [
        sys.executable, "-I", str(assets.root("sim") / "run_sim.py"), "--bundle", str(bundle), "--frames", "3",
        "--tests", "cycles", "--build-dir", str(tmp_path / "build"),
    ]  # fmt: skip
    done = run_tool(command, cwd=tmp_path, check=False)
    assert done.returncode == 0, done.output
    assert done.output.rstrip().endswith("PASSED")

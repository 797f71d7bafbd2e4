# SPDX-License-Identifier: Apache-2.0
"""The timing of a row stands in one place: one line changed, and every cost follows, still in agreement."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from nba.core.sources import PACKAGE

ROOT = PACKAGE.parent
KERNEL = Path("machine") / "timing.py"
SLOT = "return max(words * taps, drain * packing)\n"
MUTANTS = {
    "slot": (SLOT, "return max(words * taps, drain * packing) + 1\n"),
    "row": ("return max(work, MIN_ROW_CYCLES)\n", "return max(work, MIN_ROW_CYCLES) + 3\n"),
}


def figures(package: Path) -> dict[str, Any]:
    """What tests.unit.one_kernel says of the package in the folder `package`. Interpreted: nothing is kept on disk."""
    paths = os.pathsep.join([str(package.parent), str(ROOT)])
    environment = {**os.environ, "PYTHONPATH": paths, "NUMBA_DISABLE_JIT": "1", "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-W", "ignore::RuntimeWarning", "-m", "tests.unit.one_kernel"]
    done = subprocess.run(command, env=environment, cwd=package.parent, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.fixture(scope="module")
def before() -> dict[str, Any]:
    return figures(PACKAGE)


@pytest.mark.parametrize("mutant", MUTANTS)
def test_one_changed_line_changes_every_cost(mutant: str, before: dict[str, Any], tmp_path: Path) -> None:
    old, new = MUTANTS[mutant]
    package = tmp_path / "nba"
    shutil.copytree(PACKAGE, package, ignore=shutil.ignore_patterns("__pycache__"))
    text = (package / KERNEL).read_text()
    assert text.count(old) == 1
    (package / KERNEL).write_text(text.replace(old, new))
    after = figures(package)
    assert set(after) == set(before)
    assert not [name for name in before if before[name] == after[name]]


def test_a_cost_with_a_formula_of_its_own_is_noticed(before: dict[str, Any], tmp_path: Path) -> None:
    """The repair with the slot written out: the bounds, which follow the changed kernel, contradict it."""
    package = tmp_path / "nba"
    shutil.copytree(PACKAGE, package, ignore=shutil.ignore_patterns("__pycache__"))
    kernel, repair = package / KERNEL, package / "explore" / "repair.py"
    kernel.write_text(kernel.read_text().replace(*MUTANTS["slot"]))
    call = "slot = slot_cycles(words[i, m, row[p + 3]], layers[i, TAPS], drain, layers[i, PACKED])"
    text = repair.read_text()
    assert text.count(call) == 1
    repair.write_text(text.replace(call, "slot = max(words[i, m, row[p + 3]] * layers[i, TAPS], drain)"))
    with pytest.raises(AssertionError):
        figures(package)


def test_no_other_module_writes_the_slot_out() -> None:
    """No maximum of steps, and no pm / pq, in any other of the modules that count cycles."""
    formula = re.compile(r"max\([^()]*\b(taps|steps|TAPS|drain)\b|//\s*[\w.]*pq\b")
    assert formula.search(SLOT)
    folders = [PACKAGE / name for name in ("machine", "explore", "report")]
    for path in (p for folder in folders for p in folder.rglob("*.py") if p != PACKAGE / KERNEL):
        for line in path.read_text().splitlines():
            assert not formula.search(line), f"{path}: {line}"

# SPDX-License-Identifier: Apache-2.0
"""The example of README's section "From Python", executed as it stands."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from nba.core.sources import PACKAGE
from tests.processes import marked_environment

pytestmark = [pytest.mark.torch, pytest.mark.eda, pytest.mark.slow]


def example() -> str:
    """The only block of Python in README."""
    (found,) = re.findall(r"```python\n(.*?)```", (PACKAGE.parent / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    return str(found)


AFTERWARDS = """
found = nba.search(spec, "build/quick")
assert found.build == result.build
assert len(found.architecture.ops) == 2 and found.accelerator is not None
again, weights = nba.load_design(result.build / "design" / "design.json")
assert again == result.design and len(weights) == len(result.weights)
"""
"""The search alone gives what the run has found already."""


def test_the_example_runs(tmp_path: Path) -> None:
    """In a process of its own, as a user runs it: what it prints is whole, and every claim of its run holds."""
    (tmp_path / "example.py").write_text(example() + AFTERWARDS)
    command = [sys.executable, "example.py"]
    done = subprocess.run(
        command, cwd=tmp_path, env=marked_environment(), capture_output=True, text=True, check=False
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    interval, prediction = done.stdout.split("\n", 1)
    assert re.fullmatch(r"\d+ cycles between frames, every claim holds: True", interval)
    classes = re.fullmatch(r"\[([0-9 ]+)\] of \[([0-9 ]+)\] from cycle \d+\n", prediction)
    assert classes is not None, prediction
    assert [len(numbers.split()) for numbers in classes.groups()] == [2, 2]
    assert (tmp_path / "build" / "quick" / "report" / "report.html").is_file()


def test_it_is_short() -> None:
    """Ten statements and no line that a page cuts off."""
    lines = example().strip().splitlines()
    assert len(lines) <= 14
    assert max(map(len, lines)) <= 120

# SPDX-License-Identifier: Apache-2.0
"""What `nba-codesign doctor --compile` compiles, and what it says."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
from pathlib import Path
from unittest.mock import patch

import pytest
from numba.core.registry import CPUDispatcher

from nba.core import compiled
from nba.core.sources import PACKAGE, modules_of
from nba.flow import compile_ahead

OTHERS = ("nba.machine.batch", "nba.loopnest.model.evaluate_all", "nba.explore.space._allowed")
"""Compiled, but called by tests and benchmarks, or by comparison methods, only."""


def test_it_says_what_it_does(tmp_path: Path) -> None:
    done: list[str] = []
    said: list[str] = []
    parts = {"one": lambda: done.append("one"), "two": lambda: done.append("two")}
    with patch.object(compile_ahead, "AHEAD_WORK", parts), patch.object(compiled, "kept_in", lambda: tmp_path):
        compile_ahead.compile_ahead(said.append)
    assert done == ["one", "two"]
    assert said[0] == f"compiled code is kept in {tmp_path}"
    assert [line.rpartition(": ")[0] for line in said[1:]] == ["compiled for one", "compiled for two"]


def test_without_a_folder_nothing_is_compiled() -> None:
    """It would be gone with the process; and no set-up ends with an error for that."""
    done: list[str] = []
    said: list[str] = []
    with (
        patch.object(compile_ahead, "AHEAD_WORK", {"one": lambda: done.append("one")}),
        patch.object(compiled, "kept_in", lambda: None),
    ):
        compile_ahead.compile_ahead(said.append)
    assert done == []
    assert [line.partition(":")[0] for line in said] == ["nothing is compiled ahead"]


def functions() -> set[str]:
    """Names of all functions that are compiled by themselves, not into their callers."""
    found: set[str] = set()
    for module in modules_of():
        if module.split(".")[1:2] not in (["explore"], ["loopnest"], ["machine"]):
            continue
        for value in vars(importlib.import_module(module)).values():
            if isinstance(value, CPUDispatcher) and value.targetoptions.get("inline") != "always":
                found.add(f"{value.py_func.__module__}.{value.py_func.__name__}")
    return {name for name in found if name.startswith("nba.") and not name.startswith(OTHERS)}


@pytest.mark.full
def test_every_function_is_compiled(tmp_path: Path) -> None:
    """With an empty folder, as after a set-up."""
    done = subprocess.run(
        [sys.executable, "-m", "nba", "doctor", "--compile"], capture_output=True, text=True, check=False,
        env={**os.environ, "PYTHONPATH": str(PACKAGE.parent), "NUMBA_CACHE_DIR": str(tmp_path)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("\n") == 1 + len(compile_ahead.AHEAD_WORK)
    kept: set[str] = set()
    for path in tmp_path.rglob("*.nbi"):  # compiled/<module>-<digest>/<folder>/<file>.<function>-<line>.<version>.nbi
        module = path.relative_to(tmp_path / "compiled").parts[0].rpartition("-")[0]
        kept.add(f"{module}.{path.name.split('.')[1].rpartition('-')[0]}")
    wanted = functions()
    assert len(wanted) > 100
    assert wanted - kept == set()

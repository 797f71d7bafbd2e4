# SPDX-License-Identifier: Apache-2.0
"""How figures are said: accuracies with their error, rates with their clock, in every place that prints one."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from nba.core.figures import accuracy_text, clock_text, percent_text, standard_error

ROOT = Path(__file__).parents[2]
SAID = "at a target clock of"


def test_standard_error_is_that_of_a_binomial() -> None:
    assert standard_error(0.5, 100) == 0.05
    assert standard_error(0.25, 3) == 0.25
    assert standard_error(1.0, 10) == standard_error(0.0, 10) == 0.0


def test_texts() -> None:
    assert accuracy_text(0.9777, 2000) == "97.77 ± 0.33 % on 2,000 test images"
    assert percent_text(0.5, 100) == "50.00 ± 5.00 %"
    assert clock_text(200.0) == "at a target clock of 200 MHz (not confirmed)"
    assert clock_text(62.5) == "at a target clock of 62.5 MHz (not confirmed)"


@pytest.mark.parametrize("suffix", ["py", "j2"])
def test_only_one_place_writes_a_clock(suffix: str) -> None:
    """No text of the product names MHz, but that of nba.core.figures, of descriptions and of what Vivado is told."""
    allowed = {"nba/core/figures.py", "templates/synth/vivado.tcl.j2"}
    found = []
    for folder in ("nba", "templates", "sim"):
        for path in sorted((ROOT / folder).rglob(f"*.{suffix}")):
            name = path.relative_to(ROOT).as_posix()
            if name not in allowed and re.search(r"[\"'{}\]>] ?MHz|\} MHz", path.read_text(encoding="utf-8")):
                found.append(name)
    assert found == []


def test_documents_call_every_clock_of_a_rate_a_target() -> None:
    for name in ("README.md", "benchmarks/RESULTS.md"):
        for number, line in enumerate((ROOT / name).read_text(encoding="utf-8").splitlines(), 1):
            if re.search(r"(frames/s|frames per second|fps)", line, re.IGNORECASE) and "MHz" in line:
                assert SAID in line, f"{name}:{number}: {line}"

# SPDX-License-Identifier: Apache-2.0
"""The closing table: budgets that were asked for, and what models are."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest

from nba.metrics import Line, table

BASE: dict[str, Any] = {
    "clock_mhz": 100.0, "interval_cycles": 1000.0, "first_output_latency_cycles": 4000, "fps": 100_000.0,
    "accuracy": {"integer": 0.975, "fake_quant": 0.975},
    "resources": {"predicted": {"dsp": 10, "bram": 2.0}, "budget": {"dsp": 20, "bram": 4.0}},
    "estimates": {
        "lut": 9000, "ff": 8000, "lut_error": {"mean": 0.04, "worst": 0.1}, "ff_error": {"mean": 0.01, "worst": 0.02},
        "device_lut": 53_200, "device_ff": 106_400,
    },
    "energy": {"pj_per_frame": 250_000.0, "power_w": 0.025, "table": "some-table", "nature": "relative"},
}  # fmt: skip


def rows(**budgets: float) -> dict[str, Line]:
    metrics = deepcopy(BASE)
    metrics["budgets"] = budgets
    return {line.label: line for line in table(metrics)}


def test_without_budgets_nothing_is_claimed() -> None:
    found = rows()
    for label in ("accuracy", "frames per second", "latency", "LUT", "energy and power"):
        assert found[label].holds is None
    assert (
        found["LUT"].value
        == "about 9,000 (estimate; the designs it was fitted to: off by 4 % on average, 10 % at worst)"
    )
    assert found["energy and power"].value == "250 nJ per frame, 25 mW at full speed (some-table, a relative model)"


@pytest.mark.parametrize(
    ("label", "name", "met", "missed", "said"),
    [
        ("frames per second", "fps", 100_000, 120_000, ", budget at least 120,000 MISSED"),
        ("latency", "latency_us", 40.0, 39.9, ", budget 39.9 us EXCEEDED"),
        ("LUT", "lut", 9000, 8999, ", budget 8,999 EXCEEDED"),
        ("energy and power", "power_w", 0.025, 0.02, ", budget 0.02 W EXCEEDED"),
        ("accuracy", "accuracy", 0.975, 0.98, "; budgets.accuracy 0.98 missed by 0.50 points"),
    ],
)
def test_budgets_hold_or_say_by_how_much_not(label: str, name: str, met: float, missed: float, said: str) -> None:
    assert rows(**{name: met})[label].holds is True
    line = rows(**{name: missed})[label]
    assert line.holds is False
    assert line.value.endswith(said)


def test_more_luts_than_the_device_has_are_said() -> None:
    metrics = deepcopy(BASE)
    metrics["estimates"]["device_lut"] = 8000
    line = next(line for line in table(metrics) if line.label == "LUT")
    assert line.value.endswith("; the device has 8,000")

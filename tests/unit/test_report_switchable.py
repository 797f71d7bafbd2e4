# SPDX-License-Identifier: Apache-2.0
"""What the report takes of the metrics of a switchable run."""

from __future__ import annotations

import pytest

from nba.core.errors import NbaError
from nba.report.curves import Panel, Tradeoff, svg
from nba.report.inputs import SwitchableCurves
from nba.report.switchable import bitwidth_panels, by_bits

COST = {"energy_pj": 2e6, "latency_us": 10.0, "edp_js": 2e-11, "fps": 1e5, "execution": "multi-cycle"}
METRICS = {
    "switchable": {
        "hardware_bits": [4, 8],
        "accuracy": {b: {"accuracy": int(b) / 100, "images": 50, "arithmetic": "integer"} for b in ("8", "4", "16")},
    },
    "automap": {"bits": {"4": COST, "8": {**COST, "edp_js": 4e-11}, "16": {**COST, "edp_js": 8e-11}}},
}
CURVES = SwitchableCurves(
    bitwidths=(4, 8), epochs=(0, 1), losses=((2.0, 1.0), (1.5, 0.5)), accuracies=((0.5, 0.6), (0.7, 0.8)),
    search_epochs=(0, 1, 2), valid_loss=(None, 2.0, 1.0), cost=(9.0, 8.0, 7.0), objective="edp",
    ops=(("a",), ("a",), ("b",)),
)  # fmt: skip


def test_bitwidths_come_in_rising_order() -> None:
    found = by_bits(METRICS)
    assert [(p.bits, p.accuracy, p.energy_uj, p.edp_js) for p in found] == [
        (4, 0.04, 2.0, 2e-11), (8, 0.08, 2.0, 4e-11), (16, 0.16, 2.0, 8e-11),
    ]  # fmt: skip
    assert by_bits({}) == ()


def test_damaged_metrics_are_said_to_be() -> None:
    for wrong in (
        {**METRICS, "switchable": {**METRICS["switchable"], "hardware_bits": 4}},
        {**METRICS, "automap": {"bits": {"4": {}}}},
        {**METRICS, "switchable": 3},
    ):
        with pytest.raises(NbaError, match="damaged, or of another version"):
            by_bits(wrong)


def test_diagrams() -> None:
    """Accuracy against EDP; the search's curves begin with its joint epochs."""
    tradeoff, loss, cost, *training = bitwidth_panels(by_bits(METRICS), CURVES)
    assert isinstance(tradeoff, Tradeoff)
    assert tradeoff.points == (("4 bits", 2e-11, 0.04), ("8 bits", 4e-11, 0.08), ("16 bits", 8e-11, 0.16))
    assert isinstance(loss, Panel)
    assert isinstance(cost, Panel)
    assert (loss.epochs, loss.lines) == ((1, 2), (("", (2.0, 1.0)),))
    assert (cost.unit, cost.lines) == ("pJ x cycles", (("", (8.0, 7.0)),))
    assert [p.lines[1] for p in training] == [("8 bits", (1.5, 0.5)), ("8 bits", (0.7, 0.8))]
    assert "16 bits" in svg((tradeoff, *training))

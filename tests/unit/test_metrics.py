# SPDX-License-Identifier: Apache-2.0
"""The closing table: budgets that were asked for, and what models are."""

from __future__ import annotations

import json
from copy import deepcopy
from pathlib import Path
from typing import Any, cast

import pytest
from pydantic import ValidationError

from nba.core.errors import NbaError
from nba.flow.metrics import Line, table
from nba.flow.metrics_model import Metrics, parse_metrics, schema_text

RAW: dict[str, Any] = json.loads(
    (Path(__file__).parents[2] / "benchmarks" / "recorded" / "digits.metrics.json").read_text()
)
"""The metrics of a run."""
BASE: dict[str, Any] = {
    "clock_mhz": 100.0, "steady_interval_cycles": 1000.0, "first_output_latency_cycles": 4000, "fps": 100_000.0,
    "accuracy": {"integer": 0.975, "fake_quant": 0.975, "images": 400, "standard_error": 0.0078},
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
        == "about 9,000 (estimate; error on designs left out of the fit: 4 % on average, 10 % at worst)"
    )
    assert (
        found["energy and power"].value == "250 nJ per frame, 25 mW at the target clock (some-table, a relative model)"
    )


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


def test_where_weights_come_from() -> None:
    of_chip: dict[str, Any] = {**BASE, "memory": None}
    assert {line.label: line.value for line in table(cast("Metrics", of_chip))}["weights"] == "on chip"
    memory = {"bytes_per_frame": 65_536, "bytes_per_cycle": 8, "latency_cycles": 100, "slots": 3, "share": 0.5}
    (line,) = [x for x in table(cast("Metrics", {**BASE, "memory": memory})) if x.label == "weights"]
    assert line == Line(
        label="weights",
        value="65,536 bytes per frame from external memory, a port of 8 bytes per cycle (8,192 cycles per frame; "
        "assumed: 100 cycles of latency), 3 slots in every store",
    )


def test_rates_and_times_name_their_clock() -> None:
    found = rows()
    assert found["frames per second"].value == (
        "100,000 at a target clock of 100 MHz (not confirmed), steady interval 1,000 cycles"
    )
    assert found["latency"].value == "40.0 us at a target clock of 100 MHz (not confirmed), 4,000 cycles"


def test_accuracies_have_images_and_an_error() -> None:
    metrics = deepcopy(BASE)
    metrics["baselines"] = {
        "float": {"accuracy": 0.98, "images": 400, "standard_error": 0.007},
        "int8": {"accuracy": 0.9, "images": 400, "standard_error": 0.015},
    }
    found = {line.label: line.value for line in table(metrics)}
    assert found["accuracy"] == (
        "97.50 ± 0.78 % on 400 test images (integer network), +0.00 points against the fake-quantised network"
    )
    assert found["baselines, same architecture"] == (
        "98.00 ± 0.70 % in floating point, 90.00 ± 1.50 % with 8 bits everywhere (integer network), on 400 test images"
    )
    del metrics["baselines"]["float"]
    assert "floating" not in {line.label: line.value for line in table(metrics)}["baselines, same architecture"]
    del metrics["baselines"]["int8"]
    assert "baselines, same architecture" not in {line.label for line in table(metrics)}
    metrics["baselines_failed"] = "the loss is not finite"
    failed = next(line for line in table(metrics) if line.label.startswith("baselines"))
    assert (failed.value, failed.holds) == ("not measured: the loss is not finite", None)


def test_bitwidths_have_images_an_error_and_a_clock() -> None:
    at = {"images": 400, "standard_error": 0.01, "fake_quant": 0.9}
    costs = {"edp_js": 1e-10, "fps": 1234.0}
    metrics = {
        "switchable": {"accuracy": {
            "32": {"accuracy": 0.9, "arithmetic": "fake", **at}, "4": {"accuracy": 0.8, "arithmetic": "integer", **at},
        }, "hardware": {"4": {"fps": 5678.0, "steady_interval_cycles": 35225.5}}},
        "automap": {"hierarchy": "some", "clock_mhz": 200.0, "bits": {"4": costs, "32": costs}},
    }  # fmt: skip
    assert [(line.label, line.value) for line in table(metrics)] == [
        (
            "at 4 bits",
            "80.00 ± 2.00 % (integer network), 5,678 frames/s (35,225.5 cycles); mapped by itself: EDP 1.000e-10 J s, "
            "1,234 frames/s",
        ),
        ("at 32 bits", "90.00 ± 1.50 % (floating point); mapped by itself: EDP 1.000e-10 J s, 1,234 frames/s"),
        (
            "all bitwidths",
            "accuracy on 400 test images; mapped by itself: on some at a target clock of 200 MHz (not confirmed)",
        ),
    ]


def test_metrics_of_another_version_are_said_to_be() -> None:
    metrics = deepcopy(BASE)
    del metrics["accuracy"]["images"]
    with pytest.raises(NbaError, match="damaged, or of another version"):
        table(metrics)


def test_more_luts_than_the_device_has_are_said() -> None:
    metrics = deepcopy(BASE)
    metrics["estimates"]["device_lut"] = 8000
    line = next(line for line in table(metrics) if line.label == "LUT")
    assert line.value.endswith("; the device has 8,000")


RECORDED = sorted((Path(__file__).parents[2] / "benchmarks" / "recorded").glob("*.metrics.json"))


@pytest.mark.parametrize("path", RECORDED, ids=lambda path: path.stem)
def test_recorded_metrics_are_of_the_model(path: Path) -> None:
    """Nothing is lost or changed by reading them."""
    assert parse_metrics(path.read_text()) == json.loads(path.read_text())


def test_every_key_is_recorded_or_of_a_failure() -> None:
    """Or of a network that is given, whose run learns nothing."""
    known = set().union(*(json.loads(path.read_text()) for path in RECORDED))
    assert set(Metrics.__annotations__) - known == {"baselines_failed", "given", "imported"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"speed": 1.0}, "speed"),
        ({"fps": "fast"}, "fps"),
        ({"seed": 1.5}, "seed"),
        ({"resources": {"predicted": {"dsp": 1}}}, "bram"),
        ({"energy": {**RAW["energy"], "events": {"macs": 1}}}, "host_in_words"),
        ({"cycles": {"predicted": {**RAW["cycles"]["predicted"], "outputs": [1.5]}}}, "outputs"),
    ],
)
def test_other_metrics_are_refused(change: dict[str, Any], message: str) -> None:
    parse_metrics(json.dumps(RAW))
    with pytest.raises(ValidationError, match=message):
        parse_metrics(json.dumps({**RAW, **change}))


def test_the_published_schema_is_that_of_the_model() -> None:
    published = Path(__file__).parents[2] / "docs" / "metrics.schema.json"
    assert published.read_text() == schema_text(), "python -m nba.flow.metrics_model > docs/metrics.schema.json"

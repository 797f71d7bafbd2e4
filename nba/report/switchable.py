# SPDX-License-Identifier: Apache-2.0
"""The part of the page about a switchable network: accuracy against cost, bitwidth by bitwidth, and the curves."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from nba.core.jsonfile import RUN_AGAIN, understood
from nba.machine.usage import UNITS
from nba.report.curves import Panel, Tradeoff
from nba.report.inputs import SwitchableCurves


@dataclass(frozen=True, kw_only=True, slots=True)
class BitwidthFigures:
    """One bitwidth. accuracy: share of `images` test images, of what `arithmetic` says: the integer network or fake
    quantisation. The cost is that of the whole network under its best mapping; edp_js: (sum of energies) * (sum of
    latencies)."""

    bits: int
    accuracy: float
    images: int
    arithmetic: str
    energy_uj: float
    latency_us: float
    edp_js: float
    fps: float
    execution: str


def by_bits(metrics: dict[str, Any]) -> tuple[BitwidthFigures, ...]:
    """What metrics.json says of every bitwidth, the lowest first; empty for a network that is not switchable. Raises
    NbaError if it is damaged, or of another version."""
    with understood("metrics.json, `switchable` or `automap`", RUN_AGAIN):
        return _by_bits(metrics)


def _by_bits(metrics: dict[str, Any]) -> tuple[BitwidthFigures, ...]:
    accuracy = metrics.get("switchable", {}).get("accuracy", {})
    costs = metrics.get("automap", {}).get("bits", {})
    if accuracy and not isinstance(metrics["switchable"]["hardware_bits"], list):
        raise TypeError("hardware_bits")
    return tuple(
        BitwidthFigures(
            bits=int(bits),
            accuracy=float(accuracy[bits]["accuracy"]),
            images=int(accuracy[bits]["images"]),
            arithmetic=str(accuracy[bits]["arithmetic"]),
            energy_uj=float(costs[bits]["energy_pj"]) / 1e6,
            latency_us=float(costs[bits]["latency_us"]),
            edp_js=float(costs[bits]["edp_js"]),
            fps=float(costs[bits]["fps"]),
            execution=str(costs[bits]["execution"]),
        )
        for bits in sorted(accuracy, key=int)
        if bits in costs
    )


def bitwidth_panels(
    points: tuple[BitwidthFigures, ...], curves: SwitchableCurves | None
) -> tuple[Panel | Tradeoff, ...]:
    """The diagrams."""
    found: list[Panel | Tradeoff] = []
    if points:
        found.append(
            Tradeoff(
                title="accuracy against EDP",
                x_label="EDP [J s]",
                y_label="share",
                points=tuple((f"{p.bits} bits", p.edp_js, p.accuracy) for p in points),
            )
        )
    if curves is None:
        return tuple(found)
    names = tuple(f"{bits} bits" for bits in curves.bitwidths)
    units = {"macs": "MAC per frame", "bit_operations": "MAC x bits x bits"}
    units |= {str(name): unit for name, unit in UNITS.items()}
    joint = [i for i, loss in enumerate(curves.valid_loss) if loss is not None]
    if joint:
        epochs = tuple(curves.search_epochs[i] for i in joint)
        for title, unit, values in (
            ("search: loss on the images for alpha", "nats", curves.valid_loss),
            (f"search: {curves.objective} at the lowest bitwidth", units.get(curves.objective, ""), curves.cost),
        ):
            found.append(Panel(title=title, unit=unit, epochs=epochs, lines=(("", tuple(values[i] for i in joint)),)))
    for title, unit, lines in (
        ("training: loss", "nats", curves.losses),
        ("training: accuracy on training images", "share", curves.accuracies),
    ):
        found.append(Panel(title=title, unit=unit, epochs=curves.epochs, lines=tuple(zip(names, lines, strict=True))))
    return tuple(found)

# SPDX-License-Identifier: Apache-2.0
"""Stage map: the accelerator's final mapping for the trained integer network; leaves design.json. Needs no torch."""

from __future__ import annotations

import importlib.metadata
import shutil
from dataclasses import asdict
from typing import TYPE_CHECKING

from nba import __version__
from nba.ir.design import Design, save_design
from nba.ir.network import weights_digest
from nba.stages.exchange import load_network, write_part
from nba.stages.limits import budgets_of, preflight

if TYPE_CHECKING:
    from nba.flow import Context
    from nba.ir.accelerator import Accelerator
    from nba.ir.program import Program
    from nba.progress import Progress

__all__ = ["preflight", "run"]

NUMERIC_PACKAGES = ("numpy", "torch")
"""Packages whose arithmetic shaped the weights; their versions are part of the design."""


def run(context: Context) -> None:
    """Writes design.json, weights.npz, images.npz (test images for the vectors)."""
    from nba.cost.energy import energy_aj
    from nba.cost.steady import steady_interval
    from nba.cost.usage import UNITS, value_of
    from nba.ir.program import lower
    from nba.mapper.automap import map_certified
    from nba.platform import get

    spec, train = context.spec, context.of("train")
    platform = get(spec.platform)
    network, weights = load_network(train)
    found = map_certified(
        network,
        platform,
        budgets_of(spec),
        objective=spec.objective,
        seed=spec.seed,
        start=searched_accelerator(context),
        min_chunks=spec.accelerator.min_chunks,
        max_chunks=spec.accelerator.max_chunks,
        progress=_Steps(context.progress),
    )
    accelerator, cost = found.accelerator, found.cost
    design = Design(
        name=spec.name,
        network=network,
        accelerator=accelerator,
        platform=platform.name,
        clock_mhz=platform.clock_mhz,
        cost=cost,
        weights_sha256=weights_digest(weights),
        seed=spec.seed,
        versions=(
            ("nba-codesign", __version__),
            *((name, importlib.metadata.version(name).partition("+")[0]) for name in NUMERIC_PACKAGES),
        ),
    )
    save_design(design, weights, context.folder)
    shutil.copyfile(train / "images.npz", context.folder / "images.npz")
    program = lower(network, accelerator)
    interval = steady_interval(program)
    write_part(
        context.folder,
        {
            "name": design.name,
            "design_id": design.id,
            "platform": design.platform,
            "clock_mhz": design.clock_mhz,
            "interval_cycles": float(interval),
            "first_output_latency_cycles": cost.first_output_latency_cycles,
            "certificate": None if found.certificate is None else asdict(found.certificate),
            "fps": float(design.clock_mhz * 1_000_000 / interval),
            "resources": {
                "predicted": {"dsp": cost.dsp, "bram": cost.bram},
                "budget": {"dsp": spec.budgets.dsp, "bram": spec.budgets.bram},
            },
            "budgets": {name: limit for name, limit in spec.budgets.model_dump().items() if limit is not None},
            "objective": {
                "name": spec.objective,
                "value": value_of(spec.objective, float(interval), cost.first_output_latency_cycles, cost.energy_pj),
                "unit": UNITS[spec.objective],
            },
            "estimates": {
                "lut": cost.lut,
                "ff": cost.ff,
                "lut_error": {"mean": platform.logic.lut_mean_error, "worst": platform.logic.lut_worst_error},
                "ff_error": {"mean": platform.logic.ff_mean_error, "worst": platform.logic.ff_worst_error},
                "device_lut": platform.lut,
                "device_ff": platform.ff,
            },
            "energy": {
                "pj_per_frame": cost.energy_pj,
                "power_w": cost.power_w,
                "shares_pj": {name: aj / 1e6 for name, aj in energy_aj(program, platform).items()},
                "events": events(program),
                "table": platform.energy.name,
                "nature": platform.energy.nature,
            },
        },
    )


def searched_accelerator(context: Context) -> Accelerator | None:
    """The accelerator that the joint search found with the network; there is none for a switchable network."""
    from nba.search.result import load_result

    if context.spec.precision == "switchable":
        return None
    return load_result(context.of("search") / "search.json").accelerator


def events(program: Program) -> dict[str, object]:
    """Events of one frame, as they stand in the metrics."""
    from nba.cost.energy import counts

    found = asdict(counts(program))
    widths = found.pop("by_widths")
    return {**found, "macs_by_bits": {f"a{a}w{w}": n for a, w, n in widths}}


class _Steps:
    """A `Progress` as the callback (done, total, note) that the mapper takes; a new task whenever the total changes."""

    def __init__(self, progress: Progress):
        self._progress = progress
        self._total = 0
        self._done = 0

    def __call__(self, done: int, total: int, note: str) -> None:
        if total != self._total or done < self._done:
            if self._total:
                self._progress.finish()
            self._progress.start("map", total)
            self._total, self._done = total, 0
        self._progress.advance(done - self._done, note)
        self._done = done
        if done == total:
            self._progress.finish()
            self._total = 0

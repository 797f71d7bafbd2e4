# SPDX-License-Identifier: Apache-2.0
"""Stage map: the accelerator's final mapping for the trained integer network, or for all bitwidths of a switchable one;
leaves design.json. Needs no torch."""

from __future__ import annotations

import importlib.metadata
import shutil
from dataclasses import replace
from typing import TYPE_CHECKING, cast

from nba.core.version import __version__
from nba.flow import places
from nba.flow.artifacts import CLASSES, IMAGES, device_blocks, load_network, read_part, write_part
from nba.flow.limits import BOARDS, budgets_of, check_limits, has_modes, platform_of
from nba.flow.stage import Context, Stage
from nba.ir.design import Design
from nba.ir.network import weights_digest
from nba.machine.design_file import save_design

if TYPE_CHECKING:
    from nba.boards import Platform
    from nba.boards.clocks import FamilyClock
    from nba.core.progress import Progress
    from nba.explore.budgets import Budgets
    from nba.explore.choose import Mapped
    from nba.explore.exact import Certificate
    from nba.flow.metrics_model import (
        BudgetLimits,
        ClockFigures,
        EventFigures,
        MemoryFigures,
        Metrics,
        ModeCost,
        Proof,
        RoutedFigure,
    )
    from nba.ir.accelerator import Accelerator
    from nba.ir.network import Network, Weights
    from nba.machine.program import Program
    from nba.spec import Spec

NUMERIC_PACKAGES = ("numpy", "torch")
"""Packages whose arithmetic shaped the weights; their versions are part of the design. Given weights saw no torch."""


def run(context: Context) -> None:
    """Writes design.json, weights.npz; of a network that was trained images.npz (test images for the vectors) and
    classes.json too."""
    spec, train = context.spec, context.of(places.TRAIN)
    design, weights, certificate = _all_bitwidths(context) if has_modes(spec) else _one_network(context)
    network, *modes = (replace(network, name=spec.name) for network in design.networks)
    design = replace(
        design, network=network, modes=tuple(modes), board=platform_of(spec).described,
        random_weights=spec.given is not None and spec.given.weights == "random",
    )  # fmt: skip
    save_design(design, weights, context.folder)
    for name in () if spec.given is not None else (IMAGES, CLASSES):
        shutil.copyfile(train / name, context.folder / name)
    promised: Metrics = _promised(context, design) if spec.precision == "switchable" else {}
    write_part(context.folder, {**promised, **_figures(spec, design, certificate)})


# One table: every line is a figure.
def _figures(spec: Spec, design: Design, certificate: Certificate | None) -> Metrics:
    """What the models say of the design, beside its budgets."""
    from nba.machine.energy import energy_aj
    from nba.machine.program import design_programs
    from nba.machine.steady import steady_interval
    from nba.machine.total import slowest_mode
    from nba.machine.usage import UNITS, value_of

    platform, cost = platform_of(spec), design.cost
    programs = design_programs(design.network, design.accelerator, design.modes)
    program = programs[slowest_mode(programs)]
    interval = steady_interval(program)
    return {
        "name": design.name,
        "design_id": design.id,
        "platform": design.platform,
        "clock_mhz": design.clock_mhz,
        "supported_clock": _supported(platform.family.clock),
        "steady_interval_cycles": float(interval),
        "first_output_latency_cycles": cost.first_output_latency_cycles,
        "certificate": None if certificate is None else proof(certificate),
        "memory": memory_figures(program, spec.accelerator.memory_share),
        "fps": float(design.clock_mhz * 1_000_000 / interval),
        "resources": {
            "predicted": device_blocks(cost.dsp, cost.bram, cost.uram),
            "budget": device_blocks(
                spec.budgets.dsp, spec.budgets.bram, _uram_budget(spec, platform) if cost.uram else 0
            ),
        },
        "budgets": cast("BudgetLimits", spec.budgets.model_dump(exclude_none=True)),
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
    }


def _promised(context: Context, design: Design) -> Metrics:
    """What the hardware of a switchable network promises: the accuracy of the worst of its bitwidths, and what each
    costs on it."""
    bits = context.spec.switched.modes()
    reached = read_part(context.of(places.TRAIN))["switchable"]["accuracy"]
    worst = min((reached[str(b)] for b in bits), key=lambda at: float(at["accuracy"]))
    return {
        "accuracy": {
            "integer": worst["accuracy"],
            "fake_quant": worst["fake_quant"],
            "images": worst["images"],
            "standard_error": worst["standard_error"],
        },
        "switchable": {"hardware_bits": list(bits), "hardware": _by_bits(design, bits)},
    }


def _uram_budget(spec: Spec, platform: Platform) -> int:
    """UltraRAM blocks that a design may have: those of the board, if the spec does not say."""
    return platform.uram if spec.budgets.uram is None else spec.budgets.uram


def _supported(family: FamilyClock) -> ClockFigures:
    """The clock of a family of devices, and what was routed."""
    from nba.boards.clocks import ROUTED_ECP5 as ROUTED

    routed: RoutedFigure | None = None
    if ROUTED is not None:
        routed = {"device": ROUTED.device, "clock_mhz": ROUTED.clock_mhz, "commit": ROUTED.commit}
    return {"family": family.family, "clock_mhz": family.clock_mhz, "note": family.note, "routed": routed}


def _by_bits(design: Design, bits: tuple[int, ...]) -> dict[str, ModeCost]:
    """Speed and energy of every mode of `design`, which has one for each of `bits`."""
    from nba.boards import get
    from nba.machine.program import design_programs
    from nba.machine.steady import steady_interval
    from nba.machine.total import mode_cost

    found: dict[str, ModeCost] = {}
    programs = design_programs(design.network, design.accelerator, design.modes)
    for own, program in zip(bits, programs, strict=True):
        cost, interval = mode_cost(program, get(design.platform, design.board)), steady_interval(program)
        found[str(own)] = {
            "steady_interval_cycles": float(interval),
            "first_output_latency_cycles": cost.first_output_latency_cycles,
            "fps": float(design.clock_mhz * 1_000_000 / interval),
            "energy_pj": cost.energy_pj,
        }
    return found


def _versions(spec: Spec) -> tuple[tuple[str, str], ...]:
    names = NUMERIC_PACKAGES if spec.given is None else NUMERIC_PACKAGES[:1]
    return (
        ("nba-codesign", __version__),
        *((name, importlib.metadata.version(name).partition("+")[0]) for name in names),
    )


def _mapped(context: Context, network: Network, budgets: Budgets) -> Mapped:
    from nba.explore.mapping import map_weights

    spec = context.spec
    return map_weights(
        network,
        platform_of(spec),
        budgets,
        source=spec.accelerator,
        objective=spec.objective,
        seed=spec.seed,
        start=searched_accelerator(context),
        min_chunks=spec.accelerator.min_chunks,
        max_chunks=spec.accelerator.max_chunks,
        columns=spec.accelerator.columns,
        progress=_Steps(context.progress),
    )


def _one_network(context: Context) -> tuple[Design, Weights, Certificate | None]:
    """The design of the network that was trained or given, or of one bitwidth of a switchable one."""
    from nba.ir.shared import load_shared, packed

    spec = context.spec
    platform = platform_of(spec)
    train = context.of(places.TRAIN)
    if spec.precision == "switchable":
        network, weights = packed(*load_shared(train).at(spec.switched.modes()[0]))
    else:
        network, weights = load_network(train)
    found = _mapped(context, network, budgets_of(spec))
    design = Design(
        name=spec.name,
        network=network,
        accelerator=found.accelerator,
        platform=platform.name,
        clock_mhz=platform.clock_mhz,
        cost=found.cost,
        weights_sha256=weights_digest(weights),
        seed=spec.seed,
        versions=_versions(spec),
    )
    return design, weights, found.certificate


def _all_bitwidths(context: Context) -> tuple[Design, Weights, Certificate | None]:
    """The design whose modes are the bitwidths of up to 8 bits. Raises InfeasibleError."""
    from nba.explore.modes import map_modes, modes_design
    from nba.ir.shared import load_shared

    spec = context.spec
    together, platform = load_shared(context.of(places.TRAIN)), platform_of(spec)
    found = map_modes(
        together, platform, budgets_of(spec), objective=spec.objective, seed=spec.seed,
        min_chunks=spec.accelerator.min_chunks, max_chunks=spec.accelerator.max_chunks,
        columns=spec.accelerator.columns, progress=_Steps(context.progress),
    )  # fmt: skip
    design, weights = modes_design(
        together, found.accelerator, platform, name=spec.name, seed=spec.seed, versions=_versions(spec)
    )
    return design, weights, found.certificate


def searched_accelerator(context: Context) -> Accelerator | None:
    """The accelerator that the joint search found with the network; a switchable network, and what is not searched, has
    none."""
    from nba.learn.search.result import load_result

    spec = context.spec
    if spec.precision == "switchable" or spec.architecture is not None or spec.given is not None:
        return None
    return load_result(context.of(places.SEARCH) / "search.json").accelerator


def proof(found: Certificate) -> Proof:
    """What is proved of the interval, as it stands in the metrics."""
    return {
        "lower_bound_cycles": found.lower_bound_cycles, "interval_cycles": found.interval_cycles,
        "optimal": found.optimal, "note": found.note,
    }  # fmt: skip


def memory_figures(program: Program, share: float) -> MemoryFigures | None:
    """Where the design reads weights from, and how fast, as it stands in the metrics; None where all are on chip.
    share: of the bytes per cycle of the board's memory that it may take."""
    memory = program.memory
    if memory is None:
        return None
    return {
        "bytes_per_frame": program.streamed_bytes, "bytes_per_cycle": memory.bus_bits // 8,
        "latency_cycles": memory.latency, "slots": memory.slots, "share": share,
    }  # fmt: skip


def events(program: Program) -> EventFigures:
    """Events of one frame, as they stand in the metrics."""
    from nba.machine.energy import frame_events

    found = frame_events(program)
    figures: EventFigures = {
        "macs": found.macs, "macs_by_bits": {f"a{a}w{w}": n for a, w, n in found.by_widths},
        "weight_reads": found.weight_reads, "param_reads": found.param_reads, "requants": found.requants,
        "residuals": found.residuals, "edge_reads": found.edge_reads, "edge_writes": found.edge_writes,
        "host_in_words": found.host_in_words, "host_out_words": found.host_out_words,
    }  # fmt: skip
    if found.weight_beats:
        figures["weight_beats"] = found.weight_beats
    return figures


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


STAGE = Stage(
    name="map", title="mapping", folder=places.DESIGN, run=run, check=check_limits, after=("search", "train"),
    sections=(
        "name", "seed", "platform", "budgets", "objective", "accelerator", "switchable.bitwidths",
        "switchable.hardware_bits", "given.weights",
    ),
    package_data=(BOARDS,), packages=("numpy", "torch"),
)  # fmt: skip

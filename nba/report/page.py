# SPDX-License-Identifier: Apache-2.0
"""`write_report`: the page, from what nba.report.inputs read and what the exact models say about the design."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import groupby
from pathlib import Path

import jinja2
from markupsafe import Markup

from nba.boards import Platform, get
from nba.core.errors import NbaError
from nba.core.figures import percent_text
from nba.core.files import write_atomic
from nba.core.jsonfile import understood
from nba.core.version import __version__
from nba.emit.env import environment
from nba.ir.operators import MIXING
from nba.machine.energy import energy_aj
from nba.machine.program import Program, design_programs
from nba.machine.resources import Memory, banks, predict, style, weight_rom
from nba.machine.total import slowest_mode
from nba.report import curves, drawing, switchable
from nba.report.cycle_breakdown import CAUSES, WORK, Account, account
from nba.report.inputs import Claim, Inputs, Metrics, read_inputs
from nba.report.steady import SteadyFrames, steady_frames

ENERGY_NAMES = {
    "macs": "multiply-accumulates", "weights": "weight reads", "requant": "requantisation",
    "params": "bias and multiplier reads", "maps": "feature-map reads and writes", "host": "host streams",
}  # fmt: skip
"""How the page calls nba.machine.energy.SHARES."""


def number(value: int | float | Fraction) -> str:
    """A number for people: thousands separated, at most two digits behind the point."""
    if value == int(value):
        return f"{int(value):,}"
    return f"{float(value):,.2f}".rstrip("0").rstrip(".")


def percent(value: float | Fraction) -> str:
    """A share of 1 in percent."""
    return f"{100 * float(value):.1f}\N{NO-BREAK SPACE}%"


def page_environment() -> jinja2.Environment:
    """The project's environment with HTML escaping on."""
    env = environment().overlay(autoescape=True)
    env.filters = {**env.filters, "number": number, "percent": percent, "accuracy": percent_text}
    env.tests = {**env.tests, "mixing": lambda kind: kind == MIXING}
    return env


@dataclass(frozen=True, kw_only=True, slots=True)
class Step:
    """Part of the critical loop: consecutive rows of one job."""

    agent: str
    layer: str
    first: int
    last: int


def critical_steps(inputs: Inputs, program: Program, frames: SteadyFrames) -> Iterator[Step]:
    """The loop of row events that sets the interval, consecutive rows of a job taken together."""
    streams = ("input stream", "output stream", "reader of weights")
    for (agent, job), events in groupby(frames.state.critical, key=lambda event: event[:2]):
        rows = [row for _, _, row in events]
        if agent < len(program.chunks):
            number = program.chunks[agent].jobs[job].layer
            name, layer = f"chunk {agent}", f"{number} {inputs.design.network.layers[number].name}"
        else:
            name, layer = streams[agent - len(program.chunks)], ""
        yield Step(agent=name, layer=layer, first=rows[0], last=rows[-1])


@dataclass(frozen=True, kw_only=True, slots=True)
class MemoryUse:
    """A memory as the chip has it. bits: of all copies; style: block, distributed or ultra."""

    words: int
    width_bits: int
    copies: int
    style: str

    @property
    def bits(self) -> int:
        """Bits of all copies."""
        return self.words * self.width_bits * self.copies


@dataclass(frozen=True, kw_only=True, slots=True)
class Memories:
    """Weight ROM of every chunk, banks of every edge."""

    weights: tuple[MemoryUse, ...]
    edges: tuple[MemoryUse, ...]


def memories(program: Program, platform: Platform) -> Memories:
    """The memories of `program` on `platform`."""

    def use(m: Memory) -> MemoryUse:
        built = style(m, platform, program.block_luts)
        return MemoryUse(words=m.words, width_bits=m.width_bits, copies=m.copies, style=built)

    return Memories(
        weights=tuple(use(weight_rom(chunk)) for chunk in program.chunks),
        edges=tuple(use(banks(edge, program.banks)) for edge in program.edges),
    )


def limits(metrics: Metrics, clock_mhz: float) -> dict[str, float]:
    """Budgets of curves: dsp, bram (36-Kbit blocks), interval and latency [cycles], as far as the spec sets them."""
    found = {k: float(v) for k, v in metrics.get("resources", {}).get("budget", {}).items()}
    wanted = metrics.get("budgets", {})
    if "fps" in wanted:
        found["interval"] = clock_mhz * 1e6 / float(wanted["fps"])
    if "latency_us" in wanted:
        found["latency"] = clock_mhz * float(wanted["latency_us"])
    return found


def charts(inputs: Inputs, program: Program, frames: SteadyFrames) -> tuple[drawing.Picture, drawing.Picture]:
    """Two steady frames from first input row to last output row, and one period enlarged."""
    network, first = inputs.design.network, frames.frame
    stream = frames.rows[len(program.chunks)][0]
    begin = int(stream[first, 0])
    end = int(frames.schedule.output_cycle[first + 1]) + 1
    period = max(1, int(frames.period * frames.interval))
    middle = (begin + int(frames.schedule.output_cycle[first]) - period) // 2
    zoom = max(begin, middle)
    margin = max(1, (end - begin) // 100)
    return (
        drawing.gantt(network, program, frames, begin - margin, end + margin, two=True),
        drawing.gantt(network, program, frames, zoom, zoom + period, two=False),
    )


# Little more than one statement: all that the template of the page sees.
def render(inputs: Inputs) -> str:
    """The page. Raises DeadlockError for a design that cannot run, SpecError for an unknown platform."""
    design = inputs.design
    platform = get(design.platform, design.board)
    programs = design_programs(design.network, design.accelerator, design.modes)
    slowest = slowest_mode(programs)
    program = programs[slowest]
    frames = steady_frames(program)
    found: Account = account(replace(design, network=design.networks[slowest]), program, frames)
    budgets = limits(inputs.metrics, design.clock_mhz)
    two, zoomed = charts(inputs, program, frames)
    points = switchable.by_bits(inputs.metrics)
    diagrams = (
        *curves.panels(inputs.search, inputs.train, budgets),
        *switchable.bitwidth_panels(points, inputs.switchable),
    )
    return (
        page_environment()
        .get_template("report/page.html.j2")
        .render(
            version=__version__,
            inputs=inputs,
            metrics=inputs.metrics,
            design=design,
            network=design.network,
            program=program,
            platform=platform,
            frames=frames,
            account=found,
            causes=CAUSES,
            work=WORK,
            critical=list(critical_steps(inputs, program, frames)),
            resources=predict(program, platform),
            energy=energy_aj(program, platform),
            energy_names=ENERGY_NAMES,
            memories=memories(program, platform),
            place=design.accelerator.place(),
            describe=drawing.describe,
            n_colours=drawing.N_COLOURS,
            graph=drawing.draw_layers(design.network, program),
            gantt_two=two,
            gantt_zoom=zoomed,
            shares=drawing.shares(found.chunks),
            points=points,
            automap=inputs.metrics.get("automap"),
            architecture=_architecture(inputs),
            bits=_bits(inputs),
            # Made of numbers and of this module's own titles; matplotlib escapes texts itself.
            curves=Markup(curves.svg(diagrams)) if diagrams else None,
        )
    )


def _architecture(inputs: Inputs) -> drawing.Picture | None:
    """Operators of every block by epoch, from whichever search there was; pretraining chooses none."""
    if inputs.search is not None and any(inputs.search.joint):
        found = inputs.search.of_joint_epochs()
        return drawing.architecture(found.epochs, found.ops, found.bits)
    if inputs.switchable is not None:
        chosen = [i for i, loss in enumerate(inputs.switchable.valid_loss) if loss is not None]
        epochs, ops = inputs.switchable.search_epochs, inputs.switchable.ops
        if chosen:
            return drawing.architecture(tuple(epochs[i] for i in chosen), tuple(ops[i] for i in chosen), ())
    return None


def _bits(inputs: Inputs) -> drawing.Picture | None:
    if inputs.search is None or not any(inputs.search.joint):
        return None
    return drawing.bits_by_epoch(inputs.search.of_joint_epochs())


def write_report(build: Path, page: Path, *, metrics: Metrics, claims: tuple[Claim, ...]) -> Path:
    """Write the page about the build folder `build` to `page` and return `page`; the same inputs give the same bytes.

    metrics: the content of the build's metrics.json; claims: the headline table made of it. Raises NbaError, naming the
    file, if the design is missing, a file is damaged, or the metrics are about another design.
    """
    inputs = read_inputs(build, metrics, claims)
    try:
        with understood(f"{build}: metrics.json or curves", "bring the build up to date with `nba-codesign run`"):
            text = render(inputs)
    except jinja2.UndefinedError as err:
        raise NbaError(
            f"{build}: metrics.json lacks a figure ({err}); bring the build up to date with `nba-codesign run`"
        ) from err
    write_atomic(page, text)
    return page

# SPDX-License-Identifier: Apache-2.0
"""The content of metrics.json as types: what docs/metrics.md describes in words, and docs/metrics.schema.json as a JSON
schema. Every key is optional, since it is there once the stage that measures it is done; parts of stages are
`Metrics` as well.

    python -m nba.flow.metrics_model > docs/metrics.schema.json
"""

from __future__ import annotations

import json
from typing import Any, Literal, NotRequired

from pydantic import ConfigDict, TypeAdapter, with_config
from typing_extensions import TypedDict

from nba.core.arithmetic import Arithmetic
from nba.emit.predicted import Cycles as Batch

_exact = with_config(ConfigDict(extra="forbid", strict=True))
"""Unknown keys and values of another type are errors."""


@_exact
class GivenFigures(TypedDict):
    """The network of a run that learns nothing: its published name, rows and columns of its images, and what its
    weights are."""

    published: str
    image: int
    weights: Literal["random"]


@_exact
class CodeDifference(TypedDict):
    """How many of some codes differ, and the largest difference."""

    differing: int
    largest: int


@_exact
class LayerAgreement(TypedDict):
    """A layer and the operator of the other tool: on the same inputs (`own`), and behind all layers before it
    (`chained`; the ratio of signal to noise is None where nothing differs)."""

    name: str
    codes: int
    own: CodeDifference
    chained: CodeDifference
    sqnr_db: float | None


@_exact
class ImportFigures(TypedDict):
    """A network that another tool wrote, and how far its integers agree with what that tool computes, over some random
    inputs: all layers. before, after: what is left to the host. holds: no layer differs by more than is promised."""

    file: str
    sha256: str
    operators: int
    layers: int
    before: list[str]
    after: list[str]
    inputs: int
    same_class: int
    codes: int
    own: CodeDifference
    chained: CodeDifference
    holds: bool
    by_layer: list[LayerAgreement]


@_exact
class Sample(TypedDict):
    """The images behind an accuracy, and its binomial standard error."""

    images: int
    standard_error: float


@_exact
class Accuracy(Sample):
    """Of the hardware, and of the fake-quantised network that was trained: shares of 1."""

    integer: float
    fake_quant: float


@_exact
class Share(Sample):
    """An accuracy."""

    accuracy: float


class BaselineFigures(TypedDict, total=False):
    float: Share
    int8: Share


"""The same architecture in floating point, and with 8 bits everywhere."""


@_exact
class Blocks(TypedDict):
    """DSP blocks, 36-Kbit memory blocks, and UltraRAM blocks of a design that has any."""

    dsp: int
    bram: float
    uram: NotRequired[int]


@_exact
class ResourceFigures(TypedDict, total=False):
    """By the exact model, in the netlist of yosys, and the limits of the spec."""

    predicted: Blocks
    synthesised: Blocks
    budget: Blocks


@_exact
class BudgetLimits(TypedDict, total=False):
    """Every limit that the spec sets, in its units."""

    dsp: int
    bram: float
    uram: int
    lut: int
    power_w: float
    latency_us: float
    fps: float
    accuracy: float
    clock_mhz: float


@_exact
class Proof(TypedDict):
    """What is proved of the interval."""

    lower_bound_cycles: int
    interval_cycles: int
    optimal: bool
    note: str


@_exact
class MemoryFigures(TypedDict):
    """What a design reads of the board's external memory: bytes of weights in a frame, through a port of so many bytes
    per cycle, whose data begin so many cycles after an address. slots: slices of weights that a chunk has room for.
    share: of the bytes per cycle of the board's memory that streamed weights may take."""

    bytes_per_frame: int
    bytes_per_cycle: int
    latency_cycles: int
    slots: int
    share: float


@_exact
class ObjectiveValue(TypedDict):
    """What was minimised."""

    name: str
    value: float
    unit: str


@_exact
class Error(TypedDict):
    """Leave-one-out errors of an estimate: shares of 1."""

    mean: float
    worst: float


@_exact
class Estimates(TypedDict):
    """LUTs and flip-flops by the calibrated estimate, its errors, and what the platform has."""

    lut: int
    ff: int
    lut_error: Error
    ff_error: Error
    device_lut: int | None
    device_ff: int | None


@_exact
class EventFigures(TypedDict):
    """Exact counts per frame."""

    macs: int
    macs_by_bits: dict[str, int]
    weight_reads: int
    param_reads: int
    requants: int
    residuals: int
    edge_reads: int
    edge_writes: int
    host_in_words: int
    host_out_words: int
    weight_beats: NotRequired[int]


@_exact
class EnergyFigures(TypedDict):
    """Dynamic energy of a frame and power at full speed, by a relative model."""

    pj_per_frame: float
    power_w: float
    shares_pj: dict[str, float]
    events: EventFigures
    table: str
    nature: str


@_exact
class BitExact(TypedDict):
    """Output values that differ from the integer reference, all together and by mode; -1: the run broke off."""

    images: int
    mismatches: int
    modes: NotRequired[list[int]]


@_exact
class SteadyFigures(TypedDict):
    """The steady state, and whether the batch is long enough to show it."""

    interval_cycles: float
    first_output_latency_cycles: int
    first_frame: int | None
    period_frames: int | None
    reached: bool


@_exact
class ModeCycles(TypedDict):
    """The interval within a batch, in one mode of a design of several, and whether it is the steady one."""

    predicted_interval: int
    simulated_interval: int
    steady: NotRequired[SteadyFigures]


@_exact
class ShorterBatch(TypedDict):
    """A batch of fewer frames than the largest, in the slowest mode."""

    predicted: Batch
    simulated: dict[str, Batch]
    steady: SteadyFigures


@_exact
class CycleFigures(TypedDict, total=False):
    """What the schedule says of the largest batch, and what the RTL did, by simulator: in the slowest mode, and in
    short in every mode. shorter: the same of a simulator that had fewer frames."""

    predicted: Batch
    simulated: dict[str, Batch]
    steady: SteadyFigures
    modes: list[ModeCycles]
    shorter: ShorterBatch


@_exact
class CodesAgreement(TypedDict):
    """Output codes of the fake-quantised network against the integer reference's."""

    equal: float
    largest: int
    same_class: float


@_exact
class BitsAccuracy(Sample):
    """What a switchable network reaches at one bitwidth."""

    bits: int
    accuracy: float
    arithmetic: Literal["integer", "fake"]
    fake_quant: float
    agreement: CodesAgreement | None


@_exact
class ModeCost(TypedDict):
    """A mode of the hardware: interval and latency by the exact schedule, energy of a frame by the model."""

    steady_interval_cycles: float
    first_output_latency_cycles: int
    fps: float
    energy_pj: float


@_exact
class SwitchableFigures(TypedDict, total=False):
    """By bitwidth, the bitwidths that became hardware, and what each costs there."""

    accuracy: dict[str, BitsAccuracy]
    hardware_bits: list[int]
    hardware: dict[str, ModeCost]


@_exact
class BitsCost(TypedDict):
    """The whole network under its mapping at one bitwidth."""

    energy_pj: float
    latency_cycles: int
    latency_us: float
    interval_cycles: int
    fps: float
    edp_pj_cycles: float
    edp_js: float
    execution: str


@_exact
class Automap(TypedDict):
    """Where and for what every bitwidth was mapped."""

    hierarchy: str
    clock_mhz: float
    objective: str
    bits: dict[str, BitsCost]
    warnings: list[str]


@_exact
class RoutedFigure(TypedDict):
    """The slowest whole design that benchmarks/clock.py placed and routed."""

    device: str
    clock_mhz: float
    commit: str


@_exact
class ClockFigures(TypedDict):
    """The clock that the template supports on a family of devices, and how it was obtained."""

    family: str
    clock_mhz: float
    note: str
    routed: RoutedFigure | None


@_exact
class Metrics(TypedDict, total=False):
    """The figures of a run."""

    name: str
    design_id: str
    platform: str
    clock_mhz: float
    supported_clock: ClockFigures
    seed: int
    given: GivenFigures
    imported: ImportFigures
    arithmetic: dict[str, Arithmetic]
    accuracy: Accuracy
    baselines: BaselineFigures
    baselines_failed: str
    steady_interval_cycles: float
    first_output_latency_cycles: int
    certificate: Proof | None
    memory: MemoryFigures | None
    fps: float
    bit_exact: dict[str, BitExact]
    verify_failures: list[str]
    cycles: CycleFigures
    resources: ResourceFigures
    budgets: BudgetLimits
    objective: ObjectiveValue
    estimates: Estimates
    energy: EnergyFigures
    switchable: SwitchableFigures
    automap: Automap
    seconds: dict[str, float]
    versions: dict[str, str]


_ADAPTER: TypeAdapter[Metrics] = TypeAdapter(Metrics)


def parse_metrics(text: str) -> Metrics:
    """The content of a metrics.json, or of a stage's part of it. Raises pydantic.ValidationError for a key that is not
    known or a value of another type."""
    return _ADAPTER.validate_json(text)


def schema() -> dict[str, Any]:
    """The JSON schema."""
    found = _ADAPTER.json_schema()
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **found}


def schema_text() -> str:
    """The JSON schema, as it is published."""
    return json.dumps(schema(), indent=1, sort_keys=True) + "\n"


if __name__ == "__main__":
    print(schema_text(), end="")

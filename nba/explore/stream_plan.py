# SPDX-License-Identifier: Apache-2.0
"""Plans of machines that stream weights, and the accelerators that they stand for (docs/streaming.md).

A plan says which engine executes which layer and how every layer moves over the frame. The layers before its cut
advance row by row, with their weights on chip. Those from the cut on follow each other, a slice of output channels at a
time, and the weights of those that mix channels come from external memory.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import pairwise

from nba.explore.modulo import make_rings
from nba.explore.overlays import shares_of
from nba.explore.turns import Pace, fetch_order, first_stage, rings_at, turns_at, virtual_times
from nba.ir.accelerator import HOST, Accelerator, Chunk, Job, Place, WeightMemory
from nba.ir.network import Network
from nba.ir.operators import engine_kind
from nba.machine.accelerator_rules import BUS_BITS, MAX_BEATS, MAX_SLICES
from nba.machine.fetches import slice_beats
from nba.machine.geometry import ceil_div, input_word, tap_words
from nba.machine.kernels import IN_LUTS, products
from nba.machine.timing import OVERHEAD_CYCLES, drain_cycles, row_cycles, slot_cycles, work_cycles
from nba.machine.windows import Use, uses_of

SLACK_UNIT = 8
"""Slacks are counted in parts of a row."""
LATENCY = 40
"""Cycles from the end of a row's work until its readers begin, about."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Engine:
    """A chunk of a plan; columns: its own, 0 for those of the design. late: it executes layers from the cut on."""

    mixes: bool
    pm: int
    pn: int
    pq: int
    columns: int = 0
    late: bool = False
    requant: Place = "lut"
    products: Place = "dsp"

    @property
    def word(self) -> int:
        """Channels in a word of its input."""
        return input_word(self.mixes, self.pm, self.pn)


@dataclass(frozen=True, kw_only=True, slots=True)
class StreamPlan:
    """pp: columns of the design. owner[i]: engine of layer i. cut: the first layer of those that follow each other.
    pieces[i]: slices of layer i (0: row by row). slack[i]: in parts of a row (SLACK_UNIT). pace: cycles that a frame is
    taken to have, of which each layer from the cut on gets its work. slots: slices that a chunk has room for. spare:
    rows that rings have beyond those of a serial execution, (place in the order of uses, rows). apart: thousandths of a
    frame for which shared memory is empty between two rings; None: every ring has memory of its own. windows: the first
    layers of all windows but the first; the layers before the cut follow each other window by window, and within one
    row by row. all_streamed: layers from the cut on that do not mix channels have their weights in external memory too,
    and are computed in the slices of their producers where they can be, from rings of these (`Ring.parts`)."""

    pp: int
    engines: tuple[Engine, ...]
    owner: tuple[int, ...]
    cut: int
    pieces: tuple[int, ...]
    slack: tuple[int, ...]
    pace: int
    slots: int = 2
    spare: tuple[tuple[int, int], ...] = ()
    apart: int | None = None
    windows: tuple[int, ...] = ()
    all_streamed: bool = False


class Costs:
    """What layers of a network take on engines, kept for the next question. bus_bits: of the external memory, 0 if
    there is none."""

    def __init__(self, network: Network, bus_bits: int):
        self.network, self.bus_bits = network, bus_bits
        self.uses = tuple(uses_of(network))
        self._work: dict[tuple[int, int, Engine, int], tuple[int, int]] = {}
        self._pieces: dict[tuple[int, int, int, tuple[int, ...]], tuple[int, ...]] = {}

    def streams(self, layer: int, cut: int, all_streamed: bool) -> bool:
        """Whether the weights of a layer come from external memory."""
        operator = self.network.layers[layer].operator
        return self.bus_bits > 0 and layer >= cut and operator.stores_weights and (operator.mixes or all_streamed)

    def load(self, layer: int, pp: int, engine: Engine, pieces: int) -> tuple[int, int]:
        """Cycles of a layer in a frame on an engine: of its rows, and of fetching its turns, at least."""
        key = (layer, pp, engine, pieces)
        found = self._work.get(key)
        if found is None:
            found = self._work[key] = _load(self.network, *key)
        return found

    def pieces_of(self, layer: int, engine: Engine, readers: tuple[int, ...]) -> tuple[int, ...]:
        """The numbers of slices that are legal for a layer on an engine whose result goes into words of `readers`
        channels, the fewest first."""
        key = (layer, engine.pm, engine.pn, readers)
        found = self._pieces.get(key)
        if found is None:
            found = self._pieces[key] = _pieces_of(self.network, layer, engine, readers, self.bus_bits)
        return found

    def beats(self, layer: int, engine: Engine, pieces: int) -> int:
        """Beats of the external memory that the weights of a layer take in a frame."""
        return pieces * _beats(self.network, layer, engine, pieces, self.bus_bits)


def words_walked(network: Network, layer: int, engine: Engine) -> int:
    """Input words that an engine walks for one tap of a layer."""
    one, m, n = network.layers[layer], network.result(layer).channels, network.source(network.layers[layer]).channels
    return tap_words(engine.mixes, n, engine.pn, m, engine.pm, one.groups, one.rotate)


def _load(network: Network, layer: int, pp: int, engine: Engine, pieces: int) -> tuple[int, int]:
    one, out = network.layers[layer], network.result(layer)
    slot = slot_cycles(
        words_walked(network, layer, engine), one.kernel_h * one.kernel_w, drain_cycles(engine.pm, engine.pq), 1
    )
    times = max(1, pieces)
    groups = ceil_div(out.channels, engine.pm) // times
    row = row_cycles(work_cycles(ceil_div(out.width, engine.columns or pp), groups, slot))
    turns = pieces or out.height
    return row * out.height * times, OVERHEAD_CYCLES * turns


def _beats(network: Network, layer: int, engine: Engine, pieces: int, bus_bits: int) -> int:
    """Beats of a slice."""
    one = network.layers[layer]
    steps = words_walked(network, layer, engine) * one.kernel_h * one.kernel_w
    words = ceil_div(network.result(layer).channels, engine.pm) // pieces * steps
    width = engine.pm * engine.pn * one.operator.memory_bits(one)
    return slice_beats(words, width, bus_bits)


def _pieces_of(
    network: Network, layer: int, engine: Engine, readers: tuple[int, ...], bus_bits: int
) -> tuple[int, ...]:  # fmt: skip
    channels = network.result(layer).channels
    groups = ceil_div(channels, engine.pm)
    made = groups * engine.pm
    one = network.layers[layer]
    may = one.groups == 1 and (engine.mixes or one.pad_codes is None)
    found = []
    for pieces in range(1, min(groups, MAX_SLICES) + 1):
        if groups % pieces or (bus_bits and _beats(network, layer, engine, pieces, bus_bits) > MAX_BEATS):
            continue
        whole = all(made % (pieces * word) == 0 and ceil_div(channels, word) * word == made for word in readers)
        if pieces == 1 or (whole and may):
            found.append(pieces)
    return tuple(found)


def reader_words(costs: Costs, plan: StreamPlan, layer: int) -> tuple[int, ...]:
    """Channels in the words of the buffers that the result of a layer is written to, and of its residual operand."""
    engines, owner = plan.engines, plan.owner
    words = {engines[owner[layer]].pq} if costs.network.layers[layer].residual is not None else set[int]()
    for consumer, port in costs.network.consumers(layer + 1):
        reader = engines[owner[consumer]]
        words.add(reader.word if port == "main" else reader.pq)
    if layer == len(owner) - 1:
        words.add(out_lanes(plan))
    return tuple(sorted(words))


def menu_of(costs: Costs, plan: StreamPlan, layer: int) -> tuple[int, ...]:
    """The numbers of slices that are legal for a layer of a plan, whatever those of its producer."""
    return costs.pieces_of(layer, plan.engines[plan.owner[layer]], reader_words(costs, plan, layer))


def in_parts(costs: Costs, plan: StreamPlan) -> StreamPlan:
    """`plan` in which layers from the cut on that do not mix channels have the slices of their producers, where all are
    streamed and these are legal for them, and none otherwise."""
    pieces = list(plan.pieces)
    for i, layer in enumerate(costs.network.layers):
        if layer.operator.mixes or i < plan.cut:
            continue
        wanted = pieces[layer.input - 1] if layer.input and plan.all_streamed else 0
        whole = int(costs.streams(i, plan.cut, plan.all_streamed))
        pieces[i] = wanted if wanted > 1 and takes(costs, plan, i, wanted) else whole
    return replace(plan, pieces=tuple(pieces))


def takes(costs: Costs, plan: StreamPlan, layer: int, pieces: int) -> bool:
    """Whether a layer that does not mix channels may be computed in `pieces` slices, which its producer has."""
    before = costs.network.layers[layer].input
    made = {
        ceil_div(costs.network.tensors[before].channels, plan.engines[plan.owner[i]].pm)
        * plan.engines[plan.owner[i]].pm
        for i in (before - 1, layer)
    }
    return len(made) == 1 and pieces in menu_of(costs, plan, layer)


def parts_of(costs: Costs, plan: StreamPlan) -> dict[Use, int]:
    """The rings whose rows hold the channels of a slice, and the slices (`Ring.parts`)."""
    layers = costs.network.layers
    return {
        (layer.input, i, "main"): pieces
        for i, (layer, pieces) in enumerate(zip(layers, plan.pieces, strict=True))
        if pieces > 1 and not layer.operator.mixes
    }


def out_lanes(plan: StreamPlan) -> int:
    """Channels of a beat of the output."""
    return plan.engines[plan.owner[-1]].pq


def lanes_fit(costs: Costs, engines: Sequence[Engine], owner: Sequence[int]) -> bool:
    """Whether every engine writes whole parts of the words of its readers."""
    for tensor, consumer, port in costs.uses:
        if tensor and consumer != HOST:
            reader = engines[owner[consumer]]
            if (reader.word if port == "main" else reader.pq) % engines[owner[tensor - 1]].pq:
                return False
    return True


def seams(network: Network) -> tuple[int, ...]:
    """Layers before which one tensor alone is read by all that follow, their input: where windows may begin."""
    uses = uses_of(network)
    return tuple(
        i
        for i in range(1, len(network.layers))
        if all(tensor >= i or consumer < i for tensor, consumer, _ in uses if consumer != HOST)
    )


def window_of(windows: Sequence[int], layer: int) -> int:
    """The first layer of the window that a layer is in."""
    return max(w for w in (0, *windows) if w <= layer)


def window_loads(costs: Costs, plan: StreamPlan) -> dict[int, int]:
    """First layer of a window -> cycles of its busiest engine."""
    found = {}
    for first, end in pairwise((0, *plan.windows, plan.cut)):
        loads = [0] * len(plan.engines)
        for i in range(first, end):
            loads[plan.owner[i]] += sum(costs.load(i, plan.pp, plan.engines[plan.owner[i]], 0))
        found[first] = max(loads)
    return found


def paces(costs: Costs, plan: StreamPlan) -> tuple[Pace, ...]:
    """How the layers of a plan move over the frame."""
    found = []
    loads = window_loads(costs, plan) if plan.windows else {}
    spans = {first: min(Fraction(1), Fraction(load, plan.pace)) for first, load in loads.items()}
    for i, (k, pieces, slack) in enumerate(zip(plan.owner, plan.pieces, plan.slack, strict=True)):
        work, turns = costs.load(i, plan.pp, plan.engines[k], pieces)
        times = pieces or costs.network.result(i).height
        lasts = min(Fraction(1), Fraction(work // times + LATENCY, plan.pace))
        wait = Fraction(slack, SLACK_UNIT)
        if i < plan.cut:
            first = window_of(plan.windows, i)
            after = window_of(plan.windows, i - 1) if i == first > 0 else None
            span = spans.get(first, Fraction(1))
            found.append(Pace(slack=wait, slices=pieces, lasts=lasts, duration=span, after=after))
            continue
        duration = min(Fraction(1), Fraction(work + turns, plan.pace))
        parted = pieces > 1 and not costs.network.layers[i].operator.mixes
        found.append(Pace(slack=wait, slices=pieces, duration=duration, chain=k, lasts=lasts, parted=parted))
    return tuple(found)


def bus_of(bits: int) -> int:
    """The widest legal port of at most so many bits; 0 if there is none."""
    return max((width for width in BUS_BITS if width <= bits), default=0)


def product_place(network: Network, engine: Engine, jobs: Sequence[Job]) -> Place:
    """Where an engine makes the products of its jobs. Those that are too narrow for a DSP block have no choice."""
    layers = [network.layers[job.layer] for job in jobs]
    act_bits, weight_bits = max(x.act_bits for x in layers), max(x.operator.operand_bits(x) for x in layers)
    acc_bits = max(network.acc_bits(job.layer) for job in jobs)
    return "dsp" if products(engine.mixes, act_bits, weight_bits, acc_bits, 1) == IN_LUTS else engine.products


def build_plan(costs: Costs, plan: StreamPlan, latency: int, burst: int) -> Accelerator:
    """The accelerator of a plan: programs in the order of virtual times, rings of what their serial execution holds,
    and the order in which weights are read. latency [cycles], burst [beats]: of the external memory."""
    network = costs.network
    times = virtual_times(network, paces(costs, plan))
    jobs: list[list[Job]] = [[] for _ in plan.engines]
    for i, k in enumerate(plan.owner):
        streamed = costs.streams(i, plan.cut, plan.all_streamed)
        jobs[k].append(Job(layer=i, slices=max(1, plan.pieces[i]), streamed=streamed))
    readers = [job.layer for mine in jobs if any(job.streamed for job in mine) for job in mine]
    common = first_stage(times, readers) if readers else None
    chunks = []
    for engine, mine in zip(plan.engines, jobs, strict=True):
        chunk = Chunk(
            kind=engine_kind(engine.mixes), pm=engine.pm, pn=engine.pn, pq=engine.pq, columns=engine.columns,
            requant=engine.requant, products=product_place(network, engine, mine), jobs=tuple(mine),
        )  # fmt: skip
        # Chunks that stream count their rounds alike: so the reader of weights serves them in the serial order.
        chunks.append(turns_at(times, chunk, common if any(job.streamed for job in mine) else None))
    memory = None
    if readers:
        memory = WeightMemory(
            bus_bits=costs.bus_bits, latency=latency, burst=burst, slots=plan.slots, order=fetch_order(times, chunks)
        )
    bare = Accelerator(pp=plan.pp, chunks=tuple(chunks), rings=(), out_lanes=out_lanes(plan), memory=memory)
    parts = parts_of(costs, plan)
    rows = rings_at(network, times, parts)
    for place, more in plan.spare:
        rows[costs.uses[place]] += more
    shares = None
    if plan.apart is not None:
        shares = shares_of(network, bare, times, rows, plan.apart * times.ticks // 1000, parts)
    return replace(bare, rings=make_rings(network, bare, rows, shares, parts))

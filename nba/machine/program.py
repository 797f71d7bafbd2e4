# SPDX-License-Identifier: Apache-2.0
"""Lowering: network x accelerator -> the flat tables that the schedule, the resource model and the emitters share.

Every address and count that reaches a ROM is computed here and nowhere else. Word addresses are those of
docs/template.md: a feature-map row is stored as words of the consumer's lanes in column banks; the columns of a reader
of stride s are split into s classes. All functions assume a design that passed nba.machine.check.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from math import gcd

from nba.ir.accelerator import HOST, Accelerator, Chunk, Job, Place, Port, Ring, Turn, UltraMemory, WeightMemory
from nba.ir.network import MAX_SHIFT, Layer, Network
from nba.ir.operators import MIXING, Kind
from nba.machine.fetches import Fetch, fetches, slice_beats
from nba.machine.geometry import (
    PORTS,
    bank_columns,
    ceil_div,
    class_columns,
    edge_number,
    edge_of,
    least_rows,
    param_words,
    reader_word,
    stream_columns,
    tap_words,
    weight_words,
)
from nba.machine.kernels import degree
from nba.machine.timing import drain_cycles, engine_packing, row_cycles, slot_cycles, work_cycles


def job_slots(n_jobs: int, n_modes: int) -> int:
    """Words of a program ROM that belong to one mode: with several modes a power of two and at least 2, so that mode
    and job number side by side are the address (nba_chunk)."""
    return n_jobs if n_modes == 1 else max(2, 1 << (n_jobs - 1).bit_length())


def program_depth(n_jobs: int, n_modes: int) -> int:
    """Words of the program ROM of a chunk with `n_jobs` jobs in each of `n_modes` modes."""
    return n_modes * job_slots(n_jobs, n_modes)


@dataclass(frozen=True, kw_only=True, slots=True)
class Halves:
    """Which half of the input words each channel group of a job reads; `words` is 0 where every group reads all.

    Channel group 0 reads half number `first`, groups turn_lo <= g < turn_hi read the other half, later ones `first`
    again. Half h begins at word h * words of a column.
    """

    words: int = 0
    first: int = 0
    turn_lo: int = 0
    turn_hi: int = 0


_WHOLE = Halves()
"""What every group reads of a layer that has no halves."""


def halves(layer: Layer, n: int, m: int, pn: int, pm: int) -> Halves:
    """The halves that an engine of pm x pn lanes walks for `layer`, of N = n input and M = m output channels."""
    if layer.groups == 1:
        return _WHOLE
    words = tap_words(layer.operator.mixes, n, pn, m, pm, layer.groups, layer.rotate)
    if 2 * words * pn != n:
        return _WHOLE
    half = m // 2
    turn = half - layer.rotate % half
    return Halves(words=words, first=layer.rotate // half, turn_lo=turn // pm, turn_hi=(turn + half) // pm)


@dataclass(frozen=True, kw_only=True, slots=True)
class RingLayout:
    """Where one ring lives in its edge buffer; all sizes in words of the edge (per bank).

    map_rows: of the tensor. write_slices, read_slices: of the job that writes it and of the one that reads it.
    read_rows: rows that the reader computes of a slice. *_back_words: the pointer's step behind the last row of a slice
    that others follow, write_last_words: behind that of the last slice. read_counts: 1 for residual operands.
    waits_for: the ring of its edge that has its memory before it, -1 where it has memory of its own; it is one of
    later number, or itself, where a frame waits for the one before. parts: a row holds one of so many parts of the
    channels: a frame has so many times the rows of the tensor, and of its jobs no slices are left.
    """

    tensor: int
    consumer: int
    rows: int
    base: int
    col_words: int
    row_words: int
    ring_words: int
    stride: int
    class_words: int
    init_words: int
    step_words: int
    last_step_words: int
    most_rows: int
    map_rows: int
    write_slices: int
    write_back_words: int
    write_last_words: int
    read_slices: int
    read_rows: int
    read_back_words: int
    read_counts: int
    waits_for: int = -1
    parts: int = 1

    @property
    def share(self) -> int:
        """`waits_for` as nba_edge takes it: 0 where the ring has memory of its own, else one more."""
        return self.waits_for + 1


@dataclass(frozen=True, kw_only=True, slots=True)
class EdgeLayout:
    """One buffer: banks of `depth_words` words of `lanes` master codes of `code_bits` bits, written `write_lanes`
    lanes at a time. ultra: they are built of UltraRAM."""

    producer: int
    consumer: int
    port: Port
    lane: int
    lanes: int
    write_lanes: int
    code_bits: int
    depth_words: int
    rings: tuple[RingLayout, ...]
    ultra: bool = False

    @property
    def memory(self) -> UltraMemory:
        """Its memory, as `Accelerator.ultra` names it."""
        return UltraMemory(producer=self.producer, consumer=self.consumer, port=self.port, lane=self.lane)


@dataclass(frozen=True, kw_only=True, slots=True)
class Destination:
    """A use of a job's output: ring number `ring` of edge number `edge`."""

    edge: int
    ring: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Uses:
    """Where every use of a tensor, (tensor, consumer, port), has its ring; and the rings of every tensor, edge by
    edge."""

    ring: dict[tuple[int, int, Port], Destination]
    of_tensor: dict[int, tuple[Destination, ...]]


def _uses(edges: tuple[EdgeLayout, ...]) -> Uses:
    where: dict[tuple[int, int, Port], Destination] = {}
    of_tensor: dict[int, tuple[Destination, ...]] = {}
    for i, edge in enumerate(edges):
        for j, ring in enumerate(edge.rings):
            use = where[ring.tensor, ring.consumer, edge.port] = Destination(edge=i, ring=j)
            of_tensor[ring.tensor] = (*of_tensor.get(ring.tensor, ()), use)
    return Uses(ring=where, of_tensor=of_tensor)


@dataclass(frozen=True, kw_only=True, slots=True)
class JobProgram:
    """Everything that a chunk needs to execute one layer; counts as in docs/template.md. A column group has `degree`
    times pp columns. pad_base, pad_words: its words in the chunk's memory of pad codes; None: it has one pad code.
    slices: how often it computes the rows of a frame, m_groups channel groups each time. streamed: its weights come
    from external memory; weight_base, weight_words: those that are always there."""

    layer: int
    stage: int
    rows_out: int
    degree: int
    col_groups: int
    m_groups: int
    chan_words: int
    halves: Halves
    kernel_h: int
    kernel_w: int
    steps: int
    slot_cycles: int
    row_cycles: int
    stride_h: int
    stride_w: int
    pad_top: int
    pad_left: int
    height_in: int
    width_in: int
    src_edge: int
    src_ring: int
    res_edge: int | None
    res_ring: int | None
    weight_base: int
    weight_words: int
    weight_step: bool
    param_base: int
    param_words: int
    destinations: tuple[Destination, ...]
    pad_base: int | None = None
    pad_words: int = 0
    slices: int = 1
    streamed: bool = False

    @property
    def slice_words(self) -> int:
        """Words of the weights of a slice."""
        return self.m_groups * self.steps

    @property
    def frame_rows(self) -> int:
        """Rows that it computes of a frame, those of all slices."""
        return self.rows_out * self.slices

    @property
    def all_groups(self) -> int:
        """Channel groups of all slices."""
        return self.m_groups * self.slices


@dataclass(frozen=True, kw_only=True, slots=True)
class TurnProgram:
    """`rows` output rows of job number `job`, the first of them row number `first` of slice number `slice`: in round r
    of frame r - `stage`. top: first input row of the first one's window, negative in the padding above the map. ends:
    the last of them is the last of the map; closes: and the slice the last of its frame. first_step, first_weight: of
    the slice, among the drain steps and the weight words of its job."""

    job: int
    rows: int
    stage: int
    first: int
    slice: int
    top: int
    ends: bool
    closes: bool
    first_step: int
    first_weight: int


@dataclass(frozen=True, kw_only=True, slots=True)
class ChunkProgram:
    """A chunk's program and the parameters of its engine: `turns`, in order, are a round.

    Widths are those of the widest mode, `degree` is the largest of any job in any mode. `jobs` are those of one mode;
    in mode m their parameters begin m * `mode_params` words later. `param_depth` covers all modes. shift_bits: of the
    shift of a channel in the parameter word; shift_least, shift_most: of any channel in any mode. pad_depth: words of
    the memory of pad codes. slots, bus_bits: of its store of streamed weights (WeightMemory), 0 where it has none;
    ultra: it is built of UltraRAM.
    """

    kind: Kind
    pp: int
    pm: int
    pn: int
    pq: int
    lanes: int
    drain_cycles: int
    packing: int
    degree: int
    act_bits: int
    weight_bits: int
    weight_store_bits: int
    acc_bits: int
    has_residual: bool
    nested_act: bool
    nested_weight: bool
    weight_depth: int
    param_depth: int
    jobs: tuple[JobProgram, ...]
    turns: tuple[TurnProgram, ...]
    n_modes: int = 1
    shift_bits: int = 0
    shift_least: int = 1
    shift_most: int = MAX_SHIFT
    pad_depth: int = 0
    requant: Place = "dsp"
    products: Place = "dsp"
    slots: int = 0
    bus_bits: int = 0
    ultra: bool = False

    @property
    def weight_width(self) -> int:
        """Bits of a word of the weight memory."""
        return self.pm * self.pn * self.weight_store_bits

    @property
    def slot_words(self) -> int:
        """Words of the longest slice whose weights are streamed; 0 if none are."""
        return max([job.slice_words for job in self.jobs if job.streamed], default=0)

    @property
    def mixes(self) -> bool:
        """Whether the engine mixes channels."""
        return self.kind == MIXING

    @property
    def last_stage(self) -> int:
        """Largest stage of a turn: the chunk takes so many rounds more than there are frames."""
        return max([turn.stage for turn in self.turns])

    @property
    def mode_params(self) -> int:
        """Words of the parameter memory that belong to one mode."""
        return self.param_depth // self.n_modes


@dataclass(frozen=True, kw_only=True, slots=True)
class Program:
    """The whole machine in one mode. `host_in` lists where the input tensor goes; `host_out` is where the output comes
    from. wide: program words have the fields of more than 8 banks or strides above 2 (nba.machine.layout)."""

    pp: int
    packing: int
    code_bits: int
    wide: bool
    in_lanes: int
    in_col_groups: int
    in_chan_words: int
    in_rows: int
    out_lanes: int
    out_cols: int
    out_col_groups: int
    out_chan_words: int
    out_rows: int
    host_in: tuple[Destination, ...]
    host_out: Destination
    edges: tuple[EdgeLayout, ...]
    chunks: tuple[ChunkProgram, ...]
    block_luts: int = 0
    memory: WeightMemory | None = None
    fetches: tuple[Fetch, ...] = ()

    @property
    def banks(self) -> int:
        """Banks of every buffer."""
        return self.pp * self.packing

    @property
    def in_cols(self) -> int:
        """Columns of a beat of the input stream."""
        return stream_columns(self.banks)

    @property
    def streamed_bytes(self) -> int:
        """Bytes of weights that the design reads from external memory in a frame."""
        if self.memory is None:
            return 0
        return sum(fetch.beats for fetch in self.fetches) * self.memory.bus_bits // 8

    @property
    def image_beats(self) -> int:
        """Beats of the image of weights in external memory, whole bursts; 0 where there is none."""
        memory = self.memory
        return 0 if memory is None else sum(one.bursts(memory) * memory.burst for one in self.fetches)


def min_ring_rows(network: Network, consumer: int, port: Port) -> int:
    """Smallest legal ring for one use of a tensor."""
    if consumer == HOST or port == "residual":
        return 1
    layer = network.layers[consumer]
    return least_rows(layer.kernel_h, layer.stride_h)


def input_lanes(network: Network, accelerator: Accelerator) -> int:
    """Channels per beat of the input stream: the widest word that all uses of the input accept."""
    place = accelerator.place()
    lanes = 0
    for layer, port in network.consumers(0):
        chunk = accelerator.chunks[place[layer]]
        lanes = gcd(lanes, reader_word(chunk, "main" if port == "main" else "residual"))
    return lanes


def _slices(accelerator: Accelerator) -> dict[int, int]:
    """Layer -> the slices in which it is computed."""
    return {job.layer: job.slices for chunk in accelerator.chunks for job in chunk.jobs}


def _ring_layout(
    network: Network, accelerator: Accelerator, ring: Ring, lanes: int, base: int, slices: dict[int, int]
) -> RingLayout:
    tensor = network.tensors[ring.tensor]
    col_words = ceil_div(tensor.channels, lanes) // ring.parts
    stride, pad_top, rows_out, columns, most_rows = 1, 0, tensor.height, 1, 1
    if ring.consumer != HOST and ring.port == "main":
        layer = network.layers[ring.consumer]
        stride, pad_top = layer.stride_h, layer.pad_top
        rows_out = network.result(ring.consumer).height
        columns, most_rows = layer.stride_w, tensor.height
    row_words = bank_columns(tensor.width, accelerator.banks, columns) * col_words
    write, read = slices.get(ring.tensor - 1, 1) // ring.parts, slices.get(ring.consumer, 1) // ring.parts
    read_rows = tensor.height if ring.consumer == HOST else network.result(ring.consumer).height
    ring_words, map_words = row_words * ring.rows, row_words * tensor.height
    last_words = (tensor.height - (rows_out - 1) * stride) * row_words
    # The next slice of a residual operand lies behind this one, in every column.
    further = col_words // read if ring.port == "residual" else 0
    return RingLayout(
        tensor=ring.tensor,
        consumer=ring.consumer,
        rows=ring.rows,
        base=base,
        col_words=col_words,
        row_words=row_words,
        ring_words=ring_words,
        stride=columns,
        class_words=class_columns(tensor.width, accelerator.banks, columns) * col_words if columns > 1 else 0,
        init_words=(-pad_top % ring.rows) * row_words,
        step_words=(stride % ring.rows) * row_words,
        last_step_words=(last_words - (read - 1) * further) % ring_words,
        most_rows=most_rows,
        map_rows=tensor.height * ring.parts,
        write_slices=write,
        write_back_words=(row_words - map_words + col_words // write) % ring_words if write > 1 else 0,
        write_last_words=(row_words - (write - 1) * (col_words // write)) % ring_words if write > 1 else 0,
        read_slices=read,
        read_rows=read_rows,
        read_back_words=(last_words - map_words + further) % ring_words if read > 1 else 0,
        read_counts=int(ring.port == "residual"),
        parts=ring.parts,
    )


def _ring_layouts(
    network: Network, accelerator: Accelerator, rings: Sequence[Ring], lanes: int, slices: dict[int, int]
) -> tuple[tuple[RingLayout, ...], int]:
    """The layouts of the rings of an edge, those that share memory on top of each other, and the words of all."""
    found = [_ring_layout(network, accelerator, ring, lanes, 0, slices) for ring in rings]
    members: dict[int, list[int]] = {}
    for number, ring in enumerate(rings):
        members.setdefault(ring.share or -1 - number, []).append(number)
    base = 0
    for share, mine in members.items():
        for place, number in enumerate(mine):
            found[number] = replace(found[number], base=base, waits_for=mine[place - 1] if share > 0 else -1)
        base += max(found[number].ring_words for number in mine)
    return tuple(found), base


def _edges(network: Network, accelerator: Accelerator, in_lanes: int) -> tuple[EdgeLayout, ...]:
    place, slices = accelerator.place(), _slices(accelerator)
    groups: dict[tuple[int, int, Port, int], list[Ring]] = {}
    for ring in accelerator.rings:
        groups.setdefault(edge_of(ring, place), []).append(ring)

    n_chunks, n_lanes = len(accelerator.chunks), len(accelerator.rings)

    def number(edge: tuple[int, int, Port, int]) -> int:
        producer, consumer, port, lane = edge
        return edge_number(producer, consumer, PORTS.index(port), lane, n_chunks, n_lanes)

    edges = []
    for key in sorted(groups, key=number):
        (producer, consumer, port, lane), rings = key, groups[key]
        lanes = accelerator.out_lanes if consumer == HOST else reader_word(accelerator.chunks[consumer], port)
        write = in_lanes if producer == HOST else accelerator.chunks[producer].pq
        layouts, depth = _ring_layouts(network, accelerator, rings, lanes, slices)
        edges.append(
            EdgeLayout(
                producer=producer,
                consumer=consumer,
                port=port,
                lane=lane,
                lanes=lanes,
                write_lanes=write,
                code_bits=network.master_bits,
                depth_words=depth,
                rings=layouts,
            )
        )
    return tuple(edges)


# One table: every line is a field of it.
def _job(
    network: Network, accelerator: Accelerator, chunk: Chunk, job: Job, where: Uses, weight_base: int, param_base: int,
    pad_base: int,
) -> JobProgram:  # fmt: skip
    """The program of one job, whose weights, parameters and pad codes begin at the three bases."""
    layer = network.layers[job.layer]
    src, out, operator = network.source(layer), network.result(job.layer), layer.operator
    n, m = src.channels, out.channels
    words = tap_words(operator.mixes, n, chunk.pn, m, chunk.pm, layer.groups, layer.rotate)
    taps, drain = layer.kernel_h * layer.kernel_w, drain_cycles(chunk.pm, chunk.pq)
    times = job_degree(layer, accelerator.packing)
    all_groups, col_groups = ceil_div(m, chunk.pm), ceil_div(out.width, times * (chunk.columns or accelerator.pp))
    m_groups = all_groups // job.slices
    slot = slot_cycles(words, taps, drain, engine_packing(chunk.mixes, accelerator.packing))
    main = where.ring[layer.input, job.layer, "main"]
    res = None if layer.residual is None else where.ring[layer.residual, job.layer, "residual"]
    return JobProgram(
        layer=job.layer,
        stage=job.stage,
        rows_out=out.height,
        degree=times,
        col_groups=col_groups,
        m_groups=m_groups,
        chan_words=words,
        halves=halves(layer, n, m, chunk.pn, chunk.pm),
        kernel_h=layer.kernel_h,
        kernel_w=layer.kernel_w,
        steps=words * taps,
        slot_cycles=slot,
        row_cycles=row_cycles(work_cycles(col_groups, m_groups, slot)),
        stride_h=layer.stride_h,
        stride_w=layer.stride_w,
        pad_top=layer.pad_top,
        pad_left=layer.pad_left,
        height_in=src.height,
        width_in=src.width,
        src_edge=main.edge,
        src_ring=main.ring,
        res_edge=None if res is None else res.edge,
        res_ring=None if res is None else res.ring,
        weight_base=0 if job.streamed else weight_base,
        weight_words=0 if job.streamed else weight_words(operator.stores_weights, all_groups, words * taps),
        weight_step=operator.stores_weights,
        param_base=param_base,
        param_words=param_words(all_groups, drain),
        destinations=where.of_tensor[job.layer + 1],
        pad_base=None if layer.pad_codes is None else pad_base,
        pad_words=0 if layer.pad_codes is None else ceil_div(n, chunk.lanes),
        slices=job.slices,
        streamed=job.streamed,
    )


def turn_programs(chunk: Chunk, jobs: Sequence[JobProgram]) -> tuple[TurnProgram, ...]:
    """The turns of a round of `chunk`, of whose jobs `jobs` are the programs. Late turns of a job are those behind its
    others: they finish the frame that these began a round before."""
    turns = chunk.turns or [Turn(job=j, rows=job.rows_out) for j, job in enumerate(jobs) for _ in range(job.slices)]
    drain = drain_cycles(chunk.pm, chunk.pq)
    done, first = [0] * len(jobs), [0] * len(turns)
    for late in (0, 1):
        for i, turn in enumerate(turns):
            if turn.late == late:
                first[i] = done[turn.job]
                done[turn.job] += turn.rows
    return tuple([_turn(jobs[turn.job], turn, at, drain) for turn, at in zip(turns, first, strict=True)])


def _turn(job: JobProgram, turn: Turn, at: int, drain: int) -> TurnProgram:
    """The program of a turn whose first row is number `at` of all rows that `job` computes of a frame."""
    piece, first = divmod(at, job.rows_out)
    ends = first + turn.rows == job.rows_out
    return TurnProgram(
        job=turn.job,
        rows=turn.rows,
        stage=job.stage + turn.late,
        first=first,
        slice=piece,
        top=first * job.stride_h - job.pad_top,
        ends=ends,
        closes=ends and piece == job.slices - 1,
        first_step=piece * job.m_groups * drain,
        first_weight=piece * job.slice_words if job.weight_step and not job.streamed else 0,
    )


def job_degree(layer: Layer, packing: int) -> int:
    """Times pp columns that `layer` works on at once in a design of this packing."""
    return degree(layer.operator.mixes, layer.act_bits, layer.operator.operand_bits(layer), packing)


def _chunk(
    networks: tuple[Network, ...], mode: int, accelerator: Accelerator, chunk: Chunk, where: Uses
) -> ChunkProgram:  # fmt: skip
    jobs: list[JobProgram] = []
    network = networks[mode]
    weight_base = param_base = pad_base = 0
    for job in chunk.jobs:
        jobs.append(_job(network, accelerator, chunk, job, where, weight_base, param_base, pad_base))
        weight_base += jobs[-1].weight_words
        param_base += jobs[-1].param_words
        pad_base += jobs[-1].pad_words
    layers = [n.layers[job.layer] for n in networks for job in chunk.jobs]
    stored = [layer for layer in layers if layer.operator.stores_weights]
    weight_bits = max([layer.operator.operand_bits(layer) for layer in layers])
    store_bits = max([layer.operator.memory_bits(layer) for layer in layers])
    return ChunkProgram(
        kind=chunk.kind,
        pp=chunk.columns or accelerator.pp,
        pm=chunk.pm,
        pn=chunk.pn,
        pq=chunk.pq,
        lanes=chunk.lanes,
        drain_cycles=drain_cycles(chunk.pm, chunk.pq),
        packing=engine_packing(chunk.mixes, accelerator.packing),
        degree=max([job_degree(layer, accelerator.packing) for layer in layers]),
        act_bits=max([layer.act_bits for layer in layers]),
        weight_bits=weight_bits,
        weight_store_bits=max(store_bits, weight_bits),
        acc_bits=max([n.acc_bits(job.layer) for n in networks for job in chunk.jobs]),
        has_residual=any(layer.residual is not None for layer in layers),
        nested_act=any(layer.act_bits < network.master_bits for layer in layers),
        nested_weight=any(layer.weight_bits < layer.weight_store_bits for layer in stored),
        weight_depth=weight_base,
        param_depth=param_base * len(networks),
        jobs=tuple(jobs),
        turns=turn_programs(chunk, jobs),
        n_modes=len(networks),
        shift_bits=max([layer.shift_bits for layer in layers]),
        shift_least=min([layer.shift for layer in layers]),
        shift_most=max([layer.most_shift for layer in layers]),
        pad_depth=pad_base,
        requant=chunk.requant,
        products=chunk.products,
        slots=accelerator.memory.slots if accelerator.memory is not None and any(j.streamed for j in jobs) else 0,
        bus_bits=accelerator.memory.bus_bits if accelerator.memory is not None and any(j.streamed for j in jobs) else 0,
    )


def _fetches(chunks: Sequence[ChunkProgram], memory: WeightMemory) -> tuple[Fetch, ...]:
    """The slices of weights that `chunks` take from `memory` in a round, in the order in which they are read."""
    uses, beats = [], []
    for chunk in chunks:
        mine = [turn for turn in chunk.turns if chunk.jobs[turn.job].streamed and turn.first == 0]
        uses.append([(turn.job, turn.slice, turn.stage) for turn in mine])
        words = [chunk.jobs[turn.job].slice_words for turn in mine]
        beats.append([slice_beats(n, chunk.weight_width, memory.bus_bits) for n in words])
    return fetches(uses, beats, memory)


def lower(network: Network, accelerator: Accelerator, modes: tuple[Network, ...] = (), mode: int = 0) -> Program:
    """Compute every table of the machine that executes `network` and, from the same weights, each of the further
    `modes` of its design; jobs and their cycles are those of mode number `mode` (0: `network`). The result is a pure
    function of its arguments."""
    in_lanes, columns = input_lanes(network, accelerator), stream_columns(accelerator.banks)
    edges = _edges(network, accelerator, in_lanes)
    where = _uses(edges)
    first, last = network.tensors[0], network.tensors[-1]
    out = len(network.layers)
    networks = (network, *modes)
    chunks = tuple(_chunk(networks, mode, accelerator, c, where) for c in accelerator.chunks)
    program = Program(
        pp=accelerator.pp,
        packing=accelerator.packing,
        code_bits=network.master_bits,
        wide=accelerator.banks > 8 or any(max(x.stride_h, x.stride_w) > 2 for x in network.layers),
        in_lanes=in_lanes,
        in_col_groups=ceil_div(first.width, columns),
        in_chan_words=ceil_div(first.channels, in_lanes),
        in_rows=first.height,
        out_lanes=accelerator.out_lanes,
        out_cols=1 if last.width == 1 else columns,
        out_col_groups=ceil_div(last.width, columns),
        out_chan_words=ceil_div(last.channels, accelerator.out_lanes),
        out_rows=last.height,
        host_in=where.of_tensor[0],
        host_out=where.ring[out, HOST, "main"],
        edges=edges,
        chunks=chunks,
        block_luts=accelerator.block_luts,
        memory=accelerator.memory,
        fetches=() if accelerator.memory is None else _fetches(chunks, accelerator.memory),
    )
    return with_ultra(program, accelerator.ultra) if accelerator.ultra else program


def with_rings(program: Program, network: Network, accelerator: Accelerator) -> Program:
    """The program of `accelerator`, made of that of one which differs only in the rows of rings and in the price of
    block RAM."""
    edges = _edges(network, accelerator, program.in_lanes)
    found = replace(program, edges=edges, block_luts=accelerator.block_luts)
    return with_ultra(found, accelerator.ultra) if accelerator.ultra else found


def store_of(chunk: int) -> UltraMemory:
    """The store of streamed weights of chunk number `chunk`, as `Accelerator.ultra` names it."""
    return UltraMemory(producer=HOST, consumer=chunk, port="weights")


def with_ultra(program: Program, ultra: Collection[UltraMemory]) -> Program:
    """`program` with these memories, and no others, in UltraRAM."""
    edges = [replace(edge, ultra=edge.memory in ultra) for edge in program.edges]
    chunks = [replace(chunk, ultra=store_of(k) in ultra) for k, chunk in enumerate(program.chunks)]
    return replace(program, edges=tuple(edges), chunks=tuple(chunks))


def design_programs(network: Network, accelerator: Accelerator, modes: tuple[Network, ...]) -> tuple[Program, ...]:
    """The program of every mode of a design: the same machine, with the jobs and cycles of each."""
    return tuple(lower(network, accelerator, modes, mode) for mode in range(1 + len(modes)))

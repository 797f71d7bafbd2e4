# SPDX-License-Identifier: Apache-2.0
"""Design -> HLS C++: the engines of templates/hls/lib verbatim, and a generated top with its tables (docs/template.md).

Identifiers are built from indices; names of layers and designs appear in comments only, through the filter `comment`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np

from nba.core import assets
from nba.core.errors import NbaError
from nba.core.version import __version__
from nba.emit.env import environment
from nba.emit.hls_tables import braces, job_initialiser, word_initialisers
from nba.emit.memories import job_params, job_shifts, job_weights, pad_words
from nba.emit.names import expected_name
from nba.emit.program_rom import drain_values, issue_values, row_values, takes_max
from nba.emit.vectors import stream_dtype
from nba.ir.design import Design
from nba.ir.network import Network, Tensor, Weights
from nba.ir.operators import PER_CHANNEL
from nba.machine.fetches import store_row_beats, words_per_row
from nba.machine.geometry import ceil_div, class_offsets
from nba.machine.program import ChunkProgram, EdgeLayout, JobProgram, Program, design_programs

_FOLDER = "hls"
"""Folder of a bundle that holds these files."""
DEFAULT_TOP = "nba_top"
MAX_USES = 15
"""Buffers that one unit can write: as in nba_types.h; nba.machine.check allows no more edges."""

LEAST_BEATS = 256
"""Beats of weights that are read in one step of the machine, at most: few, so that rows of the step do not wait long,
and enough for long bursts."""

_FILES = ("top.h", "top.cpp", "weights.h", "main.cpp", "run_hls.tcl", "Makefile")
_IDENTIFIER = re.compile(r"[A-Za-z][A-Za-z0-9_]*\Z")
_RESERVED = frozenset(
    """
    alignas alignof and and_eq asm auto bitand bitor bool break case catch char char8_t char16_t char32_t class compl
    concept const consteval constexpr constinit const_cast continue co_await co_return co_yield decltype default delete
    do double dynamic_cast else enum explicit export extern false float for friend goto if inline int long mutable
    namespace new noexcept not not_eq nullptr operator or or_eq private protected public register reinterpret_cast
    requires return short signed sizeof static static_assert static_cast struct switch template this thread_local throw
    true try typedef typeid typename union unsigned using virtual void volatile wchar_t while xor xor_eq
    main nba hls std linux unix
    """.split()  # noqa: SIM905
)


@dataclass(frozen=True, kw_only=True, slots=True)
class HlsRing:
    """One entry of the table `rings`: its initialiser and a comment made of numbers."""

    fields: str
    note: str


@dataclass(frozen=True, kw_only=True, slots=True)
class HlsEdge:
    """One buffer: `depth` words of `lanes` codes per bank, written `write` codes at a time."""

    index: int
    lanes: int
    write: int
    depth: int
    note: str


@dataclass(frozen=True, kw_only=True, slots=True)
class HlsJob:
    """One entry of a chunk's program table: its initialiser in every mode, and the layer's user-given name for a
    comment."""

    layer: int
    name: str
    fields: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class HlsStore:
    """The store of streamed weights of a chunk, number `number` of all: `rows` rows of `parts` beats, or of one beat
    that holds `per` words; a slot has `slot_words` words. `fields` is its entry in the table `stores`."""

    number: int
    chunk: int
    parts: int
    per: int
    rows: int
    slot_words: int
    fields: str


@dataclass(frozen=True, kw_only=True, slots=True)
class HlsMemory:
    """The external memory of streamed weights: the reader's list, the stores, and the beats of the image."""

    bus_bits: int
    burst: int
    slots: int
    beats: int
    last_stage: int
    fetches: tuple[str, ...]
    stores: tuple[HlsStore, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class HlsChunk:
    """What the templates need of one chunk; `engine` holds the arguments of nba::Engine."""

    index: int
    kind: str
    pp: int
    pm: int
    pn: int
    pq: int
    lanes: int
    engine: str
    acc_bits: int
    weight_store_bits: int
    weight_lanes: int
    weight_parts: int
    last_stage: int
    jobs: tuple[HlsJob, ...]
    turns: tuple[str, ...]
    sources: tuple[HlsEdge, ...]
    residuals: tuple[HlsEdge, ...]
    destinations: tuple[HlsEdge, ...]
    own: tuple[HlsEdge, ...]
    weights: tuple[str, ...]
    bias: tuple[str, ...]
    mult: tuple[str, ...]
    shift: tuple[str, ...]
    pads: tuple[str, ...]
    store: HlsStore | None


@dataclass(frozen=True, kw_only=True, slots=True)
class HlsDesign:
    """The render context `d` of every template in templates/hls."""

    version: str
    id12: str
    name: str
    top: str
    namespace: str
    guard: str
    part: str
    period_ns: str
    n_modes: int
    pp: int
    banks: int
    in_cols: int
    code_bits: int
    in_lanes: int
    in_rows: int
    in_width: int
    in_channels: int
    in_col_groups: int
    in_chan_words: int
    in_uses: tuple[int, ...]
    in_edges: tuple[HlsEdge, ...]
    out_lanes: int
    out_cols: int
    out_rows: int
    out_width: int
    out_channels: int
    out_col_groups: int
    out_chan_words: int
    out_ring: int
    out_edges: tuple[HlsEdge, ...]
    rings: tuple[HlsRing, ...]
    edges: tuple[HlsEdge, ...]
    chunks: tuple[HlsChunk, ...]
    memory: HlsMemory | None


def render_hls(design: Design, weights: Weights, *, top: str = DEFAULT_TOP, part: str) -> dict[str, str]:
    """All HLS files of a bundle: path relative to the bundle ("hls/...") -> text; the same design gives the same text.

    `design` and `weights` must have passed nba.machine.check. `top` becomes the name of the top function, `part` the
    device in the synthesis script. Raises NbaError if either cannot stand there.
    """
    context = hls_context(design, weights, top, part)
    env = environment()
    files = {f"{_FOLDER}/{name}": env.get_template(f"hls/{name}.j2").render(d=context) for name in _FILES}
    root = assets.root("templates") / "hls"
    included = (path for path in root.glob("include/**/*") if path.is_file())
    for path in sorted((root / "README.md", *root.glob("lib/*.h"), *included)):
        files[f"{_FOLDER}/{path.relative_to(root).as_posix()}"] = path.read_bytes().decode("utf-8")
    return files


def vector_files(network: Network, x: np.ndarray, *outputs: np.ndarray) -> dict[str, bytes]:
    """input.bin and, for the outputs of every mode, expected.bin, expected_1.bin, ..., which `make csim` reads: codes
    [B, H, W, C] of first and last tensor as bytes."""
    bits = network.master_bits
    expected = {f"{_FOLDER}/{expected_name(m, 'bin')}": to_bytes(y, bits) for m, y in enumerate(outputs)}
    return {f"{_FOLDER}/input.bin": to_bytes(x, bits), **expected}


def to_bytes(codes: np.ndarray, bits: int) -> bytes:
    """Master codes of `bits` bits, signed or not, in one byte or two (low byte first)."""
    return codes.astype(np.int32).astype(stream_dtype(bits)).tobytes()


def from_bytes(data: bytes, tensor: Tensor) -> np.ndarray:
    """What `to_bytes` wrote: codes [B, H, W, C] of `tensor`."""
    kind = stream_dtype(tensor.bits).replace("u", "i") if tensor.signed else stream_dtype(tensor.bits)
    return np.frombuffer(data, kind).astype(tensor.dtype).reshape(-1, tensor.height, tensor.width, tensor.channels)


# One call with a value for every field of the context.
def hls_context(design: Design, weights: Weights, top: str, part: str) -> HlsDesign:
    """The values that the templates print. Raises NbaError if `top` or `part` is not a plain word."""
    if not _IDENTIFIER.match(top) or top in _RESERVED:
        raise NbaError(
            f"HLS top function {top!r}: not a usable C++ identifier; use letters, digits and '_', but no keyword"
        )
    if not re.fullmatch(r"[A-Za-z0-9_.-]+", part):
        raise NbaError(f"HLS part {part!r}: not a device name; use letters, digits, '_', '.' and '-'")
    network = design.network
    programs = design_programs(network, design.accelerator, design.modes)
    program = programs[0]
    modes = tuple(design.mode(m, weights) for m in range(len(design.networks)))
    pairs = [(e, r) for e, edge in enumerate(program.edges) for r in range(len(edge.rings))]
    ring_index = {pair: n for n, pair in enumerate(pairs)}
    edges = tuple(_edge(i, e) for i, e in enumerate(program.edges))
    first, last = network.tensors[0], network.tensors[-1]
    memory = _memory(program)
    stores = {store.chunk: store for store in memory.stores} if memory is not None else {}
    return HlsDesign(
        version=__version__,
        id12=design.id[:12],
        name=design.name,
        top=top,
        namespace=f"{top}_impl",
        guard=top.upper(),
        part=part,
        period_ns=f"{1000 / design.clock_mhz:.3f}",
        n_modes=len(modes),
        pp=program.pp,
        banks=program.banks,
        in_cols=program.in_cols,
        code_bits=program.code_bits,
        in_lanes=program.in_lanes,
        in_rows=program.in_rows,
        in_width=first.width,
        in_channels=first.channels,
        in_col_groups=program.in_col_groups,
        in_chan_words=program.in_chan_words,
        in_uses=tuple(ring_index[d.edge, d.ring] for d in program.host_in),
        in_edges=tuple(edges[d.edge] for d in program.host_in),
        out_lanes=program.out_lanes,
        out_cols=program.out_cols,
        out_rows=program.out_rows,
        out_width=last.width,
        out_channels=last.channels,
        out_col_groups=program.out_col_groups,
        out_chan_words=program.out_chan_words,
        out_ring=ring_index[program.host_out.edge, program.host_out.ring],
        out_edges=(edges[program.host_out.edge],),
        rings=tuple(_rings(program)),
        edges=edges,
        chunks=tuple(_chunk(modes, programs, k, edges, ring_index, stores.get(k)) for k in range(len(program.chunks))),
        memory=memory,
    )


def _memory(program: Program) -> HlsMemory | None:
    """The external memory of a design that streams weights."""
    memory = program.memory
    if memory is None:
        return None
    owners = {one.store: one.chunk for one in program.fetches}
    stores = tuple(_store(program.chunks[owners[s]], s, owners[s]) for s in sorted(owners))
    return HlsMemory(
        bus_bits=memory.bus_bits,
        burst=memory.burst,
        slots=memory.slots,
        beats=program.image_beats,
        last_stage=max([one.stage for one in program.fetches]),
        fetches=tuple(braces(f.store, f.stage, f.first_burst * memory.burst, f.beats) for f in program.fetches),
        stores=stores,
    )


def _store(chunk: ChunkProgram, number: int, index: int) -> HlsStore:
    """The store of a chunk."""
    parts, per = (of(chunk.weight_width, chunk.bus_bits) for of in (store_row_beats, words_per_row))
    slot_rows = ceil_div(chunk.slot_words, per)
    return HlsStore(
        number=number, chunk=index, parts=parts, per=per, rows=chunk.slots * slot_rows, slot_words=slot_rows * per,
        fields=braces(parts, slot_rows, parts * max(1, LEAST_BEATS // parts)),
    )  # fmt: skip


def _edge(index: int, edge: EdgeLayout) -> HlsEdge:
    def unit(k: int) -> str:
        return "host" if k < 0 else f"chunk {k}"

    note = f"{unit(edge.producer)} to {unit(edge.consumer)}, {edge.port}"
    return HlsEdge(index=index, lanes=edge.lanes, write=edge.write_lanes, depth=edge.depth_words, note=note)


def _rings(program: Program) -> list[HlsRing]:
    rings: list[HlsRing] = []
    for i, edge in enumerate(program.edges):
        first = len(rings)
        for r in edge.rings:
            offsets = sum(bank << (4 * c) for c, bank in enumerate(class_offsets(program.banks, r.stride)))
            fields = braces(
                i, r.rows, r.base, r.col_words, r.row_words, r.ring_words, r.stride, r.class_words, offsets,
                r.init_words, r.step_words, r.last_step_words, r.map_rows,
                first + r.waits_for if r.waits_for >= 0 else -1, int(r.waits_for >= len(rings) - first),
                *((r.parts,) if r.parts > 1 else ()),
            )  # fmt: skip
            consumer = "host" if r.consumer < 0 else f"layer_{r.consumer}"
            rings.append(HlsRing(fields=fields, note=f"tensor {r.tensor} for {consumer}, {edge.port}"))
    return rings


def _job_fields(
    network: Network,
    program: Program,
    job: JobProgram,
    ring_index: dict[tuple[int, int], int],
    written: tuple[int, ...],
    param_base: int,
    weight_base: int,
) -> str:
    layer, src, out = network.layers[job.layer], network.source(network.layers[job.layer]), network.result(job.layer)
    word = issue_values(network, program, job, 0) | row_values(network, job, 0, param_base)
    word |= drain_values(network, program, job) | {"w_base": weight_base}
    nested_bits = layer.act_bits - 1 if src.signed else layer.act_bits
    uses = {d.edge: ring_index[d.edge, d.ring] for d in job.destinations}
    slots = [uses.get(e, -1) for e in written]
    own: dict[str, int | str] = {
        "rows_out": job.rows_out,
        "width_out": out.width,
        "degree": job.degree,
        "col_groups": job.col_groups,
        "m_groups": job.m_groups,
        "slices": job.slices,
        "chan_words": job.chan_words,
        "turn_lo": job.halves.turn_lo,
        "turn_hi": job.halves.turn_hi,
        "kernel_h": job.kernel_h,
        "kernel_w": job.kernel_w,
        "slot_cycles": job.slot_cycles,
        "stride_h": job.stride_h,
        "stride_w": job.stride_w,
        "pad_top": job.pad_top,
        "src_ring": ring_index[job.src_edge, job.src_ring],
        "act_hi": (1 << nested_bits) - 1,
        "weight_hi": (1 << (layer.operator.operand_bits(layer) - 1)) - 1,
        "res_ring": 0 if job.res_edge is None or job.res_ring is None else ring_index[job.res_edge, job.res_ring],
        "uses": braces(*slots, *[-1] * (MAX_USES - len(slots))),
    }
    if job.pad_base is not None or job.streamed:
        own["pad_base"] = -1 if job.pad_base is None else job.pad_base
    if job.streamed:
        own["streamed"] = True
    return job_initialiser(word, own)


def _engine(network: Network, program: Program, chunk: ChunkProgram) -> str:
    """The template arguments of the chunk's engine."""
    arguments: tuple[int | bool, ...] = (
        program.code_bits, chunk.kind == PER_CHANNEL, chunk.pm, chunk.pn, chunk.pp, program.banks,
        chunk.degree, chunk.pq,
        chunk.weight_store_bits, chunk.weight_bits, chunk.act_bits, chunk.acc_bits, chunk.nested_weight,
        chunk.nested_act, chunk.has_residual, any(takes_max(network.layers[job.layer]) for job in chunk.jobs),
    )  # fmt: skip
    if chunk.shift_bits or chunk.pad_depth:
        arguments = (*arguments, chunk.shift_bits, chunk.pad_depth > 0)
    return braces(*arguments)[1:-1]


# Little more than one statement: all that the templates see of a chunk.
def _chunk(
    modes: tuple[tuple[Network, Weights], ...],
    programs: tuple[Program, ...],
    index: int,
    edges: tuple[HlsEdge, ...],
    ring_index: dict[tuple[int, int], int],
    store: HlsStore | None,
) -> HlsChunk:
    network, weights = modes[0]
    program, chunk = programs[0], programs[0].chunks[index]
    read = [e for e, x in zip(edges, program.edges, strict=True) if x.consumer == index]
    written = tuple(i for i, e in enumerate(program.edges) if e.producer == index)
    lanes = chunk.pm * chunk.pn
    bits = chunk.weight_store_bits
    kept = [job for job in chunk.jobs if not job.streamed]
    words = [job_weights(chunk, job, network.layers[job.layer], weights[job.layer]) for job in kept]
    params = [job_params(chunk, job, own[job.layer]) for _, own in modes for job in chunk.jobs]
    shifts = np.concatenate([job_shifts(chunk, job, n.layers[job.layer]) for n, _ in modes for job in chunk.jobs])
    return HlsChunk(
        index=index,
        kind=chunk.kind,
        pp=chunk.pp,
        pm=chunk.pm,
        pn=chunk.pn,
        pq=chunk.pq,
        lanes=chunk.lanes,
        engine=_engine(network, program, chunk),
        acc_bits=chunk.acc_bits,
        weight_store_bits=bits,
        weight_lanes=lanes,
        weight_parts=-(-lanes // (64 // bits)),
        last_stage=chunk.last_stage,
        turns=tuple(braces(turn.job, turn.rows, turn.stage, turn.first, turn.slice) for turn in chunk.turns),
        jobs=tuple(
            HlsJob(
                layer=job.layer,
                name=network.layers[job.layer].name,
                fields=tuple(
                    _job_fields(
                        modes[m][0],
                        programs[m],
                        programs[m].chunks[index].jobs[j],
                        ring_index,
                        written,
                        job.param_base + m * chunk.mode_params,
                        chunk.weight_depth if job.streamed else job.weight_base,
                    )
                    for m in range(len(modes))
                ),
            )
            for j, job in enumerate(chunk.jobs)
        ),
        sources=tuple(e for e in read if program.edges[e.index].port == "main"),
        residuals=tuple(e for e in read if program.edges[e.index].port == "residual"),
        destinations=tuple(edges[i] for i in written),
        own=tuple(edges[i] for i in written if program.edges[i].consumer == index),
        weights=word_initialisers(np.concatenate(words), bits) if words else (),
        bias=tuple(braces(*row) for row in np.concatenate([b for b, _ in params]).tolist()),
        mult=tuple(braces(*row) for row in np.concatenate([m for _, m in params]).tolist()),
        shift=tuple(braces(*row) for row in shifts.tolist()) if chunk.shift_bits else (),
        pads=tuple(braces(*row) for row in (pad_words(chunk, network) & ((1 << program.code_bits) - 1)).tolist()),
        store=store,
    )

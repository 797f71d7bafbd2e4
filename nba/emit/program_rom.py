# SPDX-License-Identifier: Apache-2.0
"""The words of a chunk's program ROM. The field order is that of templates/rtl/lib/nba_chunk.v.

Widths of CODE are those of a master code, of SIGNED_CODE one bit more: they depend on the network.
"""

from __future__ import annotations

from nba.ir.network import Network
from nba.machine.program import ChunkProgram, JobProgram, Program, job_slots

CODE, SIGNED_CODE = -1, -2

ISSUE_FIELDS: tuple[tuple[str, int], ...] = (
    ("stage", 8), ("height", 12), ("width", 12), ("stride2", 1), ("pad_top", 6), ("pad_left", 6),
    ("kx_last", 6), ("ky_last", 6), ("c_last", 12), ("slot_extra", 12), ("rot0", 3), ("par0", 1), ("qoff0", 16),
    ("col_words", 12), ("parity_words", 16), ("base", 16), ("row_words", 16), ("ring_words", 16),
    ("half_words", 12), ("half_first", 1), ("m_lo_last", 12), ("m_hi_last", 12),
    ("src_sel", 4), ("src_ring", 6), ("a_shift", 4), ("a_signed", 1), ("a_pad", CODE),
    ("w_base", 16), ("w_step", 1), ("w_shift", 4), ("w_bits", 5),
)  # fmt: skip
"""Fields that the decision and the row walk use, low bits first."""
DRAIN_FIELDS: tuple[tuple[str, int], ...] = (
    ("rows", 12), ("m_last", 12), ("g_last", 12), ("p_base", 16), ("res_en", 1), ("res_sel", 4), ("res_ring", 6),
    ("res_words", 12), ("res_mult", 16), ("res_signed", 1), ("round", 48), ("shift", 6),
    ("zero", SIGNED_CODE), ("q_min", SIGNED_CODE), ("q_max", SIGNED_CODE),
)  # fmt: skip
"""Fields that the drain and the requantiser use."""
DEST_FIELDS: tuple[tuple[str, int], ...] = (("en", 1), ("ring", 6), ("words", 12), ("split", 1), ("parity_words", 16))
"""Fields of one output edge."""


def field_widths(fields: tuple[tuple[str, int], ...], code_bits: int) -> tuple[tuple[str, int], ...]:
    """`fields` with the widths of codes put in."""
    return tuple((name, {CODE: code_bits, SIGNED_CODE: code_bits + 1}.get(width, width)) for name, width in fields)


def _pack(fields: tuple[tuple[str, int], ...], values: dict[str, int], signed: frozenset[str]) -> int:
    """Fields -> integer, first field in the low bits. A value that does not fit is a broken invariant."""
    word = shift = 0
    for name, width in fields:
        value = values.pop(name)
        low, high = (-(1 << (width - 1)), (1 << (width - 1)) - 1) if name in signed else (0, (1 << width) - 1)
        assert low <= value <= high, f"program field {name} = {value} does not fit {width} bits"
        word |= (value & ((1 << width) - 1)) << shift
        shift += width
    assert not values, f"unknown program fields {sorted(values)}"
    return word


def issue_word(network: Network, program: Program, job: JobProgram, src_sel: int) -> int:
    """The issue fields of `job`, reading input edge number `src_sel` of its chunk."""
    layer = network.layers[job.layer]
    src = network.source(layer)
    ring = program.edges[job.src_edge].rings[job.src_ring]
    pp, pad = program.pp, job.pad_left
    half = -pad if job.stride == 1 else (-pad) // 2
    operator, halves = layer.operator, job.halves
    return _pack(
        field_widths(ISSUE_FIELDS, program.code_bits),
        {
            "stage": job.stage,
            "height": job.height_in,
            "width": job.width_in,
            "stride2": int(job.stride == 2),
            "pad_top": job.pad_top,
            "pad_left": pad,
            "kx_last": job.kernel_w - 1,
            "ky_last": job.kernel_h - 1,
            "c_last": job.chan_words - 1,
            "slot_extra": job.slot_cycles - job.steps,
            "rot0": half % pp,
            "par0": (-pad) % 2 if job.stride == 2 else 0,
            "qoff0": (half // pp * ring.col_words) % (1 << 16),
            "col_words": ring.col_words,
            "parity_words": ring.parity_words,
            "base": ring.base,
            "row_words": ring.row_words,
            "ring_words": ring.ring_words,
            "half_words": halves.words,
            "half_first": halves.first,
            "m_lo_last": max(halves.turn_lo - 1, 0),
            "m_hi_last": max(halves.turn_hi - 1, 0),
            "src_sel": src_sel,
            "src_ring": job.src_ring,
            "a_shift": program.code_bits - layer.act_bits,
            "a_signed": int(src.signed),
            "a_pad": operator.reduce.pad_code(src) % (1 << program.code_bits),
            "w_base": job.weight_base,
            "w_step": int(job.weight_step),
            "w_shift": operator.memory_bits(layer) - operator.operand_bits(layer),
            "w_bits": operator.operand_bits(layer),
        },
        frozenset(),
    )


def drain_word(network: Network, program: Program, job: JobProgram, res_sel: int, param_base: int) -> int:
    """The drain fields of `job`, with its residual operand on residual edge number `res_sel` of its chunk and its
    parameters from word `param_base` on."""
    layer, out = network.layers[job.layer], network.result(job.layer)
    offset = 1 << (layer.shift - 1)
    res_words = res_ring = res_signed = 0
    if layer.residual is not None and job.res_edge is not None and job.res_ring is not None:
        residual = network.tensors[layer.residual]
        offset -= residual.zero_point * layer.res_mult
        res_words = program.edges[job.res_edge].rings[job.res_ring].col_words
        res_ring, res_signed = job.res_ring, int(residual.signed)
    return _pack(
        field_widths(DRAIN_FIELDS, program.code_bits),
        {
            "rows": job.rows_out,
            "m_last": job.m_groups - 1,
            "g_last": job.col_groups - 1,
            "p_base": param_base,
            "res_en": int(layer.residual is not None),
            "res_sel": res_sel,
            "res_ring": res_ring,
            "res_words": res_words,
            "res_mult": layer.res_mult if layer.residual is not None else 0,
            "res_signed": res_signed,
            "round": offset,
            "shift": layer.shift,
            "zero": out.zero_point,
            "q_min": layer.q_min,
            "q_max": layer.q_max,
        },
        frozenset({"round", "zero", "q_min", "q_max"}),
    )


def program_words(
    networks: tuple[Network, ...],
    program: Program,
    chunk: ChunkProgram,
    src: tuple[int, ...],
    res: tuple[int, ...],
    dst: tuple[int, ...],
) -> tuple[list[int], int]:
    """(words, width in bits) of the program ROM of `chunk`, whose input, residual and output edges are the edge
    numbers `src`, `res` and `dst`: its jobs in each of `networks`, the design's modes. Words that no job uses are 0."""
    issue_w, drain_w, dest_w = (
        sum(w for _, w in field_widths(f, program.code_bits)) for f in (ISSUE_FIELDS, DRAIN_FIELDS, DEST_FIELDS)
    )
    words = []
    unused = job_slots(len(chunk.jobs), len(networks)) - len(chunk.jobs)
    for mode, job in ((m, j) for m in range(len(networks)) for j in (*chunk.jobs, *[None] * unused)):
        if job is None:
            words.append(0)
            continue
        word = issue_word(networks[mode], program, job, src.index(job.src_edge))
        res_sel = 0 if job.res_edge is None else res.index(job.res_edge)
        param_base = job.param_base + mode * chunk.mode_params
        word |= drain_word(networks[mode], program, job, res_sel, param_base) << issue_w
        uses = {d.edge: d.ring for d in job.destinations}
        for i, edge in enumerate(dst):
            values = dict.fromkeys((name for name, _ in DEST_FIELDS), 0)
            if edge in uses:
                ring = program.edges[edge].rings[uses[edge]]
                values = {
                    "en": 1,
                    "ring": uses[edge],
                    "words": ring.col_words,
                    "split": int(ring.split),
                    "parity_words": ring.parity_words,
                }
            word |= _pack(DEST_FIELDS, values, frozenset()) << (issue_w + drain_w + i * dest_w)
        words.append(word)
    return words, issue_w + drain_w + len(dst) * dest_w

# SPDX-License-Identifier: Apache-2.0
"""The words of a chunk's program ROM: the values of their fields, by the names of nba.machine.layout."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from nba.ir.network import Layer, Network
from nba.machine.layout import FETCH, NO_DST, TURN, pack_program, program_width
from nba.machine.program import ChunkProgram, EdgeLayout, JobProgram, Program, job_slots

Values = dict[str, int]
"""Field -> value, of one section of a word."""


def takes_max(layer: Layer) -> bool:
    """Whether the accumulator of `layer` is the largest product of a window, and not their sum."""
    return layer.operator.reduce.combine is np.maximum


def issue_values(network: Network, program: Program, job: JobProgram, src_sel: int) -> Values:
    """The issue fields of `job`, reading input edge number `src_sel` of its chunk."""
    layer = network.layers[job.layer]
    src = network.source(layer)
    ring = program.edges[job.src_edge].rings[job.src_ring]
    banks, pad, halves = program.banks, job.pad_left, job.halves
    place = -pad // job.stride_w
    operator = layer.operator
    return {
        "height": job.height_in,
        "width": job.width_in,
        "stride_h": job.stride_h - 1,
        "stride_w": job.stride_w - 1,
        "pad_left": pad,
        "kx_last": job.kernel_w - 1,
        "ky_last": job.kernel_h - 1,
        "c_last": job.chan_words - 1,
        "slot_extra": job.slot_cycles - job.steps,
        "rot0": place % banks,
        "class0": -pad % job.stride_w,
        "qoff0": (place // banks * ring.col_words) % (1 << 16),
        "col_words": ring.col_words,
        "class_words": ring.class_words,
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
        "take_max": int(takes_max(layer)),
        "w_stream": int(job.streamed),
    }


def row_values(network: Network, job: JobProgram, res_sel: int, param_base: int) -> Values:
    """The row fields of `job`, with its residual operand on residual edge number `res_sel` of its chunk and its
    parameters from word `param_base` on."""
    return {
        "m_last": job.m_groups - 1,
        "g_last": job.col_groups - 1,
        "degree": job.degree.bit_length() - 1,
        "p_base": param_base,
        "res_en": int(network.layers[job.layer].residual is not None),
        "res_sel": res_sel,
        "res_ring": job.res_ring or 0,
    }


def drain_values(network: Network, program: Program, job: JobProgram) -> Values:
    """The drain fields of `job`."""
    layer, out = network.layers[job.layer], network.result(job.layer)
    offset = 1 << (layer.shift - 1)
    res_words = res_mult = res_signed = 0
    if layer.residual is not None and job.res_edge is not None and job.res_ring is not None:
        residual = network.tensors[layer.residual]
        offset -= residual.zero_point * layer.res_mult
        res_words = program.edges[job.res_edge].rings[job.res_ring].col_words
        res_mult, res_signed = layer.res_mult, int(residual.signed)
    return {
        "res_words": res_words,
        "res_mult": res_mult,
        "res_signed": res_signed,
        "round": offset,
        "shift": layer.shift,
        "zero": out.zero_point,
        "min": layer.q_min,
        "max": layer.q_max,
    }


def _dst_values(edge: EdgeLayout, ring: int | None) -> Mapping[str, int]:
    """The fields of an output edge, of which a job writes ring number `ring`, or none."""
    if ring is None:
        return NO_DST
    layout = edge.rings[ring]
    return {
        "en": 1,
        "ring": ring,
        "words": layout.col_words,
        "split": layout.stride - 1,
        "class_words": layout.class_words,
    }


def turn_words(chunk: ChunkProgram) -> tuple[list[int], int]:
    """(words, width in bits) of the memory of turns of `chunk`."""
    words = [
        TURN.pack(
            {
                "job": turn.job,
                "rows": turn.rows,
                "stage": turn.stage,
                "top": turn.top,
                "opens": int(turn.first == 0 and turn.slice == 0),
                "ends": int(turn.ends),
                "closes": int(turn.closes),
                "first_step": turn.first_step,
                "first_weight": turn.first_weight,
            },
            {},
        )
        for turn in chunk.turns
    ]
    return words, TURN.width({})


def program_bits(network: Network, program: Program) -> int:
    """Bits of the program memories of all chunks of a design of one mode: words of turns and of jobs."""
    total = 0
    for k, chunk in enumerate(program.chunks):
        src, res, dst = (
            tuple(n for n, edge in enumerate(program.edges) if of(edge))
            for of in (
                lambda e, k=k: e.consumer == k and e.port == "main",
                lambda e, k=k: e.consumer == k and e.port == "residual",
                lambda e, k=k: e.producer == k,
            )
        )
        for words, width in (turn_words(chunk), program_words((network,), (program,), k, src, res, dst)):
            total += len(words) * width
    return total


def fetch_words(program: Program) -> tuple[list[int], int]:
    """(words, width in bits) of the list of fetches of `program`."""
    words = [
        FETCH.pack({"target": one.store, "stage": one.stage, "first": one.first_burst, "beats": one.beats}, {})
        for one in program.fetches
    ]
    return words, FETCH.width({})


def program_words(
    networks: tuple[Network, ...],
    programs: tuple[Program, ...],
    number: int,
    src: tuple[int, ...],
    res: tuple[int, ...],
    dst: tuple[int, ...],
) -> tuple[list[int], int]:
    """(words, width in bits) of the program ROM of chunk `number`, whose input, residual and output edges are the edge
    numbers `src`, `res` and `dst`: its jobs in each of `networks`, the design's modes, by its `programs`. Words that no
    job uses are 0."""
    sizes = {"C_BITS": programs[0].code_bits, "WIDE": int(programs[0].wide)}
    words: list[int] = []
    jobs = programs[0].chunks[number].jobs
    unused = [None] * (job_slots(len(jobs), len(networks)) - len(jobs))
    for mode, program in enumerate(programs):
        chunk = program.chunks[number]
        words.extend(
            0 if job is None else _word(networks[mode], program, chunk, mode, job, src, res, dst, sizes)
            for job in (*chunk.jobs, *unused)
        )
    return words, program_width(sizes, len(dst))


def _word(
    network: Network, program: Program, chunk: ChunkProgram, mode: int, job: JobProgram, src: tuple[int, ...],
    res: tuple[int, ...], dst: tuple[int, ...], sizes: Mapping[str, int],
) -> int:  # fmt: skip
    """The word of `job` in mode number `mode`."""
    res_sel = 0 if job.res_edge is None else res.index(job.res_edge)
    param_base = job.param_base + mode * chunk.mode_params
    uses = {d.edge: d.ring for d in job.destinations}
    values = {
        "issue": issue_values(network, program, job, src.index(job.src_edge)),
        "row": row_values(network, job, res_sel, param_base),
        "drain": drain_values(network, program, job),
    }
    return pack_program(values, [_dst_values(program.edges[e], uses.get(e)) for e in dst], sizes)

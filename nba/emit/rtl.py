# SPDX-License-Identifier: Apache-2.0
"""The Verilog of a design: a generated top, memory contents, and the library modules copied as they are."""

from __future__ import annotations

from dataclasses import dataclass

from nba.boards import MemoryStyle, Platform
from nba.boards import get as get_platform
from nba.core import assets
from nba.core.version import __version__
from nba.emit.env import environment
from nba.emit.memories import hex_lines, pad_memory, param_memory, weight_memory
from nba.emit.program_rom import fetch_words, program_words, takes_max, turn_words
from nba.emit.registers import register_map, version_word
from nba.ir.accelerator import HOST
from nba.ir.design import Design
from nba.ir.network import Network, Weights
from nba.ir.operators import MIXING
from nba.machine.geometry import address_bits
from nba.machine.kernels import PAIR_BITS, PAIRED, chains, products
from nba.machine.program import ChunkProgram, EdgeLayout, Program, design_programs
from nba.machine.resources import Memory, banks, pad_rom, param_rom, style, weight_rom


@dataclass(frozen=True, kw_only=True, slots=True)
class _EdgeView:
    """One edge as the templates see it; the wiring expressions are Verilog."""

    index: int
    producer: str
    consumer: str
    port: str
    n_rings: int
    depth: int
    lanes: int
    write_lanes: int
    subs: int
    block: int
    sliced: bool
    shared: bool
    tables: dict[str, str]
    c_ring: str
    c_need: str
    c_hold: str
    c_hold_rows: str
    r_ring: str
    r_next: str
    r_last: str
    r_release: str
    r_release_rows: str
    r_addr: str
    ring: int = 0
    col_words: int = 0
    split: int = 0
    class_words: int = 0


ADDRESS_BITS = 40
"""Bits of an address in external memory."""
TABLES = (
    "rows", "row_words", "ring_words", "base", "init_words", "step_words", "last_step_words", "most_rows",
    "map_rows", "write_slices", "write_back_words", "write_last_words",
    "read_slices", "read_rows", "read_back_words", "read_counts", "share",
)  # fmt: skip


def _concat(items: list[str], none: str) -> str:
    """Verilog concatenation with the first item in the low bits."""
    return "{" + ", ".join(reversed(items)) + "}" if items else none


def _who(chunk: int) -> str:
    return "host" if chunk == HOST else f"chunk {chunk}"


def _table(edge: EdgeLayout, field: str) -> str:
    return _concat([f"16'd{getattr(ring, field)}" for ring in edge.rings], "16'd0")


STYLES: dict[MemoryStyle, int] = {"distributed": 0, "block": 1, "ultra": 2}
"""The parameter BLOCK of modules with a memory (templates/rtl/lib)."""


def _edge_view(index: int, edge: EdgeLayout, block: int, wiring: dict[str, str], ring: int) -> _EdgeView:
    layout = edge.rings[ring]
    return _EdgeView(
        index=index,
        producer=_who(edge.producer),
        consumer=_who(edge.consumer),
        port=edge.port,
        n_rings=len(edge.rings),
        depth=edge.depth_words,
        lanes=edge.lanes,
        write_lanes=edge.write_lanes,
        subs=edge.lanes // edge.write_lanes,
        block=block,
        sliced=any(max(ring.write_slices, ring.read_slices) > 1 for ring in edge.rings),
        shared=any(ring.waits_for >= 0 for ring in edge.rings),
        tables={field: _table(edge, field) for field in TABLES},
        ring=ring,
        col_words=layout.col_words,
        split=layout.stride - 1,
        class_words=layout.class_words,
        **wiring,
    )


def _wiring(edge: EdgeLayout, slot: int, program: Program) -> dict[str, str]:
    """Who drives the consumer side of an edge that is number `slot` among its consumer's edges of that port."""
    k, banks = edge.consumer, program.banks
    if k == HOST:
        ring = f"6'd{program.host_out.ring}"
        return {
            "c_ring": ring,
            "c_need": "16'd1",
            "c_hold": "out_start",
            "c_hold_rows": "16'd1",
            "r_ring": ring,
            "r_next": "out_start",
            "r_last": "1'b0",
            "r_release": "out_release",
            "r_release_rows": "16'd1",
            "r_addr": f"{{{banks}{{out_addr}}}}",
        }
    if edge.port == "residual":
        pulse = f"c{k}_res_next[{slot}]"
        return {
            "c_ring": f"c{k}_res_ring",
            "c_need": "16'd1",
            "c_hold": f"c{k}_res_hold[{slot}]",
            "c_hold_rows": "16'd1",
            "r_ring": f"c{k}_res_read_ring",
            "r_next": pulse,
            "r_last": "1'b0",
            "r_release": pulse,
            "r_release_rows": "16'd1",
            "r_addr": f"{{{banks}{{c{k}_res_addr}}}}",
        }
    return {
        "c_ring": f"c{k}_src_ring",
        "c_need": f"c{k}_src_need",
        "c_hold": f"c{k}_src_hold[{slot}]",
        "c_hold_rows": f"c{k}_src_hold_rows",
        "r_ring": f"c{k}_src_ring",
        "r_next": f"c{k}_src_hold[{slot}]",
        "r_last": f"c{k}_src_next_last",
        "r_release": f"c{k}_src_release[{slot}]",
        "r_release_rows": f"c{k}_src_release_rows",
        "r_addr": f"c{k}_src_addr",
    }


def _chunk_view(
    k: int,
    chunk: ChunkProgram,
    banks: int,
    network: Network,
    platform: Platform,
    ends: dict[str, list[int]],
    edges: list[_EdgeView],
    weights: Weights,
) -> dict[str, object]:
    return {
        **_chunk_wires(chunk, banks, network.master_bits, ends),
        **_chunk_memories(k, chunk, network.master_bits, platform),
        "index": k,
        "kind": chunk.kind,
        "per_channel": int(chunk.kind != MIXING),
        "pp": chunk.pp,
        "pm": chunk.pm,
        "pn": chunk.pn,
        "pq": chunk.pq,
        "act_bits": chunk.act_bits,
        "nested_act": int(chunk.nested_act),
        "weight_bits": chunk.weight_bits,
        "weight_store_bits": chunk.weight_store_bits,
        "nested_weight": int(chunk.nested_weight),
        "acc_bits": chunk.acc_bits,
        **_multipliers(chunk, weights),
        "degree": chunk.degree,
        "has_residual": int(chunk.has_residual),
        "has_max": int(any(takes_max(network.layers[job.layer]) for job in chunk.jobs)),
        "n_src": len(ends["main"]),
        "n_res": max(1, len(ends["residual"])),
        "n_dst": len(ends["out"]),
        "n_modes": chunk.n_modes,
        "dst": [edges[e] for e in ends["out"]],
        "max_stage": chunk.last_stage,
        "n_turns": len(chunk.turns),
        "sliced": int(any(job.slices > 1 for job in chunk.jobs)),
        "slot_words": chunk.slot_words,
        "own_columns": chunk.pp * chunk.packing != banks,
        "spread": int(chunk.packing > 1),
        "jobs": [
            {"index": j, "layer": job.layer, "name": network.layers[job.layer].name, "stage": job.stage}
            for j, job in enumerate(chunk.jobs)
        ],
    }


def _chunk_memories(k: int, chunk: ChunkProgram, code_bits: int, platform: Platform) -> dict[str, object]:
    """Sizes, style and files of the memories of chunk `k`."""

    def block(memory: Memory) -> int:
        return STYLES[style(memory, platform)]

    weights, params, pads = weight_rom(chunk), param_rom(chunk), pad_rom(chunk, code_bits)
    entries = [0 if job.pad_base is None else 1 << 16 | job.pad_base for job in chunk.jobs]
    return {
        "weight_words": chunk.weight_depth if chunk.slots else weights.words,
        "weight_block": block(weights),
        "param_words": params.words,
        "param_block": block(params),
        "shift_bits": chunk.shift_bits,
        "shift_least": chunk.shift_least,
        "shift_most": chunk.shift_most,
        "pad_words": 0 if pads is None else pads.words,
        "pad_block": 0 if pads is None else block(pads),
        "pad_table": _concat([f"17'd{entry}" for entry in entries], ""),
        "turn_file": f"turns_{k}.mem",
        "program_file": f"program_{k}.mem",
        "weight_file": f"weights_{k}.mem",
        "param_file": f"params_{k}.mem",
        "pad_file": f"pads_{k}.mem",
    }


def _multipliers(chunk: ChunkProgram, weights: Weights) -> dict[str, int]:
    """How the chunk multiplies: in pairs, and these in chains; products, and those of its requantisers, of adders."""
    kind = products(chunk.mixes, chunk.act_bits, chunk.weight_bits, chunk.acc_bits, chunk.packing)
    return {
        "pack": int(kind == PAIRED),
        "chain": int(chains(kind, chunk.degree, chunk.pn) and fits_chain(chunk, weights)),
        "product_lut": int(chunk.products == "lut"),
        "requant_lut": int(chunk.requant == "lut"),
    }


def fits_chain(chunk: ChunkProgram, weights: Weights) -> bool:
    """Whether two weights of the chunk fit the 25 bits that a DSP48E1 multiplies, in fields of a bit more than those of
    a pair: above activations of 8 bits, a weight of -128 does not. One that is nested from 16 bits may become that."""
    if chunk.act_bits + chunk.weight_bits < 2 * PAIR_BITS:
        return True
    least = -(1 << (PAIR_BITS - 1))
    stored = chunk.weight_store_bits == PAIR_BITS
    return stored and all(int(weights[job.layer].weight.min()) > least for job in chunk.jobs)


def _chunk_wires(chunk: ChunkProgram, banks: int, code_bits: int, ends: dict[str, list[int]]) -> dict[str, str]:
    """The wires of all edges of a chunk, side by side, that its ports take."""

    def join(port: str, suffix: str, none: str) -> str:
        return _concat([f"e{e}_{suffix}" for e in ends[port]], none)

    return {
        "src_avail": join("main", "avail", "1'b0"),
        "src_row_off": join("main", "r_off", "16'd0"),
        "src_data": join("main", "r_data", ""),
        "res_avail": join("residual", "avail", "1'b0"),
        "res_row_addr": join("residual", "r_row", "16'd0"),
        "res_data": join("residual", "r_data", f"{{{chunk.pq * banks}{{{code_bits}'d0}}}}"),
        "dst_free": join("out", "free", "1'b0"),
    }


def _connections(program: Program, platform: Platform) -> tuple[list[dict[str, list[int]]], list[_EdgeView]]:
    """Numbers of the edges at the ports main, residual and out of every chunk; and the view of every edge."""
    ends: list[dict[str, list[int]]] = [{"main": [], "residual": [], "out": []} for _ in program.chunks]
    views: list[_EdgeView] = []
    input_ring = {d.edge: d.ring for d in program.host_in}
    for index, edge in enumerate(program.edges):
        slot = 0
        if edge.consumer != HOST:
            slot = len(ends[edge.consumer][edge.port])
            ends[edge.consumer][edge.port].append(index)
        if edge.producer != HOST:
            ends[edge.producer]["out"].append(index)
        wiring = _wiring(edge, slot, program)
        block = STYLES[style(banks(edge, program.banks), platform, program.block_luts)]
        views.append(_edge_view(index, edge, block, wiring, input_ring.get(index, 0)))
    return ends, views


def _unused(program: Program, ends: list[dict[str, list[int]]]) -> list[str]:
    """Wires that nothing reads."""
    unused = ["cfg_weights" if program.memory is None else f"cfg_weights[63:{ADDRESS_BITS}]"]
    unused += [f"c{k}_ext_free" for k, chunk in enumerate(program.chunks) if not chunk.slot_words]
    for index, edge in enumerate(program.edges):
        by_offset = edge.consumer != HOST and edge.port == "main"
        unused.append(f"e{index}_{'r_row' if by_offset else 'r_off'}")
    for k, at in enumerate(ends):
        if not at["residual"]:
            unused += [f"c{k}_res_{suffix}" for suffix in ("ring", "hold", "read_ring", "next", "addr")]
    return unused


def _streams(program: Program, views: list[_EdgeView]) -> dict[str, dict[str, object]]:
    """The streams from and to the host."""
    return {
        "host_in": {
            "cols": program.in_cols,
            "lanes": program.in_lanes,
            "bits": program.in_cols * program.in_lanes * program.code_bits,
            "rows": program.in_rows,
            "col_groups": program.in_col_groups,
            "chan_words": program.in_chan_words,
            "beats": program.in_col_groups * program.in_chan_words,
            "dst": [views[d.edge] for d in program.host_in],
        },
        "host_out": {
            "lanes": program.out_lanes,
            "cols": program.out_cols,
            "bits": program.out_cols * program.out_lanes * program.code_bits,
            "rows": program.out_rows,
            "col_groups": program.out_col_groups,
            "chan_words": program.out_chan_words,
            "beats": program.out_col_groups * program.out_chan_words,
            "edge": program.host_out.edge,
        },
    }


def _memory(program: Program) -> dict[str, int] | None:
    """The reader of weights in external memory; None where all weights are on chip."""
    memory = program.memory
    if memory is None:
        return None
    n_stores = len({one.store for one in program.fetches})
    return {
        "bus_bits": memory.bus_bits,
        "addr_bits": ADDRESS_BITS,
        "burst": memory.burst,
        "slots": memory.slots,
        "n_stores": n_stores,
        "n_fetches": len(program.fetches),
        "n_open": memory.slots * n_stores,
        "max_stage": max(one.stage for one in program.fetches),
        "block": 0,
    }


# Long by the values that the templates print, and by the files.
def render_rtl(design: Design, weights: Weights, top: str, programs: tuple[Program, ...] = ()) -> dict[str, str]:
    """relative path -> text of rtl/: the top module `top`, ROM contents, and the library.

    The design must have passed nba.machine.check and its schedule. The same arguments give the same text.
    """
    programs = programs or design_programs(design.network, design.accelerator, design.modes)
    program = programs[0]
    platform = get_platform(design.platform, design.board)
    ends, views = _connections(program, platform)
    chunks = [
        _chunk_view(k, chunk, program.banks, design.network, platform, ends[k], views, weights)
        for k, chunk in enumerate(program.chunks)
    ]
    stores = {one.chunk: one.store for one in program.fetches}
    context = {
        "version": __version__,
        "version_word": f"{version_word():08x}",
        "offset": {register.name: f"0x{register.offset:02X}" for register in register_map().registers},
        "design_id": design.id,
        "top": top,
        "name": design.name,
        "pp": program.pp,
        "banks": program.banks,
        "wide": int(program.wide),
        "address_bits": address_bits(max(edge.depth_words for edge in program.edges)),
        "code_bits": program.code_bits,
        "n_modes": len(design.networks),
        "chunks": [{**chunk, "store": stores.get(k, 0)} for k, chunk in enumerate(chunks)],
        "memory": _memory(program),
        "edges": views,
        "unused": _unused(program, ends),
        **_streams(program, views),
    }
    modes = tuple(design.mode(m, weights) for m in range(len(design.networks)))
    files = {f"rtl/{top}.v": environment().get_template("rtl/nba_top.v.j2").render(context)}
    for k, chunk in enumerate(program.chunks):
        words, width = program_words(
            design.networks, programs, k, tuple(ends[k]["main"]), tuple(ends[k]["residual"]), tuple(ends[k]["out"])
        )
        files[f"rtl/program_{k}.mem"] = hex_lines(words, width)
        files[f"rtl/turns_{k}.mem"] = hex_lines(*turn_words(chunk))
        if chunk.weight_depth:
            files[f"rtl/weights_{k}.mem"] = weight_memory(chunk, design.network.layers, weights)
        files[f"rtl/params_{k}.mem"] = param_memory(chunk, modes)
        if chunk.pad_depth:
            files[f"rtl/pads_{k}.mem"] = pad_memory(chunk, design.network)
    if program.fetches:
        files["rtl/fetches.mem"] = hex_lines(*fetch_words(program))
    library = sorted((assets.root("templates") / "rtl" / "lib").glob("*.v"))
    return files | {f"rtl/{path.name}": path.read_text(encoding="utf-8") for path in library}

# SPDX-License-Identifier: Apache-2.0
"""The designs that the estimate of LUTs and flip-flops is calibrated on, and what yosys makes of their parts."""

from __future__ import annotations

import json
import re
import shutil
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT)]

from nba.boards import get  # noqa: E402
from nba.emit.rtl import render_rtl  # noqa: E402
from nba.explore.budgets import Budgets  # noqa: E402
from nba.explore.choose import Effort, find_accelerator  # noqa: E402
from nba.ir.accelerator import Accelerator  # noqa: E402
from nba.ir.design import Cost, Design  # noqa: E402
from nba.ir.network import Network, Weights, weights_digest  # noqa: E402
from nba.machine.program import Program, lower  # noqa: E402
from nba.synth.run import FF_CELLS, LUT_CELLS, synthesise_rtl  # noqa: E402
from nba.zoo.weights import random_weights  # noqa: E402
from tests.strategies import NetworkLimits, above_least, random_accelerator, random_network  # noqa: E402
from tests.unit.hw_networks import DIGITS, blocks_network  # noqa: E402

COMMENTS_AND_PROOFS = re.compile(r"[ \t]*//[^\n]*|^`ifdef FORMAL\n.*?^`endif\n", re.M | re.S)

PLATFORM = "zc706"
MACS = (16, 240)
"""Multipliers of a design, least and most: large designs take yosys very long."""
MIN_CHUNKS = 2
NESTED = (7, 9)
"""Seeds of designs whose weights are all stored with 8 bits, whatever their layers use."""

Parts = dict[str, tuple[int, int]]
"""Part of a design (`chunk0/array`, `edge3/ram`, `writer3`, `host_in`, ...) -> its (LUTs, flip-flops)."""


def as_synthesised(verilog: str) -> str:
    """Verilog without its comments and FORMAL blocks, on which no netlist depends."""
    return COMMENTS_AND_PROOFS.sub("", verilog)


def draw(seed: int) -> tuple[Network, Weights, Accelerator, Program]:
    """The design of `seed`: even ones of random layers, odd ones of blocks with 2 to 6 bits; every third one packs
    columns of narrow layers; those of NESTED nest their weights."""
    rng = np.random.default_rng([7, seed])
    packs = seed % 3 == 2
    most = 4 if packs else 8
    while True:
        if seed % 2:
            skeleton = blocks_network(
                ((int(rng.integers(4, 13)), int(rng.integers(1, 4)), 3, int(rng.integers(1, 3))),),
                size=int(rng.integers(6, 14)), stem=int(rng.integers(4, 13)), head=int(rng.integers(8, 24)),
                bits=int(rng.integers(2, 7)),
            )  # fmt: skip
            drawn = rng.integers(2, most + 1, 16), rng.integers(2, min(most, 6) + 1, 16)
            bits = tuple((int(b), int(w)) for b, w in zip(*drawn, strict=True))
            layers = tuple(
                replace(
                    layer,
                    act_bits=bits[i][0],
                    weight_bits=bits[i][1],
                    weight_store_bits=8 if seed in NESTED else bits[i][1],
                )
                for i, layer in enumerate(skeleton.layers)
            )
            network, weights = random_weights(rng, replace(skeleton, layers=layers))
        else:
            limits = NetworkLimits(max_channels=16, max_layers=7, max_map=12, narrow=packs)
            network, weights = random_network(rng, limits)
        accelerator = random_accelerator(rng, network, calm=True, packs=packs)
        macs = sum(c.pm * c.pn * accelerator.pp for c in accelerator.chunks)
        if MACS[0] <= macs <= MACS[1] and len(accelerator.chunks) >= MIN_CHUNKS:
            return network, weights, accelerator, lower(network, accelerator)


def mapped() -> tuple[Network, Weights, Accelerator, Program]:
    """A design as the mapper makes them, larger than the drawn ones: 19 layers, 128 DSP blocks."""
    network, weights = random_weights(np.random.default_rng(0), DIGITS)
    effort = Effort(scout_steps=100, climb_steps=800, finalists=4, reorder_steps=100)
    accelerator, _ = find_accelerator(network, get("pynq-z2"), Budgets(dsp=128, bram=40), seed=1, effort=effort)
    return network, weights, accelerator, lower(network, accelerator)


def rtl_of(subject: tuple[Network, Weights, Accelerator, Program]) -> dict[str, str]:
    """The Verilog and memory files of a design, without weights of -128: the estimate assumes chains of two lanes."""
    network, weights, accelerator, program = subject
    weights = above_least(weights)
    design = Design(
        name="t", network=network, accelerator=accelerator, platform=PLATFORM, clock_mhz=100.0,
        cost=Cost(
            first_output_latency_cycles=1, interval_cycles=1, dsp=0, bram=0.0, lut=1, ff=1, energy_pj=1.0, power_w=1.0
        ),
        weights_sha256=weights_digest(weights), seed=0, versions=(),
    )  # fmt: skip
    return render_rtl(design, weights, "nba_t", (program,))


def synthesise_parts(files: dict[str, str], top: str) -> Parts:
    """Complete synthesis, and the cells of every part of the design."""
    folder = Path(tempfile.mkdtemp(prefix="nba-logic-"))
    try:
        for name, text in files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        total = synthesise_rtl(folder / "rtl", top, folder / "work", mode="full", timeout_s=1800)
        stat = json.loads((folder / "work" / "synth" / "yosys.json").read_text())["modules"]
        cells = {name.lstrip("\\"): module["num_cells_by_type"] for name, module in stat.items()}
        parts = _parts((folder / "work" / "synth" / "yosys_netlist.v").read_text(), cells, top)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    assert sum(lut for lut, _ in parts.values()) == total.lut, "some module's LUTs belong to no part"
    assert sum(ff for _, ff in parts.values()) == total.ff, "some module's flip-flops belong to no part"
    return parts


def _parts(netlist: str, cells: dict[str, dict[str, int]], top: str) -> Parts:
    inside: dict[str, list[tuple[str, str]]] = {}
    for block in re.split(r"^(?=module )", netlist, flags=re.MULTILINE)[1:]:
        name = re.match(r"module \\?(\S+?)\s*\(", block)
        assert name, block[:80]
        found = re.findall(r"^  \\?(\S+)\s+\\?(\S+)\s*\($", block, flags=re.MULTILINE)
        inside[name[1]] = [(kind, instance) for kind, instance in found if kind in cells]
    parts: Parts = {}
    for path, module in _instances(top, "", inside):
        lut = sum(LUT_CELLS.get(cell, 0) * n for cell, n in cells[module].items())
        ff = sum(n for cell, n in cells[module].items() if cell in FF_CELLS)
        part = part_of(path)
        before = parts.get(part, (0, 0))
        parts[part] = (before[0] + lut, before[1] + ff)
    return parts


def _instances(module: str, path: str, inside: dict[str, list[tuple[str, str]]]) -> Iterator[tuple[str, str]]:
    yield path, module
    for kind, instance in inside[module]:
        yield from _instances(kind, f"{path}/{instance}", inside)


CHUNK_PARTS = {
    "u_array": "array", "u_align": "align", "u_spread": "align", "u_wnest": "nest", "u_requant": "requant",
    "u_drain": "drain",
    "u_weights": "weights", "u_params": "params", "u_program": "program", "u_start": "counters", "u_end": "counters",
}  # fmt: skip
"""Instances below a chunk, at any depth; all else is control."""


def part_of(path: str) -> str:
    """The part that the instance at `path` (below the top, names joined by /) belongs to."""
    names = [name.rpartition(".")[2] for name in path.split("/")[1:]]  # without the generate block
    if not names:
        return "top"
    chunk = re.fullmatch(r"u_chunk_(\d+)", names[0])
    if chunk:
        return f"chunk{chunk[1]}/{next((CHUNK_PARTS[n] for n in reversed(names) if n in CHUNK_PARTS), 'control')}"
    edge = re.fullmatch(r"u_edge_(\d+)", names[0])
    if edge:
        return f"edge{edge[1]}/{'ram' if len(names) > 1 and names[1].endswith('u_ram') else 'rings'}"
    writer = re.fullmatch(r"u_(?:in_)?writer_(\d+)", names[0])
    if writer:
        return f"edge{writer[1]}/writer"
    return {"u_in": "host_in", "u_in_skid": "host_in", "u_out": "host_out"}.get(names[0], "top")

# SPDX-License-Identifier: Apache-2.0
"""Predicted DSP and block RAM against yosys: memories and multipliers by themselves, then whole designs."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from template_pairs import SHARE_SEED, STREAM_SEED, subject

from nba.boards import FAMILIES, get, table
from nba.core import assets
from nba.core.errors import ToolError
from nba.emit.rtl import render_rtl
from nba.explore.ultra import candidates
from nba.ir.design import Cost, Design
from nba.ir.network import weights_digest
from nba.machine import kernels
from nba.machine.program import lower
from nba.synth import Synthesised, compare, synthesise_bundle, synthesise_rtl
from nba.synth.yosys import read_library, run_yosys
from tests.strategies import NetworkLimits, Pair, random_pair
from tests.unit.test_resources import RECORDED, RECORDED_ULTRA

pytestmark = pytest.mark.eda

LIB = assets.root("templates") / "rtl" / "lib"


@dataclass(frozen=True, kw_only=True, slots=True)
class Shape:
    """A memory; sub_width 0: a ROM, whose contents are `words` integers and their guard."""

    width: int
    words: int
    sub_width: int
    contents: tuple[int, ...] = ()


def _rom(rng: np.random.Generator, width: int, words: int, guard: bool = True) -> Shape:
    """Random contents; half of the ROMs, and the upper half of the columns of the others, are constant."""
    mask = (1 << max(1, width // 2)) - 1 if rng.integers(2) else 0
    fill = int.from_bytes(rng.bytes(width // 8 + 1), "little") & ~mask
    values = [fill | int.from_bytes(rng.bytes(width // 8 + 1), "little") & mask for _ in range(words - guard)]
    full = (1 << width) - 1
    contents = [value & full for value in values]
    return Shape(
        width=width, words=words, sub_width=0, contents=(*contents, contents[0] ^ full) if guard else tuple(contents)
    )  # fmt: skip


def _words(rng: np.random.Generator) -> int:
    low, high = [(2, 200), (65, 1200), (200, 4000)][int(rng.integers(3))]
    exact = 1 << int(rng.integers(5, 13))
    return int(rng.integers(low, high)) if rng.integers(2) else exact + int(rng.integers(-1, 2))


def _shapes(seed: int, count: int) -> list[Shape]:
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(count):
        words = _words(rng)
        if rng.integers(2):
            sub = 8 * int(rng.choice([1, 1, 2, 3, 4, 8, 16]))
            width = sub * int(rng.choice([1, 2, 3, 4, 6, 8]))
            found.append(Shape(width=width, words=words, sub_width=sub))
        else:
            width = int(rng.choice([rng.integers(1, 80), rng.integers(2, 300), 36, 72, 144]))
            found.append(_rom(rng, width, max(2, min(words, 50_000 // width))))
    return found


def _memories(
    shapes: list[Shape], folder: Path, family: str = "7-series", *, ultra: bool = False
) -> dict[int, int]:  # fmt: skip
    """18 Kib blocks, or UltraRAM blocks, of every shape, each in a renamed copy of the library module, all in one run
    of yosys."""
    rtl = folder / "rtl"
    rtl.mkdir()
    ports, body = ["input wire clk"], []
    for i, s in enumerate(shapes):
        name = f"{'nba_ram' if s.sub_width else 'nba_rom'}"
        text = (LIB / f"{name}.v").read_text()
        (rtl / f"{name}_{i}.v").write_text(text.replace(f"module {name} ", f"module {name}_{i} "))
        ports += [f"input wire [15:0] a{i}", f"output wire [{s.width - 1}:0] q{i}"]
        if s.sub_width:
            ports += [f"input wire [15:0] b{i}", f"input wire [{s.width - 1}:0] d{i}"]
            ports += [f"input wire [{s.width // s.sub_width - 1}:0] e{i}"]
            body.append(
                f"nba_ram_{i} #(.WIDTH({s.width}), .DEPTH({s.words}), .AW(16), .SUB_W({s.sub_width}), "
                f".BLOCK({1 + ultra})) u{i} (.clk(clk), .w_en(e{i}), .w_addr(b{i}), .w_data(d{i}), .r_addr(a{i}), "
                f".r_data(q{i}));"
            )
        else:
            (rtl / f"rom_{i}.hex").write_text("".join(f"{value:x}\n" for value in s.contents))
            body.append(
                f'nba_rom_{i} #(.WIDTH({s.width}), .DEPTH({s.words}), .AW(16), .FILE("rom_{i}.hex"), .BLOCK(1)) u{i} '
                f"(.clk(clk), .addr(a{i}), .data(q{i}));"
            )
    (rtl / "top.v").write_text(f"module top({', '.join(ports)});\n" + "\n".join(body) + "\nendmodule\n")
    found = synthesise_rtl(rtl, "top", folder / "work", family=family)
    blocks = dict.fromkeys(range(len(shapes)), 0)
    for module in found.modules:
        match = re.search(r"nba_r[ao]m_(\d+)$", module.module)
        assert match, module
        blocks[int(match[1])] = module.uram if ultra else module.bram18
    assert (found.bram18, found.uram) == ((0, sum(blocks.values())) if ultra else (sum(blocks.values()), 0))
    return blocks


@pytest.mark.sampled(every=2)
@pytest.mark.parametrize(("family", "seed"), [("7-series", 1), ("7-series", 2), ("ultrascale+", 2), ("ultrascale+", 3)])
def test_memories_take_the_predicted_blocks(family: str, seed: int, tmp_path: Path) -> None:
    rng = np.random.default_rng(seed)
    shapes = _shapes(seed, 30)
    shapes += [Shape(width=w, words=n, sub_width=s) if s else _rom(rng, w, n) for w, n, s, _ in RECORDED if seed == 2]
    blocks = _memories(shapes, tmp_path, family)
    wrong = [
        (s.width, s.words, s.sub_width, blocks[i], want)
        for i, s in enumerate(shapes)
        if blocks[i] != (want := kernels.bram18(s.width, s.words, s.sub_width))
    ]
    assert not wrong, f"(width, words, sub_width, synthesised, predicted): {wrong}"


@pytest.mark.sampled(every=2)
@pytest.mark.parametrize("seed", [4, 5])
def test_memories_take_the_predicted_ultra_ram(seed: int, tmp_path: Path) -> None:
    """Words of any width and depth, segments of a deep memory side by side, sub-words of any width."""
    rng = np.random.default_rng(seed)
    shapes = [Shape(width=w, words=n, sub_width=s) for w, n, s, _ in RECORDED_ULTRA if w % s == 0]
    for _ in range(25):
        sub = 8 * int(rng.choice([1, 2, 3, 4, 8, 16])) if rng.integers(3) else int(rng.integers(1, 40))
        words = int(rng.choice([rng.integers(2, 600), rng.integers(600, 20_000), 4096 * rng.integers(1, 4) + 1]))
        shapes.append(Shape(width=sub * int(rng.choice([1, 2, 3, 4, 8])), words=words, sub_width=sub))
    made = _memories(shapes, tmp_path, "ultrascale+", ultra=True)
    wrong = [
        (s.width, s.words, s.sub_width, made[i], want)
        for i, s in enumerate(shapes)
        if made[i] != (want := kernels.uram(s.width, s.words, s.sub_width))
    ]
    assert not wrong, f"(width, words, sub_width, synthesised, predicted): {wrong}"


@pytest.mark.parametrize(
    ("family", "seed", "block"), [("7-series", 1, 1), ("ultrascale+", 2, 1), ("ultrascale+", 3, 2)]
)
def test_stores_take_the_predicted_blocks(family: str, seed: int, block: int, tmp_path: Path) -> None:
    """Columns of a beat each, of which the last one may be narrower; some words come from a file, in UltraRAM none."""
    rng = np.random.default_rng(seed)
    rtl = tmp_path / "rtl"
    rtl.mkdir()
    for name in ("nba_ring.v", "nba_slices.v"):
        (rtl / name).write_text((LIB / name).read_text())
    ports, body, want = ["input wire clk, rst, v, l, t, h, r, n, s, input wire [15:0] a"], [], {}
    for i in range(12):
        bus, width = int(rng.choice([32, 64, 128, 256])), int(rng.choice([64, 72, 96, 128, 144, 200, 256, 320]))
        slots, words = int(rng.integers(2, 5)), int(rng.integers(10, 900))
        depth = int(rng.integers(1, 500)) if rng.integers(2) and block == 1 else 0
        rows = [int.from_bytes(rng.bytes(width // 8), "little") for _ in range(depth)]
        (rtl / f"store_{i}.hex").write_text("".join(f"{row:x}\n" for row in rows))
        text = (LIB / "nba_store.v").read_text().replace("module nba_store ", f"module nba_store_{i} ")
        (rtl / f"nba_store_{i}.v").write_text(text)
        ports.append(f"input wire [{bus - 1}:0] d{i}, output wire [{width - 1}:0] q{i}, output wire f{i}, g{i}")
        body.append(
            f"nba_store_{i} #(.WIDTH({width}), .BUS({bus}), .DEPTH({depth}), .SLOT_WORDS({words}), .SLOTS({slots}), "
            f'.BLOCK({block}), .FILE("store_{i}.hex")) u{i} (.clk(clk), .rst(rst), .take_pulse(t), .stat_free(f{i}), '
            f".s_valid(v), .s_data(d{i}), .s_last(l), .stat_avail(g{i}), .hold_pulse(h), .release_pulse(r), "
            f".next_pulse(n), .s_slot(s), .s_addr(a), .m_word(q{i}));"
        )
        memory = width, depth + slots * words, min(bus, width)
        want[i] = (kernels.bram18(*memory), 0) if block == 1 else (0, kernels.uram(*memory))
    (rtl / "top.v").write_text(f"module top({', '.join(ports)});\n" + "\n".join(body) + "\nendmodule\n")
    found = synthesise_rtl(rtl, "top", tmp_path / "work", family=family)
    stores = [(re.search(r"nba_store_(\d+)$", m.module), m) for m in found.modules]
    made = {int(match[1]): (m.bram18, m.uram) for match, m in stores if match}
    assert made == want


def test_without_the_guard_the_contents_change_the_count(tmp_path: Path) -> None:
    """Why ROMs have a guard word: yosys drops constant columns."""
    bare = Shape(width=72, words=512, sub_width=0, contents=tuple(range(512)))
    blocks = _memories([bare], tmp_path)
    assert blocks[0] < kernels.bram18(72, 512, 0)


BOTH = pytest.mark.parametrize("family", FAMILIES)


@BOTH
def test_products_take_the_predicted_dsps(family: str, tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    cases = [(int(a), int(b)) for a, b in rng.integers(2, 45, (40, 2))]
    cases += [(a, b) for a in (2, 3, 25, 26, 27, 28, 42, 43, 44, 45) for b in (2, 6, 17, 18, 19)]
    rtl = tmp_path / "rtl"
    rtl.mkdir()
    text = []
    ports, body = [], []
    for i, (a, b) in enumerate(cases):
        text.append(
            f"module mul_{i}(input wire signed [{a - 1}:0] a, input wire signed [{b - 1}:0] b, "
            f"output wire signed [{a + b - 1}:0] y);\nassign y = a * b;\nendmodule\n"
        )
        ports += [f"input wire [{a - 1}:0] a{i}", f"input wire [{b - 1}:0] b{i}", f"output wire [{a + b - 1}:0] y{i}"]
        body.append(f"mul_{i} u{i} (.a(a{i}), .b(b{i}), .y(y{i}));")
    (rtl / "top.v").write_text("".join(text) + f"module top({', '.join(ports)});\n" + "\n".join(body) + "\nendmodule\n")
    found = {m.module: m.dsp for m in synthesise_rtl(rtl, "top", tmp_path / "work", family=family).modules}
    wide = FAMILIES[family].wide_bits
    wrong = [
        (a, b, found.get(f"mul_{i}", 0), want)
        for i, (a, b) in enumerate(cases)
        if found.get(f"mul_{i}", 0) != (want := kernels.product_dsp(a, b, a + b, wide))
    ]
    assert not wrong, f"(a_bits, b_bits, synthesised, predicted): {wrong}"


ENGINES = ((1, 3, 1, 8, 8, 20, 1), (2, 2, 2, 8, 8, 24, 1), (5, 2, 1, 8, 2, 16, 1), (3, 1, 2, 2, 7, 11, 1),
           (4, 2, 1, 8, 8, 8, 1), (2, 3, 1, 4, 4, 12, 1), (3, 2, 1, 7, 8, 9, 1), (2, 2, 1, 8, 16, 26, 1),
           (4, 2, 2, 8, 8, 24, 2), (3, 2, 1, 8, 8, 22, 4), (5, 1, 2, 2, 2, 6, 4), (2, 3, 1, 4, 4, 10, 2))  # fmt: skip
"""pm, pn, pp, bits of activations, weights and accumulators, packing of chunks that mix channels."""


@BOTH
def test_arrays_take_the_predicted_dsps(family: str, tmp_path: Path) -> None:
    """In pairs, with odd and even pm; too narrow for a DSP; too wide for pairs; of packed columns, of any width."""
    rtl = tmp_path / "rtl"
    rtl.mkdir()
    kinds = {kernels.products(True, *engine[3:]) for engine in ENGINES}
    assert kinds == {kernels.IN_LUTS, kernels.PAIRED, kernels.SINGLE}
    text = {name: (LIB / f"{name}.v").read_text() for name in ("nba_array", "nba_dot", "nba_pair", "nba_sum")}
    for name in ("nba_pair", "nba_sum"):
        (rtl / f"{name}.v").write_text(text[name])
    ports, body = ["input wire clk"], []
    for i, (pm, pn, pp, act, weight, acc, packing) in enumerate(ENGINES):
        array = text["nba_array"].replace("module nba_array ", f"module nba_array_{i} ")
        (rtl / f"nba_array_{i}.v").write_text(array.replace("  nba_dot #(", f"  nba_dot_{i} #("))
        (rtl / f"nba_dot_{i}.v").write_text(text["nba_dot"].replace("module nba_dot ", f"module nba_dot_{i} "))
        operand = {1: act + 1, 2: 13, 4: 15}[packing]
        ports += [f"input wire [{pp * pn * operand - 1}:0] a{i}", f"input wire [{pm * pn * weight - 1}:0] w{i}"]
        pack = int(kernels.products(True, act, weight, acc, packing) == kernels.PAIRED)
        accs = pp * (pm + pm % 2 * pack) * packing
        ports += [f"input wire v{i}", f"input wire [1:0] d{i}", f"output wire [{accs * acc - 1}:0] y{i}"]
        body.append(
            f"nba_array_{i} #(.PM({pm}), .PN({pn}), .PP({pp}), .A_BITS({act}), .W_BITS({weight}), .ACC_BITS({acc}), "
            f".PACK({pack}), .DEGREE({packing})) u{i} (.clk(clk), .rst(1'b0), .s_a(a{i}), .s_w(w{i}), .s_valid(v{i}), "
            f".s_first(v{i}), .s_max(1'b0), .s_degree(d{i}), .m_acc(y{i}));"
        )
    (rtl / "top.v").write_text(f"module top({', '.join(ports)});\n" + "\n".join(body) + "\nendmodule\n")
    found = synthesise_rtl(rtl, "top", tmp_path / "work", family=family)
    want = [kernels.chunk_dsp(True, pm, pn, pp, 0, *bits, False, packing) for pm, pn, pp, *bits, packing in ENGINES]
    assert found.dsp == sum(want)
    single = {int(m.module.rsplit("nba_dot_", 1)[1]): m.dsp for m in found.modules if "nba_dot_" in m.module}
    assert single == {
        i: want[i] // (engine[0] * engine[2])
        for i, engine in enumerate(ENGINES)
        if kernels.products(True, *engine[3:]) == kernels.SINGLE
    }


SUM_BITS = (16, 24, 25, 41, 42, 43, 44, 46)
"""Of accumulators: what one block takes, two, and three; 42 and 43 differ between the families."""


@BOTH
def test_requantisers_take_the_predicted_dsps(family: str, tmp_path: Path) -> None:
    """Codes of 16 bits with residuals."""
    rtl = tmp_path / "rtl"
    rtl.mkdir()
    (rtl / "nba_mul.v").write_text((LIB / "nba_mul.v").read_text())
    text, outputs, body = (LIB / "nba_requant.v").read_text(), [], []
    for bits in SUM_BITS:
        (rtl / f"nba_requant_{bits}.v").write_text(text.replace("module nba_requant ", f"module nba_requant_{bits} "))
        outputs.append(f"input wire [{bits - 1}:0] a{bits}, b{bits}, output wire [15:0] y{bits}")
        body.append(
            f"nba_requant_{bits} #(.PQ(1), .PP(1), .C_BITS(16), .ACC_BITS({bits}), .HAS_RES(1)) u{bits} (.clk(clk), "
            f".s_acc(a{bits}), .s_bias(b{bits}), .s_mult(m), .s_shift(1'b0), .s_res(m), .c_res_mult(n), "
            ".c_res_signed(m[0]), .c_round({m, n, m}), .c_least(6'd0), .c_shift(n[5:0]), .c_zero(z), .c_min(z), "
            f".c_max({{1'b0, n}}), .m_code(y{bits}));"
        )
    ports = ["input wire clk, input wire [15:0] m, n, input wire [16:0] z", *outputs]
    (rtl / "top.v").write_text(f"module top({', '.join(ports)});\n" + "\n".join(body) + "\nendmodule\n")
    found = synthesise_rtl(rtl, "top", tmp_path / "work", family=family)
    made = {int(match[1]): m.dsp for m in found.modules if (match := re.search(r"nba_requant_(\d+)$", m.module))}
    wide = FAMILIES[family].wide_bits
    assert made == {bits: kernels.requant_dsp(bits, True, wide) for bits in SUM_BITS}


PER_CHANNEL = 0
"""Codes of 8 bits, shifts and pad codes per channel."""


@pytest.mark.parametrize(
    ("command", "blocks"),
    [
        ("synth_xilinx -family xc7", "DSP48E1"),
        ("synth_xilinx -family xcup", "DSP48E2"),
        ("synth_ecp5", "MULT18X18D"),
    ],
)
def test_multipliers_made_of_adders_take_no_block(command: str, blocks: str, tmp_path: Path) -> None:
    """On any device; the same product by itself does take one."""
    rtl = tmp_path / "rtl"
    rtl.mkdir()
    (rtl / "nba_mul.v").write_text((LIB / "nba_mul.v").read_text())
    (rtl / "top.v").write_text(
        "module top(input wire clk, input wire signed [24:0] a, input wire signed [8:0] b, output wire [40:0] p,\n"
        "  output wire [16:0] q, output reg signed [33:0] r);\n"
        "nba_mul #(.A_W(25), .B_W(16), .B_SIGNED(0), .P_W(41)) u_p (.clk(clk), .s_a(a), .s_b(a[15:0]), .m_p(p));\n"
        "nba_mul u_q (.clk(clk), .s_a(b), .s_b(a[7:0]), .m_p(q));\n"
        "always @(posedge clk) r <= a * b;\nendmodule\n"
    )
    run_yosys(f"{read_library()}{command} -top top\ntee -o cells.json stat -json\n", tmp_path, "count")
    found = json.loads((tmp_path / "cells.json").read_text())["modules"]
    counts = {name: module["num_cells_by_type"].get(blocks, 0) for name, module in found.items()}
    assert sum(n for name, n in counts.items() if "nba_mul" in name) == 0
    assert sum(counts.values()) >= 1


NARROW = 4
"""Most layers see at most so many bits, and the accelerator packs columns."""
COLUMNS = 7
"""Stands for codes of 8 bits on any number of columns, with strides up to 4."""


ADDERS = 1
"""About half of the multipliers that may be made of adders are."""


def _emit(pair: Pair, platform: str, folder: Path) -> Path:
    design = Design(
        name="t",
        network=pair.network,
        accelerator=pair.accelerator,
        platform=platform,
        clock_mhz=100.0,
        cost=Cost(
            first_output_latency_cycles=1, interval_cycles=1, dsp=0, bram=0.0, lut=1, ff=1, energy_pj=1.0, power_w=1.0
        ),
        weights_sha256=weights_digest(pair.weights),
        seed=0,
        versions=(),
    )
    for name, text in render_rtl(design, pair.weights, "nba_t", (pair.program,)).items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder / "rtl"


@pytest.mark.sampled(every=8)
@pytest.mark.parametrize(
    ("platform", "seed", "bits"),
    [
        ("kv260", 4, 8),
        ("all-block-kv260", 3, NARROW),
        ("all-block-kv260", 11, 8),
        ("all-block-kv260", 20, 16),
        ("zcu102", 7, ADDERS),
        ("zc706", 7, ADDERS),
        ("all-block", 5, ADDERS),
        ("zc706", 19, ADDERS),
        ("zc706", 4, ADDERS),
        ("all-block", 3, NARROW),
        ("all-block", 5, NARROW),
        ("all-block", 7, COLUMNS),
        ("all-block", 6, COLUMNS),
        ("zc706", 4, 8),
        ("all-block", 2, 8),
        ("all-block", 11, 8),
        ("all-block", 12, 8),
        ("all-block", 20, 16),
        ("all-block", 28, 16),
        ("all-block", 40, 16),
        ("all-block", 7, PER_CHANNEL),
        ("all-block", 9, PER_CHANNEL),
    ],
)
def test_whole_designs_take_what_is_predicted(
    platform: str, seed: int, bits: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """all-block: a platform that puts the small memories of random designs into block RAM too."""
    for name, board in (("all-block", "zc706"), ("all-block-kv260", "kv260")):
        block = replace(get(board), name=name, min_block_words=2, min_block_bits=1)
        monkeypatch.setitem(table.LOADED, name, block)
    limits = NetworkLimits(
        narrow=bits == NARROW, per_channel=bits == PER_CHANNEL, adders=0.5 * (bits == ADDERS),
        any_columns=bits == COLUMNS, bits=16 if bits == 16 else 8,
    )  # fmt: skip
    pair = random_pair(np.random.default_rng(seed), limits)
    assert (bits == ADDERS) == any("lut" in (chunk.requant, chunk.products) for chunk in pair.program.chunks)
    assert bits != 16 or max(chunk.acc_bits for chunk in pair.program.chunks) > 30
    assert bits != PER_CHANNEL or any(c.shift_bits for c in pair.program.chunks)
    assert bits != PER_CHANNEL or any(c.pad_depth for c in pair.program.chunks)
    assert bits != NARROW or max(job.degree for chunk in pair.program.chunks for job in chunk.jobs) > 1
    rtl = _emit(pair, platform, tmp_path)
    found = synthesise_rtl(rtl, "nba_t", tmp_path / "work", family=get(platform).family.name)
    assert found.dsp > 0
    assert found.bram18 > 0
    assert compare(pair.program, get(platform), found).differences == ()
    cells = json.loads((tmp_path / "work" / "synth" / "yosys_count.json").read_text())["design"]["num_cells_by_type"]
    assert {family.dsp for family in FAMILIES.values()} & set(cells) == {get(platform).family.dsp}


@pytest.mark.parametrize("seed", [STREAM_SEED + 20, STREAM_SEED + 26, SHARE_SEED + 7, SHARE_SEED + 9])
def test_designs_that_stream_or_share_memory_take_what_is_predicted(
    seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stores in block RAM, of words side by side, beside weights on chip; the second design has two stores, and chunks
    with columns of their own. In the others, rings share memory."""
    block = replace(get("zc706"), name="all-block", min_block_words=2, min_block_bits=1)
    monkeypatch.setitem(table.LOADED, "all-block", block)
    case = subject(seed)
    shared = any(ring.waits_for >= 0 for edge in case.program.edges for ring in edge.rings)
    assert shared if seed >= SHARE_SEED else any(chunk.slots for chunk in case.program.chunks)
    pair = Pair(
        network=case.design.network, weights=case.weights, accelerator=case.design.accelerator, program=case.program,
        attempts=1,
    )  # fmt: skip
    rtl = _emit(pair, "all-block", tmp_path)
    found = synthesise_rtl(rtl, "nba_t", tmp_path / "work", family=block.family.name)
    assert found.dsp > 0
    assert found.bram18 > 0
    assert compare(pair.program, block, found).differences == ()


@pytest.mark.parametrize("seed", [STREAM_SEED + 1, SHARE_SEED + 7])
def test_designs_with_ultra_ram_take_what_is_predicted(
    seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:  # fmt: skip
    """Every second memory that may be is in UltraRAM, a store of weights in the first design among them."""
    block = replace(get("kv260"), name="all-block", min_block_words=2, min_block_bits=1)
    monkeypatch.setitem(table.LOADED, "all-block", block)
    case = subject(seed)
    memories = [name for name, _, _ in candidates(case.program, block)][::-2]
    assert (seed < SHARE_SEED) == any(memory.port == "weights" for memory in memories)
    accelerator = replace(case.design.accelerator, ultra=tuple(memories))
    program = lower(case.design.network, accelerator)
    pair = Pair(
        network=case.design.network, weights=case.weights, accelerator=accelerator, program=program, attempts=1
    )  # fmt: skip
    found = synthesise_rtl(_emit(pair, "all-block", tmp_path), "nba_t", tmp_path / "work", family=block.family.name)
    assert found.uram > 0
    assert found.bram18 > 0
    assert compare(program, block, found).differences == ()


def test_full_synthesis_counts_luts_and_flip_flops(tmp_path: Path) -> None:
    rtl = tmp_path / "rtl"
    rtl.mkdir()
    (rtl / "top.v").write_text(
        "module top(input wire clk, input wire [3:0] a, input wire signed [15:0] b, output reg q,\n"
        "  output reg signed [31:0] p);\n"
        "always @(posedge clk) begin q <= ^a; p <= b * b; end\nendmodule\n"
    )
    full = synthesise_rtl(rtl, "top", tmp_path / "work", mode="full")
    assert (full.dsp, full.bram18, full.lut, full.ff) == (1, 0, 1, 1)
    count = synthesise_rtl(rtl, "top", tmp_path / "work", mode="count")
    assert (count.dsp, count.bram18, count.lut, count.ff) == (1, 0, None, None)
    assert isinstance(full, Synthesised)
    assert full.tool.startswith("Yosys")


def test_errors_are_named(tmp_path: Path) -> None:
    with pytest.raises(ToolError, match="not a bundle"):
        synthesise_bundle(tmp_path, tmp_path / "work")
    rtl = tmp_path / "rtl"
    rtl.mkdir()
    (rtl / "top.v").write_text("module top(input wire a, output wire b);\nmissing u (.a(a), .b(b));\nendmodule\n")
    with pytest.raises(ToolError, match="missing"):
        synthesise_rtl(rtl, "top", tmp_path / "work")
    with pytest.raises(ToolError, match="no result after"):
        synthesise_rtl(rtl, "top", tmp_path / "work", timeout_s=0.01)

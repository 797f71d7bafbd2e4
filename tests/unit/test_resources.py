# SPDX-License-Identifier: Apache-2.0
"""Platforms and resource prediction, without any tool. The counts are proved in tests/eda/test_resources.py."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from itertools import product
from pathlib import Path

import numba
import numpy as np
import pytest

from nba.boards import FAMILIES, get, names
from nba.core.errors import SpecError, ToolError
from nba.emit.env import environment
from nba.ir.network import MULT_BITS
from nba.machine import kernels
from nba.machine.resources import banks, param_rom, predict, rom_words, weight_rom
from nba.synth import Synthesised, compare
from nba.synth.run import read_stat
from tests.strategies import random_pair

RECORDED = (
    # width, words, sub_width, 18 Kib blocks as yosys 0.70 builds them
    (32, 1024, 32, 2),
    (64, 512, 8, 2),
    (36, 512, 0, 1),
    (72, 512, 0, 2),
    (36, 513, 0, 2),
    (8, 4096, 8, 2),
    (1, 65536, 0, 4),
    (128, 4097, 32, 36),
    # decided by the read multiplexer, the write enables, a tie of RAMB36E1 and RAMB18E1, the width of the cascade
    (40, 3088, 8, 10),
    (16, 18515, 16, 20),
    (16, 14689, 16, 15),
    (4, 32081, 0, 7),
)


def test_unknown_platform_lists_legal_names() -> None:
    with pytest.raises(SpecError, match="did you mean 'zc706'") as caught:
        get("zc760")
    assert all(name in str(caught.value) for name in names())


def test_platforms_are_sane() -> None:
    for name in names():
        platform = get(name)
        assert platform.name == name
        assert platform.source
        assert platform.ff == 2 * platform.lut, "two flip-flops per LUT in both families"
        assert platform.part.startswith(platform.family.parts)
        assert platform.clock_mhz > 0
    assert (get("zc706").dsp, get("zc706").bram18, get("zc706").lut) == (900, 2 * 545, 218_600)


def test_memory_style_is_the_stated_rule() -> None:
    platform = get("zc706")
    rng = np.random.default_rng(1)
    for width, words in rng.integers(1, 300, (200, 2)).tolist():
        block = words > 64 and width * words > 2048
        assert (platform.memory_style(width, words) == "block") == block
        assert kernels.is_block(width, words, platform.min_block_words, platform.min_block_bits) == block


@pytest.mark.parametrize(("width", "words", "sub_width", "expected"), RECORDED)
def test_recorded_block_counts(width: int, words: int, sub_width: int, expected: int) -> None:
    assert kernels.bram18(width, words, sub_width) == expected


def test_block_count_holds_the_bits() -> None:
    """Never less than the bits need; one more word never saves more than the mapper's trade against multiplexers."""
    rng = np.random.default_rng(2)
    for _ in range(500):
        sub = 8 * int(rng.integers(1, 9)) * int(rng.integers(0, 2))
        width = (sub or 1) * int(rng.integers(1, 20))
        words = int(rng.integers(1, 9000))
        assert kernels.bram18(width, words, sub) * 18 * 1024 >= width * words


RECORDED_ULTRA = (
    # width, words, bits per write enable, UltraRAM blocks as yosys 0.70 builds them
    (72, 4096, 72, 1),
    (72, 4096, 8, 1),
    (72, 4097, 72, 2),
    (80, 1000, 8, 2),
    (30, 5000, 10, 2),
    # segments of a deep memory side by side, in bytes of 8 bits or of 9
    (16, 12288, 8, 1),
    (8, 40000, 8, 2),
    (17, 4097, 17, 1),
    (24, 65535, 24, 6),
)


@pytest.mark.parametrize(("width", "words", "sub_width", "expected"), RECORDED_ULTRA)
def test_recorded_counts_of_ultra_ram(width: int, words: int, sub_width: int, expected: int) -> None:
    assert kernels.uram(width, words, sub_width) == expected
    assert numba.njit(kernels.uram)(width, words, sub_width) == expected


def test_kernels_compile_to_the_same_numbers() -> None:
    bram18, product, chunk = (numba.njit(f) for f in (kernels.bram18, kernels.product_dsp, kernels.chunk_dsp))
    rng = np.random.default_rng(3)
    for _ in range(300):
        sub = 8 * int(rng.integers(0, 5))
        width, words = (sub or 1) * int(rng.integers(1, 40)), int(rng.integers(1, 20000))
        assert bram18(width, words, sub) == kernels.bram18(width, words, sub)
        a, b = int(rng.integers(1, 60)), int(rng.integers(1, 60))
        assert product(a, b, a + b) == kernels.product_dsp(a, b, a + b) == kernels.product_dsp(b, a, a + b)
        assert product(a, b, a + b, 27) == kernels.product_dsp(a, b, a + b, 27) <= product(a, b, a + b)
        engine = (bool(rng.integers(2)), *(int(v) for v in rng.integers(1, 11, 6)), int(rng.integers(4, 31)), True)
        engine = (*engine, int(rng.choice([1, 2, 4])))
        assert chunk(*engine) == kernels.chunk_dsp(*engine)
        assert chunk(*engine, 27) == kernels.chunk_dsp(*engine, 27) <= chunk(*engine)


def test_chunk_dsp_is_the_sum_of_its_products() -> None:
    """Where a chunk mixes channels, two output channels of codes of up to 8 bits share a block; five need three."""
    widths = (2, 3, 4, 5, 6, 7, 8, 16)
    for mixes, act, weight, wide in product((False, True), widths, widths, (25, 27)):
        for acc in range(3, 47):
            mac = kernels.product_dsp(act + 1, weight, min(act + weight, acc), wide)
            # nba_requant cuts what 25 bits do not hold, on every family.
            high = kernels.product_dsp(acc - 16, 17, acc + 1, wide)
            scale = kernels.product_dsp(acc + 1, 17, acc + 17) if acc <= 24 else 1 + high
            residual = kernels.product_dsp(9, 17, 26)
            assert residual == kernels.product_dsp(17, 17, 34)
            rows = 3 if mixes and act < 16 and weight < 16 else 5
            want = rows * 7 * 2 * mac + 4 * 2 * (scale + residual)
            assert kernels.chunk_dsp(mixes, 5, 7, 2, 4, act, weight, acc, True, 1, wide) == want


def test_a_pair_fits_a_block() -> None:
    """Two weights of PAIR_BITS side by side, times an activation: one block; a bit more is no pair."""
    bits = kernels.PAIR_BITS
    assert kernels.product_dsp(3 * bits + 1, bits + 1, 4 * bits) == 1
    assert kernels.products(True, bits, bits, 24, 1) == kernels.PAIRED
    for act, weight in ((bits + 1, bits), (bits, bits + 1)):
        assert kernels.products(True, act, weight, 24, 1) == kernels.SINGLE
        assert kernels.product_dsp(act + 2 * weight + 1, act + 1, 2 * (act + weight)) > 1 or weight == bits


def test_prediction_is_the_sum_over_its_parts() -> None:
    platform = replace(get("zc706"), min_block_words=2, min_block_bits=1)
    for seed in range(10):
        program = random_pair(np.random.default_rng(seed)).program
        found = predict(program, platform)
        assert found.dsp == sum(c.mac_dsp + c.requant_dsp for c in found.chunks) > 0
        want = 0
        for chunk in program.chunks:
            weights, params = weight_rom(chunk), param_rom(chunk)
            assert weights.words == rom_words(chunk.weight_depth)
            assert params.words == chunk.param_depth + 1
            want += kernels.bram18(chunk.pm * chunk.pn * chunk.weight_store_bits, weights.words, 0)
            want += kernels.bram18(chunk.pq * (chunk.acc_bits + MULT_BITS), params.words, 0)
        for edge in program.edges:
            bank = banks(edge, program.pp)
            assert bank.copies == program.pp
            if edge.depth_words > 1:
                want += program.pp * kernels.bram18(edge.lanes * 8, edge.depth_words, edge.write_lanes * 8)
        assert found.bram18 == want
        assert found.bram == want / 2
        roomy = predict(program, replace(platform, min_block_words=1 << 30))
        assert (roomy.bram18, roomy.dsp) == (0, found.dsp)


def test_compare_names_what_differs() -> None:
    program = random_pair(np.random.default_rng(4)).program
    platform = get("zc706")
    want = predict(program, platform)
    made = Synthesised(dsp=want.dsp, bram18=want.bram18, lut=None, ff=None, mode="count", tool="", modules=())
    assert compare(program, platform, made).equal
    assert [d.resource for d in compare(program, platform, replace(made, uram=1)).differences] == ["uram"]
    found = compare(program, platform, replace(made, dsp=want.dsp + 1))
    assert not found.equal
    assert [(d.resource, d.synthesised - d.predicted) for d in found.differences] == [("dsp", 1)]


def test_statistics_are_parsed(tmp_path: Path) -> None:
    cells = {"DSP48E1": 3, "RAMB18E1": 1, "RAMB36E1": 2, "LUT6": 5, "RAM64M": 2, "FDRE": 7, "CARRY4": 4}
    stat = {
        "creator": "Yosys 0.70 (git sha1 0)",
        "modules": {"\\a": {"num_cells_by_type": cells}, "\\b": {"num_cells_by_type": {"LUT2": 1}}},
        "design": {"num_cells_by_type": cells},
    }
    path = tmp_path / "stat.json"
    path.write_text(json.dumps(stat))
    full = read_stat(path, "full")
    assert (full.dsp, full.bram18, full.bram, full.lut, full.ff) == (3, 5, 2.5, 13, 7)
    assert [m.module for m in full.modules] == ["a"]
    assert full.tool == "Yosys 0.70"
    assert read_stat(path, "count").lut is None
    stat["design"] = {"num_cells_by_type": {"URAM288": 4}}
    stat["modules"] = {"\\a": {"num_cells_by_type": {"URAM288": 4}}}
    path.write_text(json.dumps(stat))
    found = read_stat(path, "count")
    assert (found.uram, found.bram18, [m.uram for m in found.modules]) == (4, 0, [4])
    path.write_text("{}")
    with pytest.raises(ToolError, match="not the cell statistics"):
        read_stat(path, "count")


def test_scripts_need_only_their_documented_context() -> None:
    context: dict[str, object] = {
        "version": "1.2.3",
        "family": FAMILIES["7-series"],
        "design_id": "f" * 64,
        "top": "nba_t",
        "part": "xc7z020clg400-1",
        "clock_mhz": 125.0,
        "rtl_files": ["nba_ram.v", "nba_t.v"],
        "memory_files": ["weights_0.mem"],
    }
    text = {name: environment().get_template(f"synth/{name}.j2").render(context) for name in
            ("yosys.ys", "yosys_count.ys", "vivado.tcl")}  # fmt: skip
    for script in text.values():
        assert "nba_t.v" in script
        assert "design ffffffffffff." in script
        assert "{{" not in script
    assert "weights_0.mem" in text["vivado.tcl"]
    assert "-period 8.000 " in text["vivado.tcl"]
    for name in ("yosys.ys", "yosys_count.ys"):
        lines = text[name].splitlines()
        assert "read_verilog -defer ../rtl/nba_ram.v" in lines
        assert sum(line.startswith("synth_xilinx -family xc7 -top nba_t") for line in lines) == 1
        other = environment().get_template(f"synth/{name}.j2").render({**context, "family": FAMILIES["ultrascale+"]})
        assert sum(line.startswith("synth_xilinx -family xcup -top nba_t") for line in other.splitlines()) == 1
        assert not re.search(r"xc7|7-series|E1\b", other)

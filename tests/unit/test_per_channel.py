# SPDX-License-Identifier: Apache-2.0
"""Shifts per output channel and pad codes per input channel: files, memories, resources, fixed-point numbers."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from nba.boards import get
from nba.core.errors import DesignError
from nba.emit.memories import pad_memory, param_memory
from nba.emit.rtl import render_rtl
from nba.flow.artifacts import load_network, read_network, save_network
from nba.ir.check import check_network
from nba.ir.network import Network, document, widened
from nba.learn.quant.fixed import LEAST_MULT, channel_fixed_point, fixed_point
from nba.machine.blocks import block_counts
from nba.machine.designs import SHIFT_BITS, designs_of, layer_table
from nba.machine.logic import logic
from nba.machine.program import lower
from nba.machine.resources import pad_rom, param_rom, predict
from tests.modes import modes_case
from tests.strategies import NetworkLimits, Pair, random_network, random_pair
from tests.unit.test_energy import with_canonical_lanes

PER_CHANNEL = NetworkLimits(per_channel=True)


def pair_of(seed: int, limits: NetworkLimits = PER_CHANNEL) -> Pair:
    return random_pair(np.random.default_rng([41, seed]), limits)


def without(network: Network) -> Network:
    """`network` with one shift for every layer, and one pad code."""
    return replace(network, layers=tuple(replace(x, shifts=None, pad_codes=None) for x in network.layers))


@pytest.mark.parametrize("seed", range(6))
def test_files_hold_them_only_where_they_are(seed: int, tmp_path: Path) -> None:
    network, weights = random_network(np.random.default_rng([42, seed]), PER_CHANNEL)
    save_network(network, weights, tmp_path)
    assert load_network(tmp_path)[0] == network
    plain = document(without(network))
    for layer, whole in zip(plain["layers"], document(network)["layers"], strict=True):
        assert not {"shifts", "pad_codes"} & set(layer)
        assert "residual" in layer
        assert set(whole) - set(layer) <= {"shifts", "pad_codes"}
    (tmp_path / "network.json").write_text(json.dumps(plain))
    assert read_network(tmp_path / "network.json") == without(network)
    plain["layers"][0]["shifts"] = [1.5]
    (tmp_path / "network.json").write_text(json.dumps(plain))
    with pytest.raises(DesignError, match=r"shifts\[0\]: expected int, found 1.5"):
        read_network(tmp_path / "network.json")


def test_wider_codes_keep_the_real_values_of_pad_codes() -> None:
    found = 0
    for seed in range(20):
        network, _ = random_network(np.random.default_rng([43, seed]), PER_CHANNEL)
        layers = tuple(replace(x, act_bits=16) if x.pad_codes else x for x in network.layers)
        if layers == network.layers:
            continue
        wide = widened(replace(network, layers=layers))
        assert check_network(wide) == ()
        for one, other in zip(network.layers, wide.layers, strict=True):
            assert other.pad_codes == (None if one.pad_codes is None else tuple(256 * code for code in one.pad_codes))
            found += one.pad_codes is not None
    assert found > 10


@pytest.mark.parametrize("bits", [8, 16])
def test_memories_hold_shifts_and_pad_codes(bits: int) -> None:
    """Taken apart lane by lane, without the tables of the layout."""
    seen = 0
    for seed in range(12):
        pair = pair_of(seed, replace(PER_CHANNEL, bits=bits))
        layers, modes = pair.network.layers, ((pair.network, pair.weights),)
        for chunk in pair.program.chunks:
            words = [int(line, 16) for line in param_memory(chunk, modes).split()]
            width, low = chunk.shift_bits, chunk.pq * (chunk.acc_bits + 16)
            assert len(words) == param_rom(chunk).words
            assert max(words) < 1 << param_rom(chunk).width_bits
            for job in chunk.jobs:
                layer = layers[job.layer]
                for m, shift in enumerate(layer.shifts or (layer.shift,) * pair.network.result(job.layer).channels):
                    word = words[job.param_base + m // chunk.pq]
                    assert layer.shift + (word >> (low + m % chunk.pq * width) & ((1 << width) - 1)) == shift
                if layer.pad_codes is None:
                    assert (job.pad_base, job.pad_words) == (None, 0)
                    continue
                assert job.pad_base is not None
                pads = [int(line, 16) for line in pad_memory(chunk, pair.network).split()]
                memory = pad_rom(chunk, bits)
                assert memory is not None
                assert len(pads) == memory.words
                for n, code in enumerate(layer.pad_codes):
                    word = pads[job.pad_base + n // chunk.lanes]
                    assert word >> (n % chunk.lanes * bits) & ((1 << bits) - 1) == code % (1 << bits)
                    seen += 1
    assert seen > 50


@pytest.mark.parametrize("seed", range(30))
def test_arrays_count_the_memories_of_the_program(seed: int) -> None:
    pair = pair_of(seed, replace(PER_CHANNEL, bits=8 << seed % 2))
    platform = replace(get("zc706"), min_block_words=2, min_block_bits=1)
    accelerator = with_canonical_lanes(pair.accelerator)
    exact = predict(lower(pair.network, accelerator), platform)
    layers = layer_table(pair.network, accelerator.packing)
    found = block_counts(layers, designs_of(pair.network, [accelerator]), platform)
    assert found.tolist() == [[exact.dsp, exact.bram18]]


def test_a_machine_without_them_is_todays() -> None:
    """Neither widths, nor parameters of the Verilog, nor the estimate of logic change for networks without them; with
    them, only memories and logic grow."""
    platform = get("zc706")
    for seed in range(8):
        pair = pair_of(seed)
        plain = lower(without(pair.network), pair.accelerator)
        for chunk, bare in zip(pair.program.chunks, plain.chunks, strict=True):
            assert (bare.shift_bits, bare.pad_depth) == (0, 0)
            assert pad_rom(bare, 8) is None
            assert param_rom(chunk).width_bits - param_rom(bare).width_bits == chunk.pq * chunk.shift_bits
            jobs = tuple(replace(job, pad_base=None, pad_words=0) for job in chunk.jobs)
            assert replace(chunk, shift_bits=0, shift_most=bare.shift_most, pad_depth=0, jobs=jobs) == bare
        grown = any(chunk.shift_bits or chunk.pad_depth for chunk in pair.program.chunks)
        assert (logic(pair.program, platform) > logic(plain, platform)) == grown


def test_the_top_names_them_only_where_they_are() -> None:
    design, weights, _ = modes_case(1, 1)
    text = render_rtl(design, weights, "nba_t")["rtl/nba_t.v"]
    assert "SHIFT_BITS" not in text
    assert "PAD_" not in text
    design, weights, _ = modes_case(5, 2, PER_CHANNEL)
    files = render_rtl(design, weights, "nba_t")
    program = lower(design.network, design.accelerator, design.modes)
    assert files["rtl/nba_t.v"].count(".SHIFT_BITS") == sum(c.shift_bits > 0 for c in program.chunks) > 0
    assert files["rtl/nba_t.v"].count(".PAD_DEPTH") == sum(c.pad_depth > 0 for c in program.chunks) > 0
    assert {p for p in files if "pads_" in p} == {
        f"rtl/pads_{k}.mem" for k, c in enumerate(program.chunks) if c.pad_depth
    }


def test_modes_may_differ_in_their_shifts() -> None:
    """The field is as wide as the mode needs whose shifts differ most."""
    differing = 0
    for seed in range(6):
        design, _, _ = modes_case(seed, 3, PER_CHANNEL)
        program = lower(design.network, design.accelerator, design.modes)
        for chunk in program.chunks:
            bits = [max(n.layers[job.layer].shift_bits for job in chunk.jobs) for n in design.networks]
            assert chunk.shift_bits == max(bits)
            differing += len(set(bits)) > 1
        table = layer_table(design.network, design.accelerator.packing, design.modes)
        assert table[:, SHIFT_BITS].max() == max(chunk.shift_bits for chunk in program.chunks)
    assert differing > 3


def test_channels_that_would_lose_precision_get_a_shift() -> None:
    ratios = np.array([0.5, 0.26, 0.1, 1e-6, 7e8**-1, 0.0, 1e-12])
    mult, shifts = channel_fixed_point(ratios)
    common, shift = fixed_point(ratios)
    kept = common >= LEAST_MULT
    assert (mult[kept] == common[kept]).all()
    assert {s for s, k in zip(shifts, kept.tolist(), strict=True) if k} == {shift}
    assert kept.tolist() == [True, True, False, False, False, False, False]
    for ratio, m, s in zip(ratios.tolist(), mult.tolist(), shifts, strict=True):
        assert abs(m / 2**s - ratio) <= 2.0 ** -(s + 1)
        assert m >= 1 << 15 or s == 47 or m == common[0] or ratio in (0.26, 0.0)
    assert min(shifts) == shift
    assert max(shifts) == 47
    assert channel_fixed_point(np.array([0.5, 0.4]))[1] == (16, 16)

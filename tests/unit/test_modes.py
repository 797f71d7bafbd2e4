# SPDX-License-Identifier: Apache-2.0
"""Designs of several modes: what is legal, what is stored and how often, ids, and switchable networks as designs."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from functools import lru_cache
from math import ceil
from pathlib import Path

import numpy as np
import pytest

from nba.boards import get
from nba.core.errors import DeadlockError, DesignError
from nba.emit.bundle import expected_name, render_bundle
from nba.emit.memories import job_params, weight_memory
from nba.emit.vectors import stream_bytes
from nba.explore.modes import mode_bitwidths, modes_design, widest
from nba.ir.accelerator import Accelerator
from nba.ir.check import check_modes
from nba.ir.design import Design
from nba.ir.mode_rules import MAX_MODES
from nba.ir.network import Layer, LayerWeights, Network, Tensor, Weights, weights_digest
from nba.ir.reference import run
from nba.ir.shared import SharedNetworks
from nba.machine import accelerator_rules
from nba.machine.check import check_design
from nba.machine.design_file import load_design, save_design, weights_bytes
from nba.machine.layout import PROGRAM
from nba.machine.parts import C_JOBS, C_PROGRAM_WORDS, parts
from nba.machine.program import Program, design_programs, job_slots, lower, program_depth
from nba.machine.resources import param_rom, predict, weight_rom
from nba.machine.schedule import schedule
from nba.machine.steady import steady_interval
from nba.machine.total import exact_cost
from tests.modes import modes_case, shared_case
from tests.strategies import NetworkLimits, random_accelerator
from tests.tiny import tiny_design
from tests.unit.hw_networks import TINY

SEEDS = (1, 2, 3, 4, 5)
"""3 and more: chunks of several jobs."""


def case(seed: int, n_modes: int = 3) -> tuple[Design, Weights, np.ndarray]:
    return _case(seed, n_modes)


@lru_cache(maxsize=16)
def _case(seed: int, n_modes: int) -> tuple[Design, Weights, np.ndarray]:
    return modes_case(seed, n_modes)


def lowered(design: Design) -> Program:
    return lower(design.network, design.accelerator, design.modes)


# ---- legality


def _split(design: Design, weights: Weights) -> tuple[Weights, ...]:
    return tuple(design.mode(m, weights)[1] for m in range(len(design.networks)))


def _with_layer(network: Network, index: int, **values: object) -> Network:
    layers = list(network.layers)
    layers[index] = replace(layers[index], **values)  # type: ignore[arg-type]
    return replace(network, layers=tuple(layers))


def _with_tensor(network: Network, index: int, **values: object) -> Network:
    tensors = list(network.tensors)
    tensors[index] = replace(tensors[index], **values)  # type: ignore[arg-type]
    return replace(network, tensors=tuple(tensors))


def test_random_designs_are_legal() -> None:
    for seed in SEEDS:
        design, weights, _ = case(seed)
        check_design(design, weights, "here")
        assert check_modes(design.networks, _split(design, weights)) == ()


@pytest.mark.parametrize("field", [f for f in Layer.__dataclass_fields__ if f not in ("op", "groups", "rotate")])
def test_layers_may_differ_in_bits_and_requantisation_alone(field: str) -> None:
    design, weights, _ = case(3)
    first = design.network.layers[0]
    other = {
        "name": "other", "input": 0, "residual": 0, "kernel_h": first.kernel_h + 1, "kernel_w": first.kernel_w + 1,
        "stride_h": 3 - first.stride_h, "stride_w": 3 - first.stride_w, "pad_top": first.pad_top + 1,
        "pad_left": first.pad_left + 1, "weight_store_bits": 8 if first.weight_store_bits < 8 else 7,
        "act_bits": 8, "weight_bits": 2, "shift": 1 + first.shift % 40, "res_mult": 0, "q_min": first.q_min,
        "q_max": first.q_max, "shifts": (design.modes[0].layers[0].shift,) * design.network.result(0).channels,
        "pad_codes": (0,) * design.network.source(first).channels,
    }  # fmt: skip
    second = _with_layer(_with_layer(design.modes[0], 0, weight_bits=2), 0, **{field: other[field]})
    networks = (design.network, second, design.modes[1])
    problems = check_modes(networks, _split(design, weights))
    free = ("act_bits", "weight_bits", "shift", "shifts", "res_mult", "q_min", "q_max")
    if field in free or other[field] == getattr(first, field):
        assert problems == ()
    else:
        assert problems
        assert all(line.startswith("mode 1 ") for line in problems)


@pytest.mark.parametrize("field", [f for f in Tensor.__dataclass_fields__ if f not in ("bits", "channels")])
def test_tensors_may_differ_in_their_scale_alone(field: str) -> None:
    design, weights, _ = case(3)
    first = design.network.tensors[0]
    value = {
        "name": "other", "height": first.height + 1, "width": first.width + 1, "signed": not first.signed,
        "zero_point": 1, "scale": 0.5,
    }[field]  # fmt: skip
    networks = (design.network, _with_tensor(design.modes[0], 0, **{field: value}), design.modes[1])
    problems = check_modes(networks, _split(design, weights))
    assert (problems == ()) == (field == "scale")


def test_messages_name_mode_place_value_and_what_is_legal() -> None:
    design, weights, _ = case(3)
    own = _split(design, weights)
    networks = (design.network, _with_layer(design.modes[0], 1, name="renamed"), design.modes[1])
    (line,) = check_modes(networks, own)
    assert line.startswith("mode 1 layer 1")
    assert "name is 'renamed'; legal: " in line
    assert "act_bits, weight_bits, shift" in line
    other = LayerWeights(weight=own[2][0].weight ^ 1, bias=own[2][0].bias, mult=own[2][0].mult)
    (line,) = check_modes(design.networks, (*own[:2], (other, *own[2][1:])))
    assert line.startswith("mode 2 layer 0")
    assert "stores other weights than mode 0" in line
    (line,) = check_modes((design.network, _with_layer(design.modes[0], 0, shift=0), design.modes[1]), own)
    assert line.startswith("mode 1 layer 0")
    assert "shift is 0" in line


def test_counts_of_modes_and_layers() -> None:
    design, weights, _ = case(3)
    own = _split(design, weights)
    many = (design.network,) * (MAX_MODES + 1)
    assert check_modes(many[1:], (own[0],) * MAX_MODES) == ()
    (line,) = check_modes(many, (own[0],) * (MAX_MODES + 1))
    assert f"is {MAX_MODES + 1}; legal: 1..{MAX_MODES}" in line
    fewer = replace(design.network, layers=design.network.layers[:-1], tensors=design.network.tensors[:-1])
    (line,) = check_modes((design.network, fewer), own[:2])
    assert line.startswith("mode 1: network of")
    with pytest.raises(DesignError, match="mode 2 weights: of"):
        check_design(design, weights[:-1], "here")


def test_parameters_of_all_modes_must_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    design, weights, _ = case(3)
    n_layers = len(design.network.layers)
    many = replace(design, modes=(design.network,) * (MAX_MODES - 1))
    everything = weights[:n_layers] * MAX_MODES
    program = lowered(many)
    words = max(chunk.param_depth for chunk in program.chunks)
    others = [*(chunk.weight_depth for chunk in program.chunks), *(edge.depth_words for edge in program.edges)]
    assert words > max(others)
    monkeypatch.setattr(accelerator_rules, "MAX_WORDS", words)
    check_design(many, everything, "here")
    monkeypatch.setattr(accelerator_rules, "MAX_WORDS", words - 1)
    with pytest.raises(DesignError, match=rf"parameter words is {words}; legal: 1\.\.{words - 1}"):
        check_design(many, everything, "here")
    check_design(replace(design, modes=()), weights[:n_layers], "here")


# ---- what the machine consists of


@pytest.mark.parametrize("seed", SEEDS)
def test_weights_once_parameters_and_programs_per_mode(seed: int) -> None:
    design, _, _ = case(seed)
    program = lowered(design)
    single = [lower(network, design.accelerator) for network in design.networks]
    for k, chunk in enumerate(program.chunks):
        own = [one.chunks[k] for one in single]
        assert chunk.weight_depth == own[0].weight_depth
        assert chunk.param_depth == 3 * own[0].param_depth == 3 * chunk.mode_params
        assert chunk.jobs == own[0].jobs == own[1].jobs == own[2].jobs
        for field in ("act_bits", "weight_bits", "weight_store_bits", "acc_bits"):
            assert getattr(chunk, field) == max(getattr(one, field) for one in own), field
        for field in ("nested_act", "nested_weight", "has_residual"):
            assert getattr(chunk, field) == any(getattr(one, field) for one in own), field
        assert weight_rom(chunk).words == chunk.weight_depth + 1
        assert param_rom(chunk).words == 3 * own[0].param_depth + 1
        row = parts(program).chunks[k]
        assert row[C_JOBS] == len(chunk.jobs)
        assert row[C_PROGRAM_WORDS] == program_depth(len(chunk.jobs), 3)
    assert program.edges == single[0].edges == single[1].edges == single[2].edges
    assert predict(program, get(design.platform)).dsp >= max(predict(p, get(design.platform)).dsp for p in single)


@pytest.mark.parametrize(
    ("n_jobs", "n_modes", "slots"), [(1, 1, 1), (5, 1, 5), (1, 2, 2), (2, 2, 2), (3, 2, 4), (4, 7, 4), (128, 16, 128)]
)
def test_words_of_a_program(n_jobs: int, n_modes: int, slots: int) -> None:
    assert job_slots(n_jobs, n_modes) == slots
    assert program_depth(n_jobs, n_modes) == n_modes * slots


def _fields(word: int, fields: tuple[tuple[str, int], ...]) -> dict[str, int]:
    values = {}
    for name, width in fields:
        values[name] = word & ((1 << width) - 1)
        word >>= width
    return values


@pytest.mark.parametrize("seed", SEEDS)
def test_memories_hold_every_mode(seed: int) -> None:
    """Programs are those of the modes by themselves, but for the place of the parameters."""
    design, weights, images = case(seed)
    files = render_bundle(design, weights, images)
    program = lowered(design)
    sizes = {"C_BITS": program.code_bits, "WIDE": int(program.wide)}
    fields = tuple((field.name, field.total(sizes)) for section in PROGRAM for field in section.fields)
    low = sum(width for _, width in fields)
    differing: set[str] = set()
    for k, chunk in enumerate(program.chunks):
        words = [int(line, 16) for line in files[f"rtl/program_{k}.mem"].split()]
        params = [int(line, 16) for line in files[f"rtl/params_{k}.mem"].split()]
        slots = job_slots(len(chunk.jobs), 3)
        assert len(words) == 3 * slots
        assert len(params) == chunk.param_depth + 1
        for m, network in enumerate(design.networks):
            for j, job in enumerate(chunk.jobs):
                word, layer = words[m * slots + j], network.layers[job.layer]
                found, first = _fields(word, fields), _fields(words[j], fields)
                assert found["p_base"] == job.param_base + m * chunk.mode_params
                assert found["a_shift"] == program.code_bits - layer.act_bits
                if layer.operator.stores_weights:
                    assert found["w_shift"] == layer.weight_store_bits - layer.weight_bits
                    assert found["w_bits"] == layer.weight_bits
                assert found["shift"] == layer.shift
                assert word >> low == words[j] >> low
                differing |= {name for name in found if found[name] != first[name]}
                bias, mult = job_params(chunk, job, design.mode(m, weights)[1][job.layer])
                for i, (b, s) in enumerate(zip(bias, mult, strict=True)):
                    stored = params[found["p_base"] + i]
                    for lane in range(chunk.pq):
                        mask = (1 << chunk.acc_bits) - 1
                        assert stored >> (lane * chunk.acc_bits) & mask == int(b[lane]) & mask
                        assert stored >> (chunk.pq * chunk.acc_bits + 16 * lane) & 0xFFFF == int(s[lane])
            assert not any(words[m * slots + len(chunk.jobs) : (m + 1) * slots])
        single = lower(design.network, design.accelerator).chunks[k]
        assert single.weight_store_bits == chunk.weight_store_bits
        alone = weight_memory(single, design.network.layers, design.mode(0, weights)[1])
        assert files[f"rtl/weights_{k}.mem"].decode() == alone
    allowed = {"a_shift", "w_shift", "w_bits", "p_base", "round", "shift", "res_mult", "min", "max"}
    assert {"p_base"} < differing <= allowed


def test_the_bundle_holds_outputs_of_every_mode() -> None:
    design, weights, images = case(3)
    files = render_bundle(design, weights, images)
    program = lowered(design)
    info = json.loads(files["bundle.json"])
    for m, network in enumerate(design.networks):
        y = run(network, design.mode(m, weights)[1], images)
        frames = stream_bytes(y, program.out_cols, program.out_lanes, program.code_bits)
        assert files[f"vectors/{expected_name(m, 'hex')}"].decode().split() == [frame.hex() for frame in frames]
        assert files[f"hls/{expected_name(m, 'bin')}"]
        assert info["modes"][m]["act_bits"] == [layer.act_bits for layer in network.layers]
        assert info["modes"][m]["weight_bits"] == [layer.weight_bits for layer in network.layers]
    readme = files["README.md"].decode()
    assert "| 0x28 | MODE | read, write | Mode of the next batch, below N_MODES;" in readme
    assert "| 0x2C | N_MODES | read | Modes of the design." in readme


def test_the_readme_says_how_fast_every_mode_is() -> None:
    """Of a design that packs columns in some modes: by the schedule of each mode, and in the head that of the
    slowest."""
    design, weights, images = modes_case(53, 3, NetworkLimits(narrow=True))
    text = render_bundle(design, weights, images)["README.md"].decode()
    programs = design_programs(design.network, design.accelerator, design.modes)
    intervals = [ceil(steady_interval(program)) for program in programs]
    latencies = [schedule(program, 60).first_output_latency_cycles for program in programs]
    assert len(set(intervals)) > 1, "no mode is faster than another"
    rows = [line.split("|")[1:4] for line in text.splitlines() if re.match(r"\| \d( \(slowest\))? \|", line)]
    worst = intervals.index(max(intervals))
    names = [f"{mode} (slowest)" if mode == worst else str(mode) for mode in range(3)]
    assert [[cell.strip() for cell in row] for row in rows] == [
        [name, str(latency), str(interval)] for name, latency, interval in zip(names, latencies, intervals, strict=True)
    ]
    assert "same in every mode" not in text
    assert f"| interval between frames, steady state | {max(intervals)} cycles |" in text
    assert "the cycles in this table are those of the slowest one" in text


def test_one_mode_says_nothing_of_modes() -> None:
    """A design of one mode has the id, the files and the registers that it had before there were modes."""
    design, weights = tiny_design()
    assert "modes" not in design.document()
    assert '"modes"' not in design.canonical_json()
    files = render_bundle(design, weights)
    assert not [path for path in files if "expected_" in path]
    assert "modes" not in json.loads(files["bundle.json"])
    assert b"0x28" not in files["README.md"]
    assert b"MODE_OFFSET" not in files["sw/nba_design.h"]
    assert b"<ipxact:name>mode</ipxact:name>" not in files["sw/nba_regs.xml"]
    assert b"unsigned mode" not in files["hls/top.h"]


# ---- ids and files


def test_the_id_covers_every_mode() -> None:
    design, _, _ = case(3)
    ids = {design.id, replace(design, modes=design.modes[:1]).id, replace(design, modes=design.modes[::-1]).id}
    changed = _with_layer(design.modes[1], 0, shift=design.modes[1].layers[0].shift % 40 + 1)
    ids.add(replace(design, modes=(design.modes[0], changed)).id)
    assert len(ids) == 4


def test_a_design_comes_back_from_its_files(tmp_path: Path) -> None:
    design, weights, _ = case(3)
    save_design(design, weights, tmp_path)
    found, arrays = load_design(tmp_path / "design.json")
    assert found == design
    assert found.id == design.id
    assert weights_digest(arrays) == weights_digest(weights)
    n_layers = len(design.network.layers)
    with np.load(tmp_path / "weights.npz") as archive:
        assert sorted(name for name in archive if name.startswith("w")) == sorted(f"w{i}" for i in range(n_layers))
        assert len([name for name in archive if name.startswith("b")]) == 3 * n_layers
    assert (tmp_path / "weights.npz").read_bytes() == weights_bytes(weights, n_layers)


def test_files_that_lack_a_mode_are_refused(tmp_path: Path) -> None:
    design, weights, _ = case(3)
    save_design(design, weights, tmp_path)
    n_layers = len(design.network.layers)
    (tmp_path / "weights.npz").write_bytes(weights_bytes(weights[: 2 * n_layers], n_layers))
    with pytest.raises(DesignError, match="damaged or incomplete"):
        load_design(tmp_path / "design.json")


# ---- switchable networks


@lru_cache(maxsize=1)
def switchable() -> SharedNetworks:
    return shared_case(0, TINY, (2, 4, 8))


def _mapped(network: Network) -> Accelerator:
    rng = np.random.default_rng(7)
    while True:
        accelerator = random_accelerator(rng, network, calm=True)
        try:
            exact_cost((lower(network, accelerator),), get("pynq-z2"))
        except DeadlockError:
            continue
        return accelerator


def test_a_switchable_network_becomes_a_design() -> None:
    found, platform = switchable(), get("pynq-z2")
    assert mode_bitwidths(found) == (2, 4, 8)
    network, _ = widest(found)
    accelerator = _mapped(network)
    mapped = exact_cost((lower(network, accelerator),), platform)
    design, weights = modes_design(found, accelerator, platform, name="three", seed=1)
    assert design.networks == found.networks
    for m in range(3):
        assert weights_digest(design.mode(m, weights)[1]) == weights_digest(found.weights[m])
    cost = design.cost
    assert (cost.interval_cycles, cost.first_output_latency_cycles) == (
        mapped.interval_cycles, mapped.first_output_latency_cycles,
    )  # fmt: skip
    assert cost.dsp == mapped.dsp
    assert cost.bram >= mapped.bram
    assert render_bundle(design, weights)["design.json"]


def test_only_bitwidths_that_share_codes_are_modes() -> None:
    found = switchable()
    wide = replace(found, bitwidths=(2, 4, 16), networks=found.networks, weights=found.weights)
    assert mode_bitwidths(wide) == (2, 4)
    with pytest.raises(DesignError, match="none of them is 8 bits or less"):
        mode_bitwidths(replace(found, bitwidths=(16,), networks=found.networks[:1], weights=found.weights[:1]))


def test_an_accelerator_of_another_network_is_refused() -> None:
    design, _ = tiny_design()
    with pytest.raises(DesignError):
        modes_design(switchable(), design.accelerator, get("pynq-z2"), name="x", seed=1)

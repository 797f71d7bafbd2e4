# SPDX-License-Identifier: Apache-2.0
"""Designs of several modes: in every mode the bits of that mode's integer reference and the cycles of the one
schedule, with batches that change the mode; what they cost; planted bugs."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from unittest.mock import patch

import pytest
from runner import LIB, Mutant, mutated, tool_env, yosys

from nba.boards import get, table
from nba.core.tools import run_tool
from nba.emit import bundle as emission
from nba.emit.rtl import render_rtl
from nba.machine.program import design_programs, lower
from nba.machine.resources import predict
from nba.machine.schedule import schedule
from nba.synth import compare, synthesise_rtl
from nba.verify import verify_bundle
from nba.verify.rtl import RtlResult, Simulator, simulate_rtl
from sim.run_sim import ONE_MODE_TESTS
from tests.modes import FRAMES, modes_case
from tests.strategies import NetworkLimits

pytestmark = [pytest.mark.eda, pytest.mark.usefixtures("simulated_here")]

ICARUS = [(0, 2), (1, 3), (2, 4), (12, 2), (18, 7)]
"""(seed, modes)"""
VERILATOR = [(20, 3), (21, 2)]
"""With the tests of all designs as well."""
SHORT = ("cycles", "batches", "modes")
WIDE = (30, 3)
"""Codes of 16 bits."""
POOLED = (0, 2)
"""Four max poolings, most of other bits in the second mode, and strides that differ by axis."""
CHANNELS = (5, 3)
"""Shifts and pad codes per channel."""
NARROW = NetworkLimits(narrow=True)
PACKED = [(53, 3), (59, 3), (52, 2)]
"""Designs that pack columns, whose layers work on more of them at once in some modes than in others."""
MUTANTS = (
    # The mode's place in the program is dropped.
    Mutant(module="nba_program", old="{cfg_mode, job[JOB_W-1:0]}", new="{4'd0, job[JOB_W-1:0]}"),
    # A bit of the mode is dropped.
    Mutant(module="nba_program", old="{cfg_mode, job[JOB_W-1:0]}", new="{3'd0, cfg_mode[0], job[JOB_W-1:0]}"),
    # The mode changes in flight.
    Mutant(module="nba_axil", old="assign cfg_mode = cfg_mode_q;", new="assign cfg_mode = mode_q;"),
    # The first mode written is kept for ever.
    Mutant(module="nba_axil", old="if (start_d) cfg_mode_q <=", new="if (start_d && cfg_mode_q == 4'd0) cfg_mode_q <="),
    # A number that names no mode is taken.
    Mutant(module="nba_axil", old="wdata_q < MODES;", new="wdata_q <= MODES;"),
)
"""Planted in the machine of MUTANT_CASE, whose chunk has three jobs."""
MUTANT_CASE = (18, 3)


def _write(seed: int, n_modes: int, folder: Path, lib: Path | None = None, limits: NetworkLimits | None = None) -> None:
    """A bundle; `lib`: with other library modules, and simulations that hang given up early."""
    design, weights, images = modes_case(seed, n_modes, limits)
    with patch.object(emission, "FRAME_COUNTS", (2, FRAMES)):
        files = emission.render_bundle(design, weights, images)
    if lib is not None:
        files |= {f"rtl/{path.name}": path.read_bytes() for path in lib.glob("*.v")}
        info = json.loads(files["bundle.json"])
        info["timeout_cycles"] = 6 * (info["latency_cycles"] + info["interval_cycles"]) + 500
        files["bundle.json"] = json.dumps(info).encode()
    for path, body in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(body)
    (folder / "manifest.json").write_bytes(emission.manifest_bytes(design, files))


def _run(folder: Path, simulator: Simulator, seed: int, tests: tuple[str, ...] = SHORT) -> tuple[RtlResult, ...]:
    work = folder / "work"
    return simulate_rtl(folder / "bundle", simulator, frames=(FRAMES,), work=work, tests=tests, seed=seed).batches


def _all_hold(batches: tuple[RtlResult, ...], n_modes: int, tests: tuple[str, ...] = SHORT, alike: bool = True) -> None:
    """alike: every mode has the same cycles."""
    assert [batch.mode for batch in batches] == list(range(n_modes))
    assert batches[0].passed == tests
    for batch in batches:
        assert (batch.images, batch.mismatches, batch.failed) == (FRAMES, 0, ()), batch.mode
        assert batch.simulated == batch.predicted, batch.mode
        assert batch.predicted == batches[0].predicted or not alike
        assert batch.holds


@pytest.mark.sampled(every=5)
@pytest.mark.parametrize(("seed", "n_modes"), ICARUS)
def test_icarus(seed: int, n_modes: int, tmp_path: Path) -> None:
    _write(seed, n_modes, tmp_path / "bundle")
    _all_hold(_run(tmp_path, "icarus", seed), n_modes)


@pytest.mark.sampled(every=6)
@pytest.mark.parametrize(("seed", "n_modes"), VERILATOR)
def test_verilator(seed: int, n_modes: int, tmp_path: Path) -> None:
    _write(seed, n_modes, tmp_path / "bundle")
    tests = (*ONE_MODE_TESTS, "modes")
    _all_hold(_run(tmp_path, "verilator", seed, tests), n_modes, tests)


def test_wide_codes(tmp_path: Path) -> None:
    _write(*WIDE, tmp_path / "bundle", limits=NetworkLimits(bits=16))
    _all_hold(_run(tmp_path, "icarus", WIDE[0]), WIDE[1])


def test_shifts_that_differ_from_mode_to_mode(tmp_path: Path) -> None:
    """And pad codes that are rounded to other bits."""
    limits = NetworkLimits(per_channel=True)
    design, _, _ = modes_case(*CHANNELS, limits)
    padded = [i for i, layer in enumerate(design.network.layers) if layer.pad_codes is not None]
    for field, layers in (("shifts", range(len(design.network.layers))), ("act_bits", padded)):
        assert any(len({getattr(n.layers[i], field) for n in design.networks}) > 1 for i in layers)
    _write(*CHANNELS, tmp_path / "bundle", limits=limits)
    _all_hold(_run(tmp_path, "icarus", CHANNELS[0]), CHANNELS[1])


@pytest.mark.sampled(every=2)
@pytest.mark.parametrize(("seed", "n_modes"), PACKED)
def test_modes_that_pack_more_columns_than_others(seed: int, n_modes: int, tmp_path: Path) -> None:
    """Every mode has cycles of its own, and batches of different modes follow each other."""
    design, _, _ = modes_case(seed, n_modes, NARROW)
    programs = design_programs(design.network, design.accelerator, design.modes)
    degrees = [tuple(job.degree for chunk in program.chunks for job in chunk.jobs) for program in programs]
    assert len(set(degrees)) > 1
    _write(seed, n_modes, tmp_path / "bundle", limits=NARROW)
    batches = _run(tmp_path, "icarus", seed)
    _all_hold(batches, n_modes, alike=False)
    cycles = [int(schedule(program, FRAMES).output_cycle[-1]) for program in programs]
    assert len(set(cycles)) > 1
    assert [batch.simulated["outputs"][-1] for batch in batches] == cycles


def test_max_pooling_of_other_bits_in_every_mode(tmp_path: Path) -> None:
    design, _, _ = modes_case(*POOLED, NetworkLimits())
    pools = [i for i, layer in enumerate(design.network.layers) if layer.op == "maxpool"]
    assert len({tuple(network.layers[i].act_bits for i in pools) for network in design.networks}) == POOLED[1]
    assert any(layer.stride_h != layer.stride_w for layer in design.network.layers)
    _write(*POOLED, tmp_path / "bundle", limits=NetworkLimits())
    _all_hold(_run(tmp_path, "icarus", POOLED[0]), POOLED[1])


class _Silent:
    """Progress that nobody watches."""

    def start(self, task: str, total: int | None = None) -> None: ...

    def advance(self, n: int = 1, note: str = "") -> None: ...

    def finish(self) -> None: ...


def test_a_bundle_verifies_in_every_mode(tmp_path: Path) -> None:
    """Both simulators and the HLS C++, from the emitted files alone; a wrong expected code of one mode is found."""
    _write(20, 3, tmp_path / "bundle")
    wanted = {"verilator": 4, "icarus": 2, "hls": 4}
    part = verify_bundle(tmp_path / "bundle", work=tmp_path / "work", images=wanted, progress=_Silent())
    assert part["verify_failures"] == []
    assert part["bit_exact"] == {
        name: {"images": count, "mismatches": 0, "modes": [0, 0, 0]} for name, count in wanted.items()
    }


def test_outputs_differ_between_modes() -> None:
    """Else none of these tests would see a mode."""
    for seed, n_modes in (*ICARUS, *VERILATOR, MUTANT_CASE):
        files = emission.render_bundle(*modes_case(seed, n_modes))
        outputs = [files[f"vectors/{emission.expected_name(m, 'hex')}"] for m in range(n_modes)]
        assert len(set(outputs)) == n_modes, seed


@pytest.mark.parametrize("index", range(len(MUTANTS)))
def test_planted_bug_is_found(index: int, tmp_path: Path) -> None:
    lib = mutated(MUTANTS[index], tmp_path)
    _write(*MUTANT_CASE, tmp_path / "bundle", lib)
    batches = _run(tmp_path, "icarus", 1)
    assert "modes" in batches[0].failed
    assert batches[0].mismatches == 0, "mode 0 by itself knows nothing of the bug"


def test_without_a_planted_bug_the_same_machine_holds(tmp_path: Path) -> None:
    _write(*MUTANT_CASE, tmp_path / "bundle", LIB)
    _all_hold(_run(tmp_path, "icarus", 1), MUTANT_CASE[1])


def _rtl(seed: int, n_modes: int, folder: Path, platform: str) -> Path:
    design, weights, _ = modes_case(seed, n_modes)
    for name, text in render_rtl(replace(design, platform=platform), weights, "nba_t").items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder / "rtl"


@pytest.mark.sampled(every=2)
@pytest.mark.parametrize(("seed", "n_modes"), [(18, 3), (12, 3), (2, 4)])
def test_machines_take_what_is_predicted(
    seed: int, n_modes: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a platform that puts small memories into block RAM too: weights once, parameters as often as there are
    modes."""
    block = replace(get("zc706"), name="all-block", min_block_words=2, min_block_bits=1)
    monkeypatch.setitem(table.LOADED, "all-block", block)
    design, _, _ = modes_case(seed, n_modes)
    program = lower(design.network, design.accelerator, design.modes)
    found = synthesise_rtl(_rtl(seed, n_modes, tmp_path, "all-block"), "nba_t", tmp_path / "work")
    assert found.bram18 > 0
    assert found.dsp > 0
    assert compare(program, block, found).differences == ()
    assert found.dsp == predict(program, block).dsp


@pytest.mark.sampled(every=2)
@pytest.mark.parametrize(("seed", "n_modes"), [(3, 3), (2, 4), (1, 2)])
def test_gates(seed: int, n_modes: int, tmp_path: Path) -> None:
    """Verilator, Icarus, yosys and Pyverilog over the top of a machine with modes."""
    rtl = _rtl(seed, n_modes, tmp_path, "pynq-z2")
    files = sorted(str(path) for path in rtl.glob("*.v"))
    for command in (
        ["verilator", "--lint-only", "-Wall", "--default-language", "1364-2005", "--top-module", "nba_t", *files],
        ["iverilog", "-g2005", "-Wall", "-tnull", "-s", "nba_t", *files],
    ):
        result = run_tool(command, cwd=rtl, env=tool_env(), check=False)
        lines = [line for line in result.output.splitlines() if line.strip() and not line.startswith("- ")]
        assert (result.returncode, lines) == (0, [])
    read = f"read_verilog -defer {' '.join(files)}\nhierarchy -check -top nba_t\nproc\ncheck -assert\n"
    assert "Warning" not in yosys(read, rtl, "yosys: nba_t")

    from pyverilog.vparser.parser import VerilogParser
    from pyverilog.vparser.preprocessor import VerilogPreprocessor

    output = tmp_path / "preprocessed.v"
    VerilogPreprocessor([str(rtl / "nba_t.v")], str(output)).preprocess()
    tree = VerilogParser(outputdir=str(tmp_path), debug=False).parse(output.read_text())
    assert [definition.name for definition in tree.description.definitions] == ["nba_t"]

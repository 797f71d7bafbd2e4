# SPDX-License-Identifier: Apache-2.0
"""A bundle's RTL on images that it has never seen: the integers of the reference, the cycles of the exact schedule."""

from __future__ import annotations

import dataclasses
import json
import sys
from pathlib import Path

import numpy as np
import pytest

from nba.core.errors import DataError, DesignError, ToolError
from nba.core.tools import run_tool
from nba.emit.bundle import emit_bundle
from nba.emit.predicted import Cycles, predicted_cycles
from nba.emit.vectors import frame_codes, stream_bytes, stream_codes
from nba.ir.design import Design
from nba.ir.network import Weights
from nba.ir.reference import run
from nba.machine.program import lower
from nba.verify.inference import BatchCycles, simulate
from nba.verify.rtl import Simulator
from nba.zoo.weights import random_codes
from tests.modes import modes_case
from tests.strategies import NetworkLimits, random_pair
from tests.tiny import tiny_design

pytestmark = pytest.mark.eda


def flat(cycles: BatchCycles) -> dict[str, object]:
    """In the shape of predicted.json."""
    jobs = [{**dataclasses.asdict(j), "start": list(j.start), "end": list(j.end)} for j in cycles.jobs]
    interval = cycles.batch_interval_cycles
    return {
        "frames": len(cycles.output_cycles), "first_output_latency": cycles.first_output_latency_cycles,
        "batch_interval_cycles": -1 if interval is None else interval, "batch": cycles.batch_cycles,
        "outputs": list(cycles.output_cycles), "jobs": jobs,
    }  # fmt: skip


def expected(design: Design, weights: Weights, images: np.ndarray, mode: int = 0) -> tuple[np.ndarray, Cycles]:
    """Logits of the integer reference and the exact schedule."""
    logits = run(*design.mode(mode, weights), frame_codes(design.networks[mode], images))
    program = lower(design.network, design.accelerator, design.modes)
    return logits.reshape(len(images), -1), predicted_cycles(design.network, program, len(images))


@pytest.mark.parametrize(("simulator", "count"), [("icarus", 1), ("icarus", 3), ("verilator", 5)])
def test_logits_and_cycles(simulator: Simulator, count: int, tmp_path: Path) -> None:
    design, weights = tiny_design()
    emit_bundle(design, weights, tmp_path / "bundle")
    images = random_codes(np.random.default_rng([count, 9]), design.network.tensors[0], count).astype(np.int64)
    logits, cycles = simulate(tmp_path / "bundle", images, simulator=simulator)
    wanted, exact = expected(design, weights, images)
    assert logits.dtype == np.int64
    assert np.array_equal(logits, wanted)
    assert len(np.unique(wanted)) > 1
    assert flat(cycles) == exact
    assert not (tmp_path / "bundle" / "sim_build").exists()


def test_pixels_of_a_network_with_codes_of_16_bits_in_each_mode(tmp_path: Path) -> None:
    """uint8 pixels are shifted up; the model that was compiled for the first mode serves the second."""
    design, weights, _ = modes_case(30, 3, NetworkLimits(bits=16))
    emit_bundle(design, weights, tmp_path / "bundle")
    first = design.network.tensors[0]
    shape = (2, first.height, first.width, first.channels)
    images = np.random.default_rng(4).integers(0, 256, shape).astype(np.uint8)
    if first.signed:
        images = images.astype(np.int16) - 128
    found = []
    for mode in (0, 2):
        logits, cycles = simulate(tmp_path / "bundle", images, simulator="icarus", mode=mode, work=tmp_path / "work")
        wanted, exact = expected(design, weights, images, mode)
        assert np.array_equal(logits, wanted)
        assert flat(cycles) == exact
        found.append(logits)
    assert not np.array_equal(*found)
    with pytest.raises(DesignError, match=r"mode 3: not one of the design; legal: 0\.\.2"):
        simulate(tmp_path / "bundle", images, mode=3)


def test_a_bundle_that_was_changed_is_not_simulated(tmp_path: Path) -> None:
    design, weights = tiny_design()
    emit_bundle(design, weights, tmp_path / "bundle")
    images = random_codes(np.random.default_rng(1), design.network.tensors[0], 1)
    (tmp_path / "bundle" / "rtl" / "nba_skid.v").write_text("module nba_skid; endmodule\n")
    with pytest.raises(DesignError, match=r"rtl/nba_skid\.v: is not what the design renders to"):
        simulate(tmp_path / "bundle", images, simulator="icarus")


def test_a_batch_that_leaves_the_prediction_gives_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Planted: the schedule of the bundle takes one step longer than the machine."""
    design, weights = tiny_design()
    emit_bundle(design, weights, tmp_path / "bundle")
    images = random_codes(np.random.default_rng(1), design.network.tensors[0], 1)
    from nba.verify import inference

    whole = inference.check_bundle

    def check(bundle: Path, into: Path) -> object:
        checked = whole(bundle, into)
        tables = json.loads((into / "sim" / "schedule.json").read_text())
        tables[0]["last_beat"] += 1
        (into / "sim" / "schedule.json").write_text(json.dumps(tables))
        manifest = json.loads((into / "manifest.json").read_text())
        import hashlib

        manifest["files"]["sim/schedule.json"] = hashlib.sha256(json.dumps(tables).encode()).hexdigest()
        (into / "manifest.json").write_text(json.dumps(manifest))
        (into / "sim" / "predicted.json").write_text("[{}]")
        manifest["files"]["sim/predicted.json"] = hashlib.sha256(b"[{}]").hexdigest()
        (into / "manifest.json").write_text(json.dumps(manifest))
        return checked

    monkeypatch.setattr(inference, "check_bundle", check)
    with pytest.raises(ToolError, match="the batch broke off or left the predicted cycles; log: "):
        simulate(tmp_path / "bundle", images, simulator="icarus")


def test_a_user_of_the_bundle_can_do_the_same(tmp_path: Path) -> None:
    """With the bundle's own script: frames in a file, outputs in another."""
    design, weights = tiny_design()
    emit_bundle(design, weights, tmp_path / "bundle")
    program = lower(design.network, design.accelerator)
    images = random_codes(np.random.default_rng(2), design.network.tensors[0], 2)
    frames = stream_bytes(images, program.pp, program.in_lanes, program.code_bits)
    (tmp_path / "in.hex").write_text("".join(f"{frame.hex()}\n" for frame in frames))
    command = [
        sys.executable, str(tmp_path / "bundle" / "sim" / "run_sim.py"), "--input", "in.hex", "--output", "out.hex",
    ]  # fmt: skip
    done = run_tool(command, cwd=tmp_path, check=False)
    assert done.returncode == 0, done.output
    assert "frames 2\n" in done.output
    assert done.output.rstrip().endswith("PASSED")
    outputs = [bytes.fromhex(line) for line in (tmp_path / "out.hex").read_text().split()]
    codes = stream_codes(outputs, design.network.tensors[-1], program.out_cols, program.out_lanes)
    assert np.array_equal(codes, run(design.network, weights, images))


@pytest.mark.parametrize(
    ("text", "arguments", "message"),
    [
        ("", (), "one per line, are wanted; there is none"),
        ("00\n", (), "one per line, are wanted; line 1 is none"),
        (None, (), "--input in.hex: cannot be read"),
        ("00\n", ("--frames", "2"), "--frames and --tests do not go with --input"),
    ],
)
def test_frames_that_the_script_refuses(
    text: str | None, arguments: tuple[str, ...], message: str, tmp_path: Path
) -> None:
    design, weights = tiny_design()
    emit_bundle(design, weights, tmp_path / "bundle")
    if text is not None:
        (tmp_path / "in.hex").write_text(text)
    command = [sys.executable, str(tmp_path / "bundle" / "sim" / "run_sim.py"), "--input", "in.hex"]
    done = run_tool([*command, "--output", "out.hex", *arguments], cwd=tmp_path, check=False)
    assert done.returncode == 2
    assert message in done.output.replace(f"{tmp_path}/", "")
    assert not (tmp_path / "out.hex").exists()


def test_streams_there_and_back() -> None:
    """Of random designs: what is sent is what is read, in the order of the map."""
    for seed in range(20):
        pair = random_pair(np.random.default_rng([seed, 77]))
        last = pair.network.tensors[-1]
        codes = random_codes(np.random.default_rng(seed), last, 3)
        sent = stream_bytes(codes, pair.program.out_cols, pair.program.out_lanes, pair.program.code_bits)
        assert np.array_equal(stream_codes(sent, last, pair.program.out_cols, pair.program.out_lanes), codes)


def test_images_that_are_refused() -> None:
    network = tiny_design()[0].network
    first = network.tensors[0]
    good = random_codes(np.random.default_rng(0), first, 2)
    assert np.array_equal(frame_codes(network, good.astype(np.int32)), good)
    with pytest.raises(DataError, match=r"images of shape .*; legal: \[B, "):
        frame_codes(network, good[0, :, :, :, None])
    with pytest.raises(DataError, match="images of shape"):
        frame_codes(network, good[:0])
    with pytest.raises(DataError, match="images of type float64; legal: integers"):
        frame_codes(network, good.astype(float))
    with pytest.raises(DataError, match=rf"images hold codes .*; legal: {first.code_min}\.\.{first.code_max}"):
        frame_codes(network, good.astype(np.int64) + 1000)

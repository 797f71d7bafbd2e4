# SPDX-License-Identifier: Apache-2.0
"""A MobileNetV2-style network at 32x32x3 on four chunks: every bit and every cycle in Verilator."""

from __future__ import annotations

from pathlib import Path

from nba.emit.bundle import emit_bundle
from nba.machine.program import lower
from nba.verify.rtl import simulate_rtl
from tests.large import BUDGETS, CHUNKS, large_design


def test_mobilenet_v2_style_network(tmp_path: Path) -> None:
    design, weights = large_design()
    network, cost = design.network, design.cost
    macs = [network.macs(i) for i in range(len(network.layers))]
    assert 3e6 <= sum(macs) <= 6e6
    assert len(design.accelerator.chunks) == CHUNKS
    assert {bits for layer in network.layers for bits in (layer.weight_bits, layer.act_bits)} == {8}
    assert cost.dsp <= BUDGETS.dsp
    assert cost.bram <= BUDGETS.bram
    program = lower(network, design.accelerator)
    for chunk in program.chunks:
        lanes = chunk.pm * chunk.pn * program.pp
        utilisation = sum(macs[job.layer] for job in chunk.jobs) / (lanes * cost.interval_cycles)
        assert 0 < utilisation <= 1

    emit_bundle(design, weights, tmp_path / "bundle")
    result = simulate_rtl(tmp_path / "bundle", "verilator", frames=(2,), work=tmp_path / "work", tests=("cycles",))
    (batch,) = result.batches
    assert (batch.images, batch.mismatches) == (2, 0)
    assert batch.simulated == batch.predicted
    assert batch.holds

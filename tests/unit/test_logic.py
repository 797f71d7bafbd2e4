# SPDX-License-Identifier: Apache-2.0
"""The estimate of LUTs and flip-flops: both forms agree, and the stored calibration is that of the recorded runs."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from nba.boards import get
from nba.boards.logic_xc7 import XC7
from nba.explore.space import AcceleratorSpace, accelerator_of
from nba.ir.network import Network
from nba.machine.accelerator_rules import columns_of
from nba.machine.designs import designs_of, layer_table
from nba.machine.logic import FEATURES, coefficients, logic, logic_counts
from nba.machine.parts import CHUNK_COLUMNS, EDGE_COLUMNS, HOST_COLUMNS, Parts, fill, n_edge_slots, parts
from nba.machine.program import lower
from tests.strategies import NetworkLimits, random_pair
from tests.unit.hw_networks import DIGITS, NARROW
from tests.unit.test_energy import with_canonical_lanes

BOARD = get("pynq-z2")
ANY_COLUMNS = NetworkLimits(any_columns=True, max_map=30)
BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"


def of_arrays(seed: int, limits: NetworkLimits) -> tuple[Parts, Parts, tuple[int, int], tuple[int, int]]:
    """Parts and estimates of a random pair, by its program and by its arrays."""
    pair = random_pair(np.random.default_rng([32, seed]), limits)
    accelerator = with_canonical_lanes(pair.accelerator)
    program = lower(pair.network, accelerator)
    designs, layers = designs_of(pair.network, [accelerator]), layer_table(pair.network, accelerator.packing)
    n_chunks = len(accelerator.chunks)
    found = Parts(
        chunks=np.zeros((n_chunks, CHUNK_COLUMNS), np.int64),
        edges=np.zeros((n_edge_slots(n_chunks), EDGE_COLUMNS), np.int64),
        host=np.zeros(HOST_COLUMNS, np.int64),
    )  # fmt: skip
    d = designs
    fill(
        layers, d.pp[0], d.in_lanes[0], d.out_lanes[0], d.out_rows[0], d.mixes[0], d.pm[0], d.pn[0], d.pq[0],
        d.chunk[0], d.main_rows[0], d.res_rows[0], found.chunks, found.edges, found.host,
    )  # fmt: skip
    lut, ff = logic_counts(layers, designs, BOARD)[0].tolist()
    return parts(program), found, logic(program, BOARD), (lut, ff)


LIMITS = {"8 bits": NetworkLimits(), "16 bits": NetworkLimits(bits=16), "packed": NetworkLimits(narrow=True)}
LIMITS["per channel"] = NetworkLimits(per_channel=True)
LIMITS |= {"columns": ANY_COLUMNS, "packed columns": replace(ANY_COLUMNS, narrow=True)}
CASES = [("8 bits", seed) for seed in range(60)] + [
    (kind, seed) for kind in ("16 bits", "packed", "per channel", "columns", "packed columns") for seed in range(20)
]


@pytest.mark.parametrize(("kind", "seed"), CASES)
def test_programs_and_arrays_agree(kind: str, seed: int) -> None:
    exact, arrays, estimate, closed = of_arrays(seed, LIMITS[kind])
    assert (exact.chunks == arrays.chunks).all()
    assert (exact.host == arrays.host).all()
    there = arrays.edges[arrays.edges[:, 3] > 0]
    assert sorted(map(tuple, there.tolist())) == sorted(map(tuple, exact.edges.tolist()))
    assert estimate == closed
    assert min(estimate) > 1000


@pytest.mark.parametrize(("network", "packing"), [(DIGITS, 1), (NARROW, 2), (NARROW, 4)])
def test_sampled_designs(network: Network, packing: int) -> None:
    slots = tuple(layer.operator.mixes for layer in network.layers)
    space = AcceleratorSpace(slots=slots, n_chunks=5, packing=packing, columns=columns_of(packing))
    layers = layer_table(network, packing)
    designs = space.decode(space.sample(np.random.default_rng(6), 40), layers, tuple(range(len(slots))))
    found = logic_counts(layers, designs, BOARD)
    for b in range(40):
        assert tuple(found[b].tolist()) == logic(lower(network, accelerator_of(network, designs, b, packing)), BOARD)


def test_the_stored_calibration_is_that_of_the_recorded_syntheses(monkeypatch: pytest.MonkeyPatch) -> None:
    """The script's fit, and its leave-one-out errors, from the cells that were counted."""
    monkeypatch.setattr(sys, "path", [str(BENCHMARKS), *sys.path])
    import calibrate_logic as script

    designs = script.fitted(script.load())
    assert len(designs) == XC7.designs >= 8
    rows = [row for found in designs.values() for row in script.samples(found)]
    assert (script.fit(rows) == coefficients(XC7)).all()
    error, _ = script.errors(designs)
    mean, worst = np.abs(error).mean(0), np.abs(error).max(0)
    stored = [XC7.lut_mean_error, XC7.ff_mean_error, XC7.lut_worst_error, XC7.ff_worst_error]
    assert [round(float(e), 4) for e in (*mean, *worst)] == stored


def test_the_stored_price_of_multipliers_is_that_of_the_recorded_syntheses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [str(BENCHMARKS), *sys.path])
    import calibrate_multipliers as script

    found, error, _ = script.fit(script.load())
    stored = XC7.multipliers
    assert found.tolist() == [list(stored.requant), list(stored.products)]
    mean, worst = np.abs(error).mean(0), np.abs(error).max(0)
    errors = [stored.lut_mean_error, stored.ff_mean_error, stored.lut_worst_error, stored.ff_worst_error]
    assert [round(float(e), 4) for e in (*mean, *worst)] == errors
    assert len(error) == stored.cases


def test_a_chunk_without_nested_weights_pays_nothing_for_them() -> None:
    """The calibration counts chunks that have no such part as ones in which it takes no cell."""
    paid = {c.feature: c.lut_milli for c in XC7.coefficients if c.part == "nest"}
    assert paid["weight bits"] == 0
    assert paid["weight bits that are nested"] > 1000


def test_coefficients_are_complete_and_not_negative() -> None:
    table = coefficients(XC7)
    assert table.shape == (len(FEATURES), 2)
    assert (table >= 0).all()
    assert (table.sum(1) > 0).sum() > 25

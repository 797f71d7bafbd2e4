# SPDX-License-Identifier: Apache-2.0
"""Objectives and budgets: what the mapper returns minimises the one and meets the others, exactly, or names them."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest
from pydantic import ValidationError

from nba.api import load_spec
from nba.boards import get, names
from nba.core.errors import InfeasibleError, SpecError
from nba.explore.budgets import Budgets
from nba.explore.choose import Effort, find_accelerator
from nba.explore.gamma import GammaSearch
from nba.explore.space import AcceleratorSpace
from nba.flow.data import macro
from nba.flow.limits import budgets_of, check_limits
from nba.flow.stages import search
from nba.ir.design import Cost
from nba.machine import usage as usage_module
from nba.machine.designs import layer_table
from nba.machine.program import lower
from nba.machine.total import exact_cost
from nba.machine.usage import OBJECTIVES, UNITS, Objective, needed, usage, value_of
from nba.spec import parse_spec
from tests.unit.hw_networks import SMALL

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("budgets")]

QUICK = Effort(scout_steps=20, climb_steps=60, finalists=2, reorder_steps=20, refine_steps=30)
BOARD = replace(get("pynq-z2"), clock_mhz=100.0)
"""A round clock, which a spec may ask for."""
LOOSE = Budgets(dsp=60, bram=20, clock_mhz=BOARD.clock_mhz)


@cache
def mapped(objective: Objective = "interval", budgets: Budgets = LOOSE) -> Cost:
    accelerator, cost = find_accelerator(SMALL, BOARD, budgets, objective=objective, seed=1, effort=QUICK)
    assert exact_cost((lower(SMALL, accelerator),), BOARD) == cost
    assert all(x <= 1.0 for x in budgets.excess_of(cost).values())
    return cost


def value(objective: Objective, cost: Cost) -> float:
    return value_of(objective, cost.interval_cycles, cost.first_output_latency_cycles, cost.energy_pj)


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_each_objective_beats_the_others_at_its_own(objective: Objective) -> None:
    own = value(objective, mapped(objective))
    assert all(own <= value(objective, mapped(other)) for other in OBJECTIVES)
    assert UNITS[objective]


@pytest.mark.parametrize(
    ("name", "share"), [("lut", 0.85), ("power_w", 0.5), ("latency_cycles", 0.8), ("interval_cycles", 1.0)]
)
def test_a_budget_below_the_fastest_design_is_met(name: str, share: float) -> None:
    fastest = mapped()
    used = {
        "lut": fastest.lut, "power_w": fastest.power_w, "latency_cycles": fastest.first_output_latency_cycles,
        "interval_cycles": fastest.interval_cycles,
    }[name]  # fmt: skip
    limit = share * used if name == "power_w" else int(share * used)
    cost = mapped("interval", LOOSE.but(**{name: limit}))
    if share < 1.0:
        assert cost != fastest


@pytest.mark.parametrize(
    ("budgets", "said"),
    [
        (LOOSE.but(lut=900), "budgets.lut: 900"),
        (LOOSE.but(power_w=1e-7), "budgets.power_w: 1e-07"),
        (LOOSE.but(latency_cycles=20), "budgets.latency_us: 0.2"),
        (LOOSE.but(interval_cycles=10), "budgets.fps: at least 10,000,000"),
    ],
)
def test_impossible_budgets_are_named_with_the_closest_design(budgets: Budgets, said: str) -> None:
    with pytest.raises(InfeasibleError) as caught:
        mapped("interval", budgets)
    text = str(caught.value)
    assert f"no accelerator meets {said} on pynq-z2" in text
    amount = {
        "lut": "LUT (estimate)", "power_w": " W (", "latency_us": " us)",
        "fps": "frames/s at a target clock of 100 MHz (not confirmed))",
    }  # fmt: skip
    assert amount[said.removeprefix("budgets.").partition(":")[0]] in text.partition("closest design found needs")[2]


def test_excess_is_the_same_for_arrays_and_costs() -> None:
    space = AcceleratorSpace(slots=tuple(x.operator.mixes for x in SMALL.layers))
    layers = layer_table(SMALL)
    designs = space.decode(space.sample(np.random.default_rng(0), 20), layers, tuple(range(len(SMALL.layers))))
    every = LOOSE.but(lut=20_000, interval_cycles=5000, latency_cycles=9000, power_w=0.01)
    used = usage(layers, designs, BOARD, every.needs())
    assert used.lut is not None
    assert used.energy_pj is not None
    assert used.power_w is not None
    found = every.excess(used)
    assert found.shape == (20, len(every.names())) == (20, 6)
    for b in range(20):
        cost = Cost(
            first_output_latency_cycles=int(used.latency[b]), interval_cycles=int(used.interval[b]),
            dsp=int(used.dsp[b]), bram=int(used.bram18[b]) / 2, lut=int(used.lut[b]), ff=0,
            energy_pj=float(used.energy_pj[b]), power_w=float(used.power_w[b]),
        )  # fmt: skip
        assert list(every.excess_of(cost).values()) == found[b].tolist()


def test_what_nobody_asks_for_is_not_computed(monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: object) -> None:
        raise AssertionError

    monkeypatch.setattr(usage_module, "event_counts", never)
    monkeypatch.setattr(usage_module, "placed_counts", never)
    space = AcceleratorSpace(slots=tuple(x.operator.mixes for x in SMALL.layers))
    layers, slots = layer_table(SMALL), tuple(range(len(SMALL.layers)))
    search = GammaSearch(space=space, platform=BOARD, budgets=LOOSE.but(interval_cycles=10**6), seed=0)
    search.step(SMALL, slots, 8)
    assert search.cost(SMALL, slots).energy_pj is None
    designs = space.decode(space.sample(np.random.default_rng(0), 2), layers, slots)
    with pytest.raises(AssertionError, match="without energy"):
        usage(layers, designs, BOARD).cost("edp")
    with pytest.raises(AssertionError, match="without lut"):
        LOOSE.but(lut=9).excess(usage(layers, designs, BOARD))
    assert needed("interval") == needed("latency") == frozenset()


@pytest.mark.parametrize("objective", ["energy", "edp"])
def test_gamma_minimises_energy_and_knows_the_budgets(objective: Objective) -> None:
    space = AcceleratorSpace(slots=tuple(x.operator.mixes for x in SMALL.layers))
    slots = tuple(range(len(SMALL.layers)))
    budgets = LOOSE.but(lut=40_000, power_w=0.5)
    search = GammaSearch(space=space, platform=BOARD, budgets=budgets, objective=objective, seed=0)
    first: float | None = None
    for _ in range(60):
        search.step(SMALL, slots, 16)
        first = search.cost(SMALL, slots).value(objective) if first is None else first
    cost = search.cost(SMALL, slots)
    assert cost.feasible
    assert cost.lut is not None
    assert cost.power_w is not None
    assert cost.value(objective) < first
    found = exact_cost((lower(SMALL, search.best(SMALL, slots)),), BOARD)
    assert all(x <= 1.0 for x in budgets.excess_of(found).values())


SPEC = """
name: x
dataset: {name: digits}
network: {stem_channels: 8, stages: [{channels: 8, blocks: 1}], head_channels: 8}
platform: pynq-z2
budgets: {dsp: 60, bram: 20, clock_mhz: 100, %s}
"""


def spec_with(budgets: str):  # type: ignore[no-untyped-def]
    return parse_spec(SPEC % budgets, where="f", folder=Path(), platforms=names())


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"dsp": 0}, "dsp\n.*greater than 0"),
        ({"dsp": 2.0}, "dsp\n.*valid integer"),
        ({"bram": -0.5}, "bram\n.*greater than 0"),
        ({"lut": 1 << 31}, "lut\n.*less than or equal to 2147483647"),
        ({"interval_cycles": -1}, "interval_cycles\n.*greater than or equal to 0"),
        ({"fps": 100.0}, "fps\n.*not permitted"),
    ],
)
def test_budgets_that_cannot_be_are_refused(values: dict[str, object], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        LOOSE.model_validate({"dsp": 60, "bram": 20, **values})


def test_the_spec_gives_all_budgets() -> None:
    spec = spec_with("lut: 30000, power_w: 0.25, latency_us: 12.5, fps: 30000, accuracy: 0.9")
    assert budgets_of(spec) == Budgets(
        dsp=60, bram=20, lut=30000, interval_cycles=3333, latency_cycles=1250, power_w=0.25, clock_mhz=100.0
    )
    check_limits(spec)


@pytest.mark.parametrize(
    ("budgets", "said"),
    [
        ("lut: 60000", "budgets.lut: 60000, but pynq-z2 has 53200; give at most that"),
        ("fps: 200000001", "budgets.fps: 200000001, but pynq-z2 has 100 million cycles a second"),
        ("latency_us: 0.001", "budgets.latency_us: 0.001, but a cycle of pynq-z2 takes 0.01 us"),
    ],
)
def test_what_no_design_on_the_platform_can_meet(budgets: str, said: str) -> None:
    with pytest.raises(SpecError, match=said.replace(".", r"\.")):
        check_limits(spec_with(budgets))


def test_a_feasible_space_needs_no_exact_search() -> None:
    """Before a search only the budgets are asked about: the exact search is left for where the others find nothing."""
    spec = load_spec("digits")
    for refused, efforts in ((False, [False]), (True, [False, True])):
        asked: list[bool] = []

        def tried(
            network: object,
            spec: object,
            effort: Effort,
            little: object = None,
            refused: bool = refused,
            to: list[bool] = asked,
        ) -> None:
            to.append(effort.exact)
            if refused and not effort.exact:
                raise InfeasibleError("nothing found")

        with patch.object(search, "mapped", tried):
            search.fits(macro(spec, 10), spec)
        assert asked == efforts

# SPDX-License-Identifier: Apache-2.0
"""The accelerator search against enumeration and random search, and its protocol."""

from __future__ import annotations

from typing import TypeVar

import numpy as np
import pytest

from nba.boards import get
from nba.core.errors import InfeasibleError
from nba.explore.baselines import EvolutionarySearch, RandomSearch
from nba.explore.budgets import Budgets
from nba.explore.gamma import GammaSearch
from nba.explore.protocol import HardwareSearch
from nba.explore.rings import speed
from nba.explore.sampling import gradient
from nba.explore.search import AcceleratorSearch
from nba.explore.space import AcceleratorSpace, draw_choices
from nba.learn.search.config import SearchSchedule
from nba.learn.search.penalty import CostOracle
from nba.learn.space.config import StageSpace
from nba.learn.space.network import Architecture, skeleton, slot_of_layer, slots
from nba.machine.check import check_accelerator
from nba.machine.designs import layer_table
from nba.machine.usage import Objective
from tests.spaces import DIGITS_SPACE
from tests.unit.hw_networks import DIGITS, TINY, blocks_network

pytestmark = pytest.mark.slow

BOARD = get("pynq-z2")
SLOTS = {id(n): tuple(x.operator.mixes for x in n.layers) for n in (DIGITS, TINY)}
Search = TypeVar("Search", bound=AcceleratorSearch)
ALL = tuple(range(len(DIGITS.layers)))


def tiny_search(seed: int, kind: type[Search] = GammaSearch) -> Search:  # type: ignore[assignment]
    space = AcceleratorSpace(
        slots=SLOTS[id(TINY)], n_chunks=3, columns=(1, 2), sizes_m=(1, 2, 4), sizes_n=(2, 4), drains=(1, 2),
        offsets=(0,), policies=(1,),
    )  # fmt: skip
    return kind(space=space, platform=BOARD, budgets=Budgets(dsp=12, bram=5), seed=seed)


def digits_search(
    seed: int,
    kind: type[Search] = GammaSearch,
    objective: Objective = "interval",  # type: ignore[assignment]
) -> Search:
    space = AcceleratorSpace(slots=SLOTS[id(DIGITS)])
    return kind(space=space, platform=BOARD, budgets=Budgets(dsp=120, bram=40), seed=seed, objective=objective)


@pytest.mark.parametrize("kind", [GammaSearch, EvolutionarySearch])
def test_reaches_the_optimum_of_a_small_space(kind: type[AcceleratorSearch]) -> None:
    whole = tuple(range(len(TINY.layers)))
    search = tiny_search(0)
    everything = search.space.enumerate()
    assert 10_000 < len(everything) < search.space.size()
    assert len(np.unique(everything, axis=0)) == len(everything)
    found = search.evaluate(TINY, whole, everything)
    optimum = found.used.interval[found.feasible].min()
    assert not found.feasible.all()
    assert ((found.used.interval == optimum) & found.feasible).mean() < 0.001
    reached = 0
    for seed in range(3):
        search = tiny_search(seed, kind)
        for _ in range(300):
            search.step(TINY, whole, 16)
        assert search.evaluations < len(everything) / 3
        cost = search.cost(TINY, whole)
        assert cost.feasible
        reached += cost.interval_cycles == optimum
    assert reached >= 2


@pytest.mark.parametrize("objective", ["interval", "latency"])
def test_beats_random_search_at_equal_evaluations(objective: Objective) -> None:
    n = 4000
    found: dict[type[AcceleratorSearch], list[float]] = {GammaSearch: [], EvolutionarySearch: [], RandomSearch: []}
    for kind, costs in found.items():
        for seed in range(5):
            search = digits_search(seed, kind, objective)
            for _ in range(n // 40):
                search.step(DIGITS, ALL, 40)
            assert search.evaluations == n
            cost = search.cost(DIGITS, ALL)
            assert cost.feasible
            costs.append(cost.interval_cycles if objective == "interval" else float(cost.latency_cycles or 0))
    assert np.median(found[GammaSearch]) < 0.95 * np.median(found[RandomSearch]), found
    assert np.median(found[EvolutionarySearch]) < np.median(found[RandomSearch]), found


def test_logits_learn() -> None:
    """Samples of the logits alone get better, which varying the best design cannot do."""
    search = digits_search(3)
    before = np.median(search.evaluate(DIGITS, ALL, search.space.sample(np.random.default_rng(0), 256)).score)
    for _ in range(120):
        search.step(DIGITS, ALL, 64)
    assert np.median(search.evaluate(DIGITS, ALL, samples(search, 256)).score) < before - 0.5


def samples(search: GammaSearch, n: int) -> np.ndarray:
    choice = np.empty((n, search.space.n_parameters), np.int8)
    draw_choices(np.random.default_rng(0), search.rules, search.weights(), search.active(ALL), choice)
    return choice


def test_logits_learn_from_their_own_samples_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the variations of good designs are, and what they cost, does not reach the logits."""
    one, two = digits_search(5), digits_search(5)
    for search in (one, two):
        for _ in range(3):
            search.step(DIGITS, ALL, 20)
    before = one.logits.copy()
    one.step(DIGITS, ALL, 20)
    poor = two.space.sample(np.random.default_rng(0), 20)
    asked = []

    def poor_ones(*args: object) -> None:
        choice = args[-1]
        assert isinstance(choice, np.ndarray)
        asked.append(len(choice))
        choice[:] = poor[: len(choice)]

    monkeypatch.setattr("nba.explore.gamma.vary", poor_ones)
    monkeypatch.setattr("nba.explore.gamma.resize_engines", poor_ones)
    two.step(DIGITS, ALL, 20)
    assert sum(asked) == 16
    assert not np.array_equal(one.logits, before)
    assert np.array_equal(one.logits, two.logits)


def test_samples_follow_the_logits_and_their_gradient_vanishes_on_average() -> None:
    search = digits_search(6)
    for _ in range(5):
        search.step(DIGITS, ALL, 16)
    n_columns = len(search.space.columns)
    search.logits[0, :n_columns] = np.linspace(-2.0, 2.0, n_columns)
    choice = samples(search, 4000)
    expected = np.exp(search.logits[0, :n_columns])
    expected /= expected.sum()
    assert np.abs(np.bincount(choice[:, 0], minlength=n_columns) / 4000 - expected).max() < 0.04
    mean = gradient(search.rules, search.weights(), search.active(ALL), choice, np.full(4000, 1 / 4000))
    assert np.abs(mean).max() < 0.04


def test_gradient_is_that_of_the_log_probability() -> None:
    """Against differences of log p, for one sample; masks included."""
    search = digits_search(2)
    search.logits[:] = np.where(
        np.isfinite(search.logits), np.random.default_rng(1).normal(size=search.logits.shape), -np.inf
    )
    choice = samples(search, 1)

    def log_p(logits: np.ndarray) -> float:
        total = 0.0
        for i in range(search.space.n_parameters):
            legal = search.space.mask(choice, i)[0]
            row = logits[i, : len(legal)]
            total += row[choice[0, i]] - np.log(np.exp(row[legal]).sum())
        return total

    found = gradient(search.rules, search.weights(), search.active(ALL), choice, np.ones(1))
    for i in range(0, search.space.n_parameters, 3):
        for o in range(int(search.rules.counts[i])):
            up, down = search.logits.copy(), search.logits.copy()
            up[i, o] += 1e-5
            down[i, o] -= 1e-5
            assert found[i, o] == pytest.approx((log_p(up) - log_p(down)) / 2e-5, abs=1e-6)


def test_every_draw_is_legal() -> None:
    search = digits_search(4)
    for _ in range(10):
        search.step(DIGITS, ALL, 64)
    evolution = digits_search(4, EvolutionarySearch)
    for _ in range(12):
        evolution.step(DIGITS, ALL, 64)
    for each in (search, evolution):
        choice = each.propose(300, each.active(ALL))
        for i in range(each.space.n_parameters):
            assert each.space.mask(choice, i)[np.arange(300), choice[:, i]].all(), i


def test_objective_latency_reaches_the_network_search() -> None:
    """The network search scores paths by the latency that this search minimises, a bound of the realised one."""
    macro = DIGITS_SPACE.but(
        height=8, width=8, channels=1, classes=10, stem_channels=8, head_channels=16,
        stages=(StageSpace(channels=8, blocks=1, stride=1), StageSpace(channels=12, blocks=1, stride=2)),
        operators=("k3_e1", "k3_e3"), bitwidths=(4, 8),
    )  # fmt: skip
    small = Architecture(macro=macro, ops=("k3_e1", "k3_e1"), bits=(8, 8))
    large = Architecture(macro=macro, ops=("k3_e3", "k3_e3"), bits=(8, 8))
    search = GammaSearch(
        space=AcceleratorSpace(slots=tuple(s.mixes for s in slots(macro))), platform=BOARD,
        budgets=Budgets(dsp=60, bram=40), objective="latency", seed=0,
    )  # fmt: skip
    oracle = CostOracle(search, SearchSchedule(bits_weight=0.0), "latency")
    for _ in range(30):
        oracle.improve(large, 16)
    network, which = skeleton(large), slot_of_layer(large)
    cost = search.cost(network, which)
    assert cost.feasible
    assert cost.latency_cycles is not None
    assert oracle.score(large) == pytest.approx(np.log(cost.latency_cycles))
    assert oracle.score(large) == pytest.approx(search.evaluate(network, which, search.best_choice()[None]).score[0])
    found = speed(network, search.best(network, which))
    assert cost.latency_cycles <= found.first_output_latency_cycles <= 1.2 * cost.latency_cycles
    candidates = ((("k3_e1", 8),), (("k3_e1", 8),))
    assert all(d[0] < 0 for d in oracle.compare(large, candidates).operators)
    assert oracle.score(small) < oracle.score(large)


def test_best_is_legal_within_budget_and_no_slower_than_its_cost() -> None:
    search = digits_search(2)
    for _ in range(60):
        search.step(DIGITS, ALL, 16)
    cost = search.cost(DIGITS, ALL)
    accelerator = search.best(DIGITS, ALL)
    check_accelerator(DIGITS, accelerator)
    assert cost.interval_cycles <= speed(DIGITS, accelerator).interval_cycles <= 1.05 * cost.interval_cycles
    chunk = search.space.decode(search.best_choice()[None], layer_table(DIGITS), ALL).chunk[0]
    loads = np.bincount(chunk, weights=cost.layer_cycles)
    assert loads.max() == cost.interval_cycles


@pytest.mark.parametrize("kind", [GammaSearch, EvolutionarySearch, RandomSearch])
def test_state_continues_as_if_never_stopped(kind: type[AcceleratorSearch]) -> None:
    one, two = digits_search(4, kind), digits_search(9, kind)
    for _ in range(10):
        one.step(DIGITS, ALL, 8)
    two.load_state(one.state())
    for search in (one, two):
        for _ in range(10):
            search.step(DIGITS, ALL, 8)
    assert one.state() == two.state()
    with pytest.raises(ValueError, match="does not fit"):
        tiny_search(0, kind).load_state(one.state())


def test_survives_a_change_of_network() -> None:
    """A skipped block leaves its slots alone; what is known about the others stays."""
    search: HardwareSearch = digits_search(1)
    shorter = blocks_network(((16, 3, 3, 1), (24, 3, 5, 2), (32, 6, 3, 2), (32, 3, 3, 1)))
    some = tuple(i for i in ALL if not 7 <= i <= 9)
    for n in range(20):
        network, which = ((DIGITS, ALL), (shorter, some))[n % 2]
        search.step(network, which, 8)
        assert len(search.cost(network, which).layer_cycles) == len(which)
    before = search.state()
    search.cost(shorter, some)
    assert search.state() == before


def test_nothing_sampled_or_nothing_feasible() -> None:
    search = digits_search(0)
    with pytest.raises(InfeasibleError, match="call step"):
        search.cost(DIGITS, ALL)
    poor = GammaSearch(space=search.space, platform=BOARD, budgets=Budgets(dsp=2, bram=1), seed=0)
    for _ in range(3):
        poor.step(DIGITS, ALL, 8)
    assert not poor.cost(DIGITS, ALL).feasible
    with pytest.raises(InfeasibleError, match=r"the limits are budgets.dsp: 2, budgets.bram: 1\."):
        poor.best(DIGITS, ALL)

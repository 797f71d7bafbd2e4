# SPDX-License-Identifier: Apache-2.0
"""The joint search: known optima are found, a kill loses nothing, the penalty is the cost's difference."""

from __future__ import annotations

import itertools
import math
import multiprocessing
import os
import signal
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from nba.core.errors import InfeasibleError, NbaError
from nba.explore.protocol import HardwareCost
from nba.ir.accelerator import Accelerator
from nba.ir.network import Network
from nba.learn.search import penalty as penalty_module
from nba.learn.search.config import SearchSchedule
from nba.learn.search.joint import penalty_of, search_jointly
from nba.learn.search.penalty import CostOracle, adapted_weight
from nba.learn.search.result import load_result, save_result
from nba.learn.space.network import SKIP, Architecture, bit_operations, blocks, choices, macs, skeleton
from nba.learn.supernet import paths
from tests.torch.fake_hardware import FakeHardware, TableHardware
from tests.torch.small import MACRO, few_digits

pytestmark = pytest.mark.torch
SHORT = SearchSchedule(
    pretrain_epochs=1, joint_epochs=2, batch_size=16, hardware_every=2, hardware_samples=3, hardware_first=2,
    hardware_last=2, alpha_learning_rate=0.1, beta_learning_rate=0.1,
)  # fmt: skip


def _everything() -> list[Architecture]:
    ops = [choices(block) for block in blocks(MACRO)]
    bits = [MACRO.bitwidths] * len(ops)
    return [Architecture(macro=MACRO, ops=o, bits=b) for o in itertools.product(*ops) for b in itertools.product(*bits)]


def test_finds_the_optimum_that_enumeration_knows() -> None:
    """A black-box cost without relation to MACs, so heavy that the classification loss does not matter."""
    hardware = TableHardware(0)
    config = SHORT.but(
        pretrain_epochs=0,
        joint_epochs=12,
        temperature_first=3.0,
        cost_weight=100.0,
        bits_weight=0.0,
    )
    oracle = CostOracle(hardware, config)
    scores = sorted(oracle.score(a) for a in _everything())
    found = search_jointly(MACRO, few_digits(256), hardware, config, 1)
    best = oracle.score(found.architecture)
    assert scores[0] < scores[len(scores) // 20] - 0.1, "the case must not be easy"
    assert best == pytest.approx(scores[0])
    assert found.records[-1].alpha_entropy < 0.5 * found.records[0].alpha_entropy


class _NeverWithin(FakeHardware):
    """No design that it finds meets the budgets."""

    def best(self, network: Network, slot_of_layer: tuple[int, ...]) -> Accelerator:
        raise InfeasibleError("no samples within the budgets")


def test_a_mapper_finds_what_the_samples_miss() -> None:
    asked: list[Network] = []

    def mapper(network: Network) -> Accelerator:
        asked.append(network)
        return FakeHardware(0).best(network, tuple(range(len(network.layers))))

    found = search_jointly(MACRO, few_digits(64), _NeverWithin(1), SHORT, 3, mapper=mapper)
    assert asked == [skeleton(found.architecture)]
    assert found.accelerator == FakeHardware(0).best(asked[0], tuple(range(len(asked[0].layers))))
    with pytest.raises(InfeasibleError):
        search_jointly(MACRO, few_digits(64), _NeverWithin(1), SHORT, 3)


def test_without_a_cost_the_loss_decides() -> None:
    """With no penalty the search must not end at the cheapest network; with a heavy one it must."""
    rich = SHORT.but(pretrain_epochs=4, joint_epochs=4, learning_rate=1e-2, cost_weight=0.0)
    poor = SHORT.but(joint_epochs=12, temperature_first=3.0, cost_weight=100.0)
    cheapest = search_jointly(MACRO, few_digits(256), FakeHardware(0), poor, 0).architecture
    assert cheapest.ops == ("skip", "k3_e1", "skip")
    assert cheapest.bits[1] == 4
    free = search_jointly(MACRO, few_digits(256), FakeHardware(0), rich, 0).architecture
    assert free.ops != cheapest.ops


class _KillAt:
    """A progress observer that kills its own process after some epochs."""

    def __init__(self, epochs: int):
        self.left = epochs

    def start(self, task: str, total: int | None = None) -> None:
        """Ignored."""

    def advance(self, n: int = 1, note: str = "") -> None:
        self.left -= n
        if self.left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    def finish(self) -> None:
        """Ignored."""


TARGETED = SHORT.but(target=1.0)
"""With a weight of the cost that changes from epoch to epoch."""


def _killed_run(folder: Path) -> None:
    torch.set_num_threads(1)
    search_jointly(MACRO, few_digits(128), FakeHardware(5), TARGETED, 2, folder, _KillAt(2))


def test_a_killed_search_ends_with_the_same_result(tmp_path: Path) -> None:
    process = multiprocessing.get_context("spawn").Process(target=_killed_run, args=(tmp_path,))
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    assert (tmp_path / "search.pt").is_file()
    hardware, other = FakeHardware(5), FakeHardware(5)
    resumed = search_jointly(MACRO, few_digits(128), hardware, TARGETED, 2, tmp_path)
    whole = search_jointly(MACRO, few_digits(128), other, TARGETED, 2)
    assert resumed == whole
    assert hardware.state() == other.state()
    assert len(whole.records) == 3
    assert search_jointly(MACRO, few_digits(128), FakeHardware(5), TARGETED, 3).records != whole.records
    save_result(whole, tmp_path / "search.json")
    assert load_result(tmp_path / "search.json") == whole
    text = (tmp_path / "search.json").read_text()
    (tmp_path / "search.json").write_text(text[:-20])
    with pytest.raises(NbaError, match="damaged"):
        load_result(tmp_path / "search.json")
    with pytest.raises(NbaError, match="no such file"):
        load_result(tmp_path / "nothing.json")


def test_penalty_lowers_the_odds_of_what_costs_more() -> None:
    oracle = CostOracle(TableHardware(0), SearchSchedule(bits_weight=0.0))
    legal = paths.legal_choices(MACRO)
    alpha = torch.zeros(legal.operators_LO.shape, requires_grad=True)
    beta = torch.zeros(legal.beta_shape(), requires_grad=True)
    path = paths.sample_path(
        alpha, beta, legal, temperature=1.0, n_candidates=2, hard_bits=True,
        generator=torch.Generator().manual_seed(4),
    )  # fmt: skip
    here = paths.architecture_of(MACRO, path)
    options = tuple(
        tuple((MACRO.operators[o], MACRO.bitwidths[j]) for o, j in zip(c.candidates, c.bits, strict=True)) for c in path
    )
    scores = oracle.compare(here, options)
    for b, choice in enumerate(path):
        assert scores.operators[b][0] == 0
        other = replace(
            here,
            ops=(*here.ops[:b], options[b][1][0], *here.ops[b + 1 :]),
            bits=(*here.bits[:b], options[b][1][1], *here.bits[b + 1 :]),
        )
        exact = math.log(oracle.cost(other).interval_cycles / oracle.cost(here).interval_cycles)
        assert scores.operators[b][1] == pytest.approx(exact)
        assert scores.bits[b][choice.bits[0]] == 0
        if here.ops[b] == SKIP:
            assert scores.bits[b] == (0.0, 0.0)
    penalty = penalty_of(path, scores)
    assert float(penalty.detach()) == pytest.approx(0.0, abs=1e-6)
    to_alpha, _ = torch.autograd.grad(penalty, [alpha, beta])
    for b, choice in enumerate(path):
        dearer = scores.operators[b][1] > 0
        assert (float(to_alpha[b, choice.candidates[1]]) > 0) == dearer


def test_score_knows_budgets_bits_and_objectives(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(penalty_module, "INFEASIBLE_PENALTY", 7.0)

    class Broken(FakeHardware):
        def cost(self, network: object, slot_of_layer: tuple[int, ...]) -> HardwareCost:
            return replace(
                super().cost(network, slot_of_layer),  # type: ignore[arg-type]
                interval_cycles=1000, latency_cycles=None, feasible=False,
            )  # fmt: skip

    here = Architecture(macro=MACRO, ops=("skip", "k3_e1", "skip"), bits=(4, 4, 4))
    plain = SearchSchedule(bits_weight=0.0)
    assert CostOracle(Broken(0), plain).score(here) == pytest.approx(math.log(1000) + 7)
    wide = replace(here, bits=(4, 8, 4))
    weighed = CostOracle(FakeHardware(0), SearchSchedule(bits_weight=1.0))
    assert weighed.score(wide) > weighed.score(here)
    with pytest.raises(NbaError, match="latency"):
        CostOracle(Broken(0), plain, "latency").score(here)
    assert CostOracle(FakeHardware(0), plain, "latency").score(here) > 0


def test_the_weight_of_the_penalty_follows_the_target() -> None:
    config = SearchSchedule(cost_weight=0.1, target=1000.0)
    assert adapted_weight(config.but(target=None), 0.1, 5000.0, False) == 0.1
    assert adapted_weight(config, 0.1, 1500.0, True) == pytest.approx(0.15)
    assert adapted_weight(config, 0.1, 800.0, True) == pytest.approx(0.08)
    assert adapted_weight(config, 0.1, 9000.0, True) == pytest.approx(0.2)
    assert adapted_weight(config, 0.1, 10.0, True) == pytest.approx(0.05)
    assert adapted_weight(config, 0.1, 10.0, False) == pytest.approx(0.2)
    assert adapted_weight(config, 9.0, 9000.0, True) == pytest.approx(10.0)
    assert adapted_weight(config, 0.0015, 1.0, True) == pytest.approx(0.001)
    assert adapted_weight(config.but(adapt_rate=0.5), 0.1, 1440.0, True) == pytest.approx(0.12)


def test_a_range_switches_the_weight() -> None:
    config = SearchSchedule(cost_weight=0.1, cost_range=(100.0, 200.0))
    assert [adapted_weight(config, 7.0, cost, True) for cost in (99.0, 100.0, 150.0, 200.0, 201.0)] == [
        -0.1, 0.0, 0.0, 0.0, 0.1,
    ]  # fmt: skip
    assert adapted_weight(config, 7.0, 50.0, False) == 0.1


def test_operations_as_the_cost_of_a_network() -> None:
    here = Architecture(macro=MACRO, ops=("k3_e2", "k5_e2", "skip"), bits=(8, 4, 4))
    network = skeleton(here)
    counts = {"macs": macs(network), "bit_operations": bit_operations(network)}
    for name, count in counts.items():
        config = SearchSchedule(network_objective=name, bits_weight=0.0)  # type: ignore[arg-type]
        assert CostOracle(FakeHardware(0), config).score(here) == math.log(count)
        linear = config.but(cost_form="linear")
        assert CostOracle(FakeHardware(0), linear).score(here) == count
        assert (
            CostOracle(FakeHardware(0), linear.but(bits_weight=0.5)).score(here)
            == count + 0.5 * counts["bit_operations"]
        )


@pytest.mark.parametrize(("least", "most"), [(0.0, 0.5), (0.9, 1.0)])
def test_a_range_of_multiply_accumulates_is_reached(least: float, most: float) -> None:
    """Shares of the dearest network's: a small network where few are wanted, a large one where many are."""
    dearest = Architecture(macro=MACRO, ops=("k5_e2",) * 3, bits=(8,) * 3)
    whole = macs(skeleton(dearest))
    config = SHORT.but(
        pretrain_epochs=0, joint_epochs=16, alpha_learning_rate=0.1, steps_per_epoch=2, temperature_first=1.0,
        temperature_factor=1.0, cost_weight=30.0 / whole, network_objective="macs", cost_form="linear", bits_weight=0.0,
        cost_range=(least * whole, most * whole),
    )  # fmt: skip
    records = search_jointly(MACRO, few_digits(64), FakeHardware(0), config, 0).records
    assert least * whole <= records[-1].macs <= most * whole
    assert records[-1].bit_operations > records[-1].macs


@pytest.mark.parametrize(("target", "direction"), [(1.0, 1), (1e9, -1)])
def test_a_missed_target_raises_the_weight_and_a_met_one_lowers_it(target: float, direction: int) -> None:
    config = SHORT.but(joint_epochs=3, target=target)
    weights = [r.cost_weight for r in search_jointly(MACRO, few_digits(64), FakeHardware(0), config, 0).records]
    assert weights[:2] == [config.cost_weight] * 2
    assert all((after - before) * direction > 0 for before, after in itertools.pairwise(weights[1:]))


def test_scores_are_taken_anew_when_the_accelerator_changes() -> None:
    hardware = FakeHardware(0)
    oracle = CostOracle(hardware, SearchSchedule(bits_weight=0.0))
    here = Architecture(macro=MACRO, ops=("k3_e2",) * 3, bits=(4, 4, 4))
    before = oracle.score(here)
    oracle.improve(here, 50)
    assert hardware.lanes > 1
    assert oracle.score(here) < before
    assert oracle.cost(here).layer_cycles.shape == (len(skeleton(here).layers),)


def test_the_networks_classes_are_the_datasets() -> None:
    with pytest.raises(NbaError, match="10 classes"):
        search_jointly(MACRO.but(classes=9), few_digits(32), FakeHardware(0), SHORT, 0)

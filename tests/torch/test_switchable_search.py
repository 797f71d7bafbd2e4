# SPDX-License-Identifier: Apache-2.0
"""SP-NAS: weights learn from every bitwidth, the architecture from the lowest and from the exact cost."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional

from nba.core.errors import NbaError, SpecError
from nba.learn.data.dataset import INPUT_SCALE
from nba.learn.quant.fake import FakeNetwork
from nba.learn.quant.nested import NestedLayer
from nba.learn.search.config import SWITCHABLE_SEARCH, SearchSchedule
from nba.learn.space.network import SKIP, Architecture, Macro, blocks, choices, skeleton
from nba.learn.supernet import paths
from nba.learn.switchable.config import Switchable
from nba.learn.switchable.efficiency import EfficiencyObjective, EfficiencyTable, check_table, efficiency_loss
from nba.learn.switchable.loop import train_switchable
from nba.learn.switchable.loss import distillation
from nba.learn.switchable.network import SwitchableNetwork, network_at_bits
from nba.learn.switchable.search import SwitchableBilevel, search_switchable
from nba.learn.switchable.search_result import load_switchable_search, save_switchable_search
from nba.learn.switchable.supernet import SwitchableSupernet
from nba.learn.train import checkpoint
from nba.learn.train.config import TrainSchedule
from tests.torch.hand_table import hand_table
from tests.torch.small import MACRO, POOLED, few_digits
from tests.torch.stops import StopAt, Stopped

pytestmark = pytest.mark.torch
CASCADE = Switchable(bitwidths=(4, 6, 8))
WIDE = Switchable(bitwidths=(2, 8, 12, 16, 32), stem_bits=8, classifier_bits=4)
PUBLISHED = SearchSchedule.model_validate(SWITCHABLE_SEARCH)
SHORT = PUBLISHED.but(pretrain_epochs=1, joint_epochs=2, batch_size=16, alpha_learning_rate=0.1)


def _run(config: SearchSchedule = SHORT, cascade: Switchable = CASCADE) -> SwitchableBilevel:
    return SwitchableBilevel(MACRO, few_digits(96), cascade, hand_table(bits=cascade.bitwidths[0]), config, 0)


def _images(count: int = 8) -> Tensor:
    return torch.randint(0, 256, (count, 1, 8, 8), generator=torch.Generator().manual_seed(1)).float()


def _path(ops: tuple[str, ...]) -> paths.Path:
    return tuple(paths.SampledBlock(candidates=(MACRO.operators.index(op),), gates=torch.ones(1)) for op in ops)


def _sampled(run: SwitchableBilevel, seed: int, k: int = 2) -> paths.Path:
    return run._path(1.0, k, torch.Generator().manual_seed(seed))


def test_costs_of_networks_are_sums_over_their_layers() -> None:
    table = hand_table()
    ops = ("k3_e2", "k5_e2", SKIP)
    a, b = table.of(0, "k3_e2"), table.of(1, "k5_e2")
    energy, cycles = 10.0 + a.energy_pj + b.energy_pj, 100 + a.cycles + b.cycles
    assert table.totals(ops) == (pytest.approx(energy), cycles)
    assert table.cost(ops) == pytest.approx(energy * cycles)
    assert replace(table, objective="latency").cost(ops) == cycles
    assert replace(table, objective="energy").cost(ops) == pytest.approx(energy)
    every = [table.totals(ops) for ops in itertools.product(*(choices(block) for block in blocks(MACRO)))]
    mean = np.mean([e for e, _ in every]) * np.mean([c for _, c in every])
    assert table.efficiency(ops) == pytest.approx(math.log(energy * cycles / mean))
    (_, dearer, _) = table.compare(ops, ((ops[0],), (ops[1], "k3_e1"), (ops[2],)))
    assert dearer == (0.0, pytest.approx(math.log(table.cost(("k3_e2", "k3_e1", SKIP)) / table.cost(ops))))


@pytest.mark.parametrize("objective", ["macs", "bit_operations"])
def test_operations_are_costs_too(objective: EfficiencyObjective) -> None:
    table, ops = hand_table(5, objective), ("k3_e2", "k5_e2", SKIP)
    a, b = table.of(0, "k3_e2"), table.of(1, "k5_e2")
    cost = {"macs": 50 + a.macs + b.macs, "bit_operations": 70 + a.bit_operations + b.bit_operations}[objective]
    assert table.cost(ops) == cost
    assert table.efficiency(ops, "linear") == cost
    (_, other, _) = table.compare(ops, ((ops[0],), (ops[1], "k3_e1"), (ops[2],)), "linear")
    assert other == (0.0, table.cost(("k3_e2", "k3_e1", SKIP)) - cost)
    check_table(table, MACRO, 4)
    with pytest.raises(SpecError, match="more than 0"):
        check_table(replace(table, fixed_macs=0, fixed_bit_operations=0), MACRO, 4)


@pytest.mark.parametrize("start", ["dear", "cheap"])
def test_a_range_of_operations_is_reached_from_above_and_from_below(start: str) -> None:
    """The weight of the cost is on above the range, off within it, and pushes upwards below it."""
    table = hand_table(2, "macs")
    every = sorted(table.cost(ops) for ops in itertools.product(*(choices(block) for block in blocks(MACRO))))
    span = (every[len(every) // 2 - 3], every[len(every) // 2 + 3])
    config = SHORT.but(
        pretrain_epochs=0, joint_epochs=24, steps_per_epoch=2, cost_weight=0.02, cost_form="linear",
        cost_range=span, alpha_learning_rate=0.1, temperature_factor=1.0, temperature_first=1.0,
    )  # fmt: skip
    run = SwitchableBilevel(MACRO, few_digits(64), CASCADE, table, config, 0)
    with torch.no_grad():
        for b, block in enumerate(blocks(MACRO)):
            costs = {op: table.of(b, op).macs for op in choices(block)}
            best = (max if start == "dear" else min)(costs, key=lambda op: costs[op])
            run.alpha[b, MACRO.all_operators.index(best)] = 1.0
    run.cost_weight = {"dear": 0.02, "cheap": -0.02}[start]
    run.learn()
    sign = {"dear": 1, "cheap": -1}[start]
    for before, after in itertools.pairwise(run.records):
        cost = before.cost
        expected = 0.02 if cost > span[1] else -0.02 if cost < span[0] else 0.0
        assert after.cost_weight == expected
    assert run.records[0].cost_weight == 0.02 * sign
    assert span[0] <= run.records[-1].cost <= span[1]
    assert run.records[-1].macs == run.records[-1].cost


def test_the_weight_of_the_cost_survives_a_kill(tmp_path: Path) -> None:
    config = SHORT.but(joint_epochs=3, target=1.0, steps_per_epoch=1)
    whole = search_switchable(MACRO, few_digits(64), CASCADE, hand_table(), config, 0)
    path, run = tmp_path / "n.pt", SwitchableBilevel(MACRO, few_digits(64), CASCADE, hand_table(), config, 0)
    run.epoch(0)
    run.epoch(1)
    checkpoint.save_checkpoint(path, {"fingerprint": run.fingerprint(), **run.state()})
    again = search_switchable(MACRO, few_digits(64), CASCADE, hand_table(), config, 0, checkpoint=path)
    assert again == whole
    assert whole.records[-1].cost_weight > whole.records[0].cost_weight


@pytest.mark.parametrize("objective", ["edp", "latency", "energy", "macs", "bit_operations"])
def test_the_gradient_of_the_cost_is_its_difference(objective: EfficiencyObjective) -> None:
    """By hand: a softmax over two candidates; by finite differences: along every entry of alpha."""
    run, table = _run(), hand_table(3, objective)
    path = _sampled(run, 4)
    names = MACRO.operators
    loss = efficiency_loss(path, names, table)
    ops = tuple(names[choice.candidates[0]] for choice in path)
    assert float(loss.detach()) == pytest.approx(table.efficiency(ops), abs=1e-6)
    gates = [choice.gates for choice in path]
    for b, (choice, gradient) in enumerate(zip(path, torch.autograd.grad(loss, gates, retain_graph=True), strict=True)):
        other = (*ops[:b], names[choice.candidates[1]], *ops[b + 1 :])
        exact = math.log(table.cost(other) / table.cost(ops))
        assert gradient.tolist() == [0.0, pytest.approx(exact, rel=1e-6)]
    (gradient_LO,) = torch.autograd.grad(loss, [run.alpha])
    differences = table.compare(ops, tuple(tuple(names[o] for o in choice.candidates) for choice in path))

    def soft(alpha: Tensor) -> float:
        """The same noise; the candidates' probabilities times the differences."""
        noise = torch.Generator().manual_seed(4)
        p = paths.gumbel_softmax(run.legal.masked_alpha(alpha), 1.0, noise).double()
        return sum(
            float(p[b, o]) * d for b, c in enumerate(path) for o, d in zip(c.candidates, differences[b], strict=True)
        )

    for b, o in itertools.product(range(3), range(len(names))):
        up, down = (run.alpha.detach().clone() for _ in range(2))
        up[b, o] += 1e-2
        down[b, o] -= 1e-2
        assert float(gradient_LO[b, o]) == pytest.approx((soft(up) - soft(down)) / 2e-2, abs=1e-4)
    assert float(gradient_LO.abs().max()) > 0.01


@pytest.mark.parametrize("objective", ["edp", "latency"])
def test_a_heavy_cost_finds_the_optimum_that_enumeration_knows(objective: EfficiencyObjective) -> None:
    table = hand_table(1, objective)
    config = SHORT.but(
        pretrain_epochs=0, joint_epochs=12, cost_weight=100.0, steps_per_epoch=8, n_candidates=4,
    )  # fmt: skip
    costs = sorted(table.cost(ops) for ops in itertools.product(*(choices(block) for block in blocks(MACRO))))
    found = search_switchable(MACRO, few_digits(256), CASCADE, table, config, 1)
    assert costs[1] > costs[0]
    assert found.cost == costs[0]
    last = found.records[-1]
    assert (last.cost, last.ops) == (found.cost, found.architecture.ops)
    assert last.alpha_entropy < 0.5 * found.records[0].alpha_entropy


def test_without_a_cost_the_accuracy_decides() -> None:
    """alpha's gradient is that of the validation loss alone, whatever the table holds; what the table favours is not
    what is found."""
    config = SHORT.but(pretrain_epochs=4, joint_epochs=4, cost_weight=0.0)
    one, other = (search_switchable(MACRO, few_digits(256), CASCADE, hand_table(seed), config, 0) for seed in (1, 2))
    assert one.architecture == other.architecture
    assert [r.valid_loss for r in one.records] == [r.valid_loss for r in other.records]
    for record in one.records:
        assert (record.valid_loss is None) == (record.valid_accuracy is None) == (record.epoch < 4)
    cheapest = min(itertools.product(*(choices(block) for block in blocks(MACRO))), key=hand_table(1).cost)
    assert one.architecture.ops != cheapest


def _weights_step(run: SwitchableBilevel) -> list[Tensor]:
    """One step on a path of which nothing is skipped; the images and labels that it saw."""
    path = _path(("k3_e2", "k5_e2", "k3_e1"))
    run._path = lambda *_: path  # type: ignore[method-assign]
    generator = torch.Generator().manual_seed(0)
    index = torch.arange(16)
    codes = run.images[run.train_index[index].numpy()]
    x, y = run._weights_batch(index, codes, torch.Generator().manual_seed(0))
    logits = [run.net(x, path, i) for i in range(len(run.cascade.bitwidths))]
    terms = [functional.cross_entropy(out, y) for out in logits]
    terms += [distillation(logits[i], logits[i + 1 :]) for i in range(len(logits) - 1)]
    kernels = [run.net.net(0).stem.weight, run.net.net(0).shared[0].spatial, run.net.net(0).shared[1].project]
    wanted = torch.autograd.grad(torch.stack(terms).sum() / len(logits), kernels)
    run._train_weights(index, codes, 1.0, generator)
    return list(wanted)


def test_weights_learn_from_every_bitwidth() -> None:
    """The gradient of a weights' step is that of the cascade over all bitwidths; each has norms and scales of its
    own, of the sampled operators alone."""
    run = _run()
    wanted = _weights_step(run)
    net = run.net.net(0)
    for parameter, gradient in zip(
        (net.stem.weight, net.shared[0].spatial, net.shared[1].project), wanted, strict=True
    ):
        assert parameter.grad is not None
        assert torch.allclose(parameter.grad, gradient, rtol=1e-3, atol=1e-4 * float(gradient.abs().max()))
    norms = []
    for i in range(3):
        net = run.net.net(i)
        sampled = net.blocks[1]["k5_e2"].layers[1]
        for parameter in (sampled.norm.weight, sampled.out.log_scale, net.stem.norm.bias, net.classifier.bias):
            assert parameter.grad is not None
            assert float(parameter.grad.abs().sum()) > 0
        assert net.blocks[1]["k3_e2"].layers[1].norm.weight.grad is None
        norms.append(sampled.norm.weight.grad)
    assert not torch.equal(norms[0], norms[1])
    # A step that forgets the bitwidths between would be noticed.
    forgot = _run(cascade=CASCADE.but(bitwidths=(4, 8)))
    assert not torch.allclose(_weights_step(forgot)[0], wanted[0], rtol=1e-3)


def _alpha_gradient(run: SwitchableBilevel, spoilt: tuple[int, ...]) -> Tensor:
    """alpha's gradient of a step while the norms of some bitwidths hold nonsense."""
    kept = []
    run._path = lambda *_: _sampled_once(run)  # type: ignore[method-assign]
    with torch.no_grad():
        for i in spoilt:
            for layer in run.net.net(i).modules():
                if isinstance(layer, NestedLayer) and layer.norm is not None:
                    kept.append((layer.norm.weight, layer.norm.weight.clone()))
                    layer.norm.weight.mul_(-3.0 if i % 2 else 0.2)
    index = torch.arange(16)
    codes = run.images[run.valid_index[index].numpy()]
    with torch.no_grad():
        run.alpha.zero_()
    run._train_choices(index, codes, 1.0, torch.Generator().manual_seed(2))
    with torch.no_grad():
        for parameter, before in kept:
            parameter.copy_(before)
    assert run.alpha.grad is not None
    return run.alpha.grad.clone()


def _sampled_once(run: SwitchableBilevel) -> paths.Path:
    return paths.sample_operators(
        run.alpha, run.legal, temperature=1.0, n_candidates=2, generator=torch.Generator().manual_seed(8)
    )


def _changes(run: SwitchableBilevel) -> list[bool]:
    """Per bitwidth, whether alpha's gradient depends on it."""
    clean = _alpha_gradient(run, ())
    assert float(clean.abs().max()) > 0
    return [not torch.equal(clean, _alpha_gradient(run, (i,))) for i in range(3)]


def test_the_architecture_learns_from_the_bits_it_should() -> None:
    assert _changes(_run()) == [True, False, False]
    assert _changes(_run(cascade=CASCADE.but(architecture_bits="highest"))) == [False, False, True]
    assert _changes(_run(cascade=CASCADE.but(architecture_bits="all"))) == [True, True, True]
    defect = _run()
    defect.learns_from = (2,)
    assert _changes(defect) != [True, False, False]


def test_a_step_of_the_architecture_changes_no_weight_and_the_other_way_round() -> None:
    run = _run()
    before = {name: value.clone() for name, value in run.net.state_dict().items()}
    _alpha_gradient(run, ())
    assert all(torch.equal(value, before[name]) for name, value in run.net.state_dict().items())
    assert all(p.requires_grad and p.grad is None for p in run.net.parameters())
    alpha = run.alpha.detach().clone()
    assert float(alpha.abs().max()) > 0
    _weights_step(run)
    assert torch.equal(run.alpha.detach(), alpha)
    assert any(not torch.equal(value, before[name]) for name, value in run.net.state_dict().items())


@pytest.mark.parametrize(("macro", "cascade"), [(MACRO, CASCADE), (MACRO, WIDE), (POOLED, WIDE)])
def test_a_path_is_the_derived_network_at_every_bitwidth(macro: Macro, cascade: Switchable) -> None:
    """With the weights of the supernet, the network that is trained after the search gives the same logits."""
    net = SwitchableSupernet(macro, cascade, 5)
    ops = ("k3_e2", "k5_e2", "k3_e1")
    twin = SwitchableNetwork(skeleton(Architecture(macro=macro, ops=ops, bits=(8, 8, 8))), cascade, 6)
    for i in range(len(cascade.bitwidths)):
        found = net.net(i)
        parts = {name: getattr(found, name) for name in ("stem", "stem_pool", "header", "pool", "classifier")}
        weights = {}
        for b, op in enumerate(ops):
            candidate = found.blocks[b][op]
            views = found.shared[b].views(candidate.operator, candidate.wide)[-len(candidate.layers) :]
            names = ("expand", "depthwise", "project")[-len(candidate.layers) :]
            for name, layer, weight in zip(names, candidate.layers, views, strict=True):
                parts[f"block{b}_{name}"], weights[f"block{b}_{name}"] = layer, weight
        for layer, into in zip(twin.network(i).network.layers, twin.layers(i), strict=True):
            assert not layer.operator.stores_weights or into.lowest == parts[layer.name].lowest
            into.load_state_dict(parts[layer.name].state_dict(), strict=False)
            if layer.name in weights:
                with torch.no_grad():
                    into.weight.copy_(weights[layer.name])  # type: ignore[union-attr]
    twin.train()
    twin.arithmetic(torch.float32)
    outputs = []
    for i in range(len(cascade.bitwidths)):
        wanted = net(_images(), _path(ops), i)
        assert torch.allclose(twin(_images(), i), wanted, atol=2e-3 * float(wanted.detach().abs().max()))
        outputs.append(wanted)
    assert all(not torch.equal(a, b) for a, b in itertools.pairwise(outputs))


def test_kernels_are_shared_and_all_else_is_not() -> None:
    net = SwitchableSupernet(MACRO, WIDE, 0)
    names = [dict(net.net(i).named_parameters()) for i in range(len(WIDE.bitwidths))]
    for name in names[0]:
        kernel = name.startswith("shared.") or name in ("stem.weight", "header.weight", "classifier.weight")
        assert len({id(found[name]) for found in names}) == (1 if kernel else len(names)), name


def test_every_width_is_searched() -> None:
    config = SHORT.but(joint_epochs=1, steps_per_epoch=2)
    found = search_switchable(MACRO, few_digits(64), WIDE, hand_table(bits=2), config, 0)
    assert all(math.isfinite(loss) for record in found.records for loss in record.train_losses)
    assert len(found.records[0].train_losses) == 5
    wide = found.network_at(16)
    assert {t.bits for t in wide.tensors} == {16}
    assert [layer.weight_bits for layer in wide.layers if layer.op != "avgpool"] == [
        8, *[16] * (len(wide.layers) - 3), 4,
    ]  # fmt: skip
    assert found.network_at(2) == network_at_bits(skeleton(found.architecture), 2, stem_bits=8, classifier_bits=4)
    with pytest.raises(NbaError, match="2, 8, 12, 16, 32"):
        found.network_at(4)


def test_a_stopped_search_ends_with_the_same_result(tmp_path: Path) -> None:
    def run(seed: int = 2, **options: object) -> object:
        return search_switchable(MACRO, few_digits(128), CASCADE, hand_table(), SHORT, seed, **options)  # type: ignore[arg-type]

    whole = run()
    assert run() == whole
    assert run(seed=3) != whole
    for epochs in (1, 2):
        path = tmp_path / f"search{epochs}.pt"
        with pytest.raises(Stopped):
            run(checkpoint=path, progress=StopAt(epochs))
        assert path.is_file()
        assert run(checkpoint=path) == whole
    # A checkpoint of another search is not continued.
    other = search_switchable(MACRO, few_digits(128), CASCADE, hand_table(9), SHORT, 2, checkpoint=path)
    assert other.table == hand_table(9)
    assert len(other.records) == 3
    assert other == search_switchable(MACRO, few_digits(128), CASCADE, hand_table(9), SHORT, 2)


def test_what_is_found_is_kept_and_can_be_trained(tmp_path: Path) -> None:
    found = search_switchable(MACRO, few_digits(64), CASCADE, hand_table(), SHORT, 0)
    path = tmp_path / "search.json"
    save_switchable_search(found, path)
    first = path.read_bytes()
    assert load_switchable_search(path) == found
    save_switchable_search(load_switchable_search(path), path)
    assert path.read_bytes() == first
    path.write_bytes(first[:-20])
    with pytest.raises(NbaError, match="damaged"):
        load_switchable_search(path)
    with pytest.raises(NbaError, match="no such file"):
        load_switchable_search(tmp_path / "nothing.json")
    for bits in CASCADE.bitwidths:
        network = found.network_at(bits)
        FakeNetwork(network, INPUT_SCALE, torch.Generator())
        assert {layer.act_bits for layer in network.layers if layer.op != "avgpool"} == {bits}
    short = TrainSchedule(epochs=1, batch_size=16, warmup_epochs=0.0)
    trained = train_switchable(found.network_at(4), few_digits(64), CASCADE, short, 0)
    assert [at.bits for at in trained.results] == [4, 6, 8]


def _wrong_operators(table: EfficiencyTable) -> EfficiencyTable:
    return replace(table, blocks=table.blocks[:-1])


def _negative(table: EfficiencyTable) -> EfficiencyTable:
    first = replace(table.blocks[0][0], energy_pj=math.nan)
    return replace(table, blocks=((first, *table.blocks[0][1:]), *table.blocks[1:]))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: replace(t, bits=8), "8 bits, the lowest bitwidth is 4"),
        (lambda t: replace(t, objective="fps"), "objective 'fps'; legal: edp, latency, energy"),
        (_wrong_operators, "its blocks have the operators"),
        (_negative, "finite"),
        (lambda t: replace(t, fixed_cycles=0), "more than 0"),
    ],
)
def test_tables_of_something_else(change: Callable[[EfficiencyTable], EfficiencyTable], message: str) -> None:
    with pytest.raises(SpecError, match=message):
        search_switchable(MACRO, few_digits(32), CASCADE, change(hand_table()), SHORT, 0)


def test_the_published_schedule() -> None:
    run = _run(PUBLISHED)
    assert run.config.joint_epochs == 25
    assert run.temperature(0) == 3.0
    assert run.temperature(24) == pytest.approx(3.0 * 0.88**24)

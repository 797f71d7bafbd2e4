# SPDX-License-Identifier: Apache-2.0
"""The supernet: one path forward, K paths backward, bitwidths blended before one convolution."""

from __future__ import annotations

from dataclasses import replace
from unittest import mock

import pytest
import torch
from torch.nn import functional

from nba.core.errors import SpecError
from nba.learn.data.dataset import INPUT_SCALE
from nba.learn.quant.fake import FakeNetwork, QuantLayer
from nba.learn.space.check import check_architecture
from nba.learn.space.config import BitsPer
from nba.learn.space.network import SKIP, Architecture, Macro, skeleton
from nba.learn.space.operators import parse_operator
from nba.learn.supernet import paths
from nba.learn.supernet.network import Supernet
from tests.torch.small import MACRO, POOLED

pytestmark = pytest.mark.torch


def _logits(seed: int) -> tuple[torch.Tensor, torch.Tensor, paths.Legal]:
    generator = torch.Generator().manual_seed(seed)
    legal = paths.legal_choices(MACRO)
    alpha = torch.randn(legal.operators_LO.shape, generator=generator).requires_grad_()
    beta = torch.randn(legal.beta_shape(), generator=generator).requires_grad_()
    return alpha, beta, legal


def _sample(seed: int, k: int, hard: bool, temperature: float = 1.0) -> tuple[paths.Path, torch.Tensor, torch.Tensor]:
    alpha, beta, legal = _logits(seed)
    path = paths.sample_path(
        alpha, beta, legal, temperature=temperature, n_candidates=k, hard_bits=hard,
        generator=torch.Generator().manual_seed(seed),
    )  # fmt: skip
    return path, alpha, beta


def _x(seed: int) -> torch.Tensor:
    return torch.randint(0, 256, (8, 1, 8, 8), generator=torch.Generator().manual_seed(seed)).float()


def test_gates_and_hard_bits_are_exactly_one_hot() -> None:
    for seed in range(20):
        path, _, _ = _sample(seed, 2, True)
        for choice in path:
            assert choice.gates.tolist() == [1.0] + [0.0] * (len(choice.candidates) - 1)
            assert sorted(choice.mixes[0].tolist()) == [0.0, 1.0]
            assert len(set(choice.candidates)) == len(choice.candidates)


def test_skip_is_never_sampled_where_it_is_illegal() -> None:
    legal = paths.legal_choices(MACRO).operators_LO
    skip = MACRO.operators.index(SKIP)
    seen = [0] * len(legal)
    for seed in range(100):
        path, _, _ = _sample(seed, 3, False)
        for b, choice in enumerate(path):
            seen[b] += skip in choice.candidates
    assert [count > 0 for count in seen] == legal[:, skip].tolist()


def test_samples_follow_the_logits() -> None:
    alpha, beta, legal = _logits(0)
    generator = torch.Generator().manual_seed(1)
    n = 4000
    counts = torch.zeros(legal.operators_LO.shape)
    for _ in range(n):
        path = paths.sample_path(
            alpha, beta, legal, temperature=2.0, n_candidates=1, hard_bits=True, generator=generator
        )
        for b, choice in enumerate(path):
            counts[b, choice.candidates[0]] += 1
    wanted = torch.softmax(legal.masked_alpha(alpha), -1).detach()
    assert torch.allclose(counts / n, wanted, atol=0.04)


def test_value_is_the_single_path_whatever_k() -> None:
    net = Supernet(MACRO, torch.Generator().manual_seed(0))
    for seed in range(5):
        outputs = []
        for k in (1, 2, 4):
            path, _, _ = _sample(seed, k, True)
            outputs.append(net(_x(seed), path))
        assert torch.equal(outputs[0], outputs[1])
        assert torch.equal(outputs[0], outputs[2])


def test_hard_bits_equal_a_fixed_bitwidth() -> None:
    net = Supernet(MACRO, torch.Generator().manual_seed(0))
    path, _, _ = _sample(3, 1, True)
    fixed = tuple(replace(c, mixes=c.mixes.detach(), gates=c.gates.detach()) for c in path)
    assert torch.equal(net(_x(0), path), net(_x(0), fixed))
    bits = paths.architecture_of(MACRO, path).bits
    assert bits == tuple(MACRO.bitwidths[int(c.mixes[0].argmax())] for c in path)
    changed = tuple(replace(c, mixes=c.mixes.flip(-1)) for c in path)
    assert not torch.allclose(net(_x(0), path), net(_x(0), changed))


def test_gradient_of_alpha_is_the_sum_over_k_paths() -> None:
    """dL/dalpha_i = dL/dA . sum over the K paths of O_k(A) dGS(alpha_k)/dalpha_i, for the last block alone."""
    net = Supernet(MACRO, torch.Generator().manual_seed(0))
    path, alpha, _ = _sample(11, 2, True)
    last = len(path) - 1
    held = [replace(c, mixes=c.mixes.detach(), gates=c.gates.detach()) for c in path]
    gates = path[last].gates
    probe = gates.detach().clone().requires_grad_()
    y = functional.cross_entropy(net(_x(1), (*held[:last], replace(held[last], gates=probe))), torch.arange(8))
    (to_gates,) = torch.autograd.grad(y, [probe])
    assert to_gates.shape == (2,)
    assert float(to_gates[1].abs()) > 0, "the path that is not executed must take part in the backward pass"
    (wanted,) = torch.autograd.grad((to_gates * gates).sum(), [alpha], retain_graph=True)
    y = functional.cross_entropy(net(_x(1), (*held[:last], replace(held[last], gates=gates))), torch.arange(8))
    (found,) = torch.autograd.grad(y, [alpha])
    assert torch.allclose(found, wanted, atol=1e-6)
    assert float(found[:last].abs().max()) == 0
    assert float(found[last].abs().max()) > 0


def test_one_convolution_whatever_the_number_of_bitwidths() -> None:
    counts = []
    for bitwidths in ((8,), (2, 4, 6, 8)):
        macro = MACRO.but(bitwidths=bitwidths, operators=("k3_e2",))
        net = Supernet(macro, torch.Generator().manual_seed(0))
        legal = paths.legal_choices(macro)
        path = paths.sample_path(
            torch.zeros(legal.operators_LO.shape), torch.zeros(legal.beta_shape()), legal, temperature=1.0,
            n_candidates=1, hard_bits=False, generator=torch.Generator().manual_seed(0),
        )  # fmt: skip
        with mock.patch("nba.learn.quant.fake.functional.conv2d", wraps=functional.conv2d) as conv:
            net(_x(0), path)
        counts.append(conv.call_count)
    assert counts[0] == counts[1] == 3 + 3 * 3


def test_soft_bits_train_every_bitwidth_and_beta_learns_from_hard_ones() -> None:
    net = Supernet(MACRO, torch.Generator().manual_seed(0))
    path, alpha, beta = _sample(2, 2, True)
    loss = functional.cross_entropy(net(_x(0), path), torch.arange(8))
    to_alpha, to_beta = torch.autograd.grad(loss, [alpha, beta])
    assert float(to_alpha.abs().sum()) > 0
    skip = MACRO.operators.index(SKIP)
    for b, choice in enumerate(path):
        executed = choice.candidates[0]
        if executed != skip:
            assert float(to_beta[b, executed].abs().sum()) > 0
    soft, _, _ = _sample(2, 1, False)
    assert all(0 < float(v) < 1 for choice in soft for v in choice.mixes[0].detach())


def test_nested_weights_are_shared_by_the_operators_of_a_block() -> None:
    net = Supernet(MACRO, torch.Generator().manual_seed(0))
    small, large = (net.shared[0].views(parse_operator(name), 4 * wide) for name, wide in (("k3_e1", 1), ("k5_e2", 2)))
    assert torch.equal(large[1][:4, :, 1:4, 1:4], small[1])
    assert torch.equal(large[2][:, :4], small[2])


def test_derivation_and_entropy() -> None:
    legal = paths.legal_choices(MACRO)
    alpha = torch.zeros(legal.operators_LO.shape)
    beta = torch.zeros(legal.beta_shape())
    assert paths.entropy(legal.masked_alpha(alpha)) == pytest.approx(1.0)
    alpha[0, 3] = alpha[1, 3] = alpha[2, 3] = 50.0
    alpha[1, 2] = 40.0
    beta[:, :, 1] = 50.0
    found = paths.derive(MACRO, alpha, beta, legal)
    assert found.ops == ("skip", "k5_e2", "skip")
    assert found.bits == (8, 8, 8)
    assert paths.entropy(beta) < 1e-9


GROUPED = MACRO.but(
    operators=("k3_e1", "k3_e2_g2", "k5_e2", "k5_e1_g2", SKIP),
    expand_at_one=True,
    stages=(*MACRO.stages[:1], MACRO.stages[1].but(bitwidths=(2, 3, 8))),
)


def _fixed_path(ops: tuple[str, ...], bits: tuple[int, ...], macro: Macro) -> paths.Path:
    path = []
    for op, b in zip(ops, bits, strict=True):
        mix = torch.zeros(1, len(macro.all_bitwidths))
        mix[0, macro.all_bitwidths.index(b)] = 1.0
        number = macro.all_operators.index(op)
        path.append(
            paths.SampledBlock(
                candidates=(number,), gates=torch.ones(1), mixes=mix, bits=(macro.all_bitwidths.index(b),)
            )
        )
    return tuple(path)


WIDE = GROUPED.but(bitwidths=(4, 8, 16), stem_bits=16)


@pytest.mark.parametrize(
    ("macro", "ops", "bits"),
    [
        (GROUPED, ("k3_e1", "k3_e2_g2", "k5_e1_g2"), (4, 2, 8)),
        (GROUPED, ("k5_e2", "k5_e2", "k3_e1"), (8, 3, 2)),
        (GROUPED, (SKIP, "k5_e1_g2", SKIP), (8, 8, 8)),
        (WIDE, ("k3_e1", "k3_e2_g2", "k5_e1_g2"), (16, 2, 8)),
        (WIDE, ("k5_e2", "k5_e2", "k3_e1"), (4, 3, 2)),
        (POOLED, ("k3_e1", "k5_e2", SKIP), (8, 4, 8)),
        (POOLED.but(bitwidths=(4, 16), stem_bits=6), ("k5_e2", "k3_e2", "k3_e1"), (4, 16, 4)),
    ],
)
def test_a_fixed_path_is_the_derived_network(macro: Macro, ops: tuple[str, ...], bits: tuple[int, ...]) -> None:
    """With the weights of the supernet, the network that is trained after the search gives the same logits."""
    net = Supernet(macro, torch.Generator().manual_seed(0))
    architecture = Architecture(macro=macro, ops=ops, bits=bits)
    check_architecture(architecture)
    network = skeleton(architecture)
    twin = FakeNetwork(network, INPUT_SCALE, torch.Generator().manual_seed(1))
    parts = {name: getattr(net, name) for name in ("stem", "stem_pool", "header", "pool", "classifier")}
    weights = {}
    for b, op in enumerate(ops):
        if op != SKIP:
            candidate = net.blocks[b][op]
            views = net.shared[b].views(candidate.operator, candidate.wide)[-len(candidate.layers) :]
            names = ("expand", "depthwise", "project")[-len(candidate.layers) :]
            for name, layer, weight in zip(names, candidate.layers, views, strict=True):
                parts[f"block{b}_{name}"], weights[f"block{b}_{name}"] = layer, weight
    for layer, into in zip(network.layers, twin.layers, strict=True):
        known = {k: v for k, v in parts[layer.name].state_dict().items() if k in into.state_dict()}
        into.load_state_dict(known, strict=False)
        if layer.name in weights:
            assert into.weight.shape == weights[layer.name].shape
            with torch.no_grad():
                into.weight.copy_(weights[layer.name])
    wanted = net(_x(0), _fixed_path(ops, bits, macro))
    assert torch.allclose(twin(_x(0)), wanted, atol=1e-4)


def test_bits_from_2_to_16_are_sampled_and_learn() -> None:
    """All codes have 16 bits, whatever is sampled; 2 bits show something else of them than 16 do."""
    macro = MACRO.but(bitwidths=(2, 8, 16))
    net = Supernet(macro, torch.Generator().manual_seed(0))
    assert {layer.out.bits for layer in net.modules() if isinstance(layer, QuantLayer)} == {16}
    legal = paths.legal_choices(macro)
    alpha = torch.zeros(legal.operators_LO.shape, requires_grad=True)
    beta = torch.zeros(legal.beta_shape(), requires_grad=True)
    generator = torch.Generator().manual_seed(0)
    seen: set[int] = set()
    for hard in (False, True):
        for _ in range(15):
            path = paths.sample_path(
                alpha, beta, legal, temperature=1.0, n_candidates=2, hard_bits=hard, generator=generator
            )
            seen.update(paths.architecture_of(macro, path).bits)
            loss = functional.cross_entropy(net(_x(0), path), torch.arange(8))
            assert bool(torch.isfinite(loss))
            to_alpha, to_beta = torch.autograd.grad(loss, [alpha, beta])
            assert bool(torch.isfinite(to_alpha).all() and torch.isfinite(to_beta).all())
            assert float(to_alpha.abs().sum()) > 0
    assert seen == {2, 8, 16}
    ops = ("k3_e2", "k3_e2", "k3_e2")
    with torch.no_grad():
        two, eight, wide = (net(_x(0), _fixed_path(ops, (bits,) * 3, macro)) for bits in (2, 8, 16))
    assert float((eight - wide).abs().mean()) < 0.2 * float((two - wide).abs().mean())
    assert not torch.equal(eight, wide)


def test_bits_of_other_stages_are_never_sampled() -> None:
    legal = paths.legal_choices(GROUPED)
    alpha = torch.zeros(legal.operators_LO.shape)
    beta = torch.zeros(legal.beta_shape())
    assert GROUPED.all_bitwidths == (2, 3, 4, 8)
    generator = torch.Generator().manual_seed(0)
    for hard in (False, True):
        for _ in range(50):
            path = paths.sample_path(
                alpha, beta, legal, temperature=1.0, n_candidates=2, hard_bits=hard, generator=generator
            )
            assert float(path[0].mixes[:, :2].abs().max()) == 0
            assert float(path[1].mixes[:, 2].abs().max()) == 0
            check_architecture(paths.architecture_of(GROUPED, path))
    assert paths.entropy(legal.masked_beta(beta)) == pytest.approx(1.0)


@pytest.mark.parametrize(("per", "rows"), [("stage", 2), ("network", 1)])
def test_shared_bits_are_one_sample_and_learn_together(per: BitsPer, rows: int) -> None:
    macro = MACRO.but(bits_per=per)
    legal = paths.legal_choices(macro)
    assert legal.beta_shape() == (rows, 1, 2)
    beta = torch.zeros(legal.beta_shape(), requires_grad=True)
    path = paths.sample_path(
        torch.zeros(legal.operators_LO.shape), beta, legal, temperature=1.0, n_candidates=2, hard_bits=True,
        generator=torch.Generator().manual_seed(5),
    )  # fmt: skip
    architecture = paths.architecture_of(macro, path)
    check_architecture(architecture)
    assert torch.equal(path[1].mixes[0], path[2].mixes[1])
    (grad,) = torch.autograd.grad(sum(choice.mixes[0, 0] for choice in path), [beta])
    assert float(grad.abs().min()) > 0
    with torch.no_grad():
        beta[-1, 0, 1] = 3.0
    derived = paths.derive(macro, torch.zeros(legal.operators_LO.shape), beta, legal)
    check_architecture(derived)
    assert derived.bits[1:] == (8, 8)


def test_narrowed_choices() -> None:
    network_alone = paths.legal_at_bits(MACRO, 8)
    assert network_alone.bits_LJ.tolist() == [[False, True]] * 3
    with pytest.raises(SpecError, match="5 bits"):
        paths.legal_at_bits(MACRO, 5)
    there = Architecture(macro=MACRO, ops=("skip", "k5_e2", "k3_e1"), bits=(4, 4, 4))
    bits_alone = paths.only(MACRO, there)
    assert bits_alone.operators_LO.sum(1).tolist() == [1, 1, 1]
    path = paths.sample_path(
        torch.zeros(3, 4), torch.zeros(3, 4, 2), bits_alone, temperature=1.0, n_candidates=2, hard_bits=True,
        generator=torch.Generator().manual_seed(0),
    )  # fmt: skip
    assert paths.architecture_of(MACRO, path).ops == there.ops
    assert [len(choice.candidates) for choice in path] == [1, 1, 1]


def _saved_bytes(bitwidths: tuple[int, ...], hard: bool, k: int) -> int:
    """Bytes that a step of the supernet keeps for its backward pass, every storage once."""
    macro = MACRO.but(bitwidths=bitwidths)
    net = Supernet(macro, torch.Generator().manual_seed(0))
    legal = paths.legal_choices(macro)
    alpha = torch.zeros(legal.operators_LO.shape, requires_grad=k > 1)
    beta = torch.zeros(legal.beta_shape(), requires_grad=k > 1)
    path = paths.sample_path(
        alpha, beta, legal, temperature=1.0, n_candidates=k, hard_bits=hard,
        generator=torch.Generator().manual_seed(0),
    )  # fmt: skip
    kept: dict[int, int] = {}

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    x = torch.randint(0, 256, (16, 1, 8, 8), generator=torch.Generator().manual_seed(0)).float()
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        loss = net(x, path).sum()
    loss.backward()
    return sum(kept.values())


@pytest.mark.parametrize(("hard", "k"), [(False, 1), (True, 1), (False, 2), (True, 2)])
def test_memory_does_not_grow_with_the_number_of_bitwidths(hard: bool, k: int) -> None:
    """Peaks of whole processes: benchmarks/memory.py."""
    one, five = _saved_bytes((8,), hard, k), _saved_bytes((4, 5, 6, 7, 8), hard, k)
    assert five <= 1.15 * one
    assert _saved_bytes((8,), hard, 2) > one or k == 2

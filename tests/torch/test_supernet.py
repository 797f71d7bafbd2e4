# SPDX-License-Identifier: Apache-2.0
"""The supernet: one path forward, K paths backward, bitwidths blended before one convolution."""

from __future__ import annotations

from dataclasses import replace
from unittest import mock

import pytest
import torch
from torch.nn import functional

from nba.space.network import SKIP
from nba.supernet import paths
from nba.supernet.network import Supernet
from tests.torch.small import MACRO

pytestmark = pytest.mark.torch


def _logits(seed: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    legal = paths.legal_operators(MACRO)
    alpha = torch.randn(legal.shape, generator=generator).requires_grad_()
    beta = torch.randn((*legal.shape, len(MACRO.bitwidths)), generator=generator).requires_grad_()
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
    legal = paths.legal_operators(MACRO)
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
    counts = torch.zeros(legal.shape)
    for _ in range(n):
        path = paths.sample_path(
            alpha, beta, legal, temperature=2.0, n_candidates=1, hard_bits=True, generator=generator
        )
        for b, choice in enumerate(path):
            counts[b, choice.candidates[0]] += 1
    wanted = torch.softmax(paths.masked(alpha, legal), -1).detach()
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
        macro = replace(MACRO, bitwidths=bitwidths, operators=("k3_e2",))
        net = Supernet(macro, torch.Generator().manual_seed(0))
        legal = paths.legal_operators(macro)
        path = paths.sample_path(
            torch.zeros(legal.shape), torch.zeros(*legal.shape, len(bitwidths)), legal, temperature=1.0,
            n_candidates=1, hard_bits=False, generator=torch.Generator().manual_seed(0),
        )  # fmt: skip
        with mock.patch("nba.quant.fake.functional.conv2d", wraps=functional.conv2d) as conv:
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
    small, large = net.shared[0].views(3, 4), net.shared[0].views(5, 8)
    assert torch.equal(large[1][:4, :, 1:4, 1:4], small[1])
    assert torch.equal(large[2][:, :4], small[2])


def test_derivation_and_entropy() -> None:
    legal = paths.legal_operators(MACRO)
    alpha = torch.zeros(legal.shape)
    beta = torch.zeros(*legal.shape, 2)
    assert paths.entropy(paths.masked(alpha, legal)) == pytest.approx(1.0)
    alpha[0, 3] = alpha[1, 3] = alpha[2, 3] = 50.0
    alpha[1, 2] = 40.0
    beta[:, :, 1] = 50.0
    found = paths.derive(MACRO, alpha, beta)
    assert found.ops == ("skip", "k5_e2", "skip")
    assert found.bits == (8, 8, 8)
    assert paths.entropy(beta) < 1e-9

# SPDX-License-Identifier: Apache-2.0
"""Sampling of paths through the supernet: operators by alpha, bitwidths by beta (REFERENCES.md section 1).

Shapes: L blocks, O operators of the macro-architecture, J bitwidths, K candidate operators of a sampled block.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from nba.space.network import Architecture, Macro, blocks, choices

_FORBIDDEN = -1e9


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class BlockChoice:
    """What one block does on a sampled path.

    candidates: operator indices, the executed one first, then those that only take part in the backward pass.
    gates [K]: 1 for the executed candidate, 0 for the others, with the gradient of the Gumbel-Softmax probability.
    mixes [K, J]: coefficients of the bitwidths of each candidate. bits: per candidate, the index of the largest.
    """

    candidates: tuple[int, ...]
    gates: Tensor
    mixes: Tensor
    bits: tuple[int, ...]


Path = tuple[BlockChoice, ...]


def legal_operators(macro: Macro) -> Tensor:
    """bool [L, O]: which operator each block may use."""
    rows = [[op in choices(macro, block) for op in macro.operators] for block in blocks(macro)]
    return torch.tensor(rows)


def masked(alpha_LO: Tensor, legal_LO: Tensor) -> Tensor:
    """`alpha_LO` with the logits of operators that a block cannot use at (practically) minus infinity."""
    return alpha_LO.masked_fill(~legal_LO, _FORBIDDEN)


def gumbel_softmax(logits: Tensor, temperature: float, generator: torch.Generator) -> Tensor:
    """Softmax over the last axis of (logits + Gumbel noise) / temperature (Jang et al., 2017)."""
    uniform = torch.rand(logits.shape, generator=generator).clamp(1e-20, 1.0 - 1e-7)
    return torch.softmax((logits - torch.log(-torch.log(uniform))) / temperature, dim=-1)


def straight_through(soft: Tensor) -> Tensor:
    """One-hot of the largest entry of the last axis, exactly 0 and 1, with the gradient of `soft`."""
    hard = torch.zeros_like(soft).scatter_(-1, soft.argmax(-1, keepdim=True), 1.0)
    return hard + (soft - soft.detach())


def sample_path(
    alpha_LO: Tensor,
    beta_LOJ: Tensor,
    legal_LO: Tensor,
    *,
    temperature: float,
    n_candidates: int,
    hard_bits: bool,
    generator: torch.Generator,
) -> Path:
    """One path: per block the best of the Gumbel-perturbed operators is executed, the `n_candidates` best are kept for
    the backward pass. Bitwidths are blended softly (to train weights) or chosen with `hard_bits` (to train beta)."""
    soft_LO = gumbel_softmax(masked(alpha_LO, legal_LO), temperature, generator)
    gates_LO = straight_through(soft_LO)
    mixes_LOJ = gumbel_softmax(beta_LOJ, temperature, generator)
    if hard_bits:
        mixes_LOJ = straight_through(mixes_LOJ)
    path = []
    for b in range(len(alpha_LO)):
        k = min(n_candidates, int(legal_LO[b].sum()))
        index = soft_LO[b].detach().topk(k).indices
        path.append(
            BlockChoice(
                candidates=tuple(int(i) for i in index),
                gates=gates_LO[b, index],
                mixes=mixes_LOJ[b, index],
                bits=tuple(int(i) for i in mixes_LOJ[b, index].detach().argmax(-1)),
            )
        )
    return tuple(path)


def architecture_of(macro: Macro, path: Path) -> Architecture:
    """The architecture that a sampled path executes (the largest coefficient names the bitwidth)."""
    return Architecture(
        macro=macro,
        ops=tuple(macro.operators[choice.candidates[0]] for choice in path),
        bits=tuple(macro.bitwidths[choice.bits[0]] for choice in path),
    )


def derive(macro: Macro, alpha_LO: Tensor, beta_LOJ: Tensor) -> Architecture:
    """The most probable operator of every block and that operator's most probable bitwidth."""
    best = masked(alpha_LO.detach(), legal_operators(macro)).argmax(-1)
    bits = [int(beta_LOJ.detach()[b, o].argmax()) for b, o in enumerate(best.tolist())]
    return Architecture(
        macro=macro,
        ops=tuple(macro.operators[o] for o in best.tolist()),
        bits=tuple(macro.bitwidths[j] for j in bits),
    )


def entropy(logits: Tensor) -> float:
    """Mean over rows of the entropy of softmax(last axis), in units of its maximum over the choices that are legal."""
    probability = torch.softmax(logits.detach().double(), -1)
    legal = (logits > 0.5 * _FORBIDDEN).sum(-1).double()
    rows = -(probability * probability.clamp_min(1e-30).log()).sum(-1)
    return float((rows / legal.clamp_min(2.0).log()).mean())

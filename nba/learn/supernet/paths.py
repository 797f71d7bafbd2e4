# SPDX-License-Identifier: Apache-2.0
"""Sampling of paths through the supernet: operators by alpha, bitwidths by beta (Auto-NBA, arXiv 2106.06575).

Shapes: L blocks, O operators and J bitwidths of the macro-architecture (`all_operators`, `all_bitwidths`), K candidate
operators of a sampled block, G groups of blocks with a common bitwidth. alpha is [L, O]. beta is [L, O, J] where every
block chooses its bits, one row per operator, and [G, 1, J] where blocks share them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from nba.core.errors import SpecError
from nba.learn.space.network import Architecture, Macro, blocks, choices

_FORBIDDEN = -1e9


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class SampledBlock:
    """What one block does on a sampled path.

    candidates: operator indices, the executed one first, then those that only take part in the backward pass.
    gates [K]: 1 for the executed candidate, 0 for the others, with the gradient of the Gumbel-Softmax probability.
    mixes [K, J]: coefficients of the bitwidths of each candidate. bits: per candidate, the index of the largest. None
    and empty where bits are not searched.
    """

    candidates: tuple[int, ...]
    gates: Tensor
    mixes: Tensor | None = None
    bits: tuple[int, ...] = ()


Path = tuple[SampledBlock, ...]


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Legal:
    """What may be chosen: operators_LO, bits_LJ: bool. group_L: the group of blocks whose bits a block shares."""

    operators_LO: Tensor
    bits_LJ: Tensor
    group_L: Tensor

    @property
    def n_groups(self) -> int:
        """Number of groups."""
        return int(self.group_L.max()) + 1

    def beta_shape(self) -> tuple[int, int, int]:
        """Shape of beta."""
        n_blocks, n_operators = self.operators_LO.shape
        rows = (n_blocks, n_operators) if self.n_groups == n_blocks else (self.n_groups, 1)
        return (*rows, self.bits_LJ.shape[1])

    def masked_alpha(self, alpha_LO: Tensor) -> Tensor:
        """`alpha_LO` with what a block cannot use at (practically) minus infinity."""
        return masked(alpha_LO, self.operators_LO)

    def masked_beta(self, beta_GOJ: Tensor) -> Tensor:
        """`beta_GOJ` with the bits that a block cannot use at (practically) minus infinity."""
        first = [int((self.group_L == g).nonzero()[0]) for g in range(self.n_groups)]
        return masked(beta_GOJ, self.bits_LJ[first][:, None, :].expand_as(beta_GOJ))

    def per_block(self, beta_GOJ: Tensor) -> Tensor:
        """Rows of beta, or of a sample of it, for every block and operator: [L, O, J]."""
        return beta_GOJ[self.group_L].expand(-1, self.operators_LO.shape[1], -1)


def legal_choices(macro: Macro) -> Legal:
    """All choices of `macro`."""
    places = blocks(macro)
    groups = list(dict.fromkeys(block.bits_group for block in places))
    return Legal(
        operators_LO=torch.tensor([[op in choices(block) for op in macro.all_operators] for block in places]),
        bits_LJ=torch.tensor([[bits in block.bitwidths for bits in macro.all_bitwidths] for block in places]),
        group_L=torch.tensor([groups.index(block.bits_group) for block in places]),
    )


def masked(logits: Tensor, legal: Tensor) -> Tensor:
    """`logits` with those that are not `legal` at (practically) minus infinity."""
    return logits.masked_fill(~legal, _FORBIDDEN)


def gumbel_softmax(logits: Tensor, temperature: float, generator: torch.Generator) -> Tensor:
    """Softmax over the last axis of (logits + Gumbel noise) / temperature (Jang et al., 2017)."""
    uniform = torch.rand(logits.shape, generator=generator).clamp(1e-20, 1.0 - 1e-7)
    return torch.softmax((logits - torch.log(-torch.log(uniform))) / temperature, dim=-1)


def straight_through(soft: Tensor) -> Tensor:
    """One-hot of the largest entry of the last axis, exactly 0 and 1, with the gradient of `soft`."""
    hard = torch.zeros_like(soft).scatter_(-1, soft.argmax(-1, keepdim=True), 1.0)
    return hard + (soft - soft.detach())


def sample_operators(
    alpha_LO: Tensor, legal: Legal, *, temperature: float, n_candidates: int, generator: torch.Generator
) -> Path:
    """One path, without bitwidths: per block the best of the Gumbel-perturbed operators is executed, the `n_candidates`
    best are kept for the backward pass."""
    soft_LO = gumbel_softmax(legal.masked_alpha(alpha_LO), temperature, generator)
    gates_LO = straight_through(soft_LO)
    path = []
    for b in range(len(alpha_LO)):
        k = min(n_candidates, int(legal.operators_LO[b].sum()))
        index = soft_LO[b].detach().topk(k).indices
        path.append(SampledBlock(candidates=tuple(int(i) for i in index), gates=gates_LO[b, index]))
    return tuple(path)


def sample_path(
    alpha_LO: Tensor,
    beta_GOJ: Tensor,
    legal: Legal,
    *,
    temperature: float,
    n_candidates: int,
    hard_bits: bool,
    generator: torch.Generator,
) -> Path:
    """One path of operators (`sample_operators`) and bitwidths: blended softly (to train weights) or chosen with
    `hard_bits` (to train beta)."""
    operators = sample_operators(
        alpha_LO, legal, temperature=temperature, n_candidates=n_candidates, generator=generator
    )
    mixes_GOJ = gumbel_softmax(legal.masked_beta(beta_GOJ), temperature, generator)
    mixes_LOJ = legal.per_block(straight_through(mixes_GOJ) if hard_bits else mixes_GOJ)
    path = []
    for b, choice in enumerate(operators):
        mixes = mixes_LOJ[b, list(choice.candidates)]
        path.append(replace(choice, mixes=mixes, bits=tuple(int(i) for i in mixes.detach().argmax(-1))))
    return tuple(path)


def on(path: Path, device: torch.device) -> Path:
    """The path with gates and coefficients on `device`, where the supernet is."""
    return tuple(
        replace(c, gates=c.gates.to(device), mixes=None if c.mixes is None else c.mixes.to(device)) for c in path
    )


def architecture_of(macro: Macro, path: Path) -> Architecture:
    """The architecture that a sampled path executes (the largest coefficient names the bitwidth)."""
    return Architecture(
        macro=macro,
        ops=tuple(macro.all_operators[choice.candidates[0]] for choice in path),
        bits=tuple(macro.all_bitwidths[choice.bits[0]] for choice in path),
    )


def best_operators(alpha_LO: Tensor, legal: Legal) -> list[int]:
    """The number of the most probable operator of every block."""
    found: list[int] = legal.masked_alpha(alpha_LO.detach()).argmax(-1).tolist()
    return found


def derive(macro: Macro, alpha_LO: Tensor, beta_GOJ: Tensor, legal: Legal) -> Architecture:
    """The most probable operator of every block and that operator's (or group's) most probable bitwidth."""
    best = best_operators(alpha_LO, legal)
    bits_LO = legal.per_block(legal.masked_beta(beta_GOJ.detach())).argmax(-1)
    return Architecture(
        macro=macro,
        ops=tuple(macro.all_operators[o] for o in best),
        bits=tuple(macro.all_bitwidths[int(bits_LO[b, o])] for b, o in enumerate(best)),
    )


def only(macro: Macro, architecture: Architecture) -> Legal:
    """The operators of `architecture` and all bitwidths: what is left to choose once the network is."""
    names = macro.all_operators
    legal = legal_choices(macro)
    found = torch.tensor([[name == op for name in names] for op in architecture.ops])
    return Legal(operators_LO=found, bits_LJ=legal.bits_LJ, group_L=legal.group_L)


def legal_at_bits(macro: Macro, bits: int) -> Legal:
    """All operators at `bits` bits: what a search for the network alone may choose. Raises SpecError where a block may
    not have them."""
    legal = legal_choices(macro)
    wanted = torch.tensor([b == bits for b in macro.all_bitwidths]) & legal.bits_LJ
    if not bool(wanted.any(1).all()):
        raise SpecError(f"bitwidths: not every block may have {bits} bits")
    return Legal(operators_LO=legal.operators_LO, bits_LJ=wanted, group_L=legal.group_L)


def entropy(logits: Tensor) -> float:
    """Mean over rows of the entropy of softmax(last axis), in units of its maximum over the choices that are legal."""
    probability = torch.softmax(logits.detach().double(), -1)
    legal = (logits > 0.5 * _FORBIDDEN).sum(-1).double()
    rows = -(probability * probability.clamp_min(1e-30).log()).sum(-1)
    return float((rows / legal.clamp_min(2.0).log()).mean())

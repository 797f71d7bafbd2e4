# SPDX-License-Identifier: Apache-2.0
"""The differentiable accelerator search (Auto-NBA, arXiv 2106.06575, section 3.3): logits for every accelerator
parameter, hard Gumbel-Softmax samples, a black-box cost, and an update of every sampled one-hot by that cost.

Differences from the published code (docs/decisions/0005-gamma-sampling.md has what they bring): conditional parameters
are masked; a design over budget is penalised, never fatal; the best design seen is kept; samples are credited by their
rank within the step, so that neither the network's size nor a few poor samples move the logits; the step is that of the
natural gradient.

The method does not have this: a share of every step's evaluations goes to variations of the best designs seen, local
search around what the logits found, most of them repaired (nba.explore.repair). They only compete for "best design
seen"; the logits do not learn from them, because they are not drawn from the logits.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from nba.explore.entropy import mean_entropy
from nba.explore.repair import demand
from nba.explore.sampling import gradient, resize_engines, vary
from nba.explore.search import AcceleratorSearch, pack, unpack
from nba.explore.space import draw_choices

MOST_DSP = 2.0
"""Times the budget of DSP blocks that engines are drawn for, at most, where multipliers may go to LUTs."""


@dataclass(frozen=True, kw_only=True, slots=True)
class GammaSettings:
    """How gamma learns.

    lr: step of the probabilities. floor: least probability of an option, times the number of options, so that none
    dies. local: share of a step's evaluations that are variations of the best designs seen, from which the logits do
    not learn; mutations: how many parameters those draw anew, log-uniform between the two; flatten: how many times as
    high the temperature of those draws is; focus: how much more often better ones are varied, a power of their rank;
    resizing: share of the variations that get other engines, which use the DSP budget up, with the layers dealt out
    anew.
    """

    lr: float = 0.1
    floor: float = 0.1
    local: float = 0.8
    mutations: tuple[float, float] = (1.0, 6.0)
    flatten: float = 3.0
    focus: float = 2.0
    resizing: float = 0.7


@dataclass(kw_only=True, slots=True, eq=False)
class GammaSearch(AcceleratorSearch):
    """Search by gradients on `logits` [parameters, options] (implements nba.explore.protocol.HardwareSearch)."""

    settings: GammaSettings = field(default_factory=GammaSettings)
    logits: np.ndarray = field(init=False)
    _drawn: tuple[np.ndarray, np.ndarray] | None = field(init=False, default=None)

    def prepare(self) -> None:
        """Uniform logits."""
        self.logits = np.where(self._real(), 0.0, -np.inf)

    def _real(self) -> np.ndarray:
        return np.arange(self.rules.options.shape[1]) < self.rules.counts[:, None]

    def weights(self, temperature: float = 1.0) -> np.ndarray:
        """exp(logits / temperature), float [parameters, options], at most 1."""
        return np.exp((self.logits - self.logits.max(1, keepdims=True)) / temperature)

    def propose(self, n_samples: int, active: np.ndarray) -> np.ndarray:
        """Samples of the logits, then variations of the best designs seen."""
        n_varied = int(self.settings.local * n_samples) if self.elites is not None else 0
        choice = np.empty((n_samples, self.space.n_parameters), np.int8)
        draw_choices(self.rng, self.rules, self.weights(), active, choice[: n_samples - n_varied])
        self._drawn = (choice[: n_samples - n_varied], active)
        if n_varied and self.elites is not None:
            share = 1.0 / np.arange(1, len(self.elites.choice) + 1) ** self.settings.focus
            share /= share.sum()
            hot = self.elites.busiest & (self.objective in ("interval", "edp"))
            weights = self.weights(self.settings.flatten)
            parents = self.elites.choice
            until = n_samples - n_varied + int(self.settings.resizing * n_varied)
            best = self._best()
            goal = np.inf
            if self.objective == "interval" and self.elites.feasible[best]:
                goal = float(np.exp(self.elites.score[best]))
            wanted = demand(*self.present(), self.rules)
            limit = self.budgets.dsp
            if self.budgets.limits is not None:
                # Multipliers that go to LUTs leave DSP blocks to larger engines: how many, the score tells.
                limit = int(limit * self.rng.uniform(1.0, MOST_DSP))
            resize_engines(
                self.rng, self.rules, weights, parents, share, wanted, limit, goal,
                choice[n_samples - n_varied : until],
            )  # fmt: skip
            vary(
                self.rng, self.rules, weights, active, parents, hot, share, self.settings.mutations, choice[until:]
            )  # fmt: skip
        return choice

    def learn(self, score: np.ndarray) -> None:
        """One natural-gradient step: the gradient of the samples' expected utility, in the metric of the categorical
        distributions, moves probabilities by the credited one-hots less what they were expected to be."""
        assert self._drawn is not None
        choice, active = self._drawn
        self._drawn = None
        if len(choice) < 2:
            return
        weights, real = self.weights(), self._real()
        change = gradient(self.rules, weights, active, choice, utilities(score[: len(choice)]))
        p = weights / weights.sum(1, keepdims=True) + self.settings.lr * change
        p = np.where(real, np.maximum(p, self.settings.floor / self.rules.counts[:, None]), 0.0)
        with np.errstate(divide="ignore"):
            self.logits = np.log(p / p.sum(1, keepdims=True))

    def entropy(self) -> float:
        """Mean entropy of the logits' distributions, in units of its maximum."""
        return mean_entropy(self.logits, self._real())

    def memory(self) -> dict[str, Any]:
        """The logits."""
        return {"logits": pack(self.logits)}

    def recall(self, memory: dict[str, Any]) -> None:
        """Take the logits."""
        logits = unpack(memory["logits"])
        if logits.shape != self.logits.shape:
            raise ValueError(f"accelerator search: state with logits {logits.shape}: does not fit {self.logits.shape}")
        self.logits = logits


def utilities(score: np.ndarray) -> np.ndarray:
    """float [B], mean 0: what the samples are worth, by rank: log-linear over the better half, equal in the other
    (Wierstra et al., Natural Evolution Strategies, JMLR 2014, section 3.1)."""
    n = len(score)
    worth = np.maximum(0.0, np.log(n / 2 + 1) - np.log(np.arange(1, n + 1)))
    found = np.empty(n)
    found[np.argsort(score, kind="stable")] = worth / worth.sum() - 1.0 / n
    return found

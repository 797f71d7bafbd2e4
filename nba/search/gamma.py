# SPDX-License-Identifier: Apache-2.0
"""The differentiable accelerator search (Auto-NBA, arXiv 2106.06575, section 3.3): logits for every accelerator parameter,
hard Gumbel-Softmax samples, a black-box cost, and an update of every sampled one-hot by that cost.

Differences from the published code, each for a reason measured there: the cost is the logarithm, less a running
baseline and divided by its running spread, so that steps do not depend on the network's size; conditional parameters
are masked; a design over budget is penalised, never fatal; and the best design seen is kept.
"""

from __future__ import annotations

import base64
import io
import json
from dataclasses import dataclass, field

import numpy as np

from nba.cost.cycles import Designs, layer_table, resources, speed_bounds
from nba.errors import InfeasibleError
from nba.ir.accelerator import Accelerator
from nba.ir.network import Network
from nba.mapper.budgets import Budgets
from nba.mapper.realise import realise
from nba.platform import Platform
from nba.search.protocol import HardwareCost
from nba.space.accelerator import PER_SLOT, AcceleratorSpace, accelerator_of

FORMAT = 1
"""Version of the text of `GammaSearch.state`."""


@dataclass(frozen=True, kw_only=True, slots=True)
class GammaSettings:
    """How gamma learns. lr: step per sample in units of one standard deviation of the log cost. temperature: of the
    Gumbel-Softmax whose soft sample the update differentiates, times `temperature_decay` per step down to
    `temperature_min`. explore: share of samples that mutate the best design instead of following the logits.
    penalty: power of the budget excess that the cost is multiplied with. baseline: weight of the newest batch in
    the running mean and spread. logit_max: bound of the logits, so that no option dies."""

    lr: float = 0.25
    temperature: float = 3.0
    temperature_decay: float = 0.995
    temperature_min: float = 0.5
    explore: float = 0.5
    mutations: float = 2.0
    penalty: float = 4.0
    baseline: float = 0.1
    logit_max: float = 6.0


@dataclass(kw_only=True, slots=True)
class _Best:
    """The best design seen: its option indices and its cost, log with penalty, on the network of the latest step."""

    choice: np.ndarray | None = None
    score: float = float("inf")


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Evaluation:
    """Closed forms of B designs: int64 [B] interval bound, DSP, BRAM18; score: float [B], log cost with penalty;
    layer_cycles int64 [B, L]."""

    interval: np.ndarray
    latency: np.ndarray
    dsp: np.ndarray
    bram18: np.ndarray
    score: np.ndarray
    feasible: np.ndarray
    layer_cycles: np.ndarray


@dataclass(kw_only=True, slots=True, eq=False)
class GammaSearch:
    """Search over `space` for the fastest accelerator within `budgets` (implements nba.search.protocol.HardwareSearch).

    One instance serves changing networks: parameters belong to potential layers (slots). `objective`: "interval" or
    "latency". All randomness comes from `seed`.
    """

    space: AcceleratorSpace
    platform: Platform
    budgets: Budgets
    objective: str = "interval"
    seed: int = 0
    settings: GammaSettings = field(default_factory=GammaSettings)
    evaluations: int = 0
    steps: int = 0
    logits: np.ndarray = field(init=False)
    rng: np.random.Generator = field(init=False)
    _valid: np.ndarray = field(init=False)
    _mean: float | None = field(init=False, default=None)
    _spread: float = field(init=False, default=1.0)
    _best: _Best = field(init=False, default_factory=_Best)
    _known: tuple[Network, np.ndarray] | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        parameters = self.space.parameters()
        width = max(len(p.options) for p in parameters)
        self._valid = np.array([[o < len(p.options) for o in range(width)] for p in parameters])
        self.logits = np.zeros((len(parameters), width))
        self.rng = np.random.default_rng(self.seed)

    @property
    def temperature(self) -> float:
        """Of the next step."""
        s = self.settings
        return max(s.temperature_min, s.temperature * s.temperature_decay**self.steps)

    def evaluate(self, network: Network, slot_of_layer: tuple[int, ...], choice: np.ndarray) -> Evaluation:
        """Closed forms of choice [B, parameters] on `network`: lower bounds of the speed, exact resources."""
        layers = self._layers(network)
        designs = self.space.decode(choice, layers, slot_of_layer)
        bounds, busy = speed_bounds(layers, designs)
        used = resources(layers, designs, self.platform)
        excess = np.maximum(used / (self.budgets.dsp, max(self.budgets.bram18, 1)), 1.0)
        cost = bounds[:, 0] if self.objective == "interval" else bounds[:, 1]
        feasible = (used[:, 0] <= self.budgets.dsp) & (used[:, 1] <= self.budgets.bram18)
        score = np.log(cost) + np.where(feasible, 0.0, 0.5 + self.settings.penalty * np.log(excess).sum(1))
        return Evaluation(
            interval=bounds[:, 0], latency=bounds[:, 1], dsp=used[:, 0], bram18=used[:, 1], score=score,
            feasible=feasible, layer_cycles=busy,
        )  # fmt: skip

    def step(self, network: Network, slot_of_layer: tuple[int, ...], n_samples: int) -> None:
        """Sample `n_samples` designs, score them by the closed forms, and update the logits with every one.

        Gradient of sum over parameters of <one-hot, advantage>: straight through the hard sample to the soft one.
        """
        active = self._active(slot_of_layer)
        choice, soft = self._sample(n_samples, active)
        found = self.evaluate(network, slot_of_layer, choice)
        self.evaluations += n_samples
        self._keep(network, slot_of_layer, choice, found)
        mean, rate = float(found.score.mean()), self.settings.baseline
        if self._mean is None:
            self._mean, self._spread = mean, max(float(found.score.std()), 1e-3)
        advantage = np.clip((found.score - self._mean) / self._spread, -3.0, 3.0)
        self._mean += rate * (mean - self._mean)
        deviation = float(np.sqrt(((found.score - self._mean) ** 2).mean()))
        self._spread = max((1 - rate) * self._spread + rate * deviation, 1e-3)
        picked = np.take_along_axis(soft, choice[:, :, None], 2)
        onehot = np.zeros_like(soft)
        np.put_along_axis(onehot, choice[:, :, None], 1.0, 2)
        gradient = advantage[:, None, None] * (onehot - soft)
        gradient[np.broadcast_to(picked >= 1.0, gradient.shape)] = 0.0
        self.logits -= self.settings.lr * gradient.mean(0) * active[:, None] * np.sqrt(n_samples)
        self.logits = np.clip(self.logits, -self.settings.logit_max, self.settings.logit_max)
        self.steps += 1

    def _layers(self, network: Network) -> np.ndarray:
        if self._known is None or self._known[0] is not network:
            self._known = (network, layer_table(network))
        return self._known[1]

    def _active(self, slot_of_layer: tuple[int, ...]) -> np.ndarray:
        """bool [parameters]: those that the present network depends on."""
        active = np.ones(len(self.logits), np.bool_)
        active[self.space.first_slot :] = np.repeat(
            np.isin(np.arange(len(self.space.slots)), slot_of_layer), PER_SLOT
        )
        return active

    def _sample(self, n: int, active: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Hard Gumbel-Softmax samples [n, parameters] and the soft ones behind them [n, parameters, options]."""
        n_parameters, width = self.logits.shape
        choice = np.zeros((n, n_parameters), np.int64)
        soft = np.zeros((n, n_parameters, width))
        noise = self.rng.gumbel(size=(n, n_parameters, width))
        mutant = np.zeros((n, n_parameters), np.bool_)
        if self._best.choice is not None:
            rows = self.rng.random(n) < self.settings.explore
            free = self.rng.random((n, n_parameters)) < self.settings.mutations / max(1, int(active.sum()))
            mutant = rows[:, None] & ~free
        for i in range(n_parameters):
            if not active[i]:
                legal = self.space.mask(choice, i)
                choice[:, i] = legal.argmax(1)
                soft[np.arange(n), i, choice[:, i]] = 1.0
                continue
            legal = np.zeros((n, width), np.bool_)
            mask = self.space.mask(choice, i)
            legal[:, : mask.shape[1]] = mask
            y = np.where(legal, (self.logits[i] + noise[:, i]), -np.inf)
            picked = y.argmax(1)
            if self._best.choice is not None:
                old = self._best.choice[i]
                picked = np.where(mutant[:, i] & legal[:, old], old, picked)
            choice[:, i] = picked
            logits = np.where(legal, self.logits[i], -np.inf)
            e = np.exp(logits - logits.max(1, keepdims=True))
            soft[:, i] = e / e.sum(1, keepdims=True)
        return choice, soft

# SPDX-License-Identifier: Apache-2.0
"""The differentiable accelerator search (Auto-NBA, arXiv 2106.06575, section 3.3): logits for every accelerator
parameter, hard Gumbel-Softmax samples, a black-box cost, and an update of every sampled one-hot by that cost.

Differences from the published code (docs/decisions/0005-gamma-sampling.md has what they bring): conditional parameters
are masked; a design over budget is penalised, never fatal; the best design seen is kept; samples are credited by their
rank within the step, so that neither the network's size nor a few poor samples move the logits, which take steps of
Adam.

The method does not have this: a share of every step's evaluations goes to variations of the best designs seen, local
search around what the logits found. They only compete for "best design seen"; the logits do not learn from them,
because they are not drawn from the logits.
"""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from nba.search.accelerators import AcceleratorSearch
from nba.search.draws import draw_scored, gradient, vary


@dataclass(frozen=True, kw_only=True, slots=True)
class GammaSettings:
    """How gamma learns.

    lr: step of Adam. temperature: of the Gumbel-Softmax samples, times `temperature_decay` per 1,000 samples of the
    logits down to `temperature_min`. local: share of a step's evaluations that are variations of the best designs seen,
    from which the logits do not learn; mutations: how many parameters those draw anew, log-uniform between the two;
    flatten: how many times as high the temperature of those draws is. decay: of Adam's two moments. logit_max: bound of
    the logits, so that no option dies.
    """

    lr: float = 0.1
    temperature: float = 1.0
    temperature_decay: float = 0.998
    temperature_min: float = 0.5
    local: float = 0.7
    mutations: tuple[float, float] = (1.0, 6.0)
    flatten: float = 3.0
    decay: tuple[float, float] = (0.9, 0.99)
    logit_max: float = 6.0


@dataclass(kw_only=True, slots=True, eq=False)
class GammaSearch(AcceleratorSearch):
    """Search by gradients on `logits` [parameters, options] (implements nba.search.protocol.HardwareSearch)."""

    settings: GammaSettings = field(default_factory=GammaSettings)
    logits: np.ndarray = field(init=False)
    samples: int = 0
    _moments: np.ndarray = field(init=False)
    _drawn: tuple[np.ndarray, np.ndarray] | None = field(init=False, default=None)

    def prepare(self) -> None:
        """Uniform logits."""
        self.logits = np.zeros(self.rules.options.shape)
        self._moments = np.zeros((2, *self.logits.shape))

    @property
    def temperature(self) -> float:
        """Of the next step."""
        s = self.settings
        return max(s.temperature_min, s.temperature * s.temperature_decay ** (self.samples / 1000))

    def weights(self, factor: float = 1.0) -> np.ndarray:
        """exp(logits / temperature), float [parameters, options], at `factor` times the temperature of the step."""
        return np.exp((self.logits - self.logits.max(1, keepdims=True)) / (self.temperature * factor))

    def propose(self, n_samples: int, active: np.ndarray) -> np.ndarray:
        """Samples of the logits, then variations of the best designs seen."""
        n_varied = int(self.settings.local * n_samples) if self.elites else 0
        choice = np.empty((n_samples, self.space.n_parameters), np.int8)
        draw_scored(self.rng, self.rules, self.weights(), active, choice[: n_samples - n_varied])
        self._drawn = (choice[: n_samples - n_varied], active)
        if n_varied:
            ranked = sorted(self.elites.items(), key=lambda item: (item[1].score, item[0]))
            parents = np.array([e.choice for _, e in ranked])
            share = 1.0 / np.arange(1, len(ranked) + 1) ** 2
            vary(
                self.rng, self.rules, self.weights(self.settings.flatten), active, parents, share / share.sum(),
                self.settings.mutations, choice[n_samples - n_varied :],
            )  # fmt: skip
        return choice

    def learn(self, score: np.ndarray) -> None:
        """One step of Adam along the score-function gradient of the samples' expected utility."""
        assert self._drawn is not None
        choice, active = self._drawn
        self._drawn = None
        if len(choice) < 2:
            return
        change = gradient(self.rules, self.weights(), active, choice, utilities(score[: len(choice)]))
        change /= self.temperature
        self.samples += len(choice)
        s, t = self.settings, self.steps + 1
        for moment, decay, value in zip(self._moments, s.decay, (change, change**2), strict=True):
            moment *= decay
            moment += (1.0 - decay) * value
        one, two = (m / (1.0 - d**t) for m, d in zip(self._moments, s.decay, strict=True))
        self.logits = np.clip(self.logits + s.lr * one / (np.sqrt(two) + 1e-8), -s.logit_max, s.logit_max)

    def memory(self) -> dict[str, Any]:
        """Logits and moments."""
        return {"samples": self.samples, "logits": _pack(self.logits), "moments": _pack(self._moments)}

    def recall(self, memory: dict[str, Any]) -> None:
        """Take logits and moments."""
        logits = _unpack(memory["logits"])
        if logits.shape != self.logits.shape:
            raise ValueError(f"accelerator search: state with logits {logits.shape}: does not fit {self.logits.shape}")
        self.samples, self.logits, self._moments = memory["samples"], logits, _unpack(memory["moments"])


def utilities(score: np.ndarray) -> np.ndarray:
    """float [B], mean 0: what the samples are worth, by rank: log-linear over the better half, equal in the other
    (Wierstra et al., Natural Evolution Strategies, JMLR 2014, section 3.1)."""
    n = len(score)
    worth = np.maximum(0.0, np.log(n / 2 + 1) - np.log(np.arange(1, n + 1)))
    found = np.empty(n)
    found[np.argsort(score, kind="stable")] = worth / worth.sum() - 1.0 / n
    return found


def _pack(array: np.ndarray) -> str:
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=False)
    return base64.b64encode(buffer.getvalue()).decode()


def _unpack(text: str) -> np.ndarray:
    return np.load(io.BytesIO(base64.b64decode(text)), allow_pickle=False)  # type: ignore[no-any-return]

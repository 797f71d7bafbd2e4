# SPDX-License-Identifier: Apache-2.0
"""The differentiable accelerator search (Auto-NBA, arXiv 2106.06575, section 3.3): logits for every accelerator
parameter, hard Gumbel-Softmax samples, a black-box cost, and an update of every sampled one-hot by that cost.

Differences from the published code, each for a reason measured there: the cost is the logarithm, less a running
baseline and divided by its running spread, so that steps do not depend on the network's size; conditional parameters
are masked; a design over budget is penalised, never fatal; and the best design seen is kept.

The method does not have this: a share of every step's evaluations goes to variations of the best designs seen, local
search around what the logits found. They only compete for "best design seen"; neither the logits nor the baseline learn
from them, because they are not drawn from the logits (docs/decisions/0005-gamma-sampling.md has their effect).
"""

from __future__ import annotations

import base64
import io
import json
from dataclasses import dataclass, field, replace

import numpy as np

from nba.cost.cycles import layer_table
from nba.cost.usage import Objective, Usage, needed, usage
from nba.errors import InfeasibleError
from nba.ir.accelerator import Accelerator, Chunk
from nba.ir.network import Network
from nba.mapper.budgets import Budgets
from nba.mapper.realise import UNLIMITED, Candidate, realise
from nba.platform import Platform
from nba.search.entropy import mean_entropy
from nba.search.protocol import HardwareCost
from nba.space.accelerator import PER_CHUNK, PER_SLOT, AcceleratorSpace, accelerator_of

FORMAT = 1
"""Version of the text of `GammaSearch.state`."""
N_REALISED = 8
"""Designs that `GammaSearch.best` makes complete until one meets every budget exactly."""


@dataclass(frozen=True, kw_only=True, slots=True)
class GammaSettings:
    """How gamma learns.

    lr: step per sample of the logits, for an advantage of one standard deviation of the log cost. temperature: of the
    Gumbel-Softmax samples, times `temperature_decay` per step down to `temperature_min`. local: share of a step's
    evaluations that are variations of the best designs seen, from which the logits do not learn; mutations: how many
    parameters those draw anew, log-uniform between the two, at a temperature `flatten` times as high. penalty: power of
    the budget excess that the cost is multiplied with. baseline: weight of the newest batch in the running mean and
    spread. logit_max: bound of the logits, so that no option dies.
    """

    lr: float = 0.05
    temperature: float = 2.0
    temperature_decay: float = 0.999
    temperature_min: float = 0.5
    local: float = 0.7
    mutations: tuple[float, float] = (2.0, 8.0)
    flatten: float = 5.0
    penalty: float = 4.0
    baseline: float = 0.1
    logit_max: float = 6.0


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class _Elite:
    """The best design seen with a certain pp and number of chunks: option indices; score on the network of the latest
    step; whether it met the budgets there."""

    choice: np.ndarray
    score: float
    feasible: bool


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Evaluation:
    """Closed forms of B designs; score: float [B], log cost with penalty; feasible: bool [B]."""

    used: Usage
    score: np.ndarray
    feasible: np.ndarray


@dataclass(kw_only=True, slots=True, eq=False)
class GammaSearch:
    """Search over `space` for the accelerator within `budgets` that minimises `objective` (implements
    nba.search.protocol.HardwareSearch).

    One instance serves changing networks: parameters belong to potential layers (slots). All randomness comes from
    `seed`.
    """

    space: AcceleratorSpace
    platform: Platform
    budgets: Budgets
    objective: Objective = "interval"
    seed: int = 0
    settings: GammaSettings = field(default_factory=GammaSettings)
    evaluations: int = 0
    steps: int = 0
    logits: np.ndarray = field(init=False)
    rng: np.random.Generator = field(init=False)
    _valid: np.ndarray = field(init=False)
    _mean: float | None = field(init=False, default=None)
    _spread: float = field(init=False, default=1.0)
    _elites: dict[int, _Elite] = field(init=False, default_factory=dict)
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
        used = usage(layers, designs, self.platform, needed(self.objective) | self.budgets.needs())
        excess = np.maximum(self.budgets.excess(used), 1.0)
        feasible = (excess <= 1.0).all(1)
        penalty = 0.5 + self.settings.penalty * np.log(excess).sum(1)
        score = np.log(used.cost(self.objective)) + np.where(feasible, 0.0, penalty)
        return Evaluation(used=used, score=score, feasible=feasible)

    def step(self, network: Network, slot_of_layer: tuple[int, ...], n_samples: int) -> None:
        """Score `n_samples` designs by the closed forms, samples of the logits and variations of the best designs seen;
        update the logits with every one of the former.

        The update is the score-function gradient of the expected normalised score, sample by sample.
        """
        active = self._active(slot_of_layer)
        n_varied = int(self.settings.local * n_samples) if self._elites else 0
        choice, gradient = self._sample(n_samples - n_varied, active)
        if n_varied:
            choice = np.concatenate([choice, self._vary(n_varied, active)])
        found = self.evaluate(network, slot_of_layer, choice)
        self.evaluations += n_samples
        self._keep(network, slot_of_layer, choice, found)
        score, rate = found.score[: len(gradient)], self.settings.baseline
        mean, spread = float(score.mean()), float(score.std())
        if self._mean is None:
            self._mean, self._spread = mean, spread
        advantage = np.clip((score - self._mean) / max(self._spread, 1e-3), -2.0, 2.0)
        self._mean += rate * (mean - self._mean)
        self._spread += rate * (spread - self._spread)
        change = np.einsum("b,bpo->po", advantage, gradient)
        self.logits -= self.settings.lr * change * active[:, None]
        self.logits = np.clip(self.logits, -self.settings.logit_max, self.settings.logit_max)
        self.steps += 1

    def _layers(self, network: Network) -> np.ndarray:
        if self._known is None or self._known[0] is not network:
            self._known = (network, layer_table(network))
        return self._known[1]

    def _active(self, slot_of_layer: tuple[int, ...]) -> np.ndarray:
        """bool [parameters]: those that the present network depends on."""
        active = np.ones(len(self.logits), np.bool_)
        active[self.space.first_slot :] = np.repeat(np.isin(np.arange(len(self.space.slots)), slot_of_layer), PER_SLOT)
        return active

    def _sample(self, n: int, active: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Hard Gumbel-Softmax samples [n, parameters], and d log p / d logits of each [n, parameters, options]: the
        one-hot less its probabilities, over the temperature; 0 for inactive parameters, which take the first legal."""
        n_parameters, width = self.logits.shape
        rows, t = np.arange(n), self.temperature
        choice = np.zeros((n, n_parameters), np.int64)
        gradient = np.zeros((n, n_parameters, width))
        noise = self.rng.gumbel(size=(n_parameters, n, width))
        for i in range(n_parameters):
            legal = self.space.mask(choice, i)
            if not active[i]:
                choice[:, i] = legal.argmax(1)
                continue
            options = legal.shape[1]
            logits = np.where(legal, self.logits[i, :options] / t, -np.inf)
            choice[:, i] = picked = (logits + noise[i, :, :options]).argmax(1)
            p = np.exp(logits - logits.max(1, keepdims=True))
            gradient[rows, i, picked] = 1.0
            gradient[:, i, :options] -= p / p.sum(1, keepdims=True)
        return choice, gradient / t

    def _vary(self, n: int, active: np.ndarray) -> np.ndarray:
        """Variations [n, parameters] of the best designs seen: a few parameters, and those whose value a change before
        them forbids, are drawn anew from the flattened logits."""
        n_parameters, width = self.logits.shape
        rows, t = np.arange(n), self.temperature * self.settings.flatten
        choice = np.zeros((n, n_parameters), np.int64)
        noise = self.rng.gumbel(size=(n_parameters, n, width))
        ranked = sorted(self._elites.items(), key=lambda item: (item[1].score, item[0]))
        weight = 1.0 / np.arange(1, len(ranked) + 1) ** 2
        parents = np.array([e.choice for _, e in ranked])[self.rng.choice(len(ranked), n, p=weight / weight.sum())]
        kept = self._kept(n, int(active.sum()))
        for i in range(n_parameters):
            legal = self.space.mask(choice, i)
            options = legal.shape[1]
            drawn = np.where(legal, self.logits[i, :options] / t, -np.inf) + noise[i, :, :options]
            picked = drawn.argmax(1) if active[i] else legal.argmax(1)
            choice[:, i] = np.where(kept[i] & legal[rows, parents[:, i]], parents[:, i], picked)
        return choice

    def _kept(self, n: int, n_active: int) -> np.ndarray:
        """bool [parameters, n]: what a variation of a good design keeps. It draws a few parameters at random anew, as
        many as `mutations` says, and, every other time, all of one chunk, which only make sense together."""
        low, high = np.log(self.settings.mutations)
        rate = np.exp(self.rng.uniform(low, high, n)) / max(1, n_active)
        kept = self.rng.random((len(self.logits), n)) >= rate
        chunk = self.rng.integers(0, 2 * self.space.n_chunks, n)
        for k in range(self.space.n_chunks):
            first = 1 + PER_CHUNK * k
            kept[first : first + PER_CHUNK, chunk == k] = False
        return kept

    def _keep(self, network: Network, slot_of_layer: tuple[int, ...], choice: np.ndarray, found: Evaluation) -> None:
        """Remember the best designs seen, one for every pp and number of dense and of depthwise chunks in use (from one
        to another several changes are needed before any wins); known ones are scored anew: the network may differ."""
        old = [e.choice for _, e in sorted(self._elites.items())]
        score, feasible = found.score, found.feasible
        if old:
            again = self.evaluate(network, slot_of_layer, np.array(old))
            choice = np.concatenate([np.array(old), choice])
            score, feasible = np.concatenate([again.score, score]), np.concatenate([again.feasible, feasible])
        owner = choice[:, self.space.first_slot :: PER_SLOT][:, list(slot_of_layer)]
        used = (owner[:, :, None] == np.arange(self.space.n_chunks)).any(1)
        dense = choice[:, 1 : self.space.first_slot : PER_CHUNK] == 0
        niche = ((used & dense).sum(1) * 64 + (used & ~dense).sum(1)) * 16 + choice[:, 0]
        self._elites = {}
        for i in np.argsort(score, kind="stable"):
            if int(niche[i]) not in self._elites:
                self._elites[int(niche[i])] = _Elite(
                    choice=choice[i].copy(), score=float(score[i]), feasible=bool(feasible[i])
                )

    def _best(self) -> _Elite:
        if not self._elites:
            raise InfeasibleError("accelerator search: no design was sampled yet; call step first")
        return min(self._elites.values(), key=lambda e: (not e.feasible, e.score))

    def best_choice(self) -> np.ndarray:
        """Option indices of the best design seen. Raises InfeasibleError before the first step."""
        return self._best().choice.copy()

    def cost(self, network: Network, slot_of_layer: tuple[int, ...]) -> HardwareCost:
        """Cost of `network` on the best design seen: closed forms. A stall-free timetable attains the interval; the
        latency is a lower bound."""
        found = self.evaluate(network, slot_of_layer, self.best_choice()[None])
        used = found.used
        return HardwareCost(
            interval_cycles=int(used.interval[0]),
            latency_cycles=int(used.latency[0]),
            dsp=int(used.dsp[0]),
            bram18=int(used.bram18[0]),
            lut=None if used.lut is None else int(used.lut[0]),
            energy_pj=None if used.energy_pj is None else float(used.energy_pj[0]),
            power_w=None if used.power_w is None else float(used.power_w[0]),
            feasible=bool(found.feasible[0]),
            layer_cycles=used.layer_cycles[0],
        )

    def chunk_of_layer(self, network: Network, slot_of_layer: tuple[int, ...]) -> np.ndarray:
        """int64 [L]: the chunk of every layer on the best design seen."""
        return self.space.decode(self.best_choice()[None], self._layers(network), slot_of_layer).chunk[0]

    def best(self, network: Network, slot_of_layer: tuple[int, ...]) -> Accelerator:
        """The best design seen whose exact cost is within the budgets, with program order, stages and rings of a
        stall-free timetable where they are faster.

        For the latency, the alternative to that timetable has stage 0 everywhere: the closed form follows one frame, so
        sampled stages mean nothing. Raises InfeasibleError if the best few all exceed some budget.
        """
        closest: Candidate | None = None
        ranked = sorted(self._elites.values(), key=lambda e: (not e.feasible, e.score)) or [self._best()]
        for elite in ranked[:N_REALISED]:
            found = self._realised(network, slot_of_layer, elite.choice)
            if found.fits(self.budgets):
                return found.accelerator
            if closest is None or found.excess(self.budgets) < closest.excess(self.budgets):
                closest = found
        assert closest is not None
        over = tuple(name for name, x in self.budgets.excess_of(closest.cost).items() if x > 1.0)
        raise InfeasibleError(
            f"network {network.name!r}: the best accelerator of {self.evaluations} samples needs "
            f"{self.budgets.describe(closest.cost, over)}; the limits are "
            f"{', '.join(self.budgets.field(name) for name in over)}. Raise them, sample more, or allow a smaller "
            "network"
        )

    def _realised(self, network: Network, slot_of_layer: tuple[int, ...], choice: np.ndarray) -> Candidate:
        """The design `choice`, complete, with rings that fit the memory if there are any."""
        designs = self.space.decode(choice[None], self._layers(network), slot_of_layer)
        accelerator = accelerator_of(network, designs, 0)
        if self.objective == "latency":
            accelerator = replace(accelerator, chunks=tuple(_without_stages(c) for c in accelerator.chunks))
        for bram18 in (self.budgets.bram18, UNLIMITED):
            found = realise(network, accelerator, self.platform, bram18, self.objective, budgets=self.budgets)
            if found is not None:
                return found
        raise AssertionError("without limits on memory some rings always work")

    def entropy(self) -> float:
        """Mean entropy of the logits' distributions, in units of its maximum."""
        return mean_entropy(self.logits, self._valid)

    def state(self) -> str:
        """Everything that `load_state` needs, as JSON text."""
        return json.dumps(
            {
                "format": FORMAT,
                "evaluations": self.evaluations,
                "steps": self.steps,
                "logits": _pack(self.logits),
                "rng": self.rng.bit_generator.state,
                "mean": self._mean,
                "spread": self._spread,
                "elites": [[k, e.choice.tolist(), e.score, e.feasible] for k, e in sorted(self._elites.items())],
            }
        )

    def load_state(self, state: str) -> None:
        """Continue from the text that `state` gave. Raises ValueError if it belongs to another space."""
        raw = json.loads(state)
        logits = _unpack(raw["logits"])
        if raw["format"] != FORMAT or logits.shape != self.logits.shape:
            raise ValueError(
                f"accelerator search: state of format {raw['format']}, logits {logits.shape}: does not fit"
            )
        self.evaluations, self.steps, self.logits = raw["evaluations"], raw["steps"], logits
        self.rng.bit_generator.state = raw["rng"]
        self._mean, self._spread = raw["mean"], raw["spread"]
        self._elites = {
            niche: _Elite(choice=np.array(choice, np.int64), score=score, feasible=feasible)
            for niche, choice, score, feasible in raw["elites"]
        }


def _without_stages(chunk: Chunk) -> Chunk:
    return replace(chunk, jobs=tuple(replace(job, stage=0) for job in chunk.jobs))


def _pack(array: np.ndarray) -> str:
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=False)
    return base64.b64encode(buffer.getvalue()).decode()


def _unpack(text: str) -> np.ndarray:
    return np.load(io.BytesIO(base64.b64decode(text)), allow_pickle=False)  # type: ignore[no-any-return]

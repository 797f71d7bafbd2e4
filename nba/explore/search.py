# SPDX-License-Identifier: Apache-2.0
"""What all accelerator searches share: scoring of choices by the closed forms, the best designs seen, and making the
best one complete. Subclasses only draw choices (implementations of nba.explore.protocol.HardwareSearch)."""

from __future__ import annotations

import base64
import io
import json
from dataclasses import dataclass, field, fields, replace
from typing import Any

import numpy as np

from nba.boards import Platform
from nba.core.errors import InfeasibleError
from nba.explore.budgets import Budgets
from nba.explore.finalise import UNLIMITED, Candidate, finalise
from nba.explore.protocol import HardwareCost
from nba.explore.space import PER_CHUNK, PER_SLOT, AcceleratorSpace, Rules, accelerator_of
from nba.ir.accelerator import Accelerator, Chunk
from nba.ir.network import Network
from nba.machine.designs import layer_table
from nba.machine.usage import Objective, Usage, needed, usage_within

_FORMAT = 2
"""Version of the text of `AcceleratorSearch.state`."""
BLOCK = 512
"""Designs evaluated at a time: their arrays stay in the cache."""
_PENALTY = 4.0
"""Power of the budget excess that the cost is multiplied with."""
N_FINALISED = 8
"""Designs that `AcceleratorSearch.best` makes complete until one meets every budget exactly."""
MARGIN = 0.5
"""Log cost by which any design over budget is worse than the same design within it."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Elites:
    """The best design seen of every niche, best first. niche: int64 [E]; choice: option indices int8 [E, parameters];
    score [E], feasible [E]: on the network of the latest step; busiest: bool [E, slots], what runs on the chunk that
    sets the interval."""

    niche: np.ndarray
    choice: np.ndarray
    score: np.ndarray
    feasible: np.ndarray
    busiest: np.ndarray


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Evaluation:
    """Closed forms of B designs; score: float [B], log cost with penalty; feasible: bool [B]."""

    used: Usage
    score: np.ndarray
    feasible: np.ndarray


@dataclass(kw_only=True, slots=True, eq=False)
class AcceleratorSearch:
    """Search over `space` for the design of least `objective` within `budgets`.

    One instance serves changing networks: parameters belong to potential layers (slots). All randomness comes from
    `seed`.
    """

    space: AcceleratorSpace
    platform: Platform
    budgets: Budgets
    objective: Objective = "interval"
    seed: int = 0
    evaluations: int = 0
    steps: int = 0
    rng: np.random.Generator = field(init=False)
    rules: Rules = field(init=False)
    elites: Elites | None = field(init=False, default=None)
    _known: tuple[Network, np.ndarray] | None = field(init=False, default=None)
    _where: tuple[int, ...] = field(init=False, default=())

    def __post_init__(self) -> None:
        self.rng = np.random.default_rng(self.seed)
        self.rules = self.space.rules()
        self.prepare()

    def prepare(self) -> None:
        """What a subclass sets up once."""

    def present(self) -> tuple[np.ndarray, tuple[int, ...]]:
        """Layer table of the network of the present step, and the slot of each of its layers."""
        assert self._known is not None
        return self._known[1], self._where

    def propose(self, n_samples: int, active: np.ndarray) -> np.ndarray:
        """`n_samples` choices to score, int8 [n, parameters]; slots whose parameters are not active bool [parameters]
        do not exist in the present network."""
        raise TypeError(f"{type(self).__name__} does not draw")

    def learn(self, score: np.ndarray) -> None:
        """Take in the scores of the choices of the last `propose`."""

    def entropy(self) -> float:
        """How undecided the search is, in units of its maximum; of a search without a distribution, 0."""
        return 0.0

    def memory(self) -> dict[str, Any]:
        """What a subclass knows besides the elites, for `state`."""
        return {}

    def recall(self, memory: dict[str, Any]) -> None:
        """Take what `memory` gave. Raises ValueError if it belongs to another space."""

    def step(self, network: Network, slot_of_layer: tuple[int, ...], n_samples: int) -> None:
        """Score `n_samples` designs by the closed forms and learn from them."""
        if self.elites is not None and not self._is_known(network):
            known, self.elites = self.elites.choice, None
            self.keep(slot_of_layer, known, self.evaluate(network, slot_of_layer, known))
        self._layers(network)
        self._where = slot_of_layer
        choice = self.propose(n_samples, self.active(slot_of_layer))
        found = self.evaluate(network, slot_of_layer, choice)
        self.evaluations += n_samples
        self.keep(slot_of_layer, choice, found)
        self.learn(found.score)
        self.steps += 1

    def evaluate(self, network: Network, slot_of_layer: tuple[int, ...], choice: np.ndarray) -> Evaluation:
        """Closed forms of choice [B, parameters] on `network`: lower bounds of the speed; exact resources, or lower
        bounds of these for designs that need row programs to fit the block RAM."""
        layers = self._layers(network)
        needs = needed(self.objective) | self.budgets.needs()
        parts = [
            usage_within(
                layers, self.space.decode(choice[b : b + BLOCK], layers, slot_of_layer), self.platform,
                self.budgets.bram18, needs, self.budgets.limits,
            )
            for b in range(0, len(choice), BLOCK)
        ]  # fmt: skip
        used = parts[0] if len(parts) == 1 else _joined(parts)
        excess = np.maximum(self.budgets.excess(used), 1.0)
        feasible = (excess <= 1.0).all(1)
        penalty = MARGIN + _PENALTY * np.log(excess).sum(1)
        score = np.log(used.cost(self.objective)) + np.where(feasible, 0.0, penalty)
        return Evaluation(used=used, score=score, feasible=feasible)

    def _is_known(self, network: Network) -> bool:
        return self._known is not None and self._known[0] is network

    def _layers(self, network: Network) -> np.ndarray:
        if not self._is_known(network):
            self._known = (network, layer_table(network, self.space.packing))
        assert self._known is not None
        return self._known[1]

    def active(self, slot_of_layer: tuple[int, ...]) -> np.ndarray:
        """bool [parameters]: those that the present network depends on."""
        found = np.ones(self.space.n_parameters, np.bool_)
        found[self.space.first_slot :] = np.repeat(np.isin(np.arange(len(self.space.slots)), slot_of_layer), PER_SLOT)
        return found

    def keep(self, slot_of_layer: tuple[int, ...], choice: np.ndarray, found: Evaluation) -> None:
        """Remember the best designs seen, one of every niche: pp, the numbers of chunks in use that mix channels and
        of others, and the size of the largest that does (from one to another several changes are needed before any
        wins)."""
        score, feasible, niche = found.score, found.feasible, self._niche(slot_of_layer, choice)
        n = len(choice)
        if self.elites is not None:
            # New ones first: of equal ones the newest stays, so that designs drift where the cost is flat.
            choice = np.concatenate([choice, self.elites.choice])
            score = np.concatenate([score, self.elites.score])
            feasible = np.concatenate([feasible, self.elites.feasible])
            niche = np.concatenate([niche, self.elites.niche])
        order = np.argsort(score, kind="stable")
        order = order[np.sort(np.unique(niche[order], return_index=True)[1])]
        busiest = np.zeros((len(order), len(self.space.slots)), np.bool_)
        new = order < n
        if self.elites is not None:
            busiest[~new] = self.elites.busiest[order[~new] - n]
        owner = choice[order[new]][:, self.space.first_slot :: PER_SLOT][:, list(slot_of_layer)].astype(np.int64)
        load = np.zeros((len(owner), self.space.n_chunks), np.int64)
        np.add.at(load, (np.arange(len(owner))[:, None], owner), found.used.layer_cycles[order[new]])
        busiest[np.ix_(np.flatnonzero(new), np.array(slot_of_layer))] = owner == load.argmax(1)[:, None]
        self.elites = Elites(
            niche=niche[order], choice=choice[order], score=score[order], feasible=feasible[order], busiest=busiest
        )

    def _niche(self, slot_of_layer: tuple[int, ...], choice: np.ndarray) -> np.ndarray:
        owner = choice[:, self.space.first_slot :: PER_SLOT][:, list(slot_of_layer)]
        used = np.bitwise_or.reduce(np.left_shift(1, owner.astype(np.int64)), axis=1)
        chunks = choice[:, 1 : self.space.first_slot].reshape(len(choice), self.space.n_chunks, PER_CHUNK)
        mixes = chunks[:, :, 0] == 0
        present = (used[:, None] >> np.arange(self.space.n_chunks) & 1) == 1
        size = chunks[:, :, 2].astype(np.int64) * 64 + chunks[:, :, 3]
        macs = np.array(self.space.sizes_m)[chunks[:, :, 2]] * np.array(self.space.sizes_n)[chunks[:, :, 3]]
        largest = np.where(present & mixes, macs, -1).argmax(1)
        counts = (present & mixes).sum(1) * 64 + (present & ~mixes).sum(1)
        niche: np.ndarray = (counts * 16 + choice[:, 0]) * 4096 + size[np.arange(len(choice)), largest]
        return niche

    def _best(self) -> int:
        """Number of the best elite: the first that meets the budgets, else the first."""
        if self.elites is None:
            raise InfeasibleError("accelerator search: no design was sampled yet; call step first")
        return int(self.elites.feasible.argmax())

    def best_choice(self) -> np.ndarray:
        """Option indices of the best design seen. Raises InfeasibleError before the first step."""
        best = self._best()
        assert self.elites is not None
        return self.elites.choice[best].copy()

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

    def best(self, network: Network, slot_of_layer: tuple[int, ...]) -> Accelerator:
        """The best design seen whose exact cost is within the budgets, with program order, stages and rings of a
        stall-free timetable where they are faster.

        For the latency, the alternative to that timetable has stage 0 everywhere: the closed form follows one frame, so
        sampled stages mean nothing. Raises InfeasibleError if the best few all exceed some budget.
        """
        closest: Candidate | None = None
        self._best()
        assert self.elites is not None
        ranked = np.lexsort((self.elites.score, ~self.elites.feasible))
        for choice in self.elites.choice[ranked[:N_FINALISED]]:
            found = self._finalised(network, slot_of_layer, choice)
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

    def _finalised(self, network: Network, slot_of_layer: tuple[int, ...], choice: np.ndarray) -> Candidate:
        """The design `choice`, complete, with rings that fit the memory if there are any."""
        designs = self.space.decode(choice[None], self._layers(network), slot_of_layer)
        accelerator = accelerator_of(network, designs, 0, self.space.packing)
        if self.objective == "latency":
            accelerator = replace(accelerator, chunks=tuple(_without_stages(c) for c in accelerator.chunks))
        for bram18 in (self.budgets.bram18, UNLIMITED):
            found = finalise(network, accelerator, self.platform, bram18, self.objective, budgets=self.budgets)
            if found is not None:
                return found
        raise AssertionError("without limits on memory some rings always work")

    def state(self) -> str:
        """Everything that `load_state` needs, as JSON text."""
        return json.dumps(
            {
                "format": _FORMAT,
                "kind": type(self).__name__,
                "parameters": self.space.n_parameters,
                "evaluations": self.evaluations,
                "steps": self.steps,
                "rng": self.rng.bit_generator.state,
                "elites": None if self.elites is None else [pack(getattr(self.elites, f)) for f in _ELITES],
                "memory": self.memory(),
            }
        )

    def load_state(self, state: str) -> None:
        """Continue from the text that `state` gave. Raises ValueError if it belongs to another search or space."""
        raw = json.loads(state)
        if raw["format"] != _FORMAT or raw.get("kind") != type(self).__name__:
            raise ValueError(
                f"accelerator search: state of format {raw['format']}, {raw.get('kind')}: does not fit "
                f"{type(self).__name__}, format {_FORMAT}"
            )
        if raw["parameters"] != self.space.n_parameters:
            raise ValueError(
                f"accelerator search: state with {raw['parameters']} parameters: does not fit {self.space.n_parameters}"
            )
        self.recall(raw["memory"])
        self.evaluations, self.steps = raw["evaluations"], raw["steps"]
        self.rng.bit_generator.state = raw["rng"]
        found = raw["elites"]
        self._known = None
        self.elites = None if found is None else Elites(**{f: unpack(t) for f, t in zip(_ELITES, found, strict=True)})


_ELITES = ("niche", "choice", "score", "feasible", "busiest")


def pack(array: np.ndarray) -> str:
    """An array as text."""
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=False)
    return base64.b64encode(buffer.getvalue()).decode()


def unpack(text: str) -> np.ndarray:
    """The array of `pack`."""
    return np.load(io.BytesIO(base64.b64decode(text)), allow_pickle=False)  # type: ignore[no-any-return]


def _joined(parts: list[Usage]) -> Usage:
    columns = {f.name: [getattr(p, f.name) for p in parts] for f in fields(Usage)}
    return Usage(**{name: None if column[0] is None else np.concatenate(column) for name, column in columns.items()})  # type: ignore[arg-type]


def _without_stages(chunk: Chunk) -> Chunk:
    return replace(chunk, jobs=tuple(replace(job, stage=0) for job in chunk.jobs))

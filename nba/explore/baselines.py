# SPDX-License-Identifier: Apache-2.0
"""Accelerator searches to compare gamma with: random sampling, and an evolutionary search."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from nba.explore.sampling import cross
from nba.explore.search import AcceleratorSearch
from nba.explore.space import draw_choices


@dataclass(kw_only=True, slots=True, eq=False)
class RandomSearch(AcceleratorSearch):
    """Every parameter uniform over what its mask allows."""

    def propose(self, n_samples: int, active: np.ndarray) -> np.ndarray:
        """Uniform samples."""
        choice = np.empty((n_samples, self.space.n_parameters), np.int8)
        draw_choices(self.rng, self.rules, np.ones(self.rules.options.shape), active, choice)
        return choice


@dataclass(frozen=True, kw_only=True, slots=True)
class EvolutionSettings:
    """population: designs that live; tournament: how many compete to be a parent; crossing: share of children with two
    parents; mutations: parameters drawn anew per child, log-uniform between the two."""

    population: int = 256
    tournament: int = 4
    crossing: float = 0.5
    mutations: tuple[float, float] = (1.0, 6.0)


@dataclass(kw_only=True, slots=True, eq=False)
class EvolutionarySearch(AcceleratorSearch):
    """Tournament selection, crossing by chunks and runs of slots, mutation; the best of parents and children live."""

    settings: EvolutionSettings = field(default_factory=EvolutionSettings)
    _living: np.ndarray = field(init=False)
    _scores: np.ndarray = field(init=False)
    _children: np.ndarray | None = field(init=False, default=None)

    def prepare(self) -> None:
        """Nobody lives yet."""
        self._living = np.zeros((0, self.space.n_parameters), np.int8)
        self._scores = np.zeros(0)

    def propose(self, n_samples: int, active: np.ndarray) -> np.ndarray:
        """Children of the living; uniform samples until the population is full."""
        choice = np.empty((n_samples, self.space.n_parameters), np.int8)
        n = len(self._living)
        if n < self.settings.population:
            draw_choices(self.rng, self.rules, np.ones(self.rules.options.shape), active, choice)
        else:
            # The living are sorted, best first: the winner of a tournament is the least number.
            one, two = self.rng.integers(0, n, (2, n_samples, self.settings.tournament)).min(2)
            s = self.settings
            cross(self.rng, self.rules, active, self._living, one, two, s.mutations, s.crossing, choice)
        self._children = choice
        return choice

    def learn(self, score: np.ndarray) -> None:
        """The best live on, every design once."""
        assert self._children is not None
        everyone = np.concatenate([self._living, self._children])
        scores = np.concatenate([self._scores, score])
        self._children = None
        order = np.argsort(scores, kind="stable")[: 2 * self.settings.population]
        _, first = np.unique(everyone[order], axis=0, return_index=True)
        order = order[np.sort(first)][: self.settings.population]
        self._living, self._scores = everyone[order], scores[order]

    def memory(self) -> dict[str, Any]:
        """The living."""
        return {"living": self._living.tolist(), "scores": self._scores.tolist()}

    def recall(self, memory: dict[str, Any]) -> None:
        """Take the living."""
        living = np.array(memory["living"], np.int8).reshape(-1, self.space.n_parameters)
        self._living, self._scores = living, np.array(memory["scores"])

# SPDX-License-Identifier: Apache-2.0
"""The joint search: operators (alpha), bitwidths (beta) and accelerator (gamma), bi-level (docs/search.md).

One part of the training data updates the weights, on single paths with softly blended bitwidths. The other part updates
alpha and beta, with hard samples, a single path forward and K paths backward, penalised by what the path costs on the
current best accelerator; the accelerator search works on the sampled paths in between. Every epoch draws from a
generator of its own and ends with a checkpoint, so a run that was killed goes on to the same result.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from nba.core.errors import InfeasibleError
from nba.core.progress import Progress
from nba.explore.protocol import HardwareSearch
from nba.ir.accelerator import Accelerator
from nba.ir.network import Network
from nba.learn.data.dataset import Dataset
from nba.learn.search.bilevel import Bilevel, check_classes, gate_penalty, require_finite
from nba.learn.search.config import SearchSchedule
from nba.learn.search.penalty import CostOracle, PathScores, adapted_weight
from nba.learn.search.result import SearchRecord, SearchResult, record_from
from nba.learn.space.network import Architecture, Macro, bit_operations, macs, skeleton, slot_of_layer
from nba.learn.supernet import paths
from nba.learn.supernet.network import Supernet
from nba.learn.train.config import THREADS
from nba.learn.train.loop import epoch_generator
from nba.machine.usage import Objective

_FORMAT = 3


def search_jointly(
    macro: Macro,
    dataset: Dataset,
    hardware: HardwareSearch,
    config: SearchSchedule,
    seed: int,
    folder: Path | None = None,
    progress: Progress | None = None,
    mapper: Callable[[Network], Accelerator] | None = None,
    *,
    objective: Objective = "interval",
) -> SearchResult:
    """Search `macro` on the training split of `dataset`, together with the accelerator that `hardware` searches.

    `config` has its targets in units of the cost (`SearchSchedule.in_cycles`), `objective` is that of the hardware.
    `hardware` must be freshly made; it is left in its final state. With `folder`, a checkpoint search.pt is kept there,
    and an interrupted search continues from it. `mapper` is asked for an accelerator of the derived network where
    `hardware` found none that meets the budgets. Raises InfeasibleError if no accelerator
    that meets the budgets was found.
    """
    check_classes(macro, dataset)
    torch.set_num_threads(THREADS)
    run = JointSearch(macro, dataset, hardware, config, seed, objective=objective)
    run.epochs(folder, progress)
    best = run.derived()
    run.oracle.improve(best, config.hardware_last)
    try:
        accelerator = hardware.best(skeleton(best), slot_of_layer(best))
    except InfeasibleError:
        if mapper is None:
            raise
        accelerator = mapper(skeleton(best))
    return SearchResult(
        architecture=best, accelerator=accelerator, objective=objective, seed=seed,
        records=tuple(run.records),
    )  # fmt: skip


class JointSearch(Bilevel[Supernet, SearchRecord]):
    """State of one search. `legal` narrows what alpha and beta may choose (all that `macro` has)."""

    def __init__(
        self,
        macro: Macro,
        dataset: Dataset,
        hardware: HardwareSearch,
        config: SearchSchedule,
        seed: int,
        legal: paths.Legal | None = None,
        *,
        objective: Objective = "interval",
    ):
        legal = paths.legal_choices(macro) if legal is None else legal
        self.beta = torch.zeros(legal.beta_shape(), requires_grad=True)
        net = Supernet(macro, epoch_generator(seed, 0, "supernet"))
        choices = [(self.beta, config.beta_learning_rate)]
        super().__init__(net, macro, dataset, config, seed, legal, choices)
        self.shared = self.world.wrap(self.net, partly=True)
        self.hardware = hardware
        self.objective = objective
        self.oracle = CostOracle(hardware, config, objective)
        self.cost_weight = config.cost_weight

    def epochs(self, folder: Path | None = None, progress: Progress | None = None) -> None:
        """All epochs that are left, with a checkpoint search.pt in `folder` after each."""
        self.learn(None if folder is None else folder / "search.pt", progress)

    def derived(self) -> Architecture:
        """The most probable architecture."""
        return paths.derive(self.macro, self.alpha, self.beta, self.legal)

    def _description(self) -> list[object]:
        return [_FORMAT, self.objective]

    def _more_state(self) -> dict[str, object]:
        return {"beta": self.beta.detach(), "hardware": self.hardware.state(), "cost_weight": self.cost_weight}

    def _load_more(self, state: Mapping[str, Any]) -> None:
        with torch.no_grad():
            self.beta.copy_(state["beta"])
        self.hardware.load_state(state["hardware"])
        self.cost_weight = state["cost_weight"]

    def _restored(self, raw: dict[str, Any]) -> SearchRecord:
        return record_from(raw)

    def _before(self, epoch: int, temperature: float, generator: torch.Generator) -> None:
        if epoch == self.config.pretrain_epochs:
            self._improve_hardware(temperature, self.config.hardware_first, generator)

    def _between(self, step: int, temperature: float, generator: torch.Generator) -> None:
        if step % self.config.hardware_every == 0:
            self._improve_hardware(temperature, self.config.hardware_samples, generator)

    def _improve_hardware(self, temperature: float, n_samples: int, generator: torch.Generator) -> None:
        path = self._path(temperature, 1, True, generator)
        self.oracle.improve(paths.architecture_of(self.macro, path), n_samples)

    def _path(self, temperature: float, n_candidates: int, hard_bits: bool, generator: torch.Generator) -> paths.Path:
        return paths.sample_path(
            self.alpha,
            self.beta,
            self.legal,
            temperature=temperature,
            n_candidates=n_candidates,
            hard_bits=hard_bits,
            generator=generator,
        )

    def _train_weights(self, index: Tensor, codes: np.ndarray, temperature: float, generator: torch.Generator) -> float:
        with torch.no_grad():
            path = self._path(temperature, 1, self.config.bit_sampling == "hard", generator)
        x, y = self._weights_batch(index, codes, generator)
        logits = self.shared(x, paths.on(path, self.device))
        loss = functional.cross_entropy(logits, y)
        require_finite(loss)
        self.weights_optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        self._update_weights()
        return float(loss.detach())

    def _train_choices(self, index: Tensor, codes: np.ndarray, temperature: float, generator: torch.Generator) -> None:
        path = self._path(temperature, self.config.n_candidates, self.config.bit_sampling != "soft", generator)
        x, y = self._choices_batch(index, codes)
        self.net.requires_grad_(False)
        logits = self.net(x, paths.on(path, self.device))
        self.net.requires_grad_(True)
        loss = functional.cross_entropy(logits, y)
        penalty = penalty_of(path, self._scores(path))
        self.alpha.grad, self.beta.grad = torch.autograd.grad(
            loss.cpu() + self.cost_weight * penalty, [self.alpha, self.beta]
        )
        self.world.average_([self.alpha.grad, self.beta.grad])
        self.choice_optimiser.step()
        self.means.add("valid_loss", float(loss.detach()))
        self.means.add("valid_accuracy", float((logits.detach().argmax(1) == y).float().mean()))

    def _scores(self, path: paths.Path) -> PathScores:
        operators, widths = self.macro.all_operators, self.macro.all_bitwidths
        candidates = tuple(
            tuple((operators[o], widths[j]) for o, j in zip(choice.candidates, choice.bits, strict=True))
            for choice in path
        )
        return self.oracle.compare(paths.architecture_of(self.macro, path), candidates)

    def _record(self, epoch: int, joint: bool, temperature: float) -> SearchRecord:
        best = self.derived()
        network = skeleton(best)
        cost = self.oracle.cost(best) if joint else None
        names = ("train_loss", "valid_loss", "valid_accuracy")
        train_loss, valid_loss, valid_accuracy = self.world.means(self.means.mean(name) for name in names)
        record = SearchRecord(
            epoch=epoch,
            joint=joint,
            train_loss=train_loss,
            valid_loss=valid_loss if joint else None,
            valid_accuracy=valid_accuracy if joint else None,
            temperature=temperature,
            alpha_entropy=paths.entropy(self.legal.masked_alpha(self.alpha)),
            beta_entropy=paths.entropy(self.legal.masked_beta(self.beta)),
            cost=None if cost is None else cost.value(self.objective),
            interval_cycles=None if cost is None else cost.interval_cycles,
            dsp=None if cost is None else cost.dsp,
            bram18=None if cost is None else cost.bram18,
            feasible=cost is not None and cost.feasible,
            ops=best.ops,
            bits=best.bits,
            cost_weight=self.cost_weight,
            gamma_entropy=self.hardware.entropy(),
            macs=macs(network),
            bit_operations=bit_operations(network),
        )
        if cost is not None:
            value = self.oracle.value(network, cost)
            self.cost_weight = adapted_weight(self.config, self.cost_weight, value, cost.feasible)
        return record


def penalty_of(path: paths.Path, scores: PathScores) -> Tensor:
    """sum over blocks of gates and bit coefficients times score differences; its value is 0, its gradient is not."""
    total = gate_penalty(path, scores.operators)
    for choice, bits in zip(path, scores.bits, strict=True):
        assert choice.mixes is not None
        total = total + (choice.mixes[0] * torch.tensor(bits)).sum()
    return total

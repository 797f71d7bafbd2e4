# SPDX-License-Identifier: Apache-2.0
"""SP-NAS: the search for the architecture of a switchable network (InstantNet, arXiv 2104.10853, section 3.2):

    min over alpha of L_val(Q_0(w*), alpha) + lambda L_eff(alpha),    w* = argmin of the cascade's loss over w

One part of the training data updates the weights by cascade distillation over all bitwidths, on sampled paths; on the
other part the architecture learns from the lowest bitwidth alone, whose rounding is what an operator must survive, and
from what the network costs there (`nba.learn.switchable.efficiency`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from nba.core.progress import Progress
from nba.ir.network import MASTER_BITS
from nba.learn.data.dataset import Dataset
from nba.learn.search.bilevel import Bilevel, check_classes, require_finite
from nba.learn.search.config import SearchSchedule
from nba.learn.search.penalty import adapted_weight
from nba.learn.space.network import Architecture, Macro
from nba.learn.supernet import paths
from nba.learn.switchable.config import Switchable
from nba.learn.switchable.efficiency import EfficiencyTable, check_table, efficiency_loss
from nba.learn.switchable.loss import cascade as cascade_losses
from nba.learn.switchable.search_result import SwitchableSearch, SwitchableSearchRecord, switchable_record_from
from nba.learn.switchable.supernet import SwitchableSupernet, macro_at
from nba.learn.train.config import THREADS
from nba.learn.train.loop import epoch_generator

_FORMAT = 2


def search_switchable(
    macro: Macro,
    dataset: Dataset,
    cascade: Switchable,
    table: EfficiencyTable,
    config: SearchSchedule,
    seed: int,
    *,
    checkpoint: Path | None = None,
    progress: Progress | None = None,
) -> SwitchableSearch:
    """Search `macro` (its own bits do not matter) on the training split of `dataset`.

    cascade: bitwidths, loss, and the bitwidths that the architecture learns from. config has its targets in units of
    the cost (`SearchSchedule.in_cycles`). table: of all operators at the lowest bitwidth
    (`nba.learn.switchable.tabulate.efficiency_table`). checkpoint: a file that is written after every epoch, and from
    which an interrupted search continues to the same result. Raises SpecError for the table of another
    search, NbaError if training diverges.
    """
    check_classes(macro, dataset)
    check_table(table, macro, min(cascade.bitwidths))
    torch.set_num_threads(THREADS)
    run = SwitchableBilevel(macro, dataset, cascade, table, config, seed)
    run.learn(checkpoint, progress)
    return SwitchableSearch(
        architecture=run.derived(), bitwidths=cascade.bitwidths, stem_bits=cascade.stem_bits,
        classifier_bits=cascade.classifier_bits, table=table, seed=seed, records=tuple(run.records),
    )  # fmt: skip


class SwitchableBilevel(Bilevel[SwitchableSupernet, SwitchableSearchRecord]):
    """State of one search. Several processes average their gradients once all bitwidths had a turn."""

    def __init__(
        self,
        macro: Macro,
        dataset: Dataset,
        cascade: Switchable,
        table: EfficiencyTable,
        config: SearchSchedule,
        seed: int,
    ):
        self.cascade, self.table = cascade, table
        # Any bits do for what is derived: each network gets those of its bitwidth.
        macro = macro_at(macro, MASTER_BITS, self.cascade)
        net = SwitchableSupernet(macro, self.cascade, int(epoch_generator(seed, 0, "supernet").initial_seed()))
        super().__init__(net, macro, dataset, config, seed, paths.legal_choices(macro))
        self.cost_weight = config.cost_weight
        count = len(cascade.bitwidths)
        self.learns_from = {"lowest": (0,), "highest": (count - 1,), "all": tuple(range(count))}[
            cascade.architecture_bits
        ]

    def derived(self) -> Architecture:
        """The most probable operator of every block."""
        names = self.macro.all_operators
        ops = tuple(names[o] for o in paths.best_operators(self.alpha, self.legal))
        return Architecture(macro=self.macro, ops=ops, bits=(MASTER_BITS,) * len(ops))

    def _description(self) -> list[object]:
        return ["switchable", _FORMAT, self.cascade.recipe(), self.cascade.architecture_bits, asdict(self.table)]

    def _more_state(self) -> dict[str, object]:
        return {"cost_weight": self.cost_weight}

    def _load_more(self, state: Mapping[str, Any]) -> None:
        self.cost_weight = state["cost_weight"]

    def _restored(self, raw: dict[str, Any]) -> SwitchableSearchRecord:
        return switchable_record_from(raw)

    def _path(self, temperature: float, n_candidates: int, generator: torch.Generator) -> paths.Path:
        return paths.sample_operators(
            self.alpha, self.legal, temperature=temperature, n_candidates=n_candidates, generator=generator
        )

    def _train_weights(self, index: Tensor, codes: np.ndarray, temperature: float, generator: torch.Generator) -> float:
        with torch.no_grad():
            path = paths.on(self._path(temperature, 1, generator), self.device)
        x, y = self._weights_batch(index, codes, generator)
        self.weights_optimiser.zero_grad(set_to_none=True)
        found = []
        losses = cascade_losses(
            self.cascade,
            len(self.records),
            lambda i: self.net(x, path, i),
            lambda out: functional.cross_entropy(out, y),
        )
        for _, loss in losses:
            require_finite(loss)
            (loss / len(self.cascade.bitwidths)).backward()  # type: ignore[no-untyped-call]
            found.append(float(loss.detach()))
        self.world.average_(p.grad for p in self.net.parameters() if p.grad is not None)
        self._update_weights()
        for bits, value in zip(self.cascade.bitwidths, reversed(found), strict=True):
            self.means.add(f"loss_{bits}", value)
        return sum(found) / len(found)

    def _train_choices(self, index: Tensor, codes: np.ndarray, temperature: float, generator: torch.Generator) -> None:
        path = self._path(temperature, self.config.n_candidates, generator)
        x, y = self._choices_batch(index, codes)
        loss = self._validation(x, y, path)
        efficiency = efficiency_loss(path, self.macro.all_operators, self.table, self.config.cost_form)
        (self.alpha.grad,) = torch.autograd.grad(loss.cpu() + self.cost_weight * efficiency, [self.alpha])
        self.world.average_([self.alpha.grad])
        self.choice_optimiser.step()

    def _validation(self, x_BCHW: Tensor, y_B: Tensor, path: paths.Path) -> Tensor:
        """L_val of a path at the bitwidths that the architecture learns from; the weights get no gradient."""
        placed = paths.on(path, self.device)
        self.net.requires_grad_(False)
        logits = [self.net(x_BCHW, placed, i) for i in self.learns_from]
        self.net.requires_grad_(True)
        loss = torch.stack([functional.cross_entropy(out, y_B) for out in logits]).mean()
        right = torch.stack([(out.detach().argmax(1) == y_B).float().mean() for out in logits]).mean()
        self.means.add("valid_loss", float(loss.detach()))
        self.means.add("valid_accuracy", float(right))
        return loss

    def _record(self, epoch: int, joint: bool, temperature: float) -> SwitchableSearchRecord:
        ops = self.derived().ops
        names = ("train_loss", "valid_loss", "valid_accuracy", *(f"loss_{bits}" for bits in self.cascade.bitwidths))
        train_loss, valid_loss, valid_accuracy, *losses = self.world.means(self.means.mean(name) for name in names)
        energy_pj, cycles = self.table.totals(ops)
        macs, bits = self.table.operations(ops)
        record = SwitchableSearchRecord(
            epoch=epoch, joint=joint, train_loss=train_loss, train_losses=tuple(losses),
            valid_loss=valid_loss if joint else None, valid_accuracy=valid_accuracy if joint else None,
            temperature=temperature, alpha_entropy=paths.entropy(self.legal.masked_alpha(self.alpha)),
            efficiency=self.table.efficiency(ops), cost=self.table.cost(ops), energy_pj=energy_pj, cycles=cycles,
            ops=ops, cost_weight=self.cost_weight, macs=macs, bit_operations=bits,
        )  # fmt: skip
        if joint:
            self.cost_weight = adapted_weight(self.config, self.cost_weight, record.cost, True)
        return record

# SPDX-License-Identifier: Apache-2.0
"""The joint search: operators (alpha), bitwidths (beta) and accelerator (gamma), bi-level (docs/search.md).

One part of the training data updates the weights, on single paths with softly blended bitwidths. The other part updates
alpha and beta, with hard samples, a single path forward and K paths backward, penalised by what the path costs on the
current best accelerator; the accelerator search works on the sampled paths in between. Every epoch draws from a
generator of its own and ends with a checkpoint, so a run that was killed goes on to the same result.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from itertools import islice
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from nba.data.dataset import Dataset, stratified_split
from nba.data.images import batches_of
from nba.errors import InfeasibleError, NbaError, SpecError
from nba.ir.accelerator import Accelerator
from nba.ir.network import Network
from nba.progress import Progress, Silent
from nba.search.penalty import CostConfig, CostOracle, PathScores, adapted_weight
from nba.search.protocol import HardwareSearch
from nba.search.result import SearchRecord, SearchResult, record_from
from nba.space.network import Architecture, Macro, check_macro, skeleton, slot_of_layer
from nba.supernet import paths
from nba.supernet.network import Supernet
from nba.train import checkpoint, ranks
from nba.train.events import Events
from nba.train.loop import Warp, augment, batches, epoch_generator, images

_FORMAT = 2

BitSampling = Literal["hetero", "soft", "hard"]
"""How bitwidths are sampled: blended for the weights and one for beta, always blended, always one."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SearchConfig:
    """Knobs of the search (nba.spec.SearchSchedule says what each does).

    The rate of the weights falls with a cosine from learning_rate to learning_rate_last over all epochs, once per
    epoch. adam_betas: of the optimiser of alpha and beta. n_candidates: K. shift_pixels, rotation_degrees, zoom,
    mirror: of the weights' images, see `nba.train.loop.Warp`.
    """

    pretrain_epochs: int = 10
    joint_epochs: int = 30
    steps_per_epoch: int | None = None
    batch_size: int = 32
    weights_fraction: float = 0.5
    optimiser: Literal["adamw", "sgd"] = "adamw"
    learning_rate: float = 1e-2
    learning_rate_last: float = 1e-3
    weight_decay: float = 1e-3
    momentum: float = 0.9
    alpha_learning_rate: float = 0.02
    beta_learning_rate: float = 0.02
    adam_betas: tuple[float, float] = (0.5, 0.999)
    bit_sampling: BitSampling = "hetero"
    n_candidates: int = 2
    temperature_first: float = 5.0
    temperature_last: float = 0.5
    temperature_factor: float | None = None
    shift_pixels: float = 0.5
    rotation_degrees: float = 10.0
    zoom: float = 0.1
    mirror: bool = False
    crop_pixels: int = 0
    hardware_every: int = 5
    hardware_samples: int = 50
    hardware_first: int = 1000
    hardware_last: int = 2000
    cost: CostConfig = field(default_factory=CostConfig)
    threads: int = 1


def search(
    macro: Macro,
    dataset: Dataset,
    hardware: HardwareSearch,
    config: SearchConfig,
    seed: int,
    folder: Path | None = None,
    progress: Progress | None = None,
    mapper: Callable[[Network], Accelerator] | None = None,
) -> SearchResult:
    """Search `macro` on the training split of `dataset`, together with the accelerator that `hardware` searches.

    `hardware` must be freshly made; it is left in its final state. With `folder`, a checkpoint search.pt is kept there,
    and an interrupted search continues from it. `mapper` is asked for an accelerator of the derived network where
    `hardware` found none that meets the budgets. Raises SpecError for an illegal space or configuration,
    InfeasibleError if no accelerator that meets the budgets was found.
    """
    check_macro(macro)
    _check(macro, dataset, config)
    torch.set_num_threads(config.threads)
    run = JointSearch(macro, dataset, hardware, config, seed)
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
        architecture=best, accelerator=accelerator, objective=config.cost.objective, seed=seed,
        records=tuple(run.records),
    )  # fmt: skip


def _check(macro: Macro, dataset: Dataset, config: SearchConfig) -> None:
    if len(dataset.classes) != macro.classes:
        raise NbaError(
            f"the dataset has {len(dataset.classes)} classes, the network {macro.classes}; search anew with it"
        )
    if config.n_candidates < 2:
        raise SpecError(f"search.n_candidates: {config.n_candidates}; at least 2 paths take part in the backward pass")
    if config.joint_epochs < 1:
        raise SpecError(f"search.joint_epochs: {config.joint_epochs}; at least 1 is needed")
    if not 0.0 < config.weights_fraction < 1.0:
        raise SpecError(f"search.weights_fraction: {config.weights_fraction}; legal: more than 0 and less than 1")
    if config.temperature_factor is not None and not 0.0 < config.temperature_factor <= 1.0:
        raise SpecError(f"search.temperature_factor: {config.temperature_factor}; legal: more than 0, at most 1")
    if config.temperature_factor is None and not config.temperature_first >= config.temperature_last > 0:
        raise SpecError(
            f"search.temperature_first, temperature_last: {config.temperature_first}, {config.temperature_last}; "
            "the temperature falls and stays positive"
        )


class JointSearch:
    """State of one search. `legal` narrows what alpha and beta may choose (all that `macro` has)."""

    def __init__(
        self,
        macro: Macro,
        dataset: Dataset,
        hardware: HardwareSearch,
        config: SearchConfig,
        seed: int,
        legal: paths.Legal | None = None,
    ):
        self.macro, self.hardware, self.config, self.seed = macro, hardware, config, seed
        self.dataset_name = dataset.name
        first, second = stratified_split(dataset.train_y, 1.0 - config.weights_fraction, seed)
        y = torch.from_numpy(dataset.train_y)
        self.images = dataset.train_x
        self.train_index, self.train_y = torch.from_numpy(first), y[first]
        self.valid_index, self.valid_y = torch.from_numpy(second), y[second]
        self.world, self.device = ranks.current(), ranks.device()
        self.world.check_batch(min(config.batch_size, len(first), len(second)), "schedule.search.batch_size")
        self.net = Supernet(macro, epoch_generator(seed, 0, "supernet"))
        ranks.placed(self.net, self.device)
        self.shared = self.world.wrap(self.net, partly=True)
        self.warp = Warp(
            shift_pixels=config.shift_pixels,
            rotation_degrees=config.rotation_degrees,
            zoom=config.zoom,
            mirror=config.mirror,
            crop_pixels=config.crop_pixels,
        )
        self.legal = paths.legal_choices(macro) if legal is None else legal
        self.alpha = torch.zeros(self.legal.operators_LO.shape, requires_grad=True)
        self.beta = torch.zeros(self.legal.beta_shape(), requires_grad=True)
        self.weights_optimiser = _weights_optimiser(self.net, config)
        self.choice_optimiser = torch.optim.Adam(
            [
                {"params": [self.alpha], "lr": config.alpha_learning_rate},
                {"params": [self.beta], "lr": config.beta_learning_rate},
            ],
            betas=config.adam_betas,
        )
        self.oracle = CostOracle(hardware, config.cost)
        self.cost_weight = config.cost.weight
        self.records: list[SearchRecord] = []

    def fingerprint(self) -> str:
        """Digest of what this search is: a checkpoint of another one is not continued."""
        size = len(self.train_y) + len(self.valid_y)
        legal = [self.legal.operators_LO.tolist(), self.legal.bits_LJ.tolist()]
        description = [_FORMAT, asdict(self.macro), asdict(self.config), self.seed, self.dataset_name, size, legal]
        return hashlib.sha256(json.dumps(description).encode()).hexdigest()

    def epochs(self, folder: Path | None = None, progress: Progress | None = None) -> None:
        """All epochs that are left, with a checkpoint search.pt in `folder` after each."""
        path = None if folder is None else folder / "search.pt"
        fingerprint = self.fingerprint()
        state = None if path is None else checkpoint.load(path, fingerprint)
        if state is not None:
            self.load_state(state)
        progress = progress or Silent()
        total = self.config.pretrain_epochs + self.config.joint_epochs
        progress.start("search", total)
        progress.advance(len(self.records))
        events = Events(folder, "search")
        for record in self.records:
            events.write(record.epoch, self._scalars(record))
        for epoch in range(len(self.records), total):
            self.epoch(epoch)
            if path is not None:
                checkpoint.save(path, {"fingerprint": fingerprint, **self.state()})
            record = self.records[-1]
            events.write(epoch, self._scalars(record))
            progress.advance(1, f"loss {record.train_loss:.3f}, accuracy {100 * record.valid_accuracy:.1f} %")
        events.close()
        progress.finish()

    def _scalars(self, record: SearchRecord) -> dict[str, object]:
        return {**asdict(record), "learning_rate": self.learning_rate(record.epoch)}

    def state(self) -> dict[str, object]:
        """Everything that `load_state` needs."""
        return {
            "net": self.net.state_dict(),
            "alpha": self.alpha.detach(),
            "beta": self.beta.detach(),
            "weights_optimiser": self.weights_optimiser.state_dict(),
            "choice_optimiser": self.choice_optimiser.state_dict(),
            "hardware": self.hardware.state(),
            "cost_weight": self.cost_weight,
            "records": [asdict(record) for record in self.records],
        }

    def load_state(self, state: dict[str, object]) -> None:
        """Continue from what `state` gave."""
        self.net.load_state_dict(state["net"])  # type: ignore[arg-type]
        with torch.no_grad():
            self.alpha.copy_(state["alpha"])  # type: ignore[arg-type]
            self.beta.copy_(state["beta"])  # type: ignore[arg-type]
        self.weights_optimiser.load_state_dict(state["weights_optimiser"])  # type: ignore[arg-type]
        self.choice_optimiser.load_state_dict(state["choice_optimiser"])  # type: ignore[arg-type]
        self.hardware.load_state(str(state["hardware"]))
        self.cost_weight = float(state["cost_weight"])  # type: ignore[arg-type]
        self.records = [record_from(record) for record in state["records"]]  # type: ignore[attr-defined]

    def derived(self) -> Architecture:
        """The most probable architecture."""
        return paths.derive(self.macro, self.alpha, self.beta, self.legal)

    def temperature(self, epoch: int) -> float:
        """The Gumbel temperature of an epoch; the first one throughout pretraining."""
        config = self.config
        done = max(0, epoch - config.pretrain_epochs)
        if config.temperature_factor is not None:
            return config.temperature_first * config.temperature_factor**done
        share = done / max(1, config.joint_epochs - 1)
        return config.temperature_first * (config.temperature_last / config.temperature_first) ** share

    def learning_rate(self, epoch: int) -> float:
        """The rate of the weights in an epoch."""
        config = self.config
        share = epoch / (config.pretrain_epochs + config.joint_epochs)
        fall = 0.5 * (1.0 + math.cos(math.pi * share))
        return config.learning_rate_last + (config.learning_rate - config.learning_rate_last) * fall

    def steps(self) -> int:
        """Steps of an epoch."""
        whole = len(self.train_y) // min(self.config.batch_size, len(self.train_y))
        return whole if self.config.steps_per_epoch is None else min(whole, self.config.steps_per_epoch)

    def epoch(self, epoch: int) -> None:
        """One epoch over the weights' part, and in the joint phase over the other part in step with it."""
        config = self.config
        joint = epoch >= config.pretrain_epochs
        generator = epoch_generator(self.seed, epoch, "search")
        for group in self.weights_optimiser.param_groups:
            group["lr"] = self.learning_rate(epoch)
        self.net.train()
        temperature = self.temperature(epoch)
        if epoch == config.pretrain_epochs:
            self._improve_hardware(temperature, config.hardware_first, generator)
        means = _Means()
        other = self._choice_batches(generator)
        steps = self.steps()
        choice_step = (epoch - config.pretrain_epochs) * steps
        seed = int(epoch_generator(self.seed, epoch, "transforms").initial_seed())
        batch = self._batches(self.train_index, generator, seed)
        for index, codes in islice(batch, steps):
            means.add("train_loss", self._train_weights(index, codes, temperature, generator))
            if joint:
                self._train_choices(*next(other), temperature, generator, means)
                choice_step += 1
                if choice_step % config.hardware_every == 0:
                    self._improve_hardware(temperature, config.hardware_samples, generator)
        self._record(epoch, joint, temperature, means)

    def _improve_hardware(self, temperature: float, n_samples: int, generator: torch.Generator) -> None:
        path = self._path(temperature, 1, True, generator)
        self.oracle.improve(paths.architecture_of(self.macro, path), n_samples)

    def _batches(
        self, part: Tensor, generator: torch.Generator, seed: int | None
    ) -> Iterator[tuple[Tensor, np.ndarray]]:
        """(numbers within `part`, codes) of batches in random order; codes are those of this process's rows."""
        order = list(batches(len(part), self.config.batch_size, generator))
        rows = self.world.rows(len(order[0]))
        yield from zip(order, batches_of(self.images, [part[index[rows]] for index in order], seed), strict=True)

    def _choice_batches(self, generator: torch.Generator) -> Iterator[tuple[Tensor, np.ndarray]]:
        while True:
            yield from self._batches(self.valid_index, generator, None)

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
        rows = self.world.rows(len(index))
        x = augment(images(codes).to(self.device), self.warp, generator, rows, len(index))
        logits = self.shared(x, paths.on(path, self.device))
        loss = functional.cross_entropy(logits, self.train_y[index[rows]].to(self.device))
        if not torch.isfinite(loss):
            raise NbaError("search: the loss is not finite; lower schedule.search.learning_rate")
        self.weights_optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        self.weights_optimiser.step()
        return float(loss.detach())

    def _train_choices(
        self, index: Tensor, codes: np.ndarray, temperature: float, generator: torch.Generator, means: _Means
    ) -> None:
        path = self._path(temperature, self.config.n_candidates, self.config.bit_sampling != "soft", generator)
        self.net.requires_grad_(False)
        logits = self.net(images(codes).to(self.device), paths.on(path, self.device))
        self.net.requires_grad_(True)
        y = self.valid_y[index[self.world.rows(len(index))]].to(self.device)
        loss = functional.cross_entropy(logits, y)
        penalty = penalty_of(path, self._scores(path))
        self.alpha.grad, self.beta.grad = torch.autograd.grad(
            loss.cpu() + self.cost_weight * penalty, [self.alpha, self.beta]
        )
        self.world.average_([self.alpha.grad, self.beta.grad])
        self.choice_optimiser.step()
        means.add("valid_loss", float(loss.detach()))
        means.add("valid_accuracy", float((logits.detach().argmax(1) == y).float().mean()))

    def _scores(self, path: paths.Path) -> PathScores:
        operators, widths = self.macro.all_operators, self.macro.all_bitwidths
        candidates = tuple(
            tuple((operators[o], widths[j]) for o, j in zip(choice.candidates, choice.bits, strict=True))
            for choice in path
        )
        return self.oracle.compare(paths.architecture_of(self.macro, path), candidates)

    def _record(self, epoch: int, joint: bool, temperature: float, means: _Means) -> None:
        best = self.derived()
        cost = self.oracle.cost(best) if joint else None
        names = ("train_loss", "valid_loss", "valid_accuracy")
        train_loss, valid_loss, valid_accuracy = self.world.means(means.mean(name) for name in names)
        self.records.append(
            SearchRecord(
                epoch=epoch,
                joint=joint,
                train_loss=train_loss,
                valid_loss=valid_loss,
                valid_accuracy=valid_accuracy,
                temperature=temperature,
                alpha_entropy=paths.entropy(self.legal.masked_alpha(self.alpha)),
                beta_entropy=paths.entropy(self.legal.masked_beta(self.beta)),
                cost=0.0 if cost is None else cost.value(self.config.cost.objective),
                interval_cycles=0 if cost is None else cost.interval_cycles,
                dsp=0 if cost is None else cost.dsp,
                bram18=0 if cost is None else cost.bram18,
                feasible=cost is not None and cost.feasible,
                ops=best.ops,
                bits=best.bits,
                cost_weight=self.cost_weight,
                gamma_entropy=self.hardware.entropy(),
            )
        )
        if cost is not None:
            value = self.oracle.value(cost)
            self.cost_weight = adapted_weight(self.config.cost, self.cost_weight, value, cost.feasible)


def _weights_optimiser(net: Supernet, config: SearchConfig) -> torch.optim.Optimizer:
    if config.optimiser == "adamw":
        return torch.optim.AdamW(
            net.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay, fused=True
        )
    # Not fused: torch's fused kernel fails where some weights have no gradient yet, as on a single path.
    return torch.optim.SGD(
        net.parameters(), lr=config.learning_rate, momentum=config.momentum, weight_decay=config.weight_decay
    )


def penalty_of(path: paths.Path, scores: PathScores) -> Tensor:
    """sum over blocks of gates and bit coefficients times score differences; its value is 0, its gradient is not."""
    total = torch.zeros(())
    for choice, operators, bits in zip(path, scores.operators, scores.bits, strict=True):
        total = total + (choice.gates * torch.tensor(operators)).sum()
        total = total + (choice.mixes[0] * torch.tensor(bits)).sum()
    return total


class _Means:
    """Running means by name; 0 where nothing was added."""

    def __init__(self) -> None:
        self._sums: dict[str, list[float]] = {}

    def add(self, name: str, value: float) -> None:
        self._sums.setdefault(name, []).append(value)

    def mean(self, name: str) -> float:
        values = self._sums.get(name, [])
        return math.fsum(values) / len(values) if values else 0.0

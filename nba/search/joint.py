# SPDX-License-Identifier: Apache-2.0
"""The joint search: operators (alpha), bitwidths (beta) and accelerator (gamma), bi-level (REFERENCES.md section 1).

Half of the training data updates the weights, on single paths with softly blended bitwidths. The other half updates
alpha and beta, with hard samples, a single path forward and K paths backward, penalised by what the path costs on the
current best accelerator; the accelerator search works on the sampled paths in between. Every epoch draws from a
generator of its own and ends with a checkpoint, so a run that was killed goes on to the same result.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional

from nba.data.dataset import Dataset, stratified_split
from nba.errors import NbaError, SpecError
from nba.progress import Progress, Silent
from nba.search.penalty import CostConfig, CostOracle, PathScores
from nba.search.protocol import HardwareSearch
from nba.search.result import SearchRecord, SearchResult, record_from
from nba.space.network import Architecture, Macro, check_macro, skeleton, slot_of_layer
from nba.supernet import paths
from nba.supernet.network import Supernet
from nba.train import checkpoint
from nba.train.loop import Warp, augment, batches, epoch_generator, images

_FORMAT = 1


@dataclass(frozen=True, kw_only=True, slots=True)
class SearchConfig:
    """Knobs of the search. Learning rates are of Adam; that of the weights falls with a cosine to a tenth.

    pretrain_epochs of weights alone, then joint_epochs. n_candidates: K. The Gumbel temperature falls geometrically
    over the joint epochs from temperature_first to temperature_last. Every `hardware_every` alpha/beta steps the
    accelerator search takes `hardware_samples` samples; `hardware_first` before the first, `hardware_last` on the
    derived network. shift_pixels, rotation_degrees, zoom, mirror: of the weights' images, see `nba.train.loop.Warp`.
    """

    pretrain_epochs: int = 10
    joint_epochs: int = 30
    batch_size: int = 32
    learning_rate: float = 1e-2
    weight_decay: float = 1e-3
    alpha_learning_rate: float = 0.02
    beta_learning_rate: float = 0.02
    n_candidates: int = 2
    temperature_first: float = 5.0
    temperature_last: float = 0.5
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
) -> SearchResult:
    """Search `macro` on the training split of `dataset`, together with the accelerator that `hardware` searches.

    `hardware` must be freshly made; it is left in its final state. With `folder`, a checkpoint search.pt is kept there,
    and an interrupted search continues from it. Raises SpecError for an illegal space or configuration, InfeasibleError
    if no accelerator that meets the budgets was found.
    """
    check_macro(macro)
    _check(macro, dataset, config)
    torch.set_num_threads(config.threads)
    run = _Search(macro, dataset, hardware, config, seed)
    description = [_FORMAT, asdict(macro), asdict(config), seed, dataset.name, len(dataset.train_y)]
    fingerprint = hashlib.sha256(json.dumps(description).encode()).hexdigest()
    path = None if folder is None else folder / "search.pt"
    state = None if path is None else checkpoint.load(path, fingerprint)
    if state is not None:
        run.load_state(state)
    progress = progress or Silent()
    total = config.pretrain_epochs + config.joint_epochs
    progress.start("search", total)
    progress.advance(len(run.records))
    for epoch in range(len(run.records), total):
        run.epoch(epoch)
        if path is not None:
            checkpoint.save(path, {"fingerprint": fingerprint, **run.state()})
        progress.advance()
    progress.finish()
    best = run.derived()
    run.oracle.improve(best, config.hardware_last)
    accelerator = hardware.best(skeleton(best), slot_of_layer(best))
    return SearchResult(
        architecture=best, accelerator=accelerator, objective=config.cost.objective, seed=seed,
        records=tuple(run.records),
    )  # fmt: skip


def _check(macro: Macro, dataset: Dataset, config: SearchConfig) -> None:
    if len(dataset.classes) != macro.classes:
        raise NbaError(
            f"the dataset has {len(dataset.classes)} classes, the network {macro.classes}; set network.classes"
        )
    if config.n_candidates < 2:
        raise SpecError(f"search.n_candidates: {config.n_candidates}; at least 2 paths take part in the backward pass")
    if config.joint_epochs < 1:
        raise SpecError(f"search.joint_epochs: {config.joint_epochs}; at least 1 is needed")
    if not config.temperature_first >= config.temperature_last > 0:
        raise SpecError(
            f"search.temperature_first, temperature_last: {config.temperature_first}, {config.temperature_last}; "
            "the temperature falls and stays positive"
        )


class _Search:
    """State of one search between epochs."""

    def __init__(self, macro: Macro, dataset: Dataset, hardware: HardwareSearch, config: SearchConfig, seed: int):
        self.macro, self.hardware, self.config, self.seed = macro, hardware, config, seed
        first, second = stratified_split(dataset.train_y, 0.5, seed)
        y = torch.from_numpy(dataset.train_y)
        self.train_x, self.train_y = dataset.train_x[first], y[first]
        self.valid_x, self.valid_y = dataset.train_x[second], y[second]
        self.net = Supernet(macro, epoch_generator(seed, 0, "supernet"))
        self.warp = Warp(
            shift_pixels=config.shift_pixels,
            rotation_degrees=config.rotation_degrees,
            zoom=config.zoom,
            mirror=config.mirror,
            crop_pixels=config.crop_pixels,
        )
        self.legal = paths.legal_operators(macro)
        n_blocks, n_ops = self.legal.shape
        self.alpha = torch.zeros(n_blocks, n_ops, requires_grad=True)
        self.beta = torch.zeros(n_blocks, n_ops, len(macro.bitwidths), requires_grad=True)
        self.weights_optimiser = torch.optim.AdamW(
            self.net.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay, fused=True
        )
        self.choice_optimiser = torch.optim.Adam(
            [
                {"params": [self.alpha], "lr": config.alpha_learning_rate},
                {"params": [self.beta], "lr": config.beta_learning_rate},
            ],
            betas=(0.5, 0.999),
        )
        self.oracle = CostOracle(hardware, config.cost)
        self.records: list[SearchRecord] = []

    def state(self) -> dict[str, object]:
        """Everything that `load_state` needs."""
        return {
            "net": self.net.state_dict(),
            "alpha": self.alpha.detach(),
            "beta": self.beta.detach(),
            "weights_optimiser": self.weights_optimiser.state_dict(),
            "choice_optimiser": self.choice_optimiser.state_dict(),
            "hardware": self.hardware.state(),
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
        self.records = [record_from(record) for record in state["records"]]  # type: ignore[attr-defined]

    def derived(self) -> Architecture:
        """The most probable architecture."""
        return paths.derive(self.macro, self.alpha, self.beta)

    def temperature(self, epoch: int) -> float:
        """The Gumbel temperature of an epoch; the first one throughout pretraining."""
        config = self.config
        done = max(0, epoch - config.pretrain_epochs) / max(1, config.joint_epochs - 1)
        return config.temperature_first * (config.temperature_last / config.temperature_first) ** done

    def epoch(self, epoch: int) -> None:
        """One epoch over the weights' half, and in the joint phase over the other half in step with it."""
        config = self.config
        joint = epoch >= config.pretrain_epochs
        generator = epoch_generator(self.seed, epoch, "search")
        total = config.pretrain_epochs + config.joint_epochs
        rate = config.learning_rate * (0.55 + 0.45 * math.cos(math.pi * epoch / total))
        for group in self.weights_optimiser.param_groups:
            group["lr"] = rate
        self.net.train()
        temperature = self.temperature(epoch)
        if epoch == config.pretrain_epochs:
            path = self._path(temperature, 1, True, generator)
            self.oracle.improve(paths.architecture_of(self.macro, path), config.hardware_first)
        means = _Means()
        other = self._choice_batches(generator)
        for step, index in enumerate(batches(len(self.train_y), config.batch_size, generator)):
            means.add("train_loss", self._train_weights(index, temperature, generator))
            if joint:
                self._train_choices(next(other), temperature, generator, means)
                if (step + 1) % config.hardware_every == 0:
                    path = self._path(temperature, 1, True, generator)
                    self.oracle.improve(paths.architecture_of(self.macro, path), config.hardware_samples)
        self._record(epoch, joint, temperature, means)

    def _choice_batches(self, generator: torch.Generator) -> Iterator[Tensor]:
        while True:
            yield from batches(len(self.valid_y), self.config.batch_size, generator)

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

    def _train_weights(self, index: Tensor, temperature: float, generator: torch.Generator) -> float:
        with torch.no_grad():
            path = self._path(temperature, 1, False, generator)
        x = augment(images(self.train_x[index.numpy()]), self.warp, generator)
        loss = functional.cross_entropy(self.net(x, path), self.train_y[index])
        if not torch.isfinite(loss):
            raise NbaError("search: the loss is not finite; lower schedule.search.learning_rate")
        self.weights_optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        self.weights_optimiser.step()
        return float(loss.detach())

    def _train_choices(self, index: Tensor, temperature: float, generator: torch.Generator, means: _Means) -> None:
        path = self._path(temperature, self.config.n_candidates, True, generator)
        logits = self.net(images(self.valid_x[index.numpy()]), path)
        loss = functional.cross_entropy(logits, self.valid_y[index])
        penalty = penalty_of(path, self._scores(path))
        self.alpha.grad, self.beta.grad = torch.autograd.grad(
            loss + self.config.cost.weight * penalty, [self.alpha, self.beta]
        )
        self.choice_optimiser.step()
        means.add("valid_loss", float(loss.detach()))
        means.add("valid_accuracy", float((logits.detach().argmax(1) == self.valid_y[index]).float().mean()))

    def _scores(self, path: paths.Path) -> PathScores:
        operators, widths = self.macro.operators, self.macro.bitwidths
        candidates = tuple(
            tuple((operators[o], widths[j]) for o, j in zip(choice.candidates, choice.bits, strict=True))
            for choice in path
        )
        return self.oracle.compare(paths.architecture_of(self.macro, path), candidates)

    def _record(self, epoch: int, joint: bool, temperature: float, means: _Means) -> None:
        best = self.derived()
        cost = self.oracle.cost(best) if joint else None
        self.records.append(
            SearchRecord(
                epoch=epoch,
                joint=joint,
                train_loss=means.mean("train_loss"),
                valid_loss=means.mean("valid_loss"),
                valid_accuracy=means.mean("valid_accuracy"),
                temperature=temperature,
                alpha_entropy=paths.entropy(paths.masked(self.alpha, self.legal)),
                beta_entropy=paths.entropy(self.beta),
                cost=0.0 if cost is None else cost.value(self.config.cost.objective),
                interval_cycles=0 if cost is None else cost.interval_cycles,
                dsp=0 if cost is None else cost.dsp,
                bram18=0 if cost is None else cost.bram18,
                feasible=cost is not None and cost.feasible,
                ops=best.ops,
                bits=best.bits,
            )
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

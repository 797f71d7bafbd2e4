# SPDX-License-Identifier: Apache-2.0
"""The section `schedule.search` of a spec: the configuration of the searches over a supernet."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, model_validator

from nba.core.section import Positive, PositiveFloat, Rate, Weight
from nba.learn.train.config import BatchSize, Decay, LastRate, WeightsSchedule

BitSampling = Literal["hetero", "soft", "hard"]
"""How bitwidths are sampled: blended for the weights and one for beta, always blended, always one."""
NetworkObjective = Literal["hardware", "macs", "bit_operations"]
"""What a network costs: the objective on an accelerator, its multiply-accumulates, or these times the bits of both
factors."""
CostForm = Literal["log", "linear"]
"""How the cost stands in the loss."""

SWITCHABLE_SEARCH: dict[str, Any] = {
    "pretrain_epochs": 0, "joint_epochs": 25, "temperature_first": 3.0, "temperature_factor": 0.88,
}  # fmt: skip
"""What section `schedule.search` has with `precision: switchable` where neither it nor a preset says otherwise: epochs
and temperature of InstantNet."""

_Beta = Annotated[float, Field(ge=0, lt=1, strict=True)]


def _range(span: tuple[float, float]) -> tuple[float, float]:
    if not span[0] <= span[1] or span[1] == 0:
        raise ValueError(f"{list(span)}: give the least and the most, the most above 0")
    return span


_NotNegative = Annotated[float, Field(ge=0, allow_inf_nan=False, strict=True)]
_Range = Annotated[tuple[_NotNegative, _NotNegative], AfterValidator(_range)]


class SearchSchedule(WeightsSchedule):
    """How long and how the search learns: weights alone, then weights, operators, bitwidths and accelerator in turn.

    weights_fraction: share of the training images for the weights; the others are for operators and bitwidths.
    steps_per_epoch: an epoch ends after so many (null: when the images do). The rate of the weights falls with a cosine
    from learning_rate to learning_rate_last; momentum: of sgd; clip_norm: largest norm of their gradients. adam_betas:
    of the optimiser of operators and bitwidths. bit_sampling: how bitwidths are sampled to train weights, and to train
    bitwidths: hetero (blended, one), soft (blended, blended) or hard (one, one). n_candidates: paths that take part in
    the backward pass. The Gumbel temperature falls in the joint epochs from temperature_first by temperature_factor per
    epoch, or, where that is null, geometrically to temperature_last. Every `hardware_every` steps the accelerator
    search takes `hardware_samples` samples (`hardware_first` before the first, `hardware_last` at the end), by
    `hardware_method`.

    network_objective: the cost that operators and bitwidths are chosen by: hardware (the objective of the spec, on the
    best accelerator so far), macs or bit_operations (multiply-accumulates, times the bits of both factors, of a frame).
    The loss grows by cost_weight * (log cost + bits_weight * log bit operations), or, with cost_form: linear, by the
    same without logarithms. With a target, target_fps frames per second or
    target in units of the objective (cycles, pJ per frame, pJ x cycles), cost_weight is multiplied after every joint
    epoch by (cost / target) ** adapt_rate, by at most 2 either way, and stays within 1/100 and 100 times its first
    value. With a range, cost_range [least, most] in units of the cost or fps_range in frames per second, the derived
    network decides after every joint epoch: above the range of costs the weight is cost_weight, within it 0, below it
    -cost_weight.
    """

    pretrain_epochs: Annotated[int, Field(ge=0, le=10_000, strict=True)] = 10
    joint_epochs: Annotated[int, Field(ge=1, le=10_000, strict=True)] = 30
    steps_per_epoch: Positive | None = None
    batch_size: BatchSize = 32
    weights_fraction: Annotated[float, Field(ge=0.05, le=0.95, strict=True)] = 0.5
    learning_rate: Rate = 0.01
    learning_rate_last: LastRate = 0.001
    weight_decay: Decay = 0.001
    alpha_learning_rate: Rate = 0.02
    beta_learning_rate: Rate = 0.02
    adam_betas: tuple[_Beta, _Beta] = (0.5, 0.999)
    bit_sampling: BitSampling = "hetero"
    n_candidates: Annotated[int, Field(ge=2, le=16, strict=True)] = 2
    temperature_first: PositiveFloat = 5.0
    temperature_last: PositiveFloat = 0.5
    temperature_factor: Rate | None = None
    hardware_method: Literal["gamma", "random", "evolutionary"] = "gamma"
    hardware_every: Positive = 5
    hardware_samples: Positive = 50
    hardware_first: Positive = 1000
    hardware_last: Positive = 2000
    network_objective: NetworkObjective = "hardware"
    cost_form: CostForm = "log"
    cost_weight: Weight = 0.15
    bits_weight: Weight = 0.15
    target_fps: PositiveFloat | None = None
    target: Annotated[float, Field(gt=0, le=1e30, allow_inf_nan=False, strict=True)] | None = None
    adapt_rate: Annotated[float, Field(ge=0, le=10, strict=True)] = 1.0
    cost_range: _Range | None = None
    fps_range: _Range | None = None

    @model_validator(mode="after")
    def _consistent(self) -> SearchSchedule:
        if self.temperature_factor is None and self.temperature_last > self.temperature_first:
            raise ValueError(
                f"temperature_last {self.temperature_last} is above temperature_first {self.temperature_first}"
            )
        wanted = ("target_fps", "target", "cost_range", "fps_range")
        given = [name for name in wanted if getattr(self, name) is not None]
        if len(given) > 1:
            raise ValueError(f"{' and '.join(given)} exclude each other; give only one of them")
        if self.network_objective != "hardware" and given and given[0].endswith(("fps", "fps_range")):
            raise ValueError(
                f"{given[0]}: a frame rate is a property of the hardware, but network_objective is "
                f"{self.network_objective}; give target or cost_range in its unit"
            )
        return self

    def in_cycles(self, clock_mhz: float) -> SearchSchedule:
        """The same schedule with frames per second written as cycles of a clock: target and cost_range alone say what
        the cost should be (its most is infinite where the least rate is 0)."""
        hz, fps, target, span = clock_mhz * 1e6, self.fps_range, self.target, self.cost_range
        if self.target_fps is not None:
            target = hz / self.target_fps
        if fps is not None:
            span = (hz / fps[1], hz / fps[0] if fps[0] else float("inf"))
        return self.model_copy(update={"target": target, "cost_range": span, "target_fps": None, "fps_range": None})

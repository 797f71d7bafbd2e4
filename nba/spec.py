# SPDX-License-Identifier: Apache-2.0
"""The spec: what the user asks for. Read from YAML, checked field by field; every error is reported at once."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)

from nba.core.errors import SpecError
from nba.core.yamlfile import dump_yaml, explain, names_a_file, near, parse_yaml, read_text, report, value_at
from nba.ir.network import LEGAL_BITS, LEGAL_BITS_TEXT, MASTER_BITS, SWITCHABLE_BITS, SWITCHABLE_BITS_TEXT
from nba.learn.space.operators import SKIP
from nba.presets import AUTO_NBA_BITWIDTHS, NETWORKS, SCHEDULES, SWITCHABLE_SEARCH, TRAINING, merged

OPERATOR = re.compile(r"skip|k[13579]_e[1-9][0-9]?(_g2)?")
"""A block operator: `k3_e6` is a 3x3 depthwise block with expansion 6, `k3_e1_g2` one whose 1x1 convolutions work on
two groups of channels with a shuffle; `skip` leaves the block out."""

Positive = Annotated[int, Field(gt=0, le=2**31 - 1, strict=True)]
Rate = Annotated[float, Field(gt=0, le=1, strict=True)]


def _legal_bits(bits: int) -> int:
    if bits not in LEGAL_BITS:
        raise ValueError(f"not a legal number of bits; legal: {LEGAL_BITS_TEXT}")
    return bits


def _distinct_rising(bits: tuple[int, ...] | None) -> tuple[int, ...] | None:
    if bits is not None and len(set(bits)) != len(bits):
        raise ValueError("a bitwidth is listed twice")
    return None if bits is None else tuple(sorted(bits))


def _switchable_bits(bits: int) -> int:
    if bits not in SWITCHABLE_BITS:
        raise ValueError(f"not a legal number of bits; legal: {SWITCHABLE_BITS_TEXT}")
    return bits


def _rising(bits: tuple[int, ...]) -> tuple[int, ...]:
    if list(bits) != sorted(set(bits)):
        raise ValueError(f"{list(bits)}: give each bitwidth once, in rising order")
    if bits[0] > MASTER_BITS:
        raise ValueError(f"the lowest is {bits[0]}; legal: at most {MASTER_BITS}, the bits of the shared codes")
    return bits


def _known_operators(operators: tuple[str, ...] | None) -> tuple[str, ...] | None:
    if operators is None:
        return None
    wrong = [op for op in operators if not OPERATOR.fullmatch(op)]
    if wrong:
        raise ValueError(
            f"{', '.join(wrong)}: an operator is `skip`, k<kernel>_e<expansion> or k<kernel>_e<expansion>_g2, such "
            "as k3_e6"
        )
    if len(set(operators)) != len(operators):
        raise ValueError("an operator is listed twice")
    if set(operators) == {SKIP}:
        raise ValueError("at least one operator must not be `skip`")
    return operators


Bits = Annotated[int, Field(strict=True, json_schema_extra={"enum": list(LEGAL_BITS)}), AfterValidator(_legal_bits)]
Bitwidths = Annotated[tuple[Bits, ...], Field(min_length=1), AfterValidator(_distinct_rising)]
SwitchableBits = Annotated[
    int, Field(strict=True, json_schema_extra={"enum": list(SWITCHABLE_BITS)}), AfterValidator(_switchable_bits)
]
Operators = Annotated[tuple[str, ...], Field(min_length=1), AfterValidator(_known_operators)]
PositiveFloat = Annotated[float, Field(gt=0, le=1e12, allow_inf_nan=False, strict=True)]
Weight = Annotated[float, Field(ge=0, le=1e6, allow_inf_nan=False, strict=True)]
"""Factor of a term of a loss."""
Images = Annotated[int, Field(ge=0, le=1024, strict=True)]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


IMAGE_SIZES = {
    "digits": (8, 1), "cifar10": (32, 3), "cifar100": (32, 3), "fashion-mnist": (28, 1), "imagenet": (224, 3)
}  # fmt: skip
"""Pixels of a side and channels of the datasets that have a size of their own (ImageNet's is a default)."""


_Integer = Annotated[int, Field(ge=-(2**31), le=2**31 - 1)]
_Real = Annotated[float, Field(ge=-1e12, le=1e12, allow_inf_nan=False)]


class Transform(_Section):
    """A class of torchvision.transforms.v2 and its keyword arguments."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9]*$")]
    options: dict[str, bool | _Integer | _Real | str | tuple[_Real, ...]] = {}


def _class_names(names: Any) -> Any:
    """Names that YAML reads as integers are names."""
    if not isinstance(names, list | tuple):
        return names
    return [str(n) if isinstance(n, int) and not isinstance(n, bool) else n for n in names]


def _distinct(names: tuple[str, ...]) -> tuple[str, ...]:
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f"{', '.join(twice)}: listed twice")
    return names


class Classes(_Section):
    """Some of a dataset's classes: those of these names (a list stands for them), or `count` drawn with `seed`."""

    names: (
        Annotated[tuple[str, ...], Field(min_length=2), BeforeValidator(_class_names), AfterValidator(_distinct)] | None
    ) = None
    count: Annotated[int, Field(ge=2, le=100_000, strict=True)] | None = None
    seed: Annotated[int, Field(ge=0, lt=2**31, strict=True)] = 0

    @model_validator(mode="before")
    @classmethod
    def _list(cls, raw: Any) -> Any:
        return {"names": raw} if isinstance(raw, list | tuple) else raw

    @model_validator(mode="after")
    def _either(self) -> Classes:
        if (self.names is None) == (self.count is None):
            raise ValueError("give a list of names, or `count` (and `seed`)")
        return self


class Dataset(_Section):
    """What is learned. `digits` is embedded; `folder` holds <class>/*.png|jpg, or train/<class> and test/<class> (or
    val/<class>), as does `imagenet`; `cifar10`, `cifar100` and `fashion-mnist` are torchvision's files or such folders.

    `path` says where (also: --data PATH). `download` fetches what torchvision can fetch. train_images, test_images:
    only the first so many images of every class. classes: a list of names, or {count: N, seed: S} for N drawn
    with that seed; by default all. transforms: what training images pass through, in order, instead of
    being scaled to `image_size` only; images are then decoded anew in every epoch, by `workers` processes.
    """

    name: Literal["digits", "cifar10", "cifar100", "fashion-mnist", "imagenet", "folder"]
    path: str | None = None
    download: Annotated[bool, Field(strict=True)] = False
    image_size: Annotated[int, Field(ge=4, le=512, strict=True)] | None = None
    channels: Literal[1, 3] | None = None
    test_fraction: Annotated[float, Field(ge=0.05, le=0.5, strict=True)] = 0.2
    train_images: Positive | None = None
    test_images: Positive | None = None
    classes: Classes | None = None
    transforms: tuple[Transform, ...] = ()
    workers: Annotated[int, Field(ge=0, le=64, strict=True)] = 2

    @model_validator(mode="after")
    def _fits(self) -> Dataset:
        if self.name == "folder" and self.image_size is None:
            raise ValueError("a folder dataset needs `image_size` (pixels of a side), and `path` or --data PATH")
        if self.name == "digits" and (self.path, self.download, self.transforms) != (None, False, ()):
            raise ValueError("`path`, `download` and `transforms` do not belong to the digits, which are embedded")
        if self.name == "imagenet" and self.channels == 1:
            raise ValueError("`channels`: imagenet has 3")
        if self.name not in ("folder", "imagenet") and (self.image_size, self.channels) != (None, None):
            size, channels = IMAGE_SIZES[self.name]
            raise ValueError(
                f"`image_size` and `channels` belong to `name: folder`; {self.name} is {size}x{size}x{channels}"
            )
        if self.name in ("folder", "imagenet") and self.download:
            raise ValueError(f"`download`: {self.name} cannot be downloaded; unpack it and give its folder as `path`")
        return self

    def at(self, path: Path) -> Dataset:
        """The same data, lying in the folder `path`. Raises SpecError for the embedded digits."""
        if self.name == "digits":
            raise SpecError("--data: dataset digits is embedded and takes no folder; leave --data out")
        return self.model_copy(update={"path": str(path.expanduser().absolute())})


class Stage(_Section):
    """`blocks` blocks of `channels` output channels; the first has stride `stride`. `operators` and `bitwidths` stand
    in for those of the whole network in these blocks."""

    channels: Annotated[int, Field(ge=1, le=2048, strict=True)]
    blocks: Annotated[int, Field(ge=1, le=16, strict=True)]
    stride: Literal[1, 2] = 1
    operators: Operators | None = None
    bitwidths: Bitwidths | None = None


class NetworkSpace(_Section):
    """The networks that are searched: a fixed frame of stem, stages and head; one operator per block.

    `preset` gives every field that does not stand beside it. `bits_per`: what shares one searched bitwidth.
    `expand_at_one`: operators of expansion 1 have an expand layer too.
    """

    preset: Literal["auto-nba-cifar", "auto-nba-imagenet"] | None = None
    stem_channels: Annotated[int, Field(ge=1, le=1024, strict=True)]
    stem_stride: Literal[1, 2] = 1
    stages: Annotated[tuple[Stage, ...], Field(min_length=1, max_length=16)]
    operators: Operators = ("k3_e1", "k3_e3", "k3_e6", "k5_e3", "k5_e6", "skip")
    expand_at_one: Annotated[bool, Field(strict=True)] = False
    head_channels: Annotated[int, Field(ge=1, le=4096, strict=True)]
    stem_bits: Bits = 8
    head_bits: Bits = 8
    classifier_bits: Bits = 8
    bits_per: Literal["block", "stage", "network"] = "block"

    @model_validator(mode="before")
    @classmethod
    def _from_preset(cls, raw: Any) -> Any:
        return _with_preset(raw, NETWORKS)


def _with_preset(raw: Any, presets: dict[str, dict[str, Any]]) -> Any:
    """`raw` with the fields of the preset that it names, where it does not give them itself."""
    name = raw.get("preset") if isinstance(raw, dict) else None
    return merged(presets[name], raw) if isinstance(name, str) and name in presets else raw


class AcceleratorSpace(_Section):
    """Bounds of the accelerators that are searched. Every network has layers of two kinds, with chunks of their own."""

    min_chunks: Annotated[int, Field(ge=1, le=8, strict=True)] = 2
    max_chunks: Annotated[int, Field(ge=2, le=8, strict=True)] = 4

    @model_validator(mode="after")
    def _ordered(self) -> AcceleratorSpace:
        if self.min_chunks > self.max_chunks:
            raise ValueError(f"min_chunks {self.min_chunks} is more than max_chunks {self.max_chunks}")
        return self


class Budgets(_Section):
    """Hard limits: what is emitted satisfies them, or the run says which it does not and ends with an error.

    dsp: DSP blocks. bram: 36-Kbit blocks (a half is one 18-Kbit block). lut: 6-input LUTs, by an estimate whose error
    the report states. power_w: dynamic watts at full speed, by a relative model. latency_us: from the first input to
    the first output. fps: frames per second, at least. accuracy: of the integer network on the test images, at least
    (share of 1); it is known once the network is trained.
    """

    dsp: Positive
    bram: PositiveFloat
    lut: Positive | None = None
    power_w: PositiveFloat | None = None
    latency_us: PositiveFloat | None = None
    fps: PositiveFloat | None = None
    accuracy: Rate | None = None


_Span = tuple[PositiveFloat, PositiveFloat]


class ResizedCrop(_Section):
    """Torchvision's RandomResizedCrop: a part of the image, of `scale` times its area (least, most) and of a width to
    height in `ratio` (least, most), scaled to the network's size."""

    scale: _Span = (0.08, 1.0)
    ratio: _Span = (3 / 4, 4 / 3)

    @model_validator(mode="after")
    def _ordered(self) -> ResizedCrop:
        if not self.scale[0] <= self.scale[1] <= 1:
            raise ValueError(f"scale {list(self.scale)}: give the least and the most, at most 1")
        if not self.ratio[0] <= self.ratio[1]:
            raise ValueError(f"ratio {list(self.ratio)}: give the least and the most")
        return self


class _Augmented(_Section):
    """How far a training image is moved, turned and scaled at random (each up to this much, either way), whether half
    of them are mirrored, and by how many zeros an image grows on each side before its size is cut out at random.
    resized_crop comes first: it cuts from the image as it lies in its file."""

    shift_pixels: Annotated[float, Field(ge=0, le=64, strict=True)] = 0.5
    rotation_degrees: Annotated[float, Field(ge=0, le=180, strict=True)] = 10.0
    zoom: Annotated[float, Field(ge=0, lt=1, strict=True)] = 0.1
    mirror: Annotated[bool, Field(strict=True)] = False
    crop_pixels: Annotated[int, Field(ge=0, le=64, strict=True)] = 0
    resized_crop: ResizedCrop | None = None


_Beta = Annotated[float, Field(ge=0, lt=1, strict=True)]


def _range(span: tuple[float, float]) -> tuple[float, float]:
    if not span[0] <= span[1] or span[1] == 0:
        raise ValueError(f"{list(span)}: give the least and the most, the most above 0")
    return span


_NotNegative = Annotated[float, Field(ge=0, allow_inf_nan=False, strict=True)]
_Range = Annotated[tuple[_NotNegative, _NotNegative], AfterValidator(_range)]


class SearchSchedule(_Augmented):
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
    batch_size: Annotated[int, Field(ge=2, le=4096, strict=True)] = 32
    weights_fraction: Annotated[float, Field(ge=0.05, le=0.95, strict=True)] = 0.5
    optimiser: Literal["adamw", "sgd"] = "adamw"
    learning_rate: Rate = 0.01
    learning_rate_last: Annotated[float, Field(ge=0, le=1, strict=True)] = 0.001
    weight_decay: Annotated[float, Field(ge=0, le=1, strict=True)] = 0.001
    momentum: Annotated[float, Field(ge=0, lt=1, strict=True)] = 0.9
    clip_norm: PositiveFloat | None = None
    alpha_learning_rate: Rate = 0.02
    beta_learning_rate: Rate = 0.02
    adam_betas: tuple[_Beta, _Beta] = (0.5, 0.999)
    bit_sampling: Literal["hetero", "soft", "hard"] = "hetero"
    n_candidates: Annotated[int, Field(ge=2, le=16, strict=True)] = 2
    temperature_first: PositiveFloat = 5.0
    temperature_last: PositiveFloat = 0.5
    temperature_factor: Rate | None = None
    hardware_method: Literal["gamma", "random", "evolutionary"] = "gamma"
    hardware_every: Positive = 5
    hardware_samples: Positive = 50
    hardware_first: Positive = 1000
    hardware_last: Positive = 2000
    network_objective: Literal["hardware", "macs", "bit_operations"] = "hardware"
    cost_form: Literal["log", "linear"] = "log"
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
        if self.learning_rate_last > self.learning_rate:
            raise ValueError(
                f"learning_rate_last {self.learning_rate_last} is above learning_rate {self.learning_rate}"
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


class Distillation(_Section):
    """The network also learns a teacher's outputs: share `weight` of the loss. teacher: `float`, the same network
    without quantisation, trained first with the same schedule, or the path of a teacher.pt that such a run left."""

    weight: Annotated[float, Field(gt=0, le=1, strict=True)] = 0.5
    teacher: str = "float"


class TrainSchedule(_Augmented):
    """How long and how the derived network is trained: linear warm-up, cosine to learning_rate_last; AdamW, or SGD with
    `momentum` (Nesterov's with `nesterov`); clip_norm: largest norm of the gradients.

    `preset` (recipes in common use, not those of the papers) gives every field that does not stand beside it. mixup:
    every batch is blended with itself in reverse, whose share is uniform in 0..mixup/2. ema: decay of the running mean
    of the weights, which is what is exported (0: the last weights are). fold_fraction: last part of the epochs, with
    BatchNorm folded. precision: of convolutions until then; `auto` is bfloat16 on a GPU and float32 on a CPU.
    baselines: the same architecture is trained in floating point and, from there, with 8 bits everywhere too, so that
    the report can compare accuracies.
    """

    preset: Literal["common-cifar", "common-imagenet"] | None = None
    epochs: Annotated[int, Field(ge=1, le=10_000, strict=True)] = 100
    batch_size: Annotated[int, Field(ge=2, le=4096, strict=True)] = 64
    optimiser: Literal["adamw", "sgd"] = "adamw"
    learning_rate: Rate = 0.004
    learning_rate_last: Annotated[float, Field(ge=0, le=1, strict=True)] = 0.0
    momentum: Annotated[float, Field(ge=0, lt=1, strict=True)] = 0.9
    nesterov: Annotated[bool, Field(strict=True)] = True
    weight_decay: Annotated[float, Field(ge=0, le=1, strict=True)] = 0.01
    clip_norm: PositiveFloat | None = None
    warmup_epochs: Annotated[float, Field(ge=0, le=1000, strict=True)] = 3.0
    label_smoothing: Annotated[float, Field(ge=0, lt=1, strict=True)] = 0.1
    ema: Annotated[float, Field(ge=0, lt=1, strict=True)] = 0.0
    distillation: Distillation | None = None
    precision: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    mixup: Annotated[float, Field(ge=0, le=1, strict=True)] = 1.0
    fold_fraction: Annotated[float, Field(ge=0, le=1, strict=True)] = 0.25
    baselines: Annotated[bool, Field(strict=True)] = True

    @model_validator(mode="before")
    @classmethod
    def _from_preset(cls, raw: Any) -> Any:
        return _with_preset(raw, TRAINING)

    @model_validator(mode="after")
    def _falls(self) -> TrainSchedule:
        if self.learning_rate_last > self.learning_rate:
            raise ValueError(
                f"learning_rate_last {self.learning_rate_last} is above learning_rate {self.learning_rate}"
            )
        return self


class Schedule(_Section):
    """Search and training; `preset` gives the fields that do not stand in the sections beside it."""

    preset: (
        Literal["published-auto-nba-cifar", "published-auto-nba-imagenet", "published-instantnet-cifar", "quick"] | None
    ) = None
    search: SearchSchedule = SearchSchedule()
    train: TrainSchedule = TrainSchedule()

    @model_validator(mode="before")
    @classmethod
    def _from_preset(cls, raw: Any) -> Any:
        train = raw.get("train") if isinstance(raw, dict) else None
        if isinstance(train, dict) and isinstance(train.get("preset"), str) and isinstance(raw.get("preset"), str):
            raise ValueError(
                f"preset {raw['preset']} and train.preset {train['preset']} both define the training; give only one "
                "of them"
            )
        return _with_preset(raw, SCHEDULES)


class Switchable(_Section):
    """One network for several bitwidths, trained by cascade distillation (InstantNet): all of its layers work at one of
    `bitwidths`, weights and activations alike, but for the first where `stem_bits` and the last where `classifier_bits`
    fix theirs. Up to 8 bits they share one stored set of 8-bit codes.

    Every bitwidth learns the labels and, with weight `beta` (after `beta_warmup_epochs` of linear rise), the logits of
    its teachers: all higher bitwidths, the highest, or none. teacher_sum: distances to several are added or averaged.

    The weights of the search see every bitwidth; architecture_bits: what its operators are chosen by, the lowest, the
    highest or all of them. hierarchy: the loop-nest model whose energy and latency are the cost of the search, and on
    which every bitwidth is mapped: eyeriss-like, tpu-like, mcu-class, chunk-<platform> (our own template, which has no
    12 and 32 bits), or the path of a description in YAML. hardware_bits: the one bitwidth (8
    or less) that is emitted as hardware (null: all of them, as modes of one accelerator, chosen at run time).
    """

    bitwidths: Annotated[tuple[SwitchableBits, ...], Field(min_length=2), AfterValidator(_rising)] = (4, 8, 12, 16, 32)
    beta: Weight = 1.0
    teachers: Literal["all", "highest", "none"] = "all"
    teacher_sum: Literal["sum", "mean"] = "sum"
    beta_warmup_epochs: Annotated[float, Field(ge=0, le=10_000, strict=True)] = 0.0
    stem_bits: Annotated[int, Field(ge=2, le=MASTER_BITS, strict=True)] | None = None
    classifier_bits: Annotated[int, Field(ge=2, le=MASTER_BITS, strict=True)] | None = None
    architecture_bits: Literal["lowest", "highest", "all"] = "lowest"
    hierarchy: Annotated[str, Field(min_length=1)] = "eyeriss-like"
    hardware_bits: Annotated[int, Field(ge=2, le=MASTER_BITS, strict=True)] | None = None

    @model_validator(mode="after")
    def _hardware_is_trained(self) -> Switchable:
        if self.hardware_bits is not None and self.hardware_bits not in self.bitwidths:
            legal = ", ".join(str(b) for b in self.bitwidths if b <= MASTER_BITS)
            raise ValueError(f"hardware_bits {self.hardware_bits}: not one of its bitwidths; legal: {legal}")
        return self


class Verify(_Section):
    """Test images that each implementation must reproduce, all logits, bit for bit, or all that there are; 0 leaves one
    out (Icarus takes about a hundred times as long as Verilator)."""

    verilator: Images = 32
    icarus: Images = 2
    hls: Images = 32

    @model_validator(mode="after")
    def _something(self) -> Verify:
        if not (self.verilator or self.icarus):
            raise ValueError("`verilator` and `icarus` are both 0; at least one must simulate the Verilog")
        return self


_MIXED_BITWIDTHS = (2, 4, 6, 8)


class Spec(_Section):
    """One run of nba-codesign. precision: `mixed` gives every block bits of its own; `switchable` gives one network
    that works at several bitwidths, as the section of that name says. architecture: a file with the operator and the
    bits of every block (docs/architecture-file.md); nothing is searched then."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$")]
    seed: Annotated[int, Field(ge=0, lt=2**31, strict=True)] = 0
    dataset: Dataset
    network: NetworkSpace
    bitwidths: Bitwidths = _MIXED_BITWIDTHS
    platform: str
    budgets: Budgets
    objective: Literal["interval", "latency", "energy", "edp"] = "interval"
    accelerator: AcceleratorSpace = AcceleratorSpace()
    precision: Literal["mixed", "switchable"] = "mixed"
    switchable: Switchable | None = None
    schedule: Schedule = Schedule()
    verify: Verify = Verify()
    architecture: Annotated[str, Field(min_length=1)] | None = None

    @model_validator(mode="before")
    @classmethod
    def _bitwidths_of_preset(cls, raw: Any) -> Any:
        network = raw.get("network") if isinstance(raw, dict) else None
        preset = network.get("preset") if isinstance(network, dict) else None
        if isinstance(preset, str) and preset in NETWORKS:
            return {"bitwidths": list(AUTO_NBA_BITWIDTHS), **raw}
        return raw

    @model_validator(mode="before")
    @classmethod
    def _switchable_defaults(cls, raw: Any) -> Any:
        if isinstance(raw, dict) and raw.get("precision") == "switchable" and raw.get("switchable") is None:
            return {**raw, "switchable": {}}
        return raw

    @model_validator(mode="before")
    @classmethod
    def _switchable_schedule(cls, raw: Any) -> Any:
        """The search of a switchable network has defaults of its own, where no preset gives others."""
        if not isinstance(raw, dict) or raw.get("precision") != "switchable":
            return raw
        schedule = {} if raw.get("schedule") is None else raw["schedule"]
        search = schedule.get("search", {}) if isinstance(schedule, dict) else None
        if not isinstance(search, dict) or schedule.get("preset") is not None:
            return raw
        own = {
            k: v for k, v in SWITCHABLE_SEARCH.items() if k != "temperature_factor" or "temperature_last" not in search
        }
        return {**raw, "schedule": {**schedule, "search": {**own, **search}}}

    @field_validator("objective", mode="before")
    @classmethod
    def _fps(cls, objective: object) -> object:
        """Frames per second are the inverse of the interval."""
        return "interval" if objective == "fps" else objective

    @model_validator(mode="after")
    def _target_of_the_objective(self) -> Spec:
        search = self.schedule.search
        for name, instead in (("target_fps", "target"), ("fps_range", "cost_range")):
            value = getattr(search, name)
            if value is not None and self.objective != "interval":
                text = f"{value:g}" if isinstance(value, float) else str(list(value))
                raise ValueError(
                    f"schedule.search.{name}: {text} is a target for objective: interval, not for {self.objective}; "
                    f"give schedule.search.{instead}"
                )
        return self

    @model_validator(mode="after")
    def _one_resized_crop(self) -> Spec:
        for name, section in (("search", self.schedule.search), ("train", self.schedule.train)):
            if section.resized_crop and any(t.name == "RandomResizedCrop" for t in self.dataset.transforms):
                raise ValueError(
                    f"dataset.transforms has a RandomResizedCrop, and so has schedule.{name}.resized_crop; give one"
                )
        return self

    @model_validator(mode="after")
    def _one_kind_of_precision(self) -> Spec:
        if self.precision == "mixed" and self.switchable is not None:
            raise ValueError("switchable: belongs to `precision: switchable`; add that line, or leave the section out")
        if self.precision == "switchable" and self.bitwidths not in (_MIXED_BITWIDTHS, AUTO_NBA_BITWIDTHS):
            raise ValueError("bitwidths: belongs to `precision: mixed`; leave it out, and give switchable.bitwidths")
        if self.precision == "switchable" and self.schedule.train.distillation is not None:
            raise ValueError(
                "schedule.train.distillation: a switchable network teaches itself; leave it out, and choose its "
                "teachers with switchable.teachers"
            )
        return self

    def yaml(self) -> str:
        """The whole spec, defaults filled in, as YAML that `read_spec` reads back to the same value."""
        return dump_yaml(self.model_dump(mode="json"))


def read_spec(path: Path, *, platforms: Collection[str]) -> Spec:
    """Read and check the spec file `path`; `platforms` are the legal names of the field `platform`.

    Relative paths (`PATHS`) are relative to the spec's folder. Raises SpecError with every error of the file.
    """
    text = read_text(path, what="spec", example="examples/digits.yaml")
    return parse_spec(text, where=str(path), folder=path.parent, platforms=platforms)


def parse_spec(text: str, *, where: str, folder: Path, platforms: Collection[str]) -> Spec:
    """The spec written in `text`; `where` names it in messages. Raises SpecError with every error of the text."""
    raw = parse_yaml(text, where=where, what="spec", fields=Spec.model_fields)
    problems: list[str] = []
    spec: Spec | None = None
    try:
        spec = Spec.model_validate(raw)
    except ValidationError as err:
        problems.extend(explain(err, Spec))
    platform = raw.get("platform")
    if isinstance(platform, str) and platform not in platforms:
        legal = ", ".join(sorted(platforms))
        problems.append(f"platform: {platform!r} is not known{near(platform, platforms)}; legal: {legal}")
    if problems or spec is None:
        raise SpecError(report(where, problems))
    for field, path in paths_of(spec).items():
        spec = _replaced(spec, field, str((folder / path.expanduser()).absolute()))
    return spec


PATHS: dict[str, Callable[[str], bool]] = {
    "architecture": lambda text: True,
    "dataset.path": lambda text: True,
    "switchable.hierarchy": names_a_file,
    "schedule.train.distillation.teacher": lambda text: text != "float",
}
"""Fields that may name files or folders of the user, and whether a value does."""


def paths_of(spec: Spec) -> dict[str, Path]:
    """The files and folders that the spec names, by field."""
    values = spec.model_dump(mode="json")
    found = {field: value_at(values, field) for field in PATHS}
    return {field: Path(text) for field, text in found.items() if isinstance(text, str) and PATHS[field](text)}


Part = TypeVar("Part", bound=BaseModel)


def _replaced(section: Part, field: str, value: str) -> Part:
    """`section` with another value of `field`."""
    name, _, rest = field.partition(".")
    return section.model_copy(update={name: _replaced(getattr(section, name), rest, value) if rest else value})

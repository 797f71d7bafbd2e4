# SPDX-License-Identifier: Apache-2.0
"""The section `dataset` of a spec: which data are learned, and how images are read."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WrapValidator,
    model_validator,
)

from nba.core.errors import SpecError
from nba.core.files import expanded
from nba.core.section import Positive, Section
from nba.learn.train.augmentation import ResizedCrop

IMAGE_SIZES = {
    "digits": (8, 1), "cifar10": (32, 3), "cifar100": (32, 3), "fashion-mnist": (28, 1), "imagenet": (224, 3)
}  # fmt: skip
"""Pixels of a side and channels of the datasets that have a size of their own (ImageNet's is a default)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PublishedDataset:
    """A published dataset: its class in torchvision.datasets, numbers of classes and images."""

    kind: str
    classes: int
    train: int
    test: int


PUBLISHED_DATASETS = {
    "cifar10": PublishedDataset(kind="CIFAR10", classes=10, train=50_000, test=10_000),
    "cifar100": PublishedDataset(kind="CIFAR100", classes=100, train=50_000, test=10_000),
    "fashion-mnist": PublishedDataset(kind="FashionMNIST", classes=10, train=60_000, test=10_000),
}
"""The datasets that torchvision reads, by the name that a spec gives them."""


_Integer = Annotated[int, Field(ge=-(2**31), le=2**31 - 1)]
_Real = Annotated[float, Field(ge=-1e12, le=1e12, allow_inf_nan=False)]


def _one_message(value: Any, check: ValidatorFunctionWrapHandler) -> Any:
    """A wrong value has one error, and not one per form."""
    try:
        return check(value)
    except ValidationError:
        raise ValueError("input should be true or false, a number up to 1e12, a text, or a list of numbers") from None


Option = Annotated[bool | _Integer | _Real | str | tuple[_Integer | _Real, ...], WrapValidator(_one_message)]
"""An argument of a transform. In a list too, an integer stays one: torchvision wants sizes as integers."""


class Transform(Section):
    """A class of torchvision.transforms.v2 and its keyword arguments."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9]*$")]
    options: dict[str, Option] = Field(default={})


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


_CLASSES = "give a list of names, or `count` (and `seed`)"


class Classes(Section):
    """Some of a dataset's classes: those of these names (a list stands for them), or `count` drawn with `seed`."""

    names: (
        Annotated[tuple[str, ...], Field(min_length=2), BeforeValidator(_class_names), AfterValidator(_distinct)] | None
    ) = None
    count: Annotated[int, Field(ge=2, le=100_000, strict=True)] | None = None
    seed: Annotated[int, Field(ge=0, lt=2**31, strict=True)] = 0

    @model_validator(mode="before")
    @classmethod
    def _list(cls, raw: Any) -> Any:
        if not isinstance(raw, dict | list | tuple | Classes):
            raise ValueError(_CLASSES)
        return {"names": raw} if isinstance(raw, list | tuple) else raw

    @model_validator(mode="after")
    def _either(self) -> Classes:
        if (self.names is None) == (self.count is None):
            raise ValueError(_CLASSES)
        return self


class DataConfig(Section):
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
    def _fits(self) -> DataConfig:
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

    def at(self, path: Path) -> DataConfig:
        """The same data, lying in the folder `path`. Raises SpecError for the embedded digits."""
        if self.name == "digits":
            raise SpecError("--data: dataset digits is embedded and takes no folder; leave --data out")
        return self.model_copy(update={"path": str(expanded(path, "--data").absolute())})

    @property
    def size(self) -> tuple[int, int, int]:
        """Height, width and channels of the images that the network takes; those of folders are scaled to it."""
        side, channels = IMAGE_SIZES.get(self.name, (self.image_size, self.channels or 3))
        side = self.image_size or side
        assert side is not None
        return side, side, channels

    def cropped(self, crop: ResizedCrop | None) -> DataConfig:
        """The same data, whose training images, the embedded digits too, are cut out by `crop` before all else."""
        if crop is None:
            return self
        options: dict[str, Option] = {"size": self.size[0], "scale": crop.scale, "ratio": crop.ratio}
        first = Transform(name="RandomResizedCrop", options=options)
        return self.model_copy(update={"transforms": (first, *self.transforms)})

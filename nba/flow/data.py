# SPDX-License-Identifier: Apache-2.0
"""From the spec's sections to the values of the learning side."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING

from nba.core.errors import DataError, ToolError
from nba.flow.places import STATE
from nba.flow.stage import Context
from nba.learn.data.config import PUBLISHED_DATASETS
from nba.learn.train.augmentation import ResizedCrop
from nba.spec import Spec

if TYPE_CHECKING:
    from nba.learn.data.dataset import Dataset
    from nba.learn.space.network import Macro

CACHE = "data"
"""Folder of decoded images, beside the runner's own files."""
UNNAMED = "network"
"""What networks are called until their design is made: a run that is renamed need not learn anew."""


def load_data(context: Context, crop: ResizedCrop | None) -> Dataset:
    """The dataset of a stage's spec, whose training images are cut out by `crop`; decoded images are kept in the build
    folder. Raises DataError.

    Of several processes rank 0 decodes, and the others take what it kept.
    """
    from nba.learn.data.load import load
    from nba.learn.train import ranks

    world = ranks.current()
    if not world.writes:
        world.wait()
    found = load(context.spec.data.cropped(crop), context.build / STATE / CACHE, context.progress)
    if world.writes:
        world.wait()
    return found


def macro(spec: Spec, classes: int) -> Macro:
    """The section `network` and the bitwidths, as the network space of `classes` classes."""
    from nba.learn.space.network import Macro

    return Macro.of(spec.space, name=UNNAMED, size=spec.data.size, classes=classes, bitwidths=spec.bitwidths)


def check_data(spec: Spec) -> None:
    """Raise DataError if the dataset's folder is not there and will not be downloaded, has fewer than two
    classes, or not those of `dataset.classes`."""
    section = spec.data
    if section.name == "digits":
        n_classes(spec)
        return
    if section.path is None:
        raise DataError(f"dataset.path: missing; give the folder of {section.name} there, or as --data PATH")
    path = Path(section.path)
    if section.download and not (path / "train").is_dir():
        return
    if not path.is_dir():
        raise DataError(f"dataset.path: {section.path}: no such folder; give the folder that holds the images")
    n_classes(spec)


def n_classes(spec: Spec) -> int:
    """Classes that are learned, without reading an image. Raises DataError, also for `dataset.classes` that the dataset
    does not have."""
    from nba.learn.data.dataset import chosen_classes

    chosen, (found, names) = spec.data.classes, _all_classes(spec)
    if chosen is None:
        return found
    if chosen.names is not None and names is None:
        return len(chosen.names)
    return len(chosen_classes(names or ("",) * found, spec.data))


def _all_classes(spec: Spec) -> tuple[int, tuple[str, ...] | None]:
    """How many classes the dataset has, and their names, where no file must be read to know them."""
    from nba.learn.data.digits import DIGITS
    from nba.learn.data.scan import class_names

    section = spec.data
    if section.name == "digits":
        return len(DIGITS), DIGITS
    published = PUBLISHED_DATASETS.get(section.name)
    if published is not None:
        return published.classes, None
    if section.path is None:
        return 2, None
    root = Path(section.path)
    root = root / "train" if (root / "train").is_dir() else root
    names, _ = class_names(root)
    if len(names) < 2:
        raise DataError(
            f"dataset.path: {root}: holds {len(names)} folder{'s' if len(names) != 1 else ''} of images; at least two "
            "classes are needed, a folder each"
        )
    return len(names), tuple(names)


def learning_preflight(spec: Spec) -> None:
    """Raise ToolError if a package of the learning side is missing; with `download: true` fetch the dataset now, before
    anything is derived from the state of its folder."""
    digits, schedule = spec.data.name == "digits", spec.schedule
    needed = [("torch", "torch")]
    if digits:
        needed.append(("sklearn", "scikit-learn"))
    if not digits or schedule.search.resized_crop or schedule.train.resized_crop:
        needed.append(("torchvision", "torchvision"))
    for module, package in needed:
        if importlib.util.find_spec(module) is None:
            raise ToolError(f"{package}: not installed; search and train need it: pip install {package}")
    section = spec.data
    if section.path is not None and section.download and not (Path(section.path) / "train").is_dir():
        from nba.learn.data.published import download

        download(Path(section.path), section.name)
    if section.transforms:
        from nba.learn.data.images import build_transform

        for transform in section.transforms:
            build_transform(transform)

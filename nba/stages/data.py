# SPDX-License-Identifier: Apache-2.0
"""From the spec's sections to the values of the learning side."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING

from nba.errors import DataError, ToolError
from nba.spec import Spec

if TYPE_CHECKING:
    from nba.data.dataset import DataConfig
    from nba.space.network import Macro


def data_config(spec: Spec) -> DataConfig:
    """The section `dataset`, as nba.data takes it."""
    from nba.data.dataset import DataConfig

    section = spec.dataset
    if section.name == "digits":
        return DataConfig(name="digits", test_fraction=section.test_fraction)
    assert section.image_size is not None
    return DataConfig(
        name=section.name, path=section.path, height=section.image_size, width=section.image_size,
        channels=section.channels or 3, test_fraction=section.test_fraction,
    )  # fmt: skip


def macro(spec: Spec, classes: int) -> Macro:
    """The section `network` and the bitwidths, as the network space of `classes` classes."""
    from nba.space.network import Macro, Stage

    data, net = data_config(spec), spec.network
    return Macro(
        name=spec.name, height=data.height, width=data.width, channels=data.channels, classes=classes,
        stem_channels=net.stem_channels, stem_stride=net.stem_stride, head_channels=net.head_channels,
        stages=tuple(Stage(**stage.model_dump()) for stage in net.stages),
        operators=net.operators, bitwidths=spec.bitwidths, stem_bits=net.stem_bits, head_bits=net.head_bits,
        classifier_bits=net.classifier_bits, bits_per=net.bits_per, expand_at_one=net.expand_at_one,
    )  # fmt: skip


def preflight(spec: Spec) -> None:
    """Raise DataError if the dataset's folder is not there, ToolError if a package of the learning side is missing."""
    if spec.dataset.path is not None and not Path(spec.dataset.path).is_dir():
        raise DataError(f"dataset.path: {spec.dataset.path}: no such folder; give the folder that holds the images")
    for module, package in (("torch", "torch"), ("sklearn", "scikit-learn")):
        if importlib.util.find_spec(module) is None:
            raise ToolError(f"{package}: not installed; search and train need it: pip install {package}")

# SPDX-License-Identifier: Apache-2.0
"""Small data and spaces for the tests of training and search."""

from __future__ import annotations

import numpy as np

from nba.learn.data.config import DataConfig
from nba.learn.data.dataset import Dataset
from nba.learn.data.load import load
from nba.learn.space.config import StageSpace, StemPoolSpace
from tests.spaces import DIGITS_SPACE

MACRO = DIGITS_SPACE.but(
    stem_channels=4,
    stages=(StageSpace(channels=4, blocks=1, stride=1), StageSpace(channels=6, blocks=2, stride=2)),
    head_channels=8,
    operators=("k3_e1", "k3_e2", "k5_e2", "skip"),
    bitwidths=(4, 8),
)
POOLED = MACRO.but(
    stem_pool=StemPoolSpace(kernel=3, stride=(1, 2)),
    stages=(MACRO.stages[0], MACRO.stages[1].but(stride=(2, 1))),
)
"""The same with a max pooling behind the stem, and strides that differ by axis."""


def few_digits(n_train: int) -> Dataset:
    """The digits, with the first `n_train` training images only."""
    data = load(DataConfig(name="digits"))
    index = np.arange(n_train)
    return Dataset(
        name="few",
        classes=data.classes,
        train_x=data.train_x[index],
        train_y=data.train_y[index],
        test_x=data.test_x[:40],
        test_y=data.test_y[:40],
    )

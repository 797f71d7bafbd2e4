# SPDX-License-Identifier: Apache-2.0
"""The handwritten digits that come with scikit-learn: 1797 images of 8x8 pixels, values 0..16."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from nba.core.errors import DataError
from nba.learn.data.config import DataConfig
from nba.learn.data.dataset import Dataset, chosen_classes, first_of_each, input_codes, of_classes, split

if TYPE_CHECKING:
    from nba.learn.data.images import Images

DIGITS = tuple(map(str, range(10)))
"""Their names."""
_PIXEL_MAX = 16.0


def load_digits(config: DataConfig) -> Dataset:
    """The digits, split as `config` says. Raises DataError if scikit-learn is missing."""
    try:
        from sklearn.datasets import load_digits as load
    except ModuleNotFoundError as err:
        raise DataError(
            f"dataset digits needs scikit-learn ({err.name} is not installed): pip install scikit-learn"
        ) from None
    bunch = load()
    x, y = input_codes(bunch.images, _PIXEL_MAX)[..., np.newaxis], bunch.target.astype(np.int64)
    chosen = chosen_classes(DIGITS, config)
    train, test = split("digits", y, config)
    found = []
    for part, count in ((train, config.train_images), (test, config.test_images)):
        kept, labels = of_classes(y[part], chosen)
        first = first_of_each(labels, count)
        found.append((x[part[kept[first]]], labels[first]))
    (train_x, train_y), (test_x, test_y) = found
    images: Images = train_x
    if config.transforms:
        from nba.learn.data.images import ArrayImages, Shape

        images = ArrayImages(train_x, Shape.of(config.size), config.transforms, config.workers)
    return Dataset(
        name="digits", classes=tuple(DIGITS[i] for i in chosen), train_x=images, train_y=train_y, test_x=test_x,
        test_y=test_y,
    )  # fmt: skip

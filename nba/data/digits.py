# SPDX-License-Identifier: Apache-2.0
"""The handwritten digits that come with scikit-learn: 1797 images of 8x8 pixels, values 0..16."""

from __future__ import annotations

import numpy as np

from nba.data.dataset import DataConfig, Dataset, first_of_each, input_codes, split
from nba.errors import DataError

_PIXEL_MAX = 16.0


def load_digits(config: DataConfig) -> Dataset:
    """The digits, split as `config` says. Raises DataError if scikit-learn is missing or another size is asked for."""
    try:
        from sklearn.datasets import load_digits as load
    except ModuleNotFoundError as err:
        raise DataError(
            f"dataset digits needs scikit-learn ({err.name} is not installed): pip install scikit-learn"
        ) from None
    if (config.height, config.width, config.channels) != (8, 8, 1):
        raise DataError(
            f"dataset digits: images are 8x8x1, not {config.height}x{config.width}x{config.channels}; "
            "set height 8, width 8, channels 1"
        )
    bunch = load()
    x, y = input_codes(bunch.images, _PIXEL_MAX)[..., np.newaxis], bunch.target.astype(np.int64)
    train, test = split("digits", y, config)
    train = train[first_of_each(y[train], config.train_images)]
    test = test[first_of_each(y[test], config.test_images)]
    return Dataset(
        name="digits",
        classes=tuple(str(i) for i in range(10)),
        train_x=x[train],
        train_y=y[train],
        test_x=x[test],
        test_y=y[test],
    )

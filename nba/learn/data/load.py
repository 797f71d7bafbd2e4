# SPDX-License-Identifier: Apache-2.0
"""Any dataset by its name."""

from __future__ import annotations

from pathlib import Path

from nba.core.errors import DataError
from nba.core.progress import Progress, Silent
from nba.learn.data.config import PUBLISHED_DATASETS, DataConfig
from nba.learn.data.dataset import Dataset


def load(config: DataConfig, cache: Path | None = None, progress: Progress | None = None) -> Dataset:
    """The dataset that `config` names; decoded images are kept in the folder `cache`. Raises DataError, naming the file
    and what to do, if data are missing, incomplete, unreadable or of the wrong shape."""
    if config.name == "digits":
        from nba.learn.data.digits import load_digits

        return load_digits(config)
    from nba.learn.data.folder import load_folder
    from nba.learn.data.published import load_published

    if config.path is None:
        raise DataError(
            f"dataset.path: missing; name the folder that holds the images of {config.name}, or give --data PATH"
        )
    path, progress = Path(config.path), progress or Silent()
    if config.name in PUBLISHED_DATASETS:
        return load_published(path, config, cache, progress)
    return load_folder(path, config, cache, progress)

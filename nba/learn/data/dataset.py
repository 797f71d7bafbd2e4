# SPDX-License-Identifier: Apache-2.0
"""`Dataset`: images as the integer codes that the accelerator receives, and the fixed splits of them."""

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING

import numpy as np

from nba.core.errors import DataError
from nba.learn.data.codes import CODE_MAX, INPUT_SCALE, input_codes
from nba.learn.data.config import DataConfig

if TYPE_CHECKING:
    from nba.learn.data.images import Images

SPLIT_SEED = 0
"""Draws the test part of data that have none. It is fixed, so that no run trains on the test images of another."""
__all__ = ["CODE_MAX", "INPUT_SCALE", "Dataset", "input_codes", "stratified_split"]


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Dataset:
    """Input codes uint8 [B, H, W, C] (arrays, or streams of files that are indexed alike) and labels int64 [B].
    `classes` are the class names, in label order."""

    name: str
    classes: tuple[str, ...]
    train_x: Images
    train_y: np.ndarray
    test_x: Images
    test_y: np.ndarray


def stratified_split(labels: np.ndarray, fraction: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """(kept, drawn) indices, ascending: of every class, round(fraction * size) members are drawn with `seed`."""
    rng = np.random.default_rng(seed)
    drawn = np.zeros(len(labels), dtype=bool)
    for label in np.unique(labels):
        members = rng.permutation(np.flatnonzero(labels == label))
        drawn[members[: int(np.floor(fraction * len(members) + 0.5))]] = True
    return np.flatnonzero(~drawn), np.flatnonzero(drawn)


def split(name: str, labels: np.ndarray, config: DataConfig) -> tuple[np.ndarray, np.ndarray]:
    """(train, test) indices of the stratified split of `config`. Raises DataError if one would be empty."""
    train, test = stratified_split(labels, config.test_fraction, SPLIT_SEED)
    if not len(train) or not len(test):
        raise DataError(
            f"dataset {name}: test_fraction {config.test_fraction} of {len(labels)} images leaves {len(train)} for "
            f"training and {len(test)} for the test; choose a fraction between 0 and 1 that leaves some for both"
        )
    return train, test


def chosen_classes(names: tuple[str, ...], config: DataConfig) -> np.ndarray:
    """Numbers, ascending, of those of the classes `names` that `config` takes. Raises DataError for unknown ones."""
    chosen = config.classes
    if chosen is None:
        return np.arange(len(names))
    if chosen.names is not None:
        unknown = [name for name in chosen.names if name not in names]
        if unknown:
            hint = "".join(f" (did you mean {near!r}?)" for near in get_close_matches(unknown[0], names, n=1))
            legal = ", ".join(names[:20]) + (f" and {len(names) - 20} more" if len(names) > 20 else "")
            raise DataError(f"dataset.classes: {', '.join(unknown)}: not a class of this dataset{hint}; legal: {legal}")
        return np.flatnonzero(np.isin(np.array(names), np.array(chosen.names)))
    assert chosen.count is not None
    if chosen.count > len(names):
        raise DataError(f"dataset.classes.count: {chosen.count}, but the dataset has {len(names)}; give at most that")
    return np.sort(np.random.default_rng(chosen.seed).permutation(len(names))[: chosen.count])


def of_classes(labels: np.ndarray, chosen: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(indices, labels) of the members of the classes `chosen` (numbers, ascending), which are counted anew."""
    kept = np.flatnonzero(np.isin(labels, chosen))
    return kept, np.searchsorted(chosen, labels[kept]).astype(np.int64)


def first_of_each(labels: np.ndarray, count: int | None) -> np.ndarray:
    """Indices, ascending, of the first `count` members of every class (None: of all)."""
    if count is None:
        return np.arange(len(labels))
    return np.sort(np.concatenate([np.flatnonzero(labels == label)[:count] for label in np.unique(labels)]))

# SPDX-License-Identifier: Apache-2.0
"""Datasets: input codes, splits that never move, image folders, and messages for what is missing."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest

from nba.data.dataset import DataConfig, input_codes, load, stratified_split
from nba.data.torchvision_import import torchvision
from nba.errors import DataError

pytestmark = pytest.mark.torch


def test_input_codes_round_half_up_and_reach_both_ends() -> None:
    assert input_codes(np.array([0, 1, 8, 16]), 16).tolist() == [0, 16, 128, 255]
    assert input_codes(np.arange(256), 255).tolist() == list(range(256))


def test_digits_split_is_fixed_stratified_and_disjoint() -> None:
    data = load(DataConfig())
    assert data.train_x.shape == (1438, 8, 8, 1)
    assert data.test_x.shape == (359, 8, 8, 1)
    assert data.test_x.dtype == np.uint8
    counts = np.bincount(data.test_y)
    assert counts.min() >= 35
    assert counts.max() <= 37
    digest = hashlib.sha256(data.test_x.tobytes() + data.test_y.astype("<i8").tobytes()).hexdigest()
    again = load(DataConfig())
    assert digest == hashlib.sha256(again.test_x.tobytes() + again.test_y.astype("<i8").tobytes()).hexdigest()
    other = load(DataConfig(split_seed=1))
    assert not np.array_equal(other.test_x, data.test_x)


def test_stratified_split_is_a_partition() -> None:
    labels = np.array([0] * 10 + [1] * 5 + [2] * 1)
    kept, drawn = stratified_split(labels, 0.4, 7)
    assert sorted([*kept, *drawn]) == list(range(16))
    assert np.bincount(labels[drawn], minlength=3).tolist() == [4, 2, 0]


def _images(folder: Path, classes: tuple[str, ...], n: int, value: int = 0) -> None:
    from PIL import Image

    for c, name in enumerate(classes):
        (folder / name).mkdir(parents=True)
        for i in range(n):
            pixels = np.full((6, 6, 3), (value + 40 * c + i) % 256, dtype=np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{i}.png")


@pytest.mark.parametrize("channels", [1, 3])
def test_folder_of_classes(tmp_path: Path, channels: int) -> None:
    _images(tmp_path, ("cat", "dog"), 5)
    data = load(DataConfig(name="folder", path=str(tmp_path), height=6, width=6, channels=channels))
    assert data.classes == ("cat", "dog")
    assert data.train_x.shape == (8, 6, 6, channels)
    assert data.test_x.shape == (2, 6, 6, channels)
    everything = np.concatenate([data.train_x, data.test_x])
    assert sorted(everything[:, 0, 0, 0].tolist()) == [0, 1, 2, 3, 4, 40, 41, 42, 43, 44]


def test_folder_with_train_and_test_is_scaled(tmp_path: Path) -> None:
    _images(tmp_path / "train", ("a", "b"), 3)
    _images(tmp_path / "test", ("a", "b"), 1, value=100)
    data = load(DataConfig(name="folder", path=str(tmp_path), height=4, width=5, channels=3))
    assert data.train_x.shape == (6, 4, 5, 3)
    assert data.test_x[:, 0, 0, 0].tolist() == [100, 140]


def test_messages(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such folder"):
        load(DataConfig(name="folder", path=str(tmp_path / "nowhere")))
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="no images"):
        load(DataConfig(name="folder", path=str(tmp_path / "empty")))
    (tmp_path / "file").write_text("x")
    with pytest.raises(DataError, match="is a file"):
        load(DataConfig(name="folder", path=str(tmp_path / "file")))
    _images(tmp_path / "half" / "train", ("a",), 1)
    with pytest.raises(DataError, match="no folder test"):
        load(DataConfig(name="folder", path=str(tmp_path / "half")))
    _images(tmp_path / "odd" / "train", ("a", "b"), 1)
    _images(tmp_path / "odd" / "test", ("a", "c"), 1)
    with pytest.raises(DataError, match="differ in their classes"):
        load(DataConfig(name="folder", path=str(tmp_path / "odd")))
    _images(tmp_path / "bad", ("a", "b"), 1)
    (tmp_path / "bad" / "a" / "0.png").write_bytes(b"not a picture")
    with pytest.raises(DataError, match="not a readable image"):
        load(DataConfig(name="folder", path=str(tmp_path / "bad")))
    with pytest.raises(DataError, match="8x8x1"):
        load(DataConfig(height=16, width=16))
    with pytest.raises(DataError, match="missing"):
        load(DataConfig(name="folder"))
    with pytest.raises(DataError, match="not known"):
        load(DataConfig(name="mnist"))


def test_torchvision_imports_beside_a_cpu_only_torch() -> None:
    torchvision()
    from torchvision.datasets import ImageFolder
    from torchvision.models import resnet18
    from torchvision.transforms import Compose

    assert callable(resnet18)
    assert isinstance(Compose([]), Compose)
    assert issubclass(ImageFolder, object)

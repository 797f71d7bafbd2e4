# SPDX-License-Identifier: Apache-2.0
"""Datasets: input codes, splits that never move, image folders, and messages for what is missing."""

from __future__ import annotations

import hashlib
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from nba.core.errors import DataError
from nba.learn.data.config import Classes, DataConfig, Transform
from nba.learn.data.dataset import input_codes, stratified_split
from nba.learn.data.images import FileImages, batches_of
from nba.learn.data.load import load
from nba.learn.data.torchvision_import import torchvision
from nba.learn.train.augmentation import ResizedCrop

pytestmark = pytest.mark.torch


def test_input_codes_round_half_up_and_reach_both_ends() -> None:
    assert input_codes(np.array([0, 1, 8, 16]), 16).tolist() == [0, 16, 128, 255]
    assert input_codes(np.arange(256), 255).tolist() == list(range(256))


def test_digits_split_is_fixed_stratified_and_disjoint(monkeypatch: pytest.MonkeyPatch) -> None:
    data = load(DataConfig(name="digits"))
    assert data.train_x.shape == (1438, 8, 8, 1)
    assert data.test_x.shape == (359, 8, 8, 1)
    assert data.test_x.dtype == np.uint8
    counts = np.bincount(data.test_y)
    assert counts.min() >= 35
    assert counts.max() <= 37
    digest = hashlib.sha256(data.test_x.tobytes() + data.test_y.astype("<i8").tobytes()).hexdigest()
    again = load(DataConfig(name="digits"))
    assert digest == hashlib.sha256(again.test_x.tobytes() + again.test_y.astype("<i8").tobytes()).hexdigest()
    monkeypatch.setattr("nba.learn.data.dataset.SPLIT_SEED", 1)
    assert not np.array_equal(load(DataConfig(name="digits")).test_x, data.test_x)


def test_stratified_split_is_a_partition() -> None:
    labels = np.array([0] * 10 + [1] * 5 + [2] * 1)
    kept, drawn = stratified_split(labels, 0.4, 7)
    assert sorted([*kept, *drawn]) == list(range(16))
    assert np.bincount(labels[drawn], minlength=3).tolist() == [4, 2, 0]


def _images(folder: Path, classes: tuple[str, ...], n: int, value: int = 0) -> None:
    for c, name in enumerate(classes):
        (folder / name).mkdir(parents=True)
        for i in range(n):
            pixels = np.full((6, 6, 3), (value + 40 * c + i) % 256, dtype=np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{i}.png")


@pytest.mark.parametrize("channels", [1, 3])
def test_folder_of_classes(tmp_path: Path, channels: int) -> None:
    _images(tmp_path, ("cat", "dog"), 5)
    data = load(DataConfig(name="folder", path=str(tmp_path), image_size=6, channels=channels))
    assert data.classes == ("cat", "dog")
    assert data.train_x.shape == (8, 6, 6, channels)
    assert data.test_x.shape == (2, 6, 6, channels)
    everything = np.concatenate([data.train_x, data.test_x])
    assert sorted(everything[:, 0, 0, 0].tolist()) == [0, 1, 2, 3, 4, 40, 41, 42, 43, 44]


def test_folder_with_train_and_test_is_scaled(tmp_path: Path) -> None:
    _images(tmp_path / "train", ("a", "b"), 3)
    _images(tmp_path / "test", ("a", "b"), 1, value=100)
    data = load(DataConfig(name="folder", path=str(tmp_path), image_size=5, channels=3))
    assert data.train_x.shape == (6, 5, 5, 3)
    assert data.test_x[:, 0, 0, 0].tolist() == [100, 140]


def test_messages(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such folder"):
        load(DataConfig(name="folder", path=str(tmp_path / "nowhere"), image_size=8))
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="no images"):
        load(DataConfig(name="folder", path=str(tmp_path / "empty"), image_size=8))
    (tmp_path / "file").write_text("x")
    with pytest.raises(DataError, match="is a file"):
        load(DataConfig(name="folder", path=str(tmp_path / "file"), image_size=8))
    _images(tmp_path / "half" / "train", ("a",), 1)
    with pytest.raises(DataError, match="no folder test"):
        load(DataConfig(name="folder", path=str(tmp_path / "half"), image_size=8))
    _images(tmp_path / "odd" / "train", ("a", "b"), 1)
    _images(tmp_path / "odd" / "test", ("a", "c"), 1)
    with pytest.raises(DataError, match="differ in their classes"):
        load(DataConfig(name="folder", path=str(tmp_path / "odd"), image_size=8))
    _images(tmp_path / "bad", ("a", "b"), 5)
    good = (tmp_path / "bad" / "a" / "0.png").read_bytes()
    for content, what in (
        (b"not a picture", "cannot identify"),
        (good[: len(good) * 2 // 3], "0.png: not a"),
        (b"", "is empty"),
    ):
        (tmp_path / "bad" / "a" / "0.png").write_bytes(content)
        with pytest.raises(DataError, match=what):
            load(DataConfig(name="folder", path=str(tmp_path / "bad"), image_size=8))
    (tmp_path / "packed" / "a").mkdir(parents=True)
    (tmp_path / "packed" / "images.tar").write_bytes(b"")
    with pytest.raises(DataError, match=r"unpack images\.tar"):
        load(DataConfig(name="folder", path=str(tmp_path / "packed"), image_size=8))
    with pytest.raises(DataError, match="has no folder train"):
        load(DataConfig(name="imagenet", path=str(tmp_path / "bad"), image_size=4, channels=3))
    with pytest.raises(DataError, match="missing"):
        load(DataConfig(name="folder", image_size=8))


def test_decoded_images_are_kept_and_decoded_again_when_a_file_changes(tmp_path: Path) -> None:
    _images(tmp_path / "images", ("a", "b"), 5)
    config = DataConfig(name="folder", path=str(tmp_path / "images"), image_size=6, channels=3)
    first = load(config, tmp_path / "kept")
    kept = sorted((tmp_path / "kept").iterdir())
    assert len(kept) == 2
    again = load(config, tmp_path / "kept")
    assert isinstance(again.train_x, np.memmap)
    assert np.array_equal(first.train_x, again.train_x)
    assert sorted((tmp_path / "kept").iterdir()) == kept
    for file in kept:
        file.write_bytes(file.read_bytes()[:-5])
    assert np.array_equal(load(config, tmp_path / "kept").train_x, first.train_x)
    _images(tmp_path / "new", ("a",), 5, value=77)
    for file in (tmp_path / "new" / "a").iterdir():
        file.replace(tmp_path / "images" / "a" / file.name)
    assert not np.array_equal(load(config, tmp_path / "kept").train_x, first.train_x)


def test_only_the_first_of_every_class(tmp_path: Path) -> None:
    _images(tmp_path / "train", ("a", "b"), 4)
    _images(tmp_path / "val", ("a", "b"), 3, value=100)
    config = DataConfig(
        name="folder", path=str(tmp_path), image_size=6, channels=1, train_images=2, test_images=1
    )  # fmt: skip
    data = load(config)
    assert data.train_x[:, 0, 0, 0].tolist() == [0, 1, 40, 41]
    assert data.test_x[:, 0, 0, 0].tolist() == [100, 140]
    digits = load(DataConfig(name="digits", train_images=3, test_images=2))
    assert np.bincount(digits.train_y).tolist() == [3] * 10
    assert np.bincount(digits.test_y).tolist() == [2] * 10


def test_streams_are_indexed_like_arrays_and_name_a_bad_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _images(tmp_path, ("a", "b"), 5)
    config = DataConfig(name="folder", path=str(tmp_path), image_size=6, channels=3)
    whole = load(config)
    monkeypatch.setattr("nba.learn.data.folder.MEMORY_BYTES", 0)
    streamed = load(config)
    assert isinstance(streamed.train_x, FileImages)
    assert len(streamed.train_x) == 8
    assert np.array_equal(streamed.train_x[:], whole.train_x)
    assert np.array_equal(streamed.train_x[np.array([5, 1])], whole.train_x[np.array([5, 1])])
    order = [torch.tensor([2, 0]), torch.tensor([7, 3])]
    for batch, index in zip(batches_of(streamed.train_x, order, 0), order, strict=True):
        assert np.array_equal(batch, whole.train_x[index.numpy()])
    Path(streamed.train_x.files[3]).write_bytes(b"")
    with pytest.raises(DataError, match=r"the file is empty.*get it again") as caught:
        list(batches_of(streamed.train_x, order, 0))
    assert "Traceback" not in str(caught.value)


def test_transforms_depend_on_epoch_and_image_alone(tmp_path: Path) -> None:
    """Not on the number of workers, nor on which batch an image is in; and each epoch draws anew."""
    for label in ("a", "b"):
        (tmp_path / label).mkdir()
        for i in range(5):
            pixels = np.random.default_rng([i, ord(label)]).integers(0, 256, (9, 12, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / label / f"{i}.png")
    crop = Transform(name="RandomResizedCrop", options={"size": 6, "scale": (0.3, 1.0)})
    config = DataConfig(
        name="folder", path=str(tmp_path), image_size=6, channels=3,
        transforms=(crop, Transform(name="RandomHorizontalFlip")), workers=0,
    )  # fmt: skip
    together, apart = [torch.tensor([1, 3, 4, 6])], [torch.tensor([6, 4]), torch.tensor([3, 1])]
    alone = load(config).train_x
    shared = load(config.but(workers=2)).train_x
    (first,) = batches_of(alone, together, 9)
    second = np.concatenate(list(batches_of(shared, apart, 9)))
    assert np.array_equal(first, second[::-1])
    (other,) = batches_of(alone, together, 10)
    assert not np.array_equal(first, other)
    assert isinstance(load(config).test_x, np.ndarray)


def test_integers_in_a_list_reach_a_transform_as_integers(tmp_path: Path) -> None:
    """torchvision's Resize takes [6, 6], and refuses [6.0, 6.0]."""
    _images(tmp_path, ("a", "b"), 5)
    options = {"size": [6, 6], "interpolation": 2}
    raw = {"name": "folder", "path": str(tmp_path), "image_size": 6, "channels": 3, "workers": 0}
    config = DataConfig.model_validate({**raw, "transforms": [{"name": "Resize", "options": options}]})
    again = DataConfig.model_validate(config.model_dump(mode="json"))
    assert repr(again.transforms[0].options) == "{'size': (6, 6), 'interpolation': 2}"
    (batch,) = batches_of(load(again).train_x, [torch.tensor([3, 1])], 0)
    assert np.array_equal(batch, load(DataConfig.model_validate(raw)).train_x[np.array([3, 1])])
    mixed = Transform.model_validate({"name": "ColorJitter", "options": {"hue": [0, 0.5, 1.0]}})
    assert repr(mixed.options) == "{'hue': (0, 0.5, 1.0)}"


@pytest.mark.parametrize(
    ("transform", "message"),
    [
        (Transform(name="Sharpen"), "'Sharpen' is not a transform"),
        (Transform(name="RandomCrop"), "RandomCrop: .*size"),
        (Transform(name="RandomCrop", options={"size": 4}), "give images of 4x4x3, the network takes 6x6x3"),
        (Transform(name="Normalize", options={"mean": (0.5,), "std": (0.1,)}), "Normalize"),
    ],
)
def test_transforms_that_cannot_be(tmp_path: Path, transform: Transform, message: str) -> None:
    _images(tmp_path, ("a", "b"), 5, value=1)
    chain: tuple[Transform, ...] = (transform,)
    if transform.name == "Normalize":
        chain = (Transform(name="ToTensor"), transform)
    config = DataConfig(
        name="folder", path=str(tmp_path), image_size=6, channels=3, transforms=chain, workers=0
    )  # fmt: skip
    with pytest.raises(DataError, match=message):
        list(batches_of(load(config).train_x, [torch.tensor([0])], 0))


def _cifar_files(root: Path, monkeypatch: pytest.MonkeyPatch, names: tuple[str, ...] = ("cat", "dog")) -> None:
    """Files in the format of CIFAR-10, 2 images each, whose checksums torchvision is told."""
    torchvision()
    from torchvision.datasets import CIFAR10

    def put(name: str, content: dict[str, object]) -> list[str]:
        path = root / CIFAR10.base_folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(pickle.dumps(content))
        return [name, hashlib.md5(path.read_bytes()).hexdigest()]

    rng = np.random.default_rng(0)

    def batch(name: str) -> list[str]:
        return put(name, {"data": rng.integers(0, 256, (2, 3072), dtype=np.uint8), "labels": [0, 1]})

    monkeypatch.setattr(CIFAR10, "train_list", [batch("data_batch_1"), batch("data_batch_2")])
    monkeypatch.setattr(CIFAR10, "test_list", [batch("test_batch")])
    name, digest = put("batches.meta", {"label_names": list(names)})
    monkeypatch.setattr(CIFAR10, "meta", {"filename": name, "key": "label_names", "md5": digest})


def test_published_files_are_checked_before_they_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = DataConfig(name="cifar10", path=str(tmp_path))
    with pytest.raises(DataError, match=r"data_batch_1 is missing.*dataset.download: true"):
        load(config)
    _cifar_files(tmp_path, monkeypatch)
    data = load(config)
    assert (data.classes, data.train_x.shape, data.test_x.shape) == (("cat", "dog"), (4, 32, 32, 3), (2, 32, 32, 3))
    assert data.train_y.tolist() == [0, 1, 0, 1]
    stream = load(config.but(transforms=(Transform(name="RandomHorizontalFlip"),), workers=0, train_images=1))
    (drawn,) = batches_of(stream.train_x, [torch.tensor([0, 1])], 3)
    for image, whole in zip(drawn, data.train_x[:2], strict=True):
        assert any(np.array_equal(image, x) for x in (whole, whole[:, ::-1]))
    half = tmp_path / "cifar-10-batches-py" / "data_batch_2"
    half.write_bytes(half.read_bytes()[:100])
    with pytest.raises(DataError, match=r"data_batch_2 \(100 bytes\) is damaged or incomplete; delete it"):
        load(config)


def test_published_images_as_folders_must_be_all_there(tmp_path: Path) -> None:
    _images(tmp_path / "train", ("a", "b"), 2)
    _images(tmp_path / "test", ("a", "b"), 2)
    with pytest.raises(DataError, match="train holds 4 images of 2 classes, not 50,000 of 10"):
        load(DataConfig(name="cifar10", path=str(tmp_path)))


def test_fashion_mnist(tmp_path: Path) -> None:
    raw = tmp_path / "FashionMNIST" / "raw"
    raw.mkdir(parents=True)
    rng = np.random.default_rng(0)
    for part, n in (("train", 3), ("t10k", 2)):
        sizes = np.array([n, 28, 28], dtype=">u4")
        pixels = rng.integers(0, 256, (n, 28, 28), dtype=np.uint8)
        (raw / f"{part}-images-idx3-ubyte").write_bytes(b"\0\0\x08\x03" + sizes.tobytes() + pixels.tobytes())
        (raw / f"{part}-labels-idx1-ubyte").write_bytes(b"\0\0\x08\x01" + sizes[:1].tobytes() + bytes(range(n)))
    config = DataConfig(name="fashion-mnist", path=str(tmp_path))
    data = load(config)
    assert data.train_x.shape == (3, 28, 28, 1)
    assert np.array_equal(data.test_x[..., 0], pixels)
    assert data.train_y.tolist() == [0, 1, 2]
    whole = (raw / "train-images-idx3-ubyte").read_bytes()
    (raw / "train-images-idx3-ubyte").write_bytes(whole[:-10])
    with pytest.raises(DataError, match=r"train-images-idx3-ubyte has 2,358 bytes, not 2,368"):
        load(config)


def test_torchvision_imports_beside_a_cpu_only_torch() -> None:
    torchvision()
    from torchvision.datasets import ImageFolder
    from torchvision.models import resnet18
    from torchvision.transforms import Compose

    assert callable(resnet18)
    assert isinstance(Compose([]), Compose)
    assert issubclass(ImageFolder, object)


def test_a_subset_of_classes_keeps_its_images(tmp_path: Path) -> None:
    """By name or drawn; labels are counted anew, the split of an image never moves, and the order is the dataset's."""
    whole = load(DataConfig(name="digits"))
    some = load(DataConfig(name="digits", classes=Classes(names=("7", "2"))))
    assert some.classes == ("2", "7")
    for part in ("train", "test"):
        x, y = getattr(whole, f"{part}_x"), getattr(whole, f"{part}_y")
        kept = np.isin(y, (2, 7))
        assert np.array_equal(getattr(some, f"{part}_x"), x[kept])
        assert np.array_equal(getattr(some, f"{part}_y"), (y[kept] == 7).astype(np.int64))
    drawn = load(DataConfig(name="digits", classes=Classes(count=3, seed=5), train_images=2))
    assert len(drawn.classes) == 3
    assert np.bincount(drawn.train_y).tolist() == [2, 2, 2]
    assert load(DataConfig(name="digits", classes=Classes(count=3, seed=5))).classes == drawn.classes
    draws = [DataConfig(name="digits", classes=Classes(count=3, seed=seed)) for seed in range(5)]
    assert len({load(config).classes for config in draws}) > 1
    _images(tmp_path / "train", ("ant", "bee", "cow"), 2)
    _images(tmp_path / "test", ("ant", "bee", "cow"), 1, value=100)
    config = DataConfig(
        name="folder", path=str(tmp_path), image_size=6, channels=3, classes=Classes(names=("cow", "ant"))
    )
    folder = load(config)
    assert folder.classes == ("ant", "cow")
    assert folder.train_x[:, 0, 0, 0].tolist() == [0, 1, 80, 81]
    assert (folder.train_y.tolist(), folder.test_y.tolist()) == ([0, 0, 1, 1], [0, 1])


def test_a_subset_of_published_classes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _cifar_files(tmp_path, monkeypatch, ("cat", "dog", "cow"))
    config = DataConfig(name="cifar10", path=str(tmp_path))
    whole, some = load(config), load(config.but(classes=Classes(names=("cow", "cat"))))
    assert some.classes == ("cat", "cow")
    kept = whole.train_y == 0
    assert np.array_equal(some.train_x, whole.train_x[kept])
    assert some.train_y.tolist() == some.test_y[:1].tolist() * int(kept.sum()) == [0, 0]


@pytest.mark.parametrize(
    ("classes", "message"),
    [
        (Classes(names=("3", "eight")), r"dataset\.classes: eight: not a class of this dataset; legal: 0, 1, 2"),
        (Classes(names=("3", "33")), r"dataset\.classes: 33: .*did you mean '3'\?"),
        (Classes(count=11), r"dataset\.classes\.count: 11, but the dataset has 10; give at most that"),
    ],
)
def test_classes_that_are_not_there(classes: Classes, message: str) -> None:
    with pytest.raises(DataError, match=message):
        load(DataConfig(name="digits", classes=classes))


SCALE, RATIO = (0.2, 0.5), (0.5, 1.5)
CROP = ResizedCrop(scale=SCALE, ratio=RATIO)


def test_a_resized_crop_is_cut_from_the_file_itself(tmp_path: Path) -> None:
    """Images whose colours tell place: what is cut has an area and a ratio within what was asked for, at the scale of
    the file and not of the network's image; the same epoch and image give the same crop, for any number of workers."""
    height, width = 120, 200
    y, x = np.mgrid[0:height, 0:width]
    pixels = np.stack([x, y, np.zeros_like(x)], -1).astype(np.uint8)
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        for i in range(20):
            Image.fromarray(pixels).save(tmp_path / name / f"{i}.png")
    config = DataConfig(name="folder", path=str(tmp_path), image_size=16, channels=3, workers=0).cropped(CROP)
    data, order = load(config), [torch.arange(32)]
    (first,), (again,), (other,) = (list(batches_of(data.train_x, order, seed)) for seed in (3, 3, 4))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
    (shared,) = batches_of(load(config.but(workers=2)).train_x, order, 3)
    assert np.array_equal(first, shared)
    rows = torch.tensor([5, 9, 11])
    (part,) = batches_of(data.train_x, [rows], 3)
    assert np.array_equal(part, first[rows.numpy()])
    span = first.astype(float)
    wide = (span[:, :, -1, 0] - span[:, :, 0, 0]).mean(1) * 16 / 15
    high = (span[:, -1, :, 1] - span[:, 0, :, 1]).mean(1) * 16 / 15
    area, ratio = wide * high / (height * width), wide / high
    assert area.min() > SCALE[0] * 0.9
    assert area.max() < SCALE[1] * 1.1
    assert ratio.min() > RATIO[0] * 0.9
    assert ratio.max() < RATIO[1] * 1.1
    assert area.max() - area.min() > 0.15
    assert ratio.max() - ratio.min() > 0.5


def test_the_digits_can_be_cropped_too() -> None:
    data = load(DataConfig(name="digits", workers=0).cropped(CROP))
    assert isinstance(data.train_x, FileImages)
    (drawn,) = batches_of(data.train_x, [torch.arange(6)], 1)
    assert drawn.shape == (6, 8, 8, 1)
    assert not np.array_equal(drawn, data.train_x[np.arange(6)])
    assert np.array_equal(data.train_x[np.arange(6)], load(DataConfig(name="digits")).train_x[:6])

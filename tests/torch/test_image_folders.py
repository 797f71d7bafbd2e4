# SPDX-License-Identifier: Apache-2.0
"""Folders of images as they lie about: links, pipes, strays, and files that are images only by their names."""

from __future__ import annotations

import io
import logging
import os
import socket
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nba.core.errors import DataError
from nba.learn.data.config import DataConfig
from nba.learn.data.dataset import Dataset
from nba.learn.data.images import open_image
from nba.learn.data.load import load
from nba.learn.data.scan import find_images

pytestmark = pytest.mark.torch


def picture(value: int = 0) -> Image.Image:
    return Image.fromarray(np.full((6, 6, 3), value, dtype=np.uint8))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two classes of five images."""
    for c, name in enumerate(("cat", "dog")):
        (tmp_path / "images" / name).mkdir(parents=True)
        for i in range(5):
            picture(40 * c + i).save(tmp_path / "images" / name / f"{i}.png")
    return tmp_path / "images"


def read(folder: Path, channels: int = 3) -> Dataset:
    return load(DataConfig(name="folder", path=str(folder), image_size=6, channels=channels))


def refused(folder: Path) -> str:
    with pytest.raises(DataError) as caught:
        read(folder)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_link_that_leads_back_is_refused(folder: Path) -> None:
    (folder / "cat" / "loop").symlink_to(folder, target_is_directory=True)
    assert "the same folder" in refused(folder) or "leads back" in refused(folder)
    (folder / "cat" / "loop").unlink()
    (folder / "cat" / "self").symlink_to(folder / "cat", target_is_directory=True)
    assert f"{folder}/cat/self: a link that leads back to a folder above it; remove it" in refused(folder)


def test_a_class_that_is_another_class_is_refused(folder: Path) -> None:
    (folder / "tabby").symlink_to(folder / "cat", target_is_directory=True)
    message = refused(folder)
    assert f"{folder}/tabby: holds the same folder as {folder}/cat (a link)" in message
    assert "would have the classes cat and tabby" in message


def test_an_image_under_two_classes_is_refused(folder: Path) -> None:
    (folder / "dog" / "9.png").symlink_to(folder / "cat" / "0.png")
    assert "would have the classes cat and dog" in refused(folder)
    (folder / "dog" / "9.png").unlink()
    os.link(folder / "cat" / "0.png", folder / "dog" / "9.png")
    assert "would have the classes cat and dog" in refused(folder)


def test_an_image_counts_once(folder: Path) -> None:
    (folder / "cat" / "9.png").symlink_to(folder / "cat" / "0.png")
    assert "would count its images twice" in refused(folder)


def test_links_that_say_nothing_twice_are_followed(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    picture(90).save(tmp_path / "elsewhere" / "x.png")
    picture(91).save(tmp_path / "y.png")
    (folder / "bird").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    (folder / "cat" / "linked.png").symlink_to(tmp_path / "y.png")
    os.link(folder / "dog" / "0.png", folder / "dog" / "copy.png")
    found = find_images(folder, "")
    assert found.classes == ("bird", "cat", "dog")
    assert len(found.files) == 1 + 6 + 6


def test_images_of_the_test_are_not_those_of_the_training(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "both").mkdir()
    for name in ("train", "test"):
        (tmp_path / "both" / name).symlink_to(folder, target_is_directory=True)
    assert "10 files of test are those of train (links)" in refused(tmp_path / "both")


def test_pipes_sockets_devices_and_links_to_nothing_are_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    odd = folder / "cat" / "odd.png"
    os.mkfifo(odd)
    assert f"{odd}: a pipe, socket or device, not an image; remove it" in refused(folder)
    odd.unlink()
    monkeypatch.chdir(folder / "cat")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("odd.png")
    assert "a pipe, socket or device" in refused(folder)
    odd.unlink()
    odd.symlink_to("/dev/zero")
    assert "a pipe, socket or device" in refused(folder)
    odd.unlink()
    odd.symlink_to("nowhere")
    assert f"{odd}: a link to nothing; remove it" in refused(folder)
    odd.unlink()
    odd.symlink_to("odd.png")
    assert "a link to nothing" in refused(folder)
    odd.unlink()
    os.mkfifo(folder / "cat" / "notes.txt")
    assert read(folder).classes == ("cat", "dog")


@pytest.mark.parametrize("name", [".git", ".ipynb_checkpoints", "__MACOSX", "lost+found"])
def test_strays_are_no_classes(name: str, folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    (folder / name).mkdir()
    picture().save(folder / name / "x.png")
    picture().save(folder / "cat" / "._x.png")
    (folder / "cat" / name).mkdir()
    picture().save(folder / "cat" / name / "y.png")
    with caplog.at_level(logging.WARNING):
        data = read(folder)
    assert data.classes == ("cat", "dog")
    assert len(data.train_x) + len(data.test_x) == 10
    assert f"{folder}: skipped, since these are no classes: {name}" in caplog.text


def test_one_class_is_no_task(folder: Path) -> None:
    (folder / "dog").rename(folder / ".dog")
    assert f"{folder}: holds one class (cat); at least two are needed" in refused(folder)
    (folder / ".dog").rename(folder / "dog")
    for file in (folder / "dog").iterdir():
        file.unlink()
    assert "no images found in the class dog" in refused(folder)


@pytest.mark.parametrize("name", [b"\xff\xfe", b"caf\xe9", b"a\nb", b"\x1b[31m"])
def test_a_class_needs_a_name_that_can_be_printed(name: bytes, folder: Path) -> None:
    os.rename(folder / "dog", os.path.join(os.fsencode(folder), name))
    assert f"{folder}: the folder {os.fsdecode(name)!a} holds bytes that are not UTF-8 text" in refused(folder)


def test_a_class_may_be_called_anything_else(folder: Path) -> None:
    (folder / "dog").rename(folder / "ch\u00e8vre \U0001f410")
    assert read(folder).classes == ("cat", "ch\u00e8vre \U0001f410")


def test_subfolders_of_a_class_belong_to_it(folder: Path) -> None:
    (folder / "cat" / "a" / "b").mkdir(parents=True)
    picture().save(folder / "cat" / "a" / "b" / "deep.PNG")
    assert len(find_images(folder, "").files) == 11


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_grey_images_of_16_bits_are_scaled(kind: str, tmp_path: Path) -> None:
    values = np.array([[0, 127, 128, 129], [257, 32768, 65535, 65408]], dtype=np.uint16)
    path = tmp_path / f"x.{kind.lower()}"
    Image.fromarray(values).save(path)
    codes = np.asarray(open_image(path).convert("L"))
    assert codes.tolist() == [[int(v * 255 / 65535 + 0.5) for v in row] for row in values.tolist()]


@pytest.mark.parametrize("mode", ["L", "1", "P", "RGBA", "LA", "CMYK"])
def test_modes_become_those_of_the_network(mode: str, folder: Path) -> None:
    kind = "tif" if mode == "CMYK" else "png"
    picture(200).convert(mode).save(folder / "cat" / f"9.{kind}")
    for channels in (1, 3):
        assert read(folder, channels).train_x[:1].shape == (1, 6, 6, channels)


def _animated(kind: str) -> bytes:
    buffer = io.BytesIO()
    picture(1).save(buffer, kind, save_all=True, append_images=[picture(200)])
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (_animated("WEBP"), "2 images in one file, animated or of several pages; keep one"),
        (_animated("GIF"), "2 images in one file"),
        (_animated("PNG"), "2 images in one file"),
        (_animated("TIFF"), "2 images in one file"),
        (b"P5 90000 90000 255\n", "more than 134,217,728 pixels|90000x90000 pixels; legal: at most 134,217,728"),
        (b"P5 13000 13000 255\n", "13000x13000 pixels; legal: at most 134,217,728"),
        (b"P6\n-1 -1\n255\n", "not a readable image"),
        (b"P5 3 3 255\n12", "not a readable image"),
        (b"<svg/>", r"not a readable image \(cannot identify image file\)"),
        (b"", "the file is empty"),
    ],
)
def test_files_that_are_no_images(data: bytes, message: str, tmp_path: Path) -> None:
    (tmp_path / "x.png").write_bytes(data)
    with pytest.raises(DataError, match=message) as caught:
        open_image(tmp_path / "x.png")
    assert str(caught.value).startswith(f"{tmp_path}/x.png: ")


def test_pixels_of_unknown_range_are_refused(tmp_path: Path) -> None:
    for mode in ("I", "F"):
        Image.new(mode, (3, 3)).save(tmp_path / "x.tif")
        with pytest.raises(DataError, match=f"pixels of mode {mode}, whose range is not known"):
            open_image(tmp_path / "x.tif")

# SPDX-License-Identifier: Apache-2.0
"""Images as input codes: decoded arrays, or files that are decoded when they are asked for.

A training image of a stream passes through the user's torchvision transforms. Their randomness is that of torch, seeded
for every image from the epoch's seed and the image's number: what comes out depends neither on the number of workers
nor on how a batch is shared out between processes.
"""

from __future__ import annotations

import importlib
import io
import os
import struct
import warnings
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from nba.core.errors import DataError
from nba.core.jsonfile import read_bytes
from nba.core.supervisor import die_with_parent
from nba.learn.data.codes import PIXEL_MAX, input_codes
from nba.learn.data.config import Transform
from nba.learn.data.torchvision_import import torchvision

MAX_PIXELS = 1 << 27
"""Pixels of an image: 400 MB once it is decoded."""
MAX_IMAGE_BYTES = 1 << 30
FORMATS = ("JPEG", "PNG", "PPM", "BMP", "TIFF", "WEBP", "GIF")
"""What is decoded, whatever the ending of the file says."""
_BROKEN = (OSError, ValueError, SyntaxError, LookupError, TypeError, ArithmeticError, struct.error, zlib.error,
           EOFError, AttributeError, NotImplementedError, RuntimeError)  # fmt: skip
"""What decoders raise for a damaged file."""
_SEED_STEP = 0x9E3779B97F4A7C15
"""Odd multiplier (2**64 over the golden ratio) that spreads epoch seeds over all 64 bits."""


class Images(Protocol):
    """Input codes uint8 [B, H, W, C]: a numpy array, or a stream of files that is indexed like one."""

    def __len__(self) -> int:
        """B."""
        ...

    def __getitem__(self, index: Any) -> np.ndarray:
        """The codes of a slice or of an integer array of image numbers."""
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class Shape:
    """Size of the images that the network gets. crop: scale the shorter side to 8/7 of the size and cut out the centre
    (the usual test view of ImageNet); otherwise both sides are scaled."""

    height: int
    width: int
    channels: int
    crop: bool = False

    @classmethod
    def of(cls, size: tuple[int, int, int], *, crop: bool = False) -> Shape:
        """Height, width and channels."""
        height, width, channels = size
        return cls(height=height, width=width, channels=channels, crop=crop)


class Decoder:
    """From a PIL image to codes uint8 [H, W, C]: `still`, or through random `transforms`."""

    def __init__(self, shape: Shape, transforms: tuple[Transform, ...] = ()):
        self.shape = shape
        torchvision()
        self._functional = importlib.import_module("torchvision.transforms.functional")
        self._transforms = [build_transform(t) for t in transforms]

    def _mode(self, image: Any) -> Any:
        return image.convert("L" if self.shape.channels == 1 else "RGB")

    def still(self, image: Any) -> np.ndarray:
        """The image at the network's size, nothing random."""
        shape, image = self.shape, self._mode(image)
        if shape.crop:
            ratio = max(shape.height / image.height, shape.width / image.width) * 8 / 7
            size = [max(shape.height, round(image.height * ratio)), max(shape.width, round(image.width * ratio))]
            image = self._functional.resize(image, size)
            image = self._functional.center_crop(image, [shape.height, shape.width])
        elif (image.height, image.width) != (shape.height, shape.width):
            image = self._functional.resize(image, [shape.height, shape.width])
        return self._codes(np.asarray(image), PIXEL_MAX)

    def drawn(self, image: Any, seed: int) -> np.ndarray:
        """The image after the transforms, whose random numbers come from `seed`. Raises DataError for a result that is
        no image of the network's size."""
        if not self._transforms:
            return self.still(image)
        found = self._mode(image)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            for transform in self._transforms:
                found = transform(found)
        if not isinstance(found, torch.Tensor):
            return self._codes(np.asarray(found), PIXEL_MAX)
        pixels = found.permute(1, 2, 0).numpy()
        if found.dtype == torch.uint8:
            return self._codes(pixels, PIXEL_MAX)
        if pixels.min() < -1e-3 or pixels.max() > 1.001:
            raise DataError(
                f"dataset.transforms: give pixels from {pixels.min():.3g} to {pixels.max():.3g}; float images must be "
                "in 0..1: leave Normalize out, the network's input is the 8-bit code itself"
            )
        return self._codes(pixels, 1.0)

    def _codes(self, pixels: np.ndarray, maximum: float) -> np.ndarray:
        shape = self.shape
        if pixels.size != shape.height * shape.width * shape.channels or pixels.shape[0] != shape.height:
            size = "x".join(map(str, pixels.shape))
            raise DataError(
                f"dataset.transforms: give images of {size}, the network takes {shape.height}x{shape.width}x"
                f"{shape.channels} (dataset.image_size, channels); end with a Resize or crop of that size"
            )
        return input_codes(pixels.reshape(shape.height, shape.width, shape.channels), maximum)


def build_transform(transform: Transform) -> Callable[[Any], Any]:
    """The class `transform.name` of torchvision.transforms.v2 with its options. Raises DataError if there is none or if
    it refuses them."""
    torchvision()
    v2 = importlib.import_module("torchvision.transforms.v2")
    kind = getattr(v2, transform.name, None)
    if not (isinstance(kind, type) and issubclass(kind, v2.Transform)):
        raise DataError(
            f"dataset.transforms: {transform.name!r} is not a transform of torchvision.transforms.v2; legal: its "
            "classes, such as RandomResizedCrop, RandomHorizontalFlip, ColorJitter, TrivialAugmentWide"
        )
    try:
        options = {name: list(v) if isinstance(v, tuple) else v for name, v in transform.options.items()}
        found: Callable[[Any], Any] = kind(**options)
    except (TypeError, ValueError) as err:
        raise DataError(f"dataset.transforms: {transform.name}: {err}") from None
    return found


def open_image(path: Path) -> Any:
    """A PIL image of 8-bit pixels, wholly decoded. Raises DataError, naming the file, if that fails, or if the file is
    huge, holds several images, or has pixels whose range is not known."""
    from PIL import Image

    try:
        data = read_bytes(path, MAX_IMAGE_BYTES)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            image = Image.open(io.BytesIO(data), formats=FORMATS)
            _check(image)
            image.load()
    except Image.DecompressionBombError:
        raise DataError(f"{path}: more than {MAX_PIXELS:,} pixels; scale it down, or remove it") from None
    except MemoryError:
        raise DataError(f"{path}: does not fit into memory; scale it down, or remove it") from None
    except _BROKEN as err:
        empty = path.is_file() and path.stat().st_size == 0
        what = "the file is empty (a download or unpacking was interrupted?)" if empty else " ".join(str(err).split())
        what = what.replace("<_io.BytesIO object at ", "<").partition(" <")[0] or type(err).__name__
        raise DataError(f"{path}: not a readable image ({what:.200}); get it again, or remove it") from None
    return eight_bits(image)


def _check(image: Any) -> None:
    """Raise ValueError, before anything is decoded, for an image that is too large or one of several."""
    if image.width * image.height > MAX_PIXELS:
        raise ValueError(f"{image.width}x{image.height} pixels; legal: at most {MAX_PIXELS:,} in all")
    # A photograph in an MPO file comes first; what follows are views and maps that belong to it.
    if image.format != "MPO" and getattr(image, "n_frames", 1) > 1:
        raise ValueError(f"{image.n_frames} images in one file, animated or of several pages; keep one")
    if image.mode in ("I", "F") and image.format != "PNG":
        raise ValueError(f"pixels of mode {image.mode}, whose range is not known; convert it to 8 bits")


def eight_bits(image: Any) -> Any:
    """Grey images of 16 bits as 8 bits, scaled (PIL's own conversion cuts off everything above 255)."""
    if image.mode != "I" and not image.mode.startswith("I;16"):
        return image
    from PIL import Image

    wide = np.asarray(image).astype(np.int64)
    return Image.fromarray(((wide * 2 * 255 + 65535) // (2 * 65535)).clip(0, 255).astype(np.uint8))


class FileImages:
    """Image files, decoded on every access. Indexing gives the still images; `Loader` gives those for training."""

    def __init__(self, files: tuple[str, ...], shape: Shape, transforms: tuple[Transform, ...] = (), workers: int = 0):
        self.files, self.workers = files, workers
        self.decoder = Decoder(shape, transforms)

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: Any) -> np.ndarray:
        chosen = np.atleast_1d(np.arange(len(self.files))[index])
        shape = self.decoder.shape
        found = np.empty((len(chosen), shape.height, shape.width, shape.channels), dtype=np.uint8)
        for row, number in enumerate(chosen):
            found[row] = self.decoder.still(self.image(int(number)))
        return found

    def image(self, number: int) -> Any:
        """The decoded PIL image `number`."""
        return open_image(Path(self.files[number]))


class ArrayImages(FileImages):
    """Decoded pixels uint8 [B, H, W, C] that still pass through transforms, image by image."""

    def __init__(self, pixels: np.ndarray, shape: Shape, transforms: tuple[Transform, ...], workers: int):
        super().__init__(("",) * len(pixels), shape, transforms, workers)
        self.pixels = pixels

    def image(self, number: int) -> Any:
        """The PIL image `number`."""
        from PIL import Image

        pixels = self.pixels[number]
        return Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels)


class _Draws(Dataset[Any]):
    """Map-style view for the DataLoader. A DataError travels as text: workers would wrap it in their traceback."""

    def __init__(self, images: FileImages, seed: int | None):
        self.images, self.seed = images, seed

    def __getitem__(self, number: int) -> np.ndarray | str:
        decoder = self.images.decoder
        try:
            image = self.images.image(int(number))
            if self.seed is None:
                return decoder.still(image)
            return decoder.drawn(image, (self.seed * _SEED_STEP + int(number)) % (1 << 63))
        except DataError as err:
            return str(err)


def _together(items: list[np.ndarray | str]) -> np.ndarray | str:
    for item in items:
        if isinstance(item, str):
            return item
    return np.stack(items)  # type: ignore[arg-type]


def _begin_worker(number: int) -> None:
    """A worker, number `number`, ends with the process that it decodes for, however that ends."""
    die_with_parent(os.getppid())


def batches_of(images: Images, order: Sequence[torch.Tensor], seed: int | None) -> Iterator[np.ndarray]:
    """The codes uint8 [b, H, W, C] of the batches `order` (image numbers), one after the other. Streams are decoded
    ahead in workers; `seed` seeds their transforms (None: they are left out). Raises DataError for an unreadable file.
    """
    if not isinstance(images, FileImages):
        for index in order:
            yield images[index.numpy()]
        return
    loader: DataLoader[Any] = DataLoader(
        _Draws(images, seed),
        batch_sampler=[index.tolist() for index in order],
        num_workers=images.workers,
        worker_init_fn=_begin_worker,
        collate_fn=_together,
    )
    for batch in loader:
        if isinstance(batch, str):
            raise DataError(batch)
        yield batch

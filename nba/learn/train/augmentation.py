# SPDX-License-Identifier: Apache-2.0
"""Random changes of training images, as the schedules of search and training ask for them."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator

from nba.core.section import PositiveFloat, Section

_Span = tuple[PositiveFloat, PositiveFloat]


class ResizedCrop(Section):
    """Torchvision's RandomResizedCrop: a part of the image, of `scale` times its area (least, most) and of a width to
    height in `ratio` (least, most), scaled to the network's size."""

    scale: _Span = (0.08, 1.0)
    ratio: _Span = (3 / 4, 4 / 3)

    @model_validator(mode="after")
    def _ordered(self) -> ResizedCrop:
        if not self.scale[0] <= self.scale[1] <= 1:
            raise ValueError(f"scale {list(self.scale)}: give the least and the most, at most 1")
        if not self.ratio[0] <= self.ratio[1]:
            raise ValueError(f"ratio {list(self.ratio)}: give the least and the most")
        return self


class Warp(Section):
    """How far a training image is moved along both axes, turned and scaled at random (each up to this much, either
    way), whether half of them are mirrored, and by how many zeros an image grows on each side before its size is cut
    out at random."""

    shift_pixels: Annotated[float, Field(ge=0, le=64, strict=True)] = 0.5
    rotation_degrees: Annotated[float, Field(ge=0, le=180, strict=True)] = 10.0
    zoom: Annotated[float, Field(ge=0, lt=1, strict=True)] = 0.1
    mirror: Annotated[bool, Field(strict=True)] = False
    crop_pixels: Annotated[int, Field(ge=0, le=64, strict=True)] = 0


class Augmented(Warp):
    """What a schedule says of its training images. resized_crop comes first: it cuts from the image as it lies in its
    file."""

    resized_crop: ResizedCrop | None = None

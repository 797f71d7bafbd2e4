# SPDX-License-Identifier: Apache-2.0
"""Stage emit: design.json, weights and test images to a bundle of hardware files. Needs no torch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nba.errors import DesignError
from nba.ir.design import load_design
from nba.stages.exchange import CLASSES, IMAGES, load_classes, load_images

if TYPE_CHECKING:
    from pathlib import Path

    from nba.flow import Context


def run(context: Context) -> None:
    """Writes the bundle."""
    wanted = context.spec.verify
    emit(context.of("map") / "design.json", context.folder, max(wanted.verilator, wanted.icarus, wanted.hls))


def emit(design_json: Path, folder: Path, n_images: int) -> str:
    """Write the bundle of a design into the empty `folder`, with vectors of at most `n_images` test images.

    The images and labels are those of images.npz beside the design, the class names those of classes.json; where there
    is no images.npz, seeded random images take their place. Returns the design's id. Raises DesignError, DeadlockError.
    """
    from nba.emit.bundle import emit_bundle
    from nba.emit.interface import Truth
    from nba.emit.vectors import default_images
    from nba.quant.integer import image_codes

    design, weights = load_design(design_json)
    path = design_json.with_name(IMAGES)
    if path.exists():
        saved = load_images(path)
        first = design.network.tensors[0]
        wanted = (first.height, first.width, first.channels)
        if saved.x.shape[1:] != wanted or first.signed:
            raise DesignError(
                str(path),
                [f"images of {saved.x.shape[1:]}; legal: {wanted}, unsigned, as the input of {design_json.name}"],
            )
        images = image_codes(design.network, saved.x[:n_images])
        labels = tuple(int(label) for label in saved.y[:n_images])
        truth = Truth(labels=labels, classes=load_classes(path.with_name(CLASSES)))
    else:
        images, truth = default_images(design, n_images), Truth()
    emit_bundle(design, weights, folder, images, truth)
    return design.id

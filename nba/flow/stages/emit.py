# SPDX-License-Identifier: Apache-2.0
"""Stage emit: design.json, weights and test images to a bundle of hardware files. Needs no torch."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from nba.core.errors import DesignError
from nba.flow import places
from nba.flow.artifacts import CLASSES, IMAGES, load_classes, load_images
from nba.flow.limits import BOARDS
from nba.flow.stage import Context, Stage
from nba.flow.stages.verify import wanted
from nba.machine.design_file import load_design

if TYPE_CHECKING:
    from pathlib import Path


def run(context: Context) -> None:
    """Writes the bundle."""
    emit(context.of(places.DESIGN) / "design.json", context.folder, max(wanted(context.spec).values()))


def emit(design_json: Path, folder: Path, n_images: int) -> str:
    """Write the bundle of a design into the empty `folder`, with vectors of at most `n_images` test images.

    Images and labels are those of images.npz beside the design, class names those of classes.json. A design.json that
    lies in a bundle has that bundle's frames, labels and class names; elsewhere random codes take their place. Returns
    the design's id. Raises DesignError, DeadlockError.
    """
    from nba.emit.bundle import MANIFEST, emit_bundle
    from nba.emit.interface import Truth
    from nba.emit.vectors import default_images
    from nba.ir.reference import image_codes
    from nba.verify.bundle import frames_of

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
        images = image_codes(design.network, saved.x)
        truth = Truth(labels=tuple(map(int, saved.y)), classes=load_classes(path.with_name(CLASSES)))
    elif design_json.with_name(MANIFEST).exists():
        images, truth = frames_of(design_json.parent, design)
    else:
        images, truth = default_images(design, n_images), Truth()
    labels = None if truth.labels is None else truth.labels[:n_images]
    emit_bundle(design, weights, folder, images[:n_images], replace(truth, labels=labels))
    return design.id


STAGE = Stage(
    name="emit", title="emission", folder=places.BUNDLE, run=run, after=("map",), sections=("verify",),
    asset_kinds=("templates", "sim"), package_data=(BOARDS,), packages=("jinja2", "numpy"),
)  # fmt: skip

# SPDX-License-Identifier: Apache-2.0
"""Stage emit: design.json, weights and test images to a bundle of hardware files. Needs no torch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nba.ir.design import load_design
from nba.stages.exchange import load_images

if TYPE_CHECKING:
    from pathlib import Path

    from nba.flow import Context


def run(context: Context) -> None:
    """Writes the bundle."""
    wanted = context.spec.verify
    emit(context.of("map") / "design.json", context.folder, max(wanted.verilator, wanted.icarus, wanted.hls))


def emit(design_json: Path, folder: Path, n_images: int) -> str:
    """Write the bundle of a design into the empty `folder`, with vectors of at most `n_images` test images.

    The images are those of images.npz beside the design; where there is none, seeded random images take their place.
    Returns the design's id. Raises DesignError, DeadlockError.
    """
    from nba.emit.bundle import emit_bundle
    from nba.emit.vectors import default_images
    from nba.quant.integer import image_codes

    design, weights = load_design(design_json)
    path = design_json.with_name("images.npz")
    saved = load_images(path).x[:n_images] if path.exists() else None
    images = default_images(design, n_images) if saved is None else image_codes(design.network, saved)
    emit_bundle(design, weights, folder, images)
    return design.id

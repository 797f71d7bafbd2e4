# SPDX-License-Identifier: Apache-2.0
"""The bundle of a design that somebody made with the API: everything is checked before a file is written."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from nba.core.errors import SpecError
from nba.emit.bundle import FRAMES, MANIFEST, emit_bundle
from nba.emit.vectors import default_images, frame_codes
from nba.ir.design import Design
from nba.ir.network import Weights
from nba.machine.check import check_design


def write_bundle(design: Design, weights: Weights, folder: Path | str, images: np.ndarray | None = None) -> Path:
    """Write the bundle of `design` to `folder`, which is new, empty, or an earlier bundle. Returns the folder.

    weights: those of the design, of all its modes (`nba.load_design`). images: the input frames that the bundle
    carries with their expected outputs, [B, H, W, C], uint8 pixels or codes as in `nba.simulate`; 32 frames of random
    codes from the design's seed if None. The same arguments give the same bytes.

    Raises DesignError if design and weights are not legal or do not belong together, DeadlockError if the schedule
    cannot finish, DataError for images of another shape, type or range, SpecError if the folder holds other files,
    DiskError if it cannot be written.
    """
    folder = Path(folder)
    if folder.exists() and not folder.is_dir():
        raise SpecError(f"{folder}: is a file; give the path of a folder")
    if folder.is_dir() and any(folder.iterdir()) and not (folder / MANIFEST).is_file():
        raise SpecError(f"{folder}: holds other files (no {MANIFEST}); give another folder")
    check_design(design, weights, where=f"design {design.name!r}")
    x = default_images(design, FRAMES) if images is None else frame_codes(design.network, images)
    return emit_bundle(design, weights, folder, x).parent

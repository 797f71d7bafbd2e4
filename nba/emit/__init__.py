# SPDX-License-Identifier: Apache-2.0
"""Emission: Design -> files.

The package is also the function `nba.emit` of the public API (nba.emit.write.write_bundle): a package and a function of
one name are one object in Python, so this one can be called.
"""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

    from nba.ir.design import Design
    from nba.ir.network import Weights


class _Emission(ModuleType):
    def __call__(self, design: Design, weights: Weights, folder: Path | str, images: np.ndarray | None = None) -> Path:
        """See nba.emit.write.write_bundle."""
        from nba.emit.write import write_bundle

        return write_bundle(design, weights, folder, images)


sys.modules[__name__].__class__ = _Emission

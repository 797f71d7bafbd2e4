# SPDX-License-Identifier: Apache-2.0
"""Imports torchvision beside a CPU-only torch.

The common wheel of torchvision registers C++ operators that a CPU-only torch cannot load; its Python side then fails at
import with "operator torchvision::nms does not exist", because it attaches meta kernels to them. Data sets and
transforms need none of these operators, so declaring the two schemas first is enough.
"""

from __future__ import annotations

import importlib
import sys
from types import ModuleType

import torch

from nba.core.errors import DataError

_SCHEMAS = (
    "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
)
_libraries: list[torch.library.Library] = []
"""Keeps the declarations alive: torch withdraws a library's schemas when the object dies."""


def torchvision() -> ModuleType:
    """The torchvision package. Raises DataError if it is not installed, and any other import error unchanged."""
    try:
        return importlib.import_module("torchvision")
    except ModuleNotFoundError as err:
        if err.name != "torchvision":
            raise
        raise DataError("image folders need torchvision, which is not installed: pip install torchvision") from None
    except RuntimeError as err:
        if "operator torchvision::nms does not exist" not in str(err):
            raise
    for name in [m for m in sys.modules if m == "torchvision" or m.startswith("torchvision.")]:
        del sys.modules[name]
    library = torch.library.Library("torchvision", "DEF")
    _libraries.append(library)
    for schema in _SCHEMAS:
        library.define(schema)
    return importlib.import_module("torchvision")

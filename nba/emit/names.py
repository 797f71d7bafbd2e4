# SPDX-License-Identifier: Apache-2.0
"""Identifiers from names that users choose freely (comments: nba.emit.env.comment)."""

from __future__ import annotations

import re
from functools import lru_cache

from nba.core import assets


@lru_cache(maxsize=1)
def _taken() -> frozenset[str]:
    """Module names of the library and the bench, in lower case: their files lie beside the top module's."""
    library = (assets.root("templates") / "rtl" / "lib").glob("*.v")
    return frozenset(path.stem for path in library) | {"nba_tb", "nba_memory"}


def identifier(name: str) -> str:
    """A legal Verilog and C++ identifier for a design called `name`: `nba_` + its letters and digits.

    The prefix makes keywords harmless; every other character becomes `_`, and 40 characters are kept. Where this is the
    name of a library module, `_design` is added.
    """
    top = "nba_" + (re.sub(r"[^A-Za-z0-9]+", "_", name).strip("_")[:40] or "design")
    return f"{top}_design" if top.lower() in _taken() else top


IMAGE = "weights.bin"
"""File name of the weights in external memory, of designs that stream some: beats of the port, low byte first."""
IMAGE_ALIGNMENT = 4096
"""Bytes that the address of an image is a multiple of."""
OTHER_WEIGHTS = "expected_other_weights.hex"
"""File name of what they become with the other image of weights in external memory (nba.emit.memories)."""


def expected_name(mode: int, suffix: str) -> str:
    """File name of what a bundle's input frames become in one of the design's modes."""
    return f"expected_{mode}.{suffix}" if mode else f"expected.{suffix}"

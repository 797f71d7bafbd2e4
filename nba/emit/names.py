# SPDX-License-Identifier: Apache-2.0
"""Identifiers from names that users choose freely (comments: nba.emit.env.comment)."""

from __future__ import annotations

import re


def identifier(name: str) -> str:
    """A legal Verilog and C++ identifier for a design called `name`: `nba_` + its letters and digits.

    The prefix makes keywords harmless; every other character becomes `_`, and 40 characters are kept.
    """
    return "nba_" + (re.sub(r"[^A-Za-z0-9]+", "_", name).strip("_")[:40] or "design")


# SPDX-License-Identifier: Apache-2.0
"""Which keys of metrics.json docs/metrics.md does not name."""

from __future__ import annotations

import re
from pathlib import Path

FREE = ("versions", "macs_by_bits", "settings")
"""Objects whose keys are names of packages, of widths, or of environment variables."""


def undocumented(metrics: dict[str, object]) -> set[str]:
    """Keys at any depth that the document does not name; numbers (bitwidths) need no name."""
    text = (Path(__file__).parents[1] / "docs" / "metrics.md").read_text(encoding="utf-8")
    return {name for name in _names(metrics) if not name.isdigit()} - set(re.findall(r"[a-z_0-9]+", text))


def _names(value: object) -> set[str]:
    if isinstance(value, list):
        return {name for item in value for name in _names(item)}
    if not isinstance(value, dict):
        return set()
    return set(value) | {name for key, inner in value.items() if key not in FREE for name in _names(inner)}

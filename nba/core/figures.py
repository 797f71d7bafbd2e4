# SPDX-License-Identifier: Apache-2.0
"""How figures are worded everywhere: an accuracy with its test images and its error, a rate with its clock."""

from __future__ import annotations

import math


def standard_error(share: float, images: int) -> float:
    """Binomial standard error of an accuracy (share of 1) that was measured on `images` images."""
    return math.sqrt(share * (1.0 - share) / images)


def accuracy_text(share: float, images: int) -> str:
    """An accuracy for people: per cent, plus or minus its standard error, and what it was measured on."""
    return f"{percent_text(share, images)} on {images:,} test images"


def percent_text(share: float, images: int) -> str:
    """`accuracy_text` without the number of images, for a place that gives it separately."""
    return f"{100 * share:.2f} ± {100 * standard_error(share, images):.2f} %"


def clock_text(clock_mhz: float) -> str:
    """The clock behind a rate or a time. No place and route has confirmed it, so it is called a target."""
    return f"at a target clock of {megahertz(clock_mhz)} (not confirmed)"


def megahertz(clock_mhz: float) -> str:
    """A clock that is no target: one that is supported, or was routed."""
    return f"{clock_mhz:.4g} MHz"

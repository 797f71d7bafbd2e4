# SPDX-License-Identifier: Apache-2.0
"""The hierarchy of memories that the loop nests of a switchable run are mapped on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nba.core.errors import NbaError, SpecError

if TYPE_CHECKING:
    from nba.loopnest.hierarchy import Hierarchy
    from nba.spec import Spec


HIERARCHIES = "loopnest/hierarchies"
"""Folder of the package with the descriptions that have a name."""


def name(spec: Spec) -> str:
    """Name or path of the description."""
    return spec.switched.hierarchy


def of(spec: Spec) -> Hierarchy:
    """The hierarchy. Raises NbaError for an unknown name or a wrong description."""
    from nba.loopnest.description import load_hierarchy

    return load_hierarchy(name(spec))


def check_hierarchy(spec: Spec) -> None:
    """Raise SpecError unless the hierarchy exists and has a MAC of every bitwidth."""
    try:
        found = of(spec)
    except NbaError as err:
        raise SpecError(f"switchable.hierarchy: {err}") from None
    legal = [mac.bits for mac in found.macs]
    absent = [bits for bits in spec.switched.bitwidths if bits not in legal]
    if absent:
        raise SpecError(
            f"switchable.hierarchy: {name(spec)} has no MAC of {', '.join(map(str, absent))} bits; it has "
            f"{', '.join(map(str, legal))}. Remove these from switchable.bitwidths, or name a hierarchy that has them, "
            "such as eyeriss-like"
        )

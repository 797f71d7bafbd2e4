# SPDX-License-Identifier: Apache-2.0
"""The hierarchy of memories that the loop nests of a switchable run are mapped on."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from nba.errors import NbaError, SpecError
from nba.stages.cascade import section

if TYPE_CHECKING:
    from nba.nest.hierarchy import Hierarchy
    from nba.spec import Spec


def name(spec: Spec) -> str:
    """Name or path of the description."""
    return section(spec).hierarchy or f"chunk-{spec.platform}"


def file(spec: Spec) -> Path | None:
    """The description that the user wrote, if the spec names one."""
    path = Path(name(spec))
    return path if path.suffix in (".yaml", ".yml") else None


def of(spec: Spec) -> Hierarchy:
    """The hierarchy. Raises NbaError for an unknown name or a wrong description."""
    from nba.nest.description import load_hierarchy

    return load_hierarchy(name(spec))


def preflight(spec: Spec) -> None:
    """Raise SpecError unless the hierarchy exists and has a MAC of every bitwidth."""
    try:
        found = of(spec)
        for bits in section(spec).bitwidths:
            found.mac(bits)
    except NbaError as err:
        raise SpecError(f"switchable.hierarchy: {err}") from None

# SPDX-License-Identifier: Apache-2.0
"""Where the files that are not Python live: templates, benches and example specs, in a checkout or in a wheel."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from nba.core.errors import NbaError

AssetKind = Literal["templates", "sim", "examples"]


def root(kind: AssetKind) -> Path:
    """Folder of the assets `kind`: nba/_assets/<kind> in an installed wheel, or <kind> beside the package.

    Raises NbaError if neither is there (a damaged installation).
    """
    package = Path(__file__).resolve().parents[1]
    for folder in (package / "_assets" / kind, package.parent / kind):
        if folder.is_dir():
            return folder
    raise NbaError(f"{kind}: not found beside {package}; the installation is damaged, install nba-codesign again")


def examples() -> tuple[str, ...]:
    """Names of the built-in example specs, which `nba-codesign run NAME` accepts instead of a file."""
    return tuple(sorted(path.stem for path in root("examples").glob("*.yaml")))

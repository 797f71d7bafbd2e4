# SPDX-License-Identifier: Apache-2.0
"""What a stage of a run is, and what it gets. Every module in nba.flow.stages exports its `STAGE`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from nba.core import assets
from nba.core.progress import Progress

if TYPE_CHECKING:
    from nba.spec import Spec


@dataclass(frozen=True, kw_only=True, slots=True)
class Context:
    """What a stage gets: the spec, the build folder (finished stages), its own `folder` to write to, and progress."""

    spec: Spec
    build: Path
    folder: Path
    progress: Progress

    def of(self, place: str) -> Path:
        """The folder `place` (nba.flow.places) of a finished stage."""
        return self.build / place


@dataclass(frozen=True, kw_only=True, slots=True)
class Stage:
    """A stage of a run: what it does, and everything that its outputs depend on.

    run: writes the stage's files into `context.folder`, which becomes `folder` of the build. check, preflight: raise
    NbaError for what would make the stage fail later; `check` for what is wrong with the spec and the files that it
    names, `preflight` for tools and packages that are missing. together: several processes may do it
    (nba.learn.train.ranks). scratch: names of files in its folder that only a resumed run needs.

    Inputs: `sections` of the spec (what a field of a section names, a file or a folder, with its content), the outputs
    of the stages `after`, all files of `asset_kinds` and of the folders `package_data` of the package, the versions of
    `packages`, and the source of the module of `run` with all that it imports.
    """

    name: str
    title: str
    folder: str
    run: Callable[[Context], None]
    check: Callable[[Spec], None] | None = None
    preflight: Callable[[Spec], None] | None = None
    after: tuple[str, ...] = ()
    sections: tuple[str, ...] = ()
    asset_kinds: tuple[assets.AssetKind, ...] = ()
    package_data: tuple[str, ...] = ()
    packages: tuple[str, ...] = ()
    together: bool = False
    scratch: tuple[str, ...] = ()

    @property
    def module(self) -> str:
        """The module whose source, with all that it imports, is an input."""
        return self.run.__module__

    def reads(self, field: str) -> bool:
        """Whether `field` of the spec, written with dots, is among the sections."""
        return any(field == section or field.startswith(f"{section}.") for section in self.sections)

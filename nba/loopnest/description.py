# SPDX-License-Identifier: Apache-2.0
"""The hierarchies that stand ready, by name, and those in files of the user (nba.loopnest.schema says what stands in
them)."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from nba.core.errors import SpecError
from nba.core.yamlfile import names_a_file, near
from nba.loopnest.chunk import PREFIX, chunk_names, chunk_text
from nba.loopnest.hierarchy import Hierarchy
from nba.loopnest.schema import HierarchyText, built, read_hierarchy


def hierarchy_files() -> dict[str, Path]:
    """The ready descriptions that are files, by name."""
    folder = Path(str(files("nba.loopnest") / "hierarchies"))
    return {path.stem: path for path in sorted(folder.glob("*.yaml"))}


def load_text(name_or_path: str | Path) -> HierarchyText:
    """The description called so (nba.loopnest.description.hierarchies), or in that file. Raises SpecError."""
    known = hierarchy_files()
    if str(name_or_path) in known:
        return read_hierarchy(known[str(name_or_path)])
    if str(name_or_path) in chunk_names():
        return chunk_text(str(name_or_path).removeprefix(PREFIX))
    if names_a_file(str(name_or_path)):
        return read_hierarchy(Path(name_or_path))
    legal = hierarchies()
    raise SpecError(
        f"hierarchy: {str(name_or_path)!r} is not known{near(str(name_or_path), legal)}; legal: {', '.join(legal)}, or "
        "a YAML file (its path holds a / or ends in .yaml)"
    )


def load_hierarchy(name_or_path: str | Path) -> Hierarchy:
    """`load_text`, ready to compute with."""
    return built(load_text(name_or_path))


def hierarchies() -> tuple[str, ...]:
    """Names of the ready descriptions: the files, and the chunk template on every platform."""
    return (*hierarchy_files(), *chunk_names())

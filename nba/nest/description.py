# SPDX-License-Identifier: Apache-2.0
"""The hierarchies that stand ready, by name, and those in files of the user (nba.nest.schema says what stands in
them)."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from nba.errors import SpecError
from nba.nest.chunk import PREFIX, chunk_names, chunk_text
from nba.nest.hierarchy import Hierarchy
from nba.nest.schema import HierarchyText, built, read_hierarchy
from nba.yamlfile import names_a_file, near


def described() -> dict[str, Path]:
    """The ready descriptions that are files, by name."""
    folder = Path(str(files("nba.platform") / "hierarchies"))
    return {path.stem: path for path in sorted(folder.glob("*.yaml"))}


def load_text(name_or_path: str | Path) -> HierarchyText:
    """The description called so (nba.nest.description.hierarchies), or in that file. Raises SpecError."""
    known = described()
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
    return (*described(), *chunk_names())

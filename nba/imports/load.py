# SPDX-License-Identifier: Apache-2.0
"""Files of other tools by their kind: what is read, and what becomes of it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from nba.core.errors import DesignError, NbaError
from nba.imports.graph import Graph
from nba.imports.lower import Lowered, lowered
from nba.imports.rewrites import rewritten

SUFFIXES = (".tflite",)
"""Kinds of files that can be imported."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Examined:
    """A file, what it says (`source`), what the passes made of that (`graph`), and what became of it (`found`)."""

    path: Path
    source: Graph
    graph: Graph
    found: Lowered

    @property
    def importable(self) -> Examined:
        """Itself. Raises DesignError, with every reason, if no network can be made of it."""
        if self.found.problems:
            raise DesignError(f"{self.path}: cannot be built", self.found.problems)
        return self


def require_reader() -> None:
    """Raise NbaError if the package that reads the files is missing."""
    try:
        import ai_edge_litert  # noqa: F401
    except ModuleNotFoundError:
        raise NbaError(
            "TFLite files need the Python package ai-edge-litert; install it with: pip install 'nba-codesign[tflite]'"
        ) from None


def examine(path: Path) -> Examined:
    """Read a file and see what can be made of it. Raises NbaError if it cannot be read; what keeps its network from
    being built is in `found.problems`."""
    if path.suffix not in SUFFIXES:
        raise NbaError(f"{path}: not a kind of file that can be imported; legal: {', '.join(SUFFIXES)}")
    require_reader()
    from nba.imports.tflite import read_tflite

    source = read_tflite(path)
    graph = rewritten(source)
    return Examined(path=path, source=source, graph=graph, found=lowered(graph))

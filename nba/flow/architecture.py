# SPDX-License-Identifier: Apache-2.0
"""The architecture that a run trains: what search and the stage `architecture` leave, and every later stage reads."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from nba.core.files import write_atomic
from nba.flow import places
from nba.flow.stage import Context

if TYPE_CHECKING:
    from nba.learn.space.network import Architecture
    from nba.spec import Spec

WHOLE = "whole.json"
"""The architecture with its space, as the later stages read it."""


def save(found: Architecture, spec: Spec, folder: Path) -> None:
    """Write architecture.json, which `train --architecture` reads, to `folder`."""
    from nba.learn.space.architecture_file import ARCHITECTURE_FILE, architecture_text

    write_atomic(folder / ARCHITECTURE_FILE, architecture_text(found, with_bits=spec.switchable is None))


def chosen(context: Context) -> Architecture:
    """The searched or the given architecture. Of several processes, which need not see the same files, rank 0 reads."""
    from nba.learn.space.architecture_file import architecture_from_json, architecture_json
    from nba.learn.train import ranks

    world = ranks.current()
    shared = world.shared_bytes(architecture_json(_read(context)).encode() if world.writes else None)
    assert shared is not None
    return architecture_from_json(shared.decode())


def _read(context: Context) -> Architecture:
    from nba.learn.search.result import load_result
    from nba.learn.space.architecture_file import architecture_from_json
    from nba.learn.switchable.search_result import load_switchable_search

    if context.spec.architecture is not None:
        return architecture_from_json((context.of(places.SEARCH) / WHOLE).read_text(encoding="utf-8"))
    if context.spec.switchable is not None:
        return load_switchable_search(context.of(places.SEARCH) / "nas.json").architecture
    return load_result(context.of(places.SEARCH) / "search.json").architecture

# SPDX-License-Identifier: Apache-2.0
"""Stage architecture, in the place of a search: the network that the spec's `architecture` names. And what later stages
read, whichever of them stood before: the architecture."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from nba.files import write_atomic
from nba.stages import data
from nba.stages.data import load_data, macro, preflight

if TYPE_CHECKING:
    from nba.flow import Context
    from nba.space.network import Architecture, Macro
    from nba.spec import Spec

__all__ = ["check", "chosen", "given", "preflight", "run", "save"]

WHOLE = "whole.json"
"""The architecture with its space, as the later stages read it."""


def check(spec: Spec) -> None:
    """Raise DataError if the data are not there, SpecError with all that is wrong in a file that does not fit the
    spec's network."""
    data.check(spec)
    given(spec, macro(spec, data.n_classes(spec)))


def given(spec: Spec, space: Macro) -> Architecture:
    """The architecture in the spec's file, as a point of `space`. Raises SpecError."""
    from nba.ir.network import MASTER_BITS
    from nba.space.architecture_file import read_architecture
    from nba.space.network import check_macro
    from nba.switchable.config import SwitchableConfig
    from nba.switchable.supernet import macro_at

    assert spec.architecture is not None
    check_macro(space)
    if spec.switchable is None:
        return read_architecture(Path(spec.architecture), space, with_bits=True)
    own = spec.switchable
    config = SwitchableConfig(
        bitwidths=own.bitwidths, stem_bits=own.stem_bits, classifier_bits=own.classifier_bits
    )  # fmt: skip
    space = macro_at(space, MASTER_BITS, config)
    return read_architecture(Path(spec.architecture), space, with_bits=False)


def run(context: Context) -> None:
    """Writes architecture.json (the given one) and whole.json. Raises InfeasibleError, before anything is trained, if
    no accelerator within the budgets is found for it (of a switchable network this is known once it is trained)."""
    from nba.mapper.automap import Effort
    from nba.space.network import architecture_json, skeleton
    from nba.stages.search import mapped

    spec = context.spec
    found = given(spec, macro(spec, len(load_data(context, None).classes)))
    if spec.switchable is None:
        mapped(skeleton(found), spec, Effort())
    save(found, spec, context.folder)
    write_atomic(context.folder / WHOLE, architecture_json(found))


def save(found: Architecture, spec: Spec, folder: Path) -> None:
    """Write architecture.json, which `train --architecture` reads, to `folder`."""
    from nba.space.architecture_file import FILE, architecture_text

    write_atomic(folder / FILE, architecture_text(found, with_bits=spec.switchable is None))


def chosen(context: Context) -> Architecture:
    """The searched or the given architecture. Of several processes, which need not see the same files, rank 0 reads."""
    from nba.space.network import architecture_from_json, architecture_json
    from nba.train import ranks

    world = ranks.current()
    shared = world.shared_bytes(architecture_json(_read(context)).encode() if world.writes else None)
    assert shared is not None
    return architecture_from_json(shared.decode())


def _read(context: Context) -> Architecture:
    from nba.search.result import load_result
    from nba.space.network import architecture_from_json
    from nba.switchable.search_result import load_switchable_search

    if context.spec.architecture is not None:
        return architecture_from_json((context.of("architecture") / WHOLE).read_text(encoding="utf-8"))
    if context.spec.switchable is not None:
        return load_switchable_search(context.of("nas") / "nas.json").architecture
    return load_result(context.of("search") / "search.json").architecture

# SPDX-License-Identifier: Apache-2.0
"""Stage architecture, in the place of a search: the network that the spec's `architecture` names. And what later stages
read, whichever of them stood before: the architecture."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from nba.core.files import write_atomic
from nba.flow import data, places
from nba.flow.architecture import WHOLE, save
from nba.flow.data import learning_preflight, load_data, macro
from nba.flow.limits import BOARDS
from nba.flow.stage import Context, Stage

if TYPE_CHECKING:
    from nba.learn.space.network import Architecture, Macro
    from nba.spec import Spec


def check(spec: Spec) -> None:
    """Raise DataError if the data are not there, SpecError with all that is wrong in a file that does not fit the
    spec's network."""
    data.check_data(spec)
    given(spec, macro(spec, data.n_classes(spec)))


def given(spec: Spec, space: Macro) -> Architecture:
    """The architecture in the spec's file, as a point of `space`. Raises SpecError."""
    from nba.ir.network import MASTER_BITS
    from nba.learn.space.architecture_file import read_architecture
    from nba.learn.switchable.supernet import macro_at

    assert spec.architecture is not None
    if spec.switchable is None:
        return read_architecture(Path(spec.architecture), space, with_bits=True)
    space = macro_at(space, MASTER_BITS, spec.switchable)
    return read_architecture(Path(spec.architecture), space, with_bits=False)


def run(context: Context) -> None:
    """Writes architecture.json (the given one) and whole.json. Raises InfeasibleError, before anything is trained, if
    no accelerator within the budgets is found for it (of a switchable network this is known once it is trained)."""
    from nba.explore.choose import Effort
    from nba.flow.stages.search import mapped
    from nba.learn.space.architecture_file import architecture_json
    from nba.learn.space.network import skeleton

    spec = context.spec
    found = given(spec, macro(spec, len(load_data(context, None).classes)))
    if spec.switchable is None:
        mapped(skeleton(found), spec, Effort())
    save(found, spec, context.folder)
    write_atomic(context.folder / WHOLE, architecture_json(found))


STAGE = Stage(
    name="architecture", title="the given architecture", folder=places.SEARCH, run=run, check=check,
    preflight=learning_preflight,
    sections=(
        "seed", "dataset", "network", "bitwidths", "precision", "switchable", "architecture", "platform", "objective",
        "accelerator", "budgets",
    ),
    package_data=(BOARDS,), packages=("torch", "numpy"),
)  # fmt: skip
"""What takes the place of a search where the spec names an architecture."""

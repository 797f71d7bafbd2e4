# SPDX-License-Identifier: Apache-2.0
"""Compiles ahead what is compiled on first use: goes once, in small, through the work that calls compiled functions.

numba compiles a function for the types of the arguments that it is called with, and keeps the machine code on disk
(nba.core.compiled). So what is to be compiled ahead must be called as the stages of a run call it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from nba.boards import names
from nba.core import assets, compiled
from nba.core.section import merged
from nba.core.yamlfile import dump_yaml, parse_yaml
from nba.flow.limits import budgets_of, platform_of
from nba.spec import Spec, parse_spec

if TYPE_CHECKING:
    from nba.ir.network import Network
    from nba.learn.space.network import Architecture

SMALL: dict[str, Any] = {
    "network": {"stages": [{"channels": 8, "blocks": 1}], "operators": ["k3_e1", "k3_e3"]},
    "budgets": {"dsp": 48},
}
"""What is changed in the built-in example."""
N_CLASSES = 10
SAMPLES = 40
"""Designs of a step of a search."""
HIERARCHY = "mcu-class"
PROVE_SECONDS = 0.5
"""Time of an exact search of loop nests, once it is compiled."""


def compile_ahead(say: Callable[[str], None]) -> None:
    """Compile the functions that search, mapping, exact schedule and loop nests call, those left out that are compiled
    already. say: gets a line about where the code is kept, and one about every part with the seconds that it took."""
    folder = compiled.kept_in()
    if folder is None:
        say("nothing is compiled ahead: no folder for compiled code can be written, so every process compiles anew")
        return
    say(f"compiled code is kept in {folder}")
    for title, work in AHEAD_WORK.items():
        since = time.monotonic()
        work()
        say(f"compiled for {title}: {time.monotonic() - since:.1f} s")


def _spec(**changes: Any) -> Spec:
    path = assets.root("examples") / "digits.yaml"
    raw = parse_yaml(path.read_text(encoding="utf-8"), where=str(path), what="spec", fields=Spec.model_fields)
    text = dump_yaml(merged(merged(raw, SMALL), changes))
    return parse_spec(text, where=str(path), folder=path.parent, platforms=names())


def _architecture(spec: Spec) -> Architecture:
    from nba.flow.data import macro
    from nba.flow.stages.search import largest

    return largest(macro(spec, N_CLASSES))


def _network(spec: Spec) -> Network:
    from nba.learn.space.network import skeleton

    return skeleton(_architecture(spec))


def _search() -> None:
    """Some steps of the search, by an objective of speed and one of energy."""
    from nba.explore.space import AcceleratorSpace
    from nba.flow.stages.search import hardware_search
    from nba.learn.space.network import slot_of_layer, slots

    for objective in ("interval", "energy"):
        spec = _spec(objective=objective)
        architecture, network = _architecture(spec), _network(spec)
        space = AcceleratorSpace(slots=tuple(slot.mixes for slot in slots(architecture.macro)))
        search = hardware_search(spec)(
            space=space, platform=platform_of(spec), budgets=budgets_of(spec), objective=spec.objective
        )
        for _ in range(3):
            search.step(network, slot_of_layer(architecture), SAMPLES)
        search.best(network, slot_of_layer(architecture))


def _map() -> None:
    """The exact search of the shortest interval, the climbs of the others, and the exact schedule of what they find."""
    from nba.explore.choose import Effort
    from nba.flow.stages.search import mapped

    quick = Effort(scout_steps=20, climb_steps=20, finalists=2, reorder_steps=20, refine_steps=2)
    for objective in ("interval", "energy"):
        spec = _spec(objective=objective)
        mapped(_network(spec), spec, quick)


def _loop_nests() -> None:
    """Evolution and exact search for two layers."""
    from nba.loopnest.description import load_hierarchy
    from nba.loopnest.network import layers_of
    from nba.loopnest.network_map import map_loop_nests

    layers = layers_of(_network(_spec()), bits=8)[:2]
    map_loop_nests(layers, load_hierarchy(HIERARCHY), effort=SAMPLES, prove_seconds=PROVE_SECONDS)


AHEAD_WORK: dict[str, Callable[[], None]] = {
    "the search of accelerators": _search,
    "the mapping onto an accelerator and its exact schedule": _map,
    "loop nests on memory hierarchies": _loop_nests,
}
"""What is compiled, and the work that calls it."""

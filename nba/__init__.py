# SPDX-License-Identifier: Apache-2.0
"""nba-codesign: joint search of networks, bitwidths and chunk-based accelerators, down to proved hardware.

The names in `__all__` are the public API; docs/api.md describes them, with an example of each. Everything is loaded
when it is first used, so that `import nba` costs next to nothing.

    import nba

    spec = nba.load_spec("digits")
    result = nba.run(spec, "build/digits")
    logits, cycles = nba.simulate(result.bundle, result.test_images()[0][:8])
"""

from __future__ import annotations

from types import ModuleType
from typing import TYPE_CHECKING, Any

from nba.core.errors import (
    DataError,
    DeadlockError,
    DesignError,
    DiskError,
    DivergedError,
    InfeasibleError,
    NbaError,
    SpecError,
    ToolError,
)
from nba.core.version import __version__

if TYPE_CHECKING:
    from nba.api import (
        Design,
        Result,
        Searched,
        Spec,
        load,
        load_design,
        load_spec,
        make_design,
        map_network,
        run,
        search,
    )
    from nba.emit.write import write_bundle as emit
    from nba.explore.budgets import Budgets
    from nba.explore.choose import Effort, Mapped
    from nba.explore.streaming import StreamEffort
    from nba.verify.inference import BatchCycles, Simulated, simulate

__all__ = [
    "BatchCycles",
    "Budgets",
    "DataError",
    "DeadlockError",
    "Design",
    "DesignError",
    "DiskError",
    "DivergedError",
    "Effort",
    "InfeasibleError",
    "Mapped",
    "NbaError",
    "Result",
    "Searched",
    "Simulated",
    "Spec",
    "SpecError",
    "StreamEffort",
    "ToolError",
    "__version__",
    "emit",
    "load",
    "load_design",
    "load_spec",
    "make_design",
    "map_network",
    "run",
    "search",
    "simulate",
]


def _api() -> ModuleType:
    from nba import api

    return api


def _budgets() -> ModuleType:
    from nba.explore import budgets

    return budgets


def _choose() -> ModuleType:
    from nba.explore import choose

    return choose


def _streaming() -> ModuleType:
    from nba.explore import streaming

    return streaming


def _inference() -> ModuleType:
    from nba.verify import inference

    return inference


_HOMES = {
    "Budgets": _budgets, "Effort": _choose, "Mapped": _choose, "StreamEffort": _streaming, "BatchCycles": _inference,
    "Simulated": _inference, "simulate": _inference,
}  # fmt: skip
"""What loads the module of a name, where that is not nba.api."""


def __getattr__(name: str) -> Any:
    """A name of the API that was not used before, from the module that defines it."""
    if name == "emit":
        import nba.emit

        return nba.emit
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = globals()[name] = getattr(_HOMES.get(name, _api)(), name)
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})

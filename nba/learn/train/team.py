# SPDX-License-Identifier: Apache-2.0
"""The processes of one torchrun as a run uses them: rank 0 leads, does every stage and calls the others to those that
learn; the others do nothing else, write nothing and leave when it says so. They talk through torchrun's key-value
store, so nobody waits in a collective operation for work that is not shared. Of all that fail, the first one speaks.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager

from torch import distributed
from torch.distributed.rendezvous import rendezvous

from nba.core.errors import SpecError
from nba.core.supervisor import die_with_parent
from nba.learn.train import ranks

_POLL_S = 0.1
_VARIABLES = ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
_PATIENCE_S = 300.0


class Team:
    """This process among those of its torchrun (environment: RANK, WORLD_SIZE, MASTER_ADDR, MASTER_PORT). After an
    elastic restart everything is agreed upon anew. It is killed when torchrun ends, however that ends: a signal
    that the interpreter handles would wait for a collective operation whose other side is gone. Raises SpecError where
    the environment does not say how the processes meet."""

    def __init__(self) -> None:
        die_with_parent(os.getppid())
        try:
            store, self.rank, self.size = next(iter(rendezvous("env://")))
        except (ValueError, KeyError, RuntimeError, OSError, TypeError) as err:
            found = ", ".join(f"{name}={os.environ.get(name, '')}" for name in _VARIABLES)
            raise SpecError(
                f"{found}: the processes of this run cannot meet ({str(err).partition(chr(10))[0]}); torchrun sets "
                "these variables; unset WORLD_SIZE where it does not start this program"
            ) from None
        self._store = distributed.PrefixStore(f"nba/{os.environ.get('TORCHELASTIC_RESTART_COUNT', '0')}", store)
        self._calls = 0

    @property
    def leads(self) -> bool:
        """Whether this is rank 0."""
        return self.rank == 0

    def call(self, stage: str) -> AbstractContextManager[ranks.World]:
        """Rank 0: let the others do `stage` too; all are one group within the block."""
        self._say(stage)
        return self._together()

    def dismiss(self) -> None:
        """Rank 0: nothing more is shared; the others leave."""
        self._say("")

    def calls(self) -> Iterator[tuple[str, AbstractContextManager[ranks.World]]]:
        """The others: stages to do, each with its group, until rank 0 dismisses them."""
        while True:
            key = f"call{self._calls}"
            while not self._store.check([key]):  # no blocking wait: signals must get through
                time.sleep(_POLL_S)
            stage = self._store.get(key).decode()
            self._calls += 1
            if not stage:
                return
            yield stage, self._together()

    def _say(self, stage: str) -> None:
        self._store.set(f"call{self._calls}", stage)
        self._calls += 1

    def _together(self) -> AbstractContextManager[ranks.World]:
        return ranks.together(distributed.PrefixStore(f"group{self._calls}", self._store), self.rank, self.size)

    def speaks_first(self) -> bool:
        """Whether this process is the first to fail. The others wait until it has spoken (`spoken`), since torchrun
        ends all once one has ended."""
        first = self._store.compare_set("failed", "", str(self.rank)).decode() == str(self.rank)
        if not first:
            until = time.monotonic() + _PATIENCE_S
            while time.monotonic() < until and not self._store.check(["spoken"]):
                time.sleep(_POLL_S)
        return first

    def spoken(self) -> None:
        """The message is out."""
        self._store.set("spoken", "1")

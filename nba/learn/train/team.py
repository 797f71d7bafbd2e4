# SPDX-License-Identifier: Apache-2.0
"""The processes of one torchrun as a run uses them: rank 0 leads, does every stage and calls the others to those that
learn; the others do nothing else, write nothing and leave when it says so. They talk through torchrun's key-value
store, so nobody waits in a collective operation for work that is not shared. Of all that fail, the first one speaks.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager

from torch import distributed
from torch.distributed.constants import default_pg_timeout

from nba.core.errors import SpecError
from nba.core.supervisor import die_with_parent
from nba.learn.train import ranks

_POLL_S = 0.1
_VARIABLES = ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
_ALONE = "unset WORLD_SIZE where it does not start this program"
_PATIENCE_S = 300.0
_MEET_S = default_pg_timeout.total_seconds()
"""How long the processes wait for each other at the start."""
_SILENT_S = 10.0
"""How long they do so without a word."""


def _environment() -> str:
    """What this process was told about the others."""
    return ", ".join(f"{name}={os.environ.get(name, '')}" for name in _VARIABLES)


def _listens(host: str, port: int) -> bool:
    """Whether a program takes connections there."""
    try:
        socket.create_connection((host, port), timeout=1).close()
    except OSError:
        return False
    return True


class Team:
    """This process among those of its torchrun (environment: RANK, WORLD_SIZE, MASTER_ADDR, MASTER_PORT). After an
    elastic restart everything is agreed upon anew. It is killed when torchrun ends, however that ends: a signal
    that the interpreter handles would wait for a collective operation whose other side is gone. While the processes
    wait for each other to come, signals get through. say: is told what they wait for. Raises SpecError where the
    environment does not say how the processes meet, or if not all come."""

    def __init__(self, say: Callable[[str], None]) -> None:
        die_with_parent(os.getppid())
        self._say_so, self._began_s, self._said = say, time.monotonic(), False
        try:
            self.rank, self.size = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
            store = self._connect(os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"]))
            attempt = os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")
            self._store = distributed.PrefixStore(f"nba/{attempt}", store)
            self._meet()
        except (ValueError, KeyError, RuntimeError, OSError, TypeError) as err:
            why = f"{err} is not set" if isinstance(err, KeyError) else str(err).partition(chr(10))[0]
            raise SpecError(
                f"{_environment()}: the processes of this run cannot meet ({why}); torchrun sets these variables; "
                f"{_ALONE}"
            ) from None
        self._calls = 0

    def _connect(self, host: str, port: int) -> distributed.TCPStore:
        """The store in which the processes meet. That of a torchrun is there; else rank 0 holds it, once it has come.
        The library's own wait for it, and for the others, would let no signal through."""
        if not (0 <= self.rank < self.size and 0 < port < 1 << 16):
            raise ValueError(f"RANK has to be below WORLD_SIZE, and MASTER_PORT in 1..{(1 << 16) - 1}")
        holds = self.rank == 0 and os.environ.get("TORCHELASTIC_USE_AGENT_STORE") != "True"
        while not (holds or _listens(host, port)):
            self._wait(f"for the process that listens at {host}:{port}")
        return distributed.TCPStore(
            host, port, self.size, is_master=holds, timeout=default_pg_timeout, wait_for_workers=False,
            multi_tenant=holds,
        )  # fmt: skip

    def _meet(self) -> None:
        """Return once all processes have come, for rank 0; the others wait for its calls."""
        self._store.set(f"here{self.rank}", "1")
        ranks_left = list(range(self.size)) if self.leads else []
        while ranks_left := [rank for rank in ranks_left if not self._store.check([f"here{rank}"])]:
            self._wait(f"for {len(ranks_left)} of the {self.size} processes (RANK={ranks_left[0]})")

    def _wait(self, what: str) -> None:
        """A moment more, of the time that there is. Raises TimeoutError."""
        waited_s = time.monotonic() - self._began_s
        if waited_s > _MEET_S:
            raise TimeoutError(f"waited {waited_s / 60:.0f} minutes {what}")
        if waited_s > _SILENT_S and not self._said:
            self._said = True
            self._say_so(f"{_environment()}: waiting {what}; torchrun starts all of them; {_ALONE}")
        time.sleep(_POLL_S)

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

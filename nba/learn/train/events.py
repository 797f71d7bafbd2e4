# SPDX-License-Identifier: Apache-2.0
"""TensorBoard scalars of a stage, one step per epoch, in the stage's folder (`tensorboard --logdir BUILD`).

What a killed run wrote is written anew from its checkpoint, so that no step is there twice or missing. Without the
package tensorboard nothing is written.
"""

from __future__ import annotations

import importlib.util
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nba.core.files import naming
from nba.learn.train import ranks

_log = logging.getLogger(__name__)
PATTERN = "events.out.tfevents.*"


class Events:
    """Scalars of the stage `name` in `folder` (None: nowhere). Close it before the folder is moved."""

    def __init__(self, folder: Path | None, name: str):
        self.name = name
        self._writer: Any = None
        if folder is None or not ranks.current().writes:
            return
        if importlib.util.find_spec("tensorboard") is None:
            _log.info("tensorboard is not installed; no scalars are written")
            return
        from torch.utils.tensorboard import SummaryWriter

        self._folder = folder
        for old in folder.glob(f"{PATTERN}.{name}"):
            old.unlink()
        with naming(folder / PATTERN):
            self._writer = SummaryWriter(str(folder), filename_suffix=f".{name}")  # type: ignore[no-untyped-call]

    def write(self, epoch: int, values: Mapping[str, object]) -> None:
        """The numbers among `values` (yes and no count as 1 and 0) at step `epoch`. Raises DiskError."""
        if self._writer is None:
            return
        with naming(self._folder / PATTERN):
            for key, value in values.items():
                if key != "epoch" and isinstance(value, int | float):
                    self._writer.add_scalar(f"{self.name}/{key}", float(value), epoch)
            self._writer.flush()

    def close(self) -> None:
        """Everything is on disk, and the file is closed. Raises DiskError."""
        if self._writer is not None:
            with naming(self._folder / PATTERN):
                self._writer.close()

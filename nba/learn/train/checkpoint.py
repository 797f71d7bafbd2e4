# SPDX-License-Identifier: Apache-2.0
"""Checkpoints: written whole or not at all, by rank 0; read by all without executing anything.

Each is sealed with its digest, and the one before it is kept: of one that is damaged nothing is believed, and the run
goes on from the one before, or anew. Either way it comes to the same result.
"""

from __future__ import annotations

import io
import logging
import os
import pickle
from collections.abc import Callable, Mapping
from pathlib import Path

import torch

from nba.core.files import BEFORE, naming, unsealed, write_sealed
from nba.learn.train import ranks

_log = logging.getLogger(__name__)

UNFIT = (KeyError, ValueError, RuntimeError, TypeError, IndexError, AttributeError, EOFError, pickle.UnpicklingError)
"""What reading a whole file that is something else, and taking over what stands in it, may raise."""


def before(path: Path) -> Path:
    """Where the checkpoint before the one at `path` lies."""
    return path.with_name(path.name + BEFORE)


def save_checkpoint(path: Path, state: Mapping[str, object]) -> None:
    """Replace the checkpoint `path` by `state` (tensors, numbers, strings, and lists and dicts of them); what was there
    becomes the one before. Raises DiskError, and then the one before is still there."""
    if not ranks.current().writes:
        return
    buffer = io.BytesIO()
    torch.save(dict(state), buffer)
    with naming(path):
        if path.is_file():
            os.replace(path, before(path))
    write_sealed(path, buffer.getvalue())


def load_checkpoint(path: Path, fingerprint: str) -> dict[str, object] | None:
    """The state of the checkpoint at `path` that `fingerprint` began, or else of the one before; None if there is none
    that is whole and of this run. A warning names each that is damaged. Where several processes train together,
    all get what rank 0 reads.
    """
    state = _shared(lambda: _newest(path))
    if state is not None and state.get("fingerprint") != fingerprint:
        _log.info("%s: belongs to another run; starting anew", path)
        return None
    return state


def finished(path: Path) -> dict[str, object] | None:
    """The state of the last checkpoint of a run that was done; None if the file is missing, or not whole. Raises one of
    UNFIT for another kind of file."""
    return _shared(lambda: unsealed(path.read_bytes()) if path.is_file() else None)


def _shared(read: Callable[[], bytes | None]) -> dict[str, object] | None:
    """The state in what rank 0 reads."""
    world = ranks.current()
    data = world.shared_bytes(read() if world.writes else None)
    if data is None:
        return None
    state = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    if not isinstance(state, dict):
        raise ValueError("not a checkpoint")
    return state


def _newest(path: Path) -> bytes | None:
    """The data of the newest checkpoint that is whole."""
    for file, then in ((path, "going back to the checkpoint before"), (before(path), "starting anew")):
        if not file.is_file():
            continue
        try:
            data, why = unsealed(file.read_bytes()), "its digest does not match"
        except OSError as err:
            data, why = None, err.strerror or str(err)
        if data is not None:
            return data
        further = then if before(path).is_file() else "starting anew"
        _log.warning("%s: a damaged checkpoint (%s); %s", file, why, further)
    return None

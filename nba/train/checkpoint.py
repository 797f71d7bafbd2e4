# SPDX-License-Identifier: Apache-2.0
"""Checkpoints: written whole or not at all, by rank 0; read by all without executing anything."""

from __future__ import annotations

import io
import logging
import pickle
from collections.abc import Mapping
from pathlib import Path

import torch

from nba.files import write_atomic_bytes
from nba.train import ranks

_log = logging.getLogger(__name__)
_DAMAGED = (RuntimeError, pickle.UnpicklingError, EOFError, ValueError, OSError)


def save(path: Path, state: Mapping[str, object]) -> None:
    """Replace the checkpoint `path` by `state` (tensors, numbers, strings, and lists and dicts of them)."""
    if not ranks.current().writes:
        return
    buffer = io.BytesIO()
    torch.save(dict(state), buffer)
    write_atomic_bytes(path, buffer.getvalue())


def load(path: Path, fingerprint: str) -> dict[str, object] | None:
    """The state of a checkpoint that `fingerprint` began ("": of any run); None if there is none, or it is damaged or
    of another run. Where several processes train together, all get what rank 0 reads.
    """
    world = ranks.current()
    data = world.shared_bytes(path.read_bytes() if world.writes and path.is_file() else None)
    if data is None:
        return None
    try:
        state = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    except _DAMAGED as err:
        _log.warning("%s: not a readable checkpoint (%s); starting anew", path, err)
        return None
    if not isinstance(state, dict) or (fingerprint and state.get("fingerprint") != fingerprint):
        _log.info("%s: belongs to another run; starting anew", path)
        return None
    return state

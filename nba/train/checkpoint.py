# SPDX-License-Identifier: Apache-2.0
"""Checkpoints: written whole or not at all, read without executing anything."""

from __future__ import annotations

import io
import logging
import pickle
from collections.abc import Mapping
from pathlib import Path

import torch

from nba.files import write_atomic_bytes

_log = logging.getLogger(__name__)


def save(path: Path, state: Mapping[str, object]) -> None:
    """Replace the checkpoint `path` by `state` (tensors, numbers, strings, and lists and dicts of them)."""
    buffer = io.BytesIO()
    torch.save(dict(state), buffer)
    write_atomic_bytes(path, buffer.getvalue())


def load(path: Path, fingerprint: str) -> dict[str, object] | None:
    """The state of a checkpoint that `fingerprint` began; None if there is none, or it is damaged or of another run."""
    if not path.is_file():
        return None
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (RuntimeError, pickle.UnpicklingError, EOFError, ValueError, OSError) as err:
        _log.warning("%s: not a readable checkpoint (%s); starting anew", path, err)
        return None
    if not isinstance(state, dict) or state.get("fingerprint") != fingerprint:
        _log.info("%s: belongs to another run; starting anew", path)
        return None
    return state

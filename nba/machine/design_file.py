# SPDX-License-Identifier: Apache-2.0
"""Design files: design.json and the weights.npz beside it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from nba.core.errors import DesignError
from nba.core.jsonfile import read_json, shown
from nba.core.npzfile import npz_bytes, read_npz
from nba.ir.decode import decode
from nba.ir.design import FORMAT, MULTIPLIERS, PLAIN_JOB, PLAIN_RING, Design
from nba.ir.network import LayerWeights, Weights, weights_digest


def save_design(design: Design, weights: Weights, folder: Path) -> None:
    """Write design.json and weights.npz into `folder`, each whole or not at all."""
    from nba.core.files import write_atomic, write_atomic_bytes

    write_atomic(folder / "design.json", json.dumps(design.document(), sort_keys=True, indent=1) + "\n")
    write_atomic_bytes(folder / "weights.npz", weights_bytes(weights, len(design.network.layers)))


def weights_bytes(weights: Weights, n_layers: int | None = None) -> bytes:
    """The .npz file of `weights`; the same weights give the same bytes.

    n_layers: layers of a mode, where `weights` are those of several; the weights that these share are stored once.
    """
    return npz_bytes(
        (f"{key}{i}", array)
        for i, lw in enumerate(weights)
        for key, array in (("w", lw.weight), ("b", lw.bias), ("m", lw.mult))
        if key != "w" or n_layers is None or i < n_layers
    )


def load_design(path: Path) -> tuple[Design, Weights]:
    """Read a design.json and the weights.npz beside it.

    Raises DesignError, naming the file and the field, if either is missing, damaged, or does not belong to the other.
    """
    try:
        raw = read_json(path)
    except FileNotFoundError:
        raise DesignError(
            str(path), ["no such file; give the path of a design.json written by `run` or `train`"]
        ) from None
    except IsADirectoryError:
        raise DesignError(str(path), ["is a folder; give the design.json inside it"]) from None
    except ValueError as err:
        raise DesignError(str(path), [f"not valid JSON ({err}); write it again with `run` or `train`"]) from None
    except OSError as err:
        raise DesignError(str(path), [f"cannot be read: {err.strerror}"]) from None
    problems: list[str] = []
    if isinstance(raw, dict) and raw.get("format") != FORMAT:
        raise DesignError(str(path), [f"format: is {shown(raw.get('format'))}, this version reads {FORMAT}"])
    if isinstance(raw, dict):
        add_defaults(raw)
    design = decode(Design, raw, "design", problems)
    if problems:
        raise DesignError(str(path), problems)
    weights = load_weights(path.with_name("weights.npz"), len(design.network.layers), len(design.networks))
    digest = weights_digest(weights)
    if digest != design.weights_sha256:
        raise DesignError(
            str(path.with_name("weights.npz")),
            [
                f"digest {digest[:12]} is not the {design.weights_sha256[:12]} that {path.name} names; "
                "the two files do not belong together"
            ],
        )
    from nba.machine.check import check_design

    check_design(design, weights, where=str(path))
    return design, weights


def add_defaults(raw: dict[str, Any]) -> None:
    """Add the fields that a design.json leaves out where they have the value they had before there was such a field."""
    raw.setdefault("modes", [])
    raw.setdefault("board", None)
    raw.setdefault("random_weights", False)
    if isinstance(raw.get("accelerator"), dict):
        raw["accelerator"].setdefault("block_luts", 0)
        raw["accelerator"].setdefault("memory", None)
        raw["accelerator"].setdefault("ultra", [])
    if isinstance(raw.get("cost"), dict):
        raw["cost"].setdefault("uram", 0)
    for chunk in _parts(raw.get("accelerator"), "chunks"):
        chunk.setdefault("turns", [])
        chunk.setdefault("columns", 0)
        for name in MULTIPLIERS:
            chunk.setdefault(name, "dsp")
        for job in _parts(chunk, "jobs"):
            for name, plain in PLAIN_JOB.items():
                job.setdefault(name, plain)
    for ring in _parts(raw.get("accelerator"), "rings"):
        for name, plain in PLAIN_RING.items():
            ring.setdefault(name, plain)


def _parts(raw: Any, name: str) -> list[dict[str, Any]]:
    """The objects in the list `name` of a part of a design.json that may be damaged."""
    found = raw.get(name) if isinstance(raw, dict) else None
    return [part for part in found if isinstance(part, dict)] if isinstance(found, list) else []


def load_weights(path: Path, n_layers: int, n_modes: int = 1) -> Weights:
    """Read the weights of `n_layers` layers, in each of `n_modes` modes. Raises DesignError if the file is missing or
    damaged."""
    every = range(n_layers * n_modes)
    names = (*(f"w{i}" for i in range(n_layers)), *(f"{key}{i}" for i in every for key in "bm"))
    try:
        found = read_npz(path, names)
    except FileNotFoundError:
        raise DesignError(str(path), ["no such file; it is written beside design.json"]) from None
    except (ValueError, OSError) as err:
        raise DesignError(str(path), [f"damaged or incomplete ({err}); write it again with `run` or `train`"]) from None
    return tuple(
        LayerWeights(weight=found[f"w{i % n_layers}"], bias=found[f"b{i}"], mult=found[f"m{i}"]) for i in every
    )

# SPDX-License-Identifier: Apache-2.0
"""`Design`: the one frozen value that emission, verification, synthesis and the report are pure functions of."""

from __future__ import annotations

import hashlib
import json
import math
import types
import typing
from collections.abc import Iterable
from dataclasses import MISSING, asdict, dataclass, fields, is_dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from nba.errors import DesignError
from nba.ir.accelerator import Accelerator
from nba.ir.network import LayerWeights, Network, Weights, weights_digest
from nba.jsonfile import SHOWN, read_json, shown
from nba.npzfile import read_npz

FORMAT = 1
"""Version of the design.json layout."""
MAX_TEXT = 200
"""Characters of a name, or of any other text, in a design."""


EXACT = ("first_output_latency_cycles", "interval_cycles", "dsp", "bram")
"""Fields of `Cost` that are facts of the hardware; the others are figures of models at the time of mapping."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Cost:
    """What the models predict for a design (frames enter back to back, the output is always ready).

    Cycles, dsp and bram (36-Kbit blocks) are exact. lut and ff are a calibrated estimate (nba.platform.logic holds its
    error). energy_pj: dynamic energy of a frame, exact counts of events times a table of relative energies
    (nba.platform.energy); power_w: that at one frame per interval.
    """

    first_output_latency_cycles: int
    interval_cycles: int
    dsp: int
    bram: float
    lut: int
    ff: int
    energy_pj: float
    power_w: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Design:
    """Network, accelerator, platform, predicted cost. `versions` names the tools whose numerics shaped the design.

    A design of several modes executes `network` (mode 0) or one of `modes` (1, 2, ...), chosen at run time, from the
    same stored weights (nba.ir.mode_rules). The weights of such a design, wherever they go with it, are those of all
    modes one after the other, in this order; `mode` takes them apart.
    """

    name: str
    network: Network
    accelerator: Accelerator
    platform: str
    clock_mhz: float
    cost: Cost
    weights_sha256: str
    seed: int
    versions: tuple[tuple[str, str], ...]
    format: int = FORMAT
    modes: tuple[Network, ...] = ()

    @property
    def networks(self) -> tuple[Network, ...]:
        """The networks of all modes, mode 0 first."""
        return (self.network, *self.modes)

    def mode(self, index: int, weights: Weights) -> tuple[Network, Weights]:
        """Network and weights of one mode, of the `weights` of this design."""
        n_layers = len(self.network.layers)
        return self.networks[index], weights[index * n_layers : (index + 1) * n_layers]

    def document(self) -> dict[str, Any]:
        """The content of design.json. A design of one mode has no key `modes`."""
        found = asdict(self)
        if not self.modes:
            del found["modes"]
        return found

    def canonical_json(self) -> str:
        """The JSON text whose sha256 is the design's id: sorted keys, no spaces, ASCII."""
        return json.dumps(self.document(), sort_keys=True, separators=(",", ":"), ensure_ascii=True)

    @property
    def id(self) -> str:
        """sha256 of the canonical JSON, 64 hex digits."""
        return hashlib.sha256(self.canonical_json().encode()).hexdigest()


def save_design(design: Design, weights: Weights, folder: Path) -> None:
    """Write design.json and weights.npz into `folder`, each whole or not at all."""
    from nba.files import write_atomic, write_atomic_bytes

    write_atomic(folder / "design.json", json.dumps(design.document(), sort_keys=True, indent=1) + "\n")
    write_atomic_bytes(folder / "weights.npz", weights_bytes(weights, len(design.network.layers)))


def npz_bytes(arrays: Iterable[tuple[str, np.ndarray]]) -> bytes:
    """An .npz file of named arrays; the same arrays give the same bytes."""
    import io
    import zipfile

    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name, array in arrays:
            data = io.BytesIO()
            np.lib.format.write_array(data, np.ascontiguousarray(array), allow_pickle=False)
            archive.writestr(zipfile.ZipInfo(f"{name}.npy", (1980, 1, 1, 0, 0, 0)), data.getvalue())
    return buffer.getvalue()


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
        raise DesignError(str(path), [f"not valid JSON ({err}); write it anew with `run` or `train`"]) from None
    except OSError as err:
        raise DesignError(str(path), [f"cannot be read: {err.strerror}"]) from None
    problems: list[str] = []
    if isinstance(raw, dict) and raw.get("format") != FORMAT:
        raise DesignError(str(path), [f"format: is {shown(raw.get('format'))}, this version reads {FORMAT}"])
    if isinstance(raw, dict):
        raw.setdefault("modes", [])
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
    from nba.ir.check import check_design

    check_design(design, weights, where=str(path))
    return design, weights


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
        raise DesignError(str(path), [f"damaged or incomplete ({err}); write it anew with `run` or `train`"]) from None
    return tuple(
        LayerWeights(weight=found[f"w{i % n_layers}"], bias=found[f"b{i}"], mult=found[f"m{i}"]) for i in every
    )


def decode(kind: Any, value: Any, where: str, problems: list[str], *, defaults: bool = False) -> Any:
    """JSON value -> `kind` (dataclass, tuple, Literal, optional, scalar); appends to `problems` instead of raising.

    With `defaults`, a field that has a default may be left out.
    """
    origin, args = typing.get_origin(kind), typing.get_args(kind)
    if isinstance(kind, type) and is_dataclass(kind):
        if not isinstance(value, dict):
            problems.append(f"{where}: expected an object, found {type(value).__name__}")
            return None
        hints = _hints(kind)
        known = {f.name for f in fields(kind)}
        needed = {f.name for f in fields(kind) if not (defaults and f.default is not MISSING)}
        problems.extend(f"{where}.{k[:SHOWN]}: unknown field" for k in sorted(set(value) - known))
        problems.extend(f"{where}.{k}: missing" for k in sorted(needed - set(value)))
        found = {
            k: decode(hints[k], value[k], f"{where}.{k}", problems, defaults=defaults)
            for k in sorted(known & set(value))
        }
        return None if problems else kind(**found)
    if origin is tuple:
        if not isinstance(value, list):
            problems.append(f"{where}: expected a list, found {type(value).__name__}")
            return ()
        if len(args) == 2 and args[1] is Ellipsis:
            return tuple(decode(args[0], v, f"{where}[{i}]", problems, defaults=defaults) for i, v in enumerate(value))
        if len(args) != len(value):
            problems.append(f"{where}: expected {len(args)} entries, found {len(value)}")
            return ()
        pairs = enumerate(zip(args, value, strict=True))
        return tuple(decode(a, v, f"{where}[{i}]", problems, defaults=defaults) for i, (a, v) in pairs)
    if origin is typing.Literal:
        if value not in args:
            problems.append(f"{where}: {shown(value)} is not one of {', '.join(map(repr, args))}")
        return value
    if origin in (typing.Union, types.UnionType):
        if value is None:
            return None
        return decode(next(a for a in args if a is not type(None)), value, where, problems, defaults=defaults)
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        problems.append(f"{where}: expected {kind.__name__}, found {shown(value)}")
    elif isinstance(value, str) and len(value) > MAX_TEXT:
        problems.append(f"{where}: has {len(value):,} characters; legal: at most {MAX_TEXT}")
    elif isinstance(value, float) and not math.isfinite(value):
        problems.append(f"{where}: is {value}; legal: finite numbers")
    return value


@cache
def _hints(kind: type) -> dict[str, Any]:
    return typing.get_type_hints(kind)

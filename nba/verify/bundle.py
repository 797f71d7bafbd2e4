# SPDX-License-Identifier: Apache-2.0
"""A bundle against the design that lies in it: rendered anew, compared file by file, and only the copy is used.

Emission is a pure function of the design, its weights, the input frames and what is known about these. So all four are
read from the bundle, everything is rendered again, and the bundle must be that, byte for byte. Digests and predictions
of the bundle itself are never believed, and nothing in it is ever executed.
"""

from __future__ import annotations

import os
import shutil
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from nba.core.errors import DesignError
from nba.core.files import naming
from nba.core.jsonfile import MAX_JSON_BYTES, parse_json, read_bytes
from nba.core.version import __version__
from nba.emit.bundle import MANIFEST, is_leftover, manifest_bytes, render_bundle
from nba.emit.hls import from_bytes
from nba.emit.interface import NAME as INTERFACE
from nba.emit.interface import Truth
from nba.emit.names import expected_name
from nba.ir.design import Design
from nba.ir.network import MASTER_BITS, Tensor, Weights
from nba.machine.design_file import load_design

_MAX_FRAMES = 1024
"""Most input frames of a bundle."""
MAX_NAMED = 20
"""Most files that one message names."""
_AGAIN = "make the bundle again with `nba-codesign emit DESIGN.json -o FOLDER`"


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Checked:
    """A bundle that is what its design renders to. folder: the copy that was rendered; images: input codes
    [B, H, W, C]; outputs: what the integer reference makes of them in every mode."""

    folder: Path
    design: Design
    weights: Weights
    images: np.ndarray
    outputs: tuple[np.ndarray, ...]


def check_bundle(bundle: Path, into: Path) -> Checked:
    """Render the bundle anew into the folder `into`, which is emptied first, and compare.

    Raises DesignError, naming every file that differs, is missing or does not belong there; if another version emitted
    the bundle, or if what it is rendered from is damaged; DiskError if the copy cannot be written.
    """
    _check_version(bundle)
    design, weights = load_design(bundle / "design.json")
    images, truth = frames_of(bundle, design)
    files = render_bundle(design, weights, images, truth)
    files[MANIFEST] = manifest_bytes(design, files)
    _compare(bundle, files)
    _write(files, into)
    last = design.network.tensors[-1]
    outputs = tuple(
        from_bytes(files[f"hls/{expected_name(m, 'bin')}"], last) for m in range(len(design.networks))
    )  # fmt: skip
    return Checked(folder=into, design=design, weights=weights, images=images, outputs=outputs)


def frames_of(bundle: Path, design: Design) -> tuple[np.ndarray, Truth]:
    """The input codes [B, H, W, C] that a bundle of `design` holds, and what it says about them. Raises DesignError."""
    images = _frames(bundle / "hls" / "input.bin", design.network.tensors[0])
    return images, _truth(bundle / INTERFACE)


def _read(path: Path, most_bytes: int) -> bytes:
    """The content of a plain file of at most `most_bytes`. Raises DesignError."""
    try:
        return read_bytes(path, most_bytes)
    except FileNotFoundError:
        raise DesignError(str(path.parent), [f"holds no {path.name}: not a bundle; {_AGAIN}"]) from None
    except (OSError, ValueError) as err:
        raise DesignError(str(path), [f"cannot be read ({err}); {_AGAIN}"]) from None


def _json(path: Path) -> dict[str, Any]:
    """A JSON object. Raises DesignError."""
    try:
        found = parse_json(_read(path, MAX_JSON_BYTES).decode("utf-8"))
    except ValueError as err:
        raise DesignError(str(path), [f"damaged ({err}); {_AGAIN}"]) from None
    if not isinstance(found, dict):
        raise DesignError(str(path), [f"damaged (no object, but {type(found).__name__}); {_AGAIN}"])
    return found


def _check_version(bundle: Path) -> None:
    """Raise DesignError if the manifest names another version than this one: its files differ everywhere."""
    path = bundle / MANIFEST
    version = _json(path).get("version")
    if not isinstance(version, str):
        raise DesignError(str(path), [f"damaged (names no version); {_AGAIN}"])
    if version != __version__:
        raise DesignError(
            str(bundle),
            [
                f"was emitted by nba-codesign {version[:40]!r}, but this is {__version__!r}; install that version, or "
                f"{_AGAIN}"
            ],
        )


def _frames(path: Path, tensor: Tensor) -> np.ndarray:
    """Input codes [B, H, W, C] of the bundle. Every code that fits the file is legal. Raises DesignError."""
    frame = tensor.height * tensor.width * tensor.channels * (1 if tensor.bits == MASTER_BITS else 2)
    data = _read(path, _MAX_FRAMES * frame)
    if not data or len(data) % frame:
        raise DesignError(str(path), [f"holds {len(data)} bytes, not 1..{_MAX_FRAMES} frames of {frame}; {_AGAIN}"])
    return from_bytes(data, tensor)


def _truth(path: Path) -> Truth:
    """Labels and class names of the bundle. Raises DesignError if they are of another shape."""
    found = _json(path)
    vectors, classes = found.get("vectors"), found.get("classes")
    labels = vectors.get("labels") if isinstance(vectors, dict) else 0
    if labels is not None and not (isinstance(labels, list) and all(type(label) is int for label in labels)):
        raise DesignError(str(path), [f"vectors.labels: not a list of numbers, nor null; {_AGAIN}"])
    if classes is not None and not (isinstance(classes, list) and all(isinstance(name, str) for name in classes)):
        raise DesignError(str(path), [f"classes: not a list of names, nor null; {_AGAIN}"])
    return Truth(labels=None if labels is None else tuple(labels), classes=tuple(classes or ()))


def _compare(bundle: Path, files: dict[str, bytes]) -> None:
    """Raise DesignError, naming them, if files of the bundle are not `files`, or if there are others."""
    problems = []
    for name, body in sorted(files.items()):
        path = bundle / name
        try:
            status = path.stat()
            same = stat.S_ISREG(status.st_mode) and status.st_size == len(body) and path.read_bytes() == body
        except (FileNotFoundError, NotADirectoryError):
            problems.append(f"{name}: missing")
            continue
        except OSError as err:
            problems.append(f"{name}: cannot be read ({err.strerror})")
            continue
        if not same:
            problems.append(f"{name}: is not what the design renders to")
    problems += [f"{_shown(name)}: is not of the bundle" for name in _others(bundle, "", set(files))]
    if problems:
        more = [f"and {len(problems) - MAX_NAMED} more"] if len(problems) > MAX_NAMED else []
        raise DesignError(
            str(bundle),
            [
                *problems[:MAX_NAMED],
                *more,
                f"move files of your own elsewhere, or {_AGAIN}",
            ],
        )


def _others(folder: Path, prefix: str, known: set[str]) -> list[str]:
    """Files, links and whatever else lies in `folder` without being `known` or a leftover. Links are not followed."""
    found: list[str] = []
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError as err:
        return [f"{prefix} ({err.strerror})"]
    for entry in entries:
        name = f"{prefix}{entry.name}"
        if name in known or is_leftover(name):
            continue
        if entry.is_dir(follow_symlinks=False):
            found += _others(folder / entry.name, f"{name}/", known)
        else:
            found.append(name)
        if len(found) > MAX_NAMED * 50:
            break
    return found


def _shown(name: str) -> str:
    """A file's name, as any terminal can show it on one line."""
    return "".join(char if char.isprintable() and char.isascii() else "?" for char in name)[:200]


def _write(files: dict[str, bytes], folder: Path) -> None:
    if folder.exists():
        shutil.rmtree(folder)
    for name, body in files.items():
        target = folder / name
        with naming(target):
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(body)

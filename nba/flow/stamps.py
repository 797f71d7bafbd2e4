# SPDX-License-Identifier: Apache-2.0
"""Stamps: the proof that a stage was done with certain inputs, and that its outputs are unchanged since."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from nba.core.files import write_atomic
from nba.core.jsonfile import read_json
from nba.core.sources import digest_file, digest_json
from nba.flow.places import STATE
from nba.flow.stage import Stage


@dataclass(frozen=True, kw_only=True, slots=True)
class Stamp:
    """Proof that a stage was done: digest of its inputs, sha256 of each file it wrote, and how long it took."""

    inputs: str
    outputs: dict[str, str]
    seconds: float

    @property
    def outputs_digest(self) -> str:
        """One digest of all outputs, for the stages after."""
        return digest_json(self.outputs)


def stamp_path(build: Path, stage: Stage) -> Path:
    """Where the stamp of `stage` lies."""
    return build / STATE / f"{stage.name}.json"


def write_stamp(path: Path, stamp: Stamp) -> None:
    """Write a stamp, with a digest of its own."""
    write_atomic(path, json.dumps({**asdict(stamp), "digest": digest_json(asdict(stamp))}, indent=1) + "\n")


def read_stamp(path: Path) -> Stamp | None:
    """The stamp in the file `path`, or None if there is none that is whole."""
    try:
        raw = read_json(path)
        digest = raw.pop("digest")
        found = Stamp(inputs=raw["inputs"], outputs=raw["outputs"], seconds=float(raw["seconds"]))
        texts = (found.inputs, *found.outputs, *found.outputs.values())
        return found if digest == digest_json(raw) and all(isinstance(text, str) for text in texts) else None
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def spoiled(folder: Path, stamp: Stamp) -> list[str]:
    """Those of the files that a stage wrote that are not in `folder`, unchanged. Files that others added do not
    matter."""

    def whole(path: Path, sha: str) -> bool:
        try:
            return path.is_file() and digest_file(path) == sha
        except (OSError, ValueError):
            return False

    return [name for name, sha in stamp.outputs.items() if not whole(folder / name, sha)]

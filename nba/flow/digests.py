# SPDX-License-Identifier: Apache-2.0
"""The digest of everything that the outputs of a stage depend on."""

from __future__ import annotations

import importlib.metadata
import platform
from pathlib import Path
from typing import TYPE_CHECKING

from nba.core import assets
from nba.core.sources import PACKAGE, digest_file, digest_json, digest_source, digest_tree, folder_state
from nba.core.version import __version__
from nba.core.yamlfile import value_at
from nba.flow.stage import Stage
from nba.flow.stamps import Stamp
from nba.spec import paths_of

if TYPE_CHECKING:
    from nba.spec import Spec


def package_version(name: str) -> str:
    """Version of an installed package, without importing it; "" if it is not installed."""
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return ""


def inputs_digest(stage: Stage, spec: Spec, stamps: dict[str, Stamp]) -> str:
    """Digest of everything that the outputs of `stage` depend on; `stamps` holds those of the stages before."""
    values = spec.model_dump(mode="json")
    named = {field: path for field, path in paths_of(spec).items() if stage.reads(field)}
    return digest_json(
        {
            "stage": stage.name,
            "nba": __version__,
            "python": platform.python_version_tuple()[:2],
            "sections": {path: value_at(values, path) for path in stage.sections},
            "content": {field: _content(path) for field, path in named.items()},
            "upstream": {name: stamps[name].outputs_digest for name in stage.after},
            "source": digest_source(stage.module),
            "assets": {kind: digest_json(digest_tree(assets.root(kind))) for kind in stage.asset_kinds},
            "data": {folder: digest_tree(PACKAGE / folder) for folder in stage.package_data},
            "packages": {name: package_version(name) for name in stage.packages},
        }
    )


def _content(path: Path) -> object:
    """Digest of a file; state of the files in a folder, by size and time of change; None where there is nothing."""
    if path.is_dir():
        return folder_state(path)
    return digest_file(path) if path.is_file() else None

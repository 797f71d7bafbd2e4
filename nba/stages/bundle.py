# SPDX-License-Identifier: Apache-2.0
"""Whether a folder is a whole bundle."""

from __future__ import annotations

import json
from pathlib import Path

from nba.errors import DesignError
from nba.sources import digest_file

MARKER = "manifest.json"
"""Every bundle holds it, written last: sha256 of all its files. A folder with it may be replaced by a newer bundle."""


def check_bundle(bundle: Path) -> None:
    """Raise DesignError unless `bundle` is a bundle whose files are all there, as they were emitted."""
    path = bundle / MARKER
    try:
        files: dict[str, str] = json.loads(path.read_text(encoding="utf-8"))["files"]
        problems = [
            f"{name}: {'changed since it was emitted' if (bundle / name).is_file() else 'missing'}"
            for name, sha in sorted(files.items())
            if not (bundle / name).is_file() or digest_file(bundle / name) != sha
        ]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as err:
        raise DesignError(str(bundle), [f"not a bundle: {MARKER}: {err}; write one with `emit`"]) from None
    if problems:
        raise DesignError(str(bundle), [*problems, "emit the bundle anew"])

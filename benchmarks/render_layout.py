# SPDX-License-Identifier: Apache-2.0
"""What is written from the layout tables (nba/machine/layout.py): library modules, `Job`, the tables of the docs.

    python -m benchmarks.render_layout [--check]

--check changes nothing and ends with status 1 if a file is not what the tables say.
"""

from __future__ import annotations

import argparse
import sys

from benchmarks.figures_file import ROOT
from nba.core.files import write_atomic
from nba.emit.layout_text import BLOCKS, rendered


def stale() -> dict[str, str]:
    """path -> text of every file that is not what the tables say."""
    texts = rendered({path: (ROOT / path).read_text(encoding="utf-8") for path in BLOCKS})
    paths = {path: ROOT / path for path in texts}
    return {p: t for p, t in texts.items() if not paths[p].exists() or paths[p].read_text(encoding="utf-8") != t}


def main() -> None:
    """Write the files, or check them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="write nothing; status 1 if something differs")
    check = parser.parse_args().check
    found = stale()
    for path, text in found.items():
        print(f"{path}: {'is not what nba/machine/layout.py says' if check else 'written'}")
        if not check:
            write_atomic(ROOT / path, text)
    sys.exit(int(check and bool(found)))


if __name__ == "__main__":
    main()

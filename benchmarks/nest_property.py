# SPDX-License-Identifier: Apache-2.0
"""Random (layer, hierarchy, mapping) triples: the compiled model of a mapping against the reference that executes it.

    python benchmarks/nest_property.py                     50,000 triples
    python benchmarks/nest_property.py --count 1000 --max-macs 3000
    python benchmarks/nest_property.py --first 4711 --count 1      one triple again

Every count of every level, and the latency, are compared with ==. Exit status 0 only if all are equal.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from nba.loopnest.model import access_counts  # noqa: E402
from nba.loopnest.reference import execute  # noqa: E402
from tests.unit.nest import draws  # noqa: E402

SHOWN = 3


def main() -> int:
    """Compare, and print how many differ and how much was executed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=50_000, help="triples (default: %(default)s)")
    parser.add_argument("--first", type=int, default=0, help="number of the first triple (default: %(default)s)")
    parser.add_argument("--max-macs", type=int, default=200, help="of a layer (default: %(default)s)")
    options = parser.parse_args()
    wrong, macs, begin = 0, 0, time.perf_counter()
    for seed in range(options.first, options.first + options.count):
        triple = draws.numbered(seed, max_macs=options.max_macs)
        executed, computed = execute(*triple), access_counts(*triple)
        macs += triple[0].macs
        if executed != computed:
            wrong += 1
            if wrong <= SHOWN:
                print(f"triple {seed}\n{draws.describe(triple)}\n  executed {executed}\n  computed {computed}")
        done = seed + 1 - options.first
        if done % 10_000 == 0:
            print(f"{done} triples, {wrong} differ, {time.perf_counter() - begin:.0f} s", flush=True)
    seconds = time.perf_counter() - begin
    print(f"{options.count} triples, {macs} MACs executed one by one, {wrong} differ, {seconds:.0f} s")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())

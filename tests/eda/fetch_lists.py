# SPDX-License-Identifier: Apache-2.0
"""Random lists of fetches, as nba_fetch reads them."""

from __future__ import annotations

import random
from collections.abc import Mapping

from nba.emit.memories import hex_lines
from nba.machine.layout import FETCH

MOST_BEATS = 40
"""Or two bursts and a beat: a longer fetch tries nothing more."""


def fetch_list(params: Mapping[str, int | str]) -> str:
    """The file of a list for these parameters of nba_fetch: every fetch anywhere in the address space, of some beats,
    of as many as a burst or two have, or one more or less. For those of fetch_system: in its memory, and no longer than
    a slot."""
    sizes = {"N_TARGETS": 2, "N_FETCHES": 2, "MAX_STAGE": 0, "BURST": 16} | {
        name: int(value) for name, value in params.items() if name != "FILE"
    }
    rand = random.Random(f"{sorted(sizes.items())}")
    burst, words = sizes["BURST"], []
    most = max(MOST_BEATS, 2 * burst + 1)
    if "SLOT_WORDS" in sizes:
        most = sizes["SLOT_WORDS"] * -(-sizes["WIDTH"] // sizes["BUS"])
    for _ in range(sizes["N_FETCHES"]):
        near = burst * rand.randint(0, 2) + rand.randint(-1, 1)
        beats = rand.choice([max(1, min(near, most)), rand.randint(1, most)])
        fields = {
            "target": rand.randrange(sizes["N_TARGETS"]),
            "stage": rand.choice([0, sizes["MAX_STAGE"], rand.randint(0, sizes["MAX_STAGE"])]),
            "first": rand.randint(0, (sizes["WORDS"] - beats) // burst) if "WORDS" in sizes else rand.getrandbits(24),
            "beats": beats,
        }
        words.append(FETCH.pack(fields, {}))
    return hex_lines(words, FETCH.width({}))

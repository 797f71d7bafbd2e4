# SPDX-License-Identifier: Apache-2.0
"""Cases of files that other tools write: TFLite files near small whole networks, and files that are none."""

from __future__ import annotations

import random
import struct
from functools import cache
from pathlib import Path

from nba.imports.load import examine
from nba.ir.check import check_network, check_weights
from tests.fuzz import mutate
from tests.fuzz.outcome import Target
from tests.imports.files import whole_network

WORDS = (0, 1, 2, 3, 4, 5, 9, 17, 25, 127, 128, 255, 256, 4095, 65535, 1 << 24, 2**31 - 1, 2**31, 2**32 - 1)


@cache
def contents() -> tuple[bytes, ...]:
    """Whole files."""
    return tuple(whole_network(seed).content() for seed in range(4))


def _words(rng: random.Random, source: bytes) -> bytes:
    """Some aligned words are others: extremes, scales that are no numbers, or what stands elsewhere in the file."""
    found = bytearray(source)
    # The builder of flatbuffers writes from the end to the beginning, where the tables lie that it wrote last.
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        reach = len(found) if rng.random() < 0.5 else min(len(found), 6000)
        at = 4 * rng.randrange(reach // 4)
        how = rng.randrange(4)
        if how == 0:
            found[at : at + 4] = struct.pack("<I", rng.choice(WORDS))
        elif how == 1:
            found[at : at + 4] = struct.pack("<f", rng.choice((0.0, -1.0, 1e-40, 1e30, float("inf"), float("nan"))))
        elif how == 2:
            other = 4 * rng.randrange(len(found) // 4)
            found[at : at + 4] = found[other : other + 4]
        else:
            (word,) = struct.unpack_from("<I", found, at)
            found[at : at + 4] = struct.pack("<I", (word + rng.choice((-4, -2, -1, 1, 2, 4, 8))) % (1 << 32))
    return bytes(found)


def _file(rng: random.Random, folder: Path) -> None:
    source = rng.choice(contents())
    how = rng.random()
    if how < 0.03:
        content = source
    elif how < 0.65:
        content = _words(rng, source)
    elif how < 0.9:
        content = mutate.damaged(rng, source)
    elif how < 0.95:
        content = source[: rng.randrange(len(source))]
    else:
        content = b"\x1c\0\0\0TFL3" + bytes(rng.randrange(256) for _ in range(rng.choice((0, 8, 200))))
    (folder / "model.tflite").write_bytes(content)


def check_file(folder: Path) -> None:
    """What is accepted is a legal network."""
    found = examine(folder / "model.tflite").importable.found
    assert found.network is not None
    assert (*check_network(found.network), *check_weights(found.network, found.weights)) == ()


TARGETS = (Target(name="tflite", make=_file, check=check_file, share=5),)

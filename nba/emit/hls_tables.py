# SPDX-License-Identifier: Apache-2.0
"""C initialisers."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from nba.machine.layout import JOB


def braces(*values: int | str | bool) -> str:
    """A C initialiser of these values."""
    return "{" + ", ".join(str(v).lower() if isinstance(v, bool) else str(v) for v in values) + "}"


def word_initialisers(words: np.ndarray, bits: int) -> tuple[str, ...]:
    """Words of `bits`-bit lanes as C initialisers of 64-bit parts."""
    per_part = 64 // bits
    lanes = words.shape[1]
    parts = -(-lanes // per_part)
    codes = np.pad(words & ((1 << bits) - 1), ((0, 0), (0, parts * per_part - lanes))).astype(np.uint64)
    shifts = (np.arange(per_part, dtype=np.uint64) * np.uint64(bits))[None, None, :]
    packed = np.bitwise_or.reduce(codes.reshape(-1, parts, per_part) << shifts, axis=2)
    return tuple("{" + ", ".join(f"0x{v:x}ull" for v in row) + "}" for row in packed.tolist())


def job_initialiser(word: Mapping[str, int], own: Mapping[str, int | str]) -> str:
    """The initialiser of a `Job`: `word` holds the fields of the program word, `own` the members that it lacks; those
    with a default may be missing from `own`."""
    members = [member for member in JOB if member.name in own or not member.default]
    assert set(own) == {member.name for member in members if not member.word}
    values: list[int | str | bool] = []
    for member in members:
        value = word[member.word] if member.word else own[member.name]
        if member.kind == "long long":
            value = f"{value}LL"
        values.append(bool(value) if member.kind == "bool" else value)
    return braces(*values)

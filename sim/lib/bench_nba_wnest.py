# SPDX-License-Identifier: Apache-2.0
"""nba_wnest: every code of every stored width up to 8 bits (of wider ones the ends and others), seen at every legal
width, at one step per cycle."""

from __future__ import annotations

import cocotb
from lanes import Inputs, nest, pack, stream, unpack
from stepping import parameter, rng


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def every_code_of_every_width(dut) -> None:
    n, store_bits, w_bits = (parameter(dut, name) for name in ("N", "STORE_BITS", "W_BITS"))
    rand = rng()
    cases: list[tuple[list[int], int, int]] = []
    for stored in range(2, store_bits + 1):
        for seen_bits in range(2, min(stored, w_bits) + 1):
            if 8 < stored < 16 or 8 < seen_bits < 16:
                continue
            codes = list(range(-(1 << (stored - 1)), 1 << (stored - 1)))
            if stored > 8:
                codes = [*codes[:40], *codes[-40:], *rand.sample(codes, 400)]
            rand.shuffle(codes)
            codes += rand.choices(codes, k=-len(codes) % n)
            cases += [(codes[i : i + n], stored - seen_bits, seen_bits) for i in range(0, len(codes), n)]
    rand.shuffle(cases)
    steps: list[Inputs] = [
        {"s_data": pack(codes, store_bits), "s_shift": shift, "s_bits": bits} for codes, shift, bits in cases
    ]
    seen = await stream(dut, "m_data", 2, steps)
    assert len(seen) == len(cases)
    for (codes, shift, bits), word in zip(cases, seen, strict=True):
        assert unpack(word, w_bits, n) == [nest(code, shift, bits, True) for code in codes], (codes, shift, bits)

# SPDX-License-Identifier: Apache-2.0
"""nba_requant: codes of docs/numerics.md for random and extreme layers; the constants change every other cycle (a step
of noise between two layers), each arriving in the cycles in which the header says it must hold."""

from __future__ import annotations

import random
from dataclasses import dataclass

import cocotb
from lanes import Inputs, draw, pack, stream
from stepping import parameter, rng

LATENCY = 8
N_STEPS = 1500


@dataclass(frozen=True, kw_only=True, slots=True)
class Step:
    """Operands of one step ([m][p], [m], [p][m]) and the constants of the layer it belongs to."""

    acc: list[list[int]]
    bias: list[int]
    mult: list[int]
    res: list[list[int]]
    res_signed: bool
    z_res: int
    res_mult: int
    shift: int
    zero: int
    q_min: int
    q_max: int

    def total(self, m: int, p: int) -> int:
        """The value of channel m, column p before the shift."""
        residual = (self.res[p][m] - self.z_res) * self.res_mult
        return (self.acc[m][p] + self.bias[m]) * self.mult[m] + residual + (1 << (self.shift - 1))

    def code(self, m: int, p: int) -> int:
        """The output code of channel m, column p."""
        return max(self.q_min, min(self.q_max, (self.total(m, p) >> self.shift) + self.zero))


def random_step(rand: random.Random, pq: int, pp: int, c_bits: int, acc_bits: int, has_res: bool) -> Step:
    """A legal step; the shift brings the values near the code range two times out of three."""
    half, codes = 1 << (acc_bits - 1), (1 << c_bits) - 1
    top = 1 << rand.randint(1, acc_bits - 1)
    acc = [
        [rand.choice((draw(rand, -half, half - 1), rand.randint(-top, top - 1))) for _ in range(pp)] for _ in range(pq)
    ]
    bias = [rand.choice((draw(rand, -half, half - 1), rand.randint(-top, top - 1))) for _ in range(pq)]
    mult = [rand.choice((draw(rand, 0, 65535), rand.randint(0, 2000))) for _ in range(pq)]
    res_signed, out_signed = rand.random() < 0.5, rand.random() < 0.5
    least = -(1 << (c_bits - 1))
    lowest = least if res_signed else 0
    res = [[draw(rand, lowest, lowest + codes) if has_res else 0 for _ in range(pq)] for _ in range(pp)]
    res_mult = rand.choice((0, draw(rand, 0, 65535))) if has_res else 0
    size = abs((acc[0][0] + bias[0]) * mult[0]) + abs(res[0][0] * res_mult)
    near = max(1, min(47, size.bit_length() - rand.randint(c_bits - 4, c_bits + 2)))
    q_min = least if out_signed else 0
    limits = sorted((draw(rand, q_min, q_min + codes), draw(rand, q_min, q_min + codes)))
    if rand.random() < 0.6:
        limits = [q_min, q_min + codes]
    return Step(
        acc=acc, bias=bias, mult=mult, res=res, res_signed=res_signed,
        z_res=draw(rand, lowest, lowest + codes) if has_res else 0, res_mult=res_mult,
        shift=rand.choice((near, near, rand.randint(1, 47))), zero=draw(rand, q_min, q_min + codes),
        q_min=limits[0], q_max=limits[1],
    )  # fmt: skip


def extreme_steps(pq: int, pp: int, c_bits: int, acc_bits: int, has_res: bool) -> list[Step]:
    """The largest and smallest totals that a layer can have, at the ends of shift, zero point and limits."""
    half, steps = 1 << (acc_bits - 1), []
    least, codes = -(1 << (c_bits - 1)), (1 << c_bits) - 1
    for acc in (-half, half - 1):
        for shift in (1, 2, min(45, acc_bits + c_bits), 46, 47):
            for q_min, zero in ((0, 0), (0, codes), (least, least), (least, ~least)):
                for low, res, z_res in ((0, 0, codes), (0, codes, 0), (least, least, ~least), (least, ~least, least)):
                    steps.append(
                        Step(
                            acc=[[acc] * pp] * pq, bias=[acc] * pq, mult=[65535] * pq,
                            res=[[res if has_res else 0] * pq] * pp, res_signed=low < 0,
                            z_res=z_res if has_res else 0, res_mult=65535 if has_res else 0,
                            shift=shift, zero=zero, q_min=q_min, q_max=q_min + codes,
                        )
                    )  # fmt: skip
    return steps


def inputs(steps: list[Step], cycle: int, c_bits: int, acc_bits: int, has_res: bool, rand: random.Random) -> Inputs:
    """What the ports carry in a cycle: operands of its own step, constants of the steps that they belong to by now."""
    now, then1, then2, then4, then5, then6 = (
        steps[max(0, min((cycle - back) // 2, len(steps) - 1))] for back in (0, 1, 2, 4, 5, 6)
    )
    return {
        "s_acc": pack([value for row in now.acc for value in row], acc_bits),
        "s_bias": pack(now.bias, acc_bits),
        "s_mult": pack(now.mult, 16),
        "s_res": pack([value for row in now.res for value in row], c_bits)
        if has_res
        else rand.getrandbits(c_bits * len(now.mult) * len(now.res)),
        "c_res_mult": then1.res_mult if has_res else rand.getrandbits(16),
        "c_res_signed": int(then1.res_signed),
        "c_round": pack([(1 << (then2.shift - 1)) - then2.z_res * then2.res_mult], 48),
        "c_shift": then4.shift & 0x38 | then5.shift & 7,
        "c_zero": pack([then6.zero], c_bits + 1),
        "c_min": pack([then6.q_min], c_bits + 1),
        "c_max": pack([then6.q_max], c_bits + 1),
    }


async def check(dut, steps: list[Step]) -> list[int]:
    """Send the steps, compare every code; returns -1, 0 or 1 per code: clamped below, not, above."""
    pq, pp, c_bits, acc_bits = (parameter(dut, name) for name in ("PQ", "PP", "C_BITS", "ACC_BITS"))
    has_res, rand = bool(parameter(dut, "HAS_RES")), rng("noise")
    ports = [inputs(steps, cycle, c_bits, acc_bits, has_res, rand) for cycle in range(2 * len(steps) + LATENCY)]
    seen = await stream(dut, "m_code", LATENCY, ports)
    side: list[int] = []
    for i, (step, word) in enumerate(zip(steps, seen[::2], strict=False)):
        assert word == pack([step.code(m, p) for p in range(pp) for m in range(pq)], c_bits), f"step {i}: {step}"
        for m in range(pq):
            value = (step.total(m, 0) >> step.shift) + step.zero
            side.append((value > step.q_max) - (value < step.q_min))
    assert len(seen) >= 2 * len(steps)
    return side


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def random_layers(dut) -> None:
    pq, pp, c_bits, acc_bits = (parameter(dut, name) for name in ("PQ", "PP", "C_BITS", "ACC_BITS"))
    rand, has_res = rng(), bool(parameter(dut, "HAS_RES"))
    side = await check(dut, [random_step(rand, pq, pp, c_bits, acc_bits, has_res) for _ in range(N_STEPS)])
    for kind in (-1, 0, 1):
        assert side.count(kind) > N_STEPS // 20, f"only {side.count(kind)} of {len(side)} codes on side {kind}"


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def extreme_layers(dut) -> None:
    pq, pp, c_bits, acc_bits = (parameter(dut, name) for name in ("PQ", "PP", "C_BITS", "ACC_BITS"))
    await check(dut, extreme_steps(pq, pp, c_bits, acc_bits, bool(parameter(dut, "HAS_RES"))))

# SPDX-License-Identifier: Apache-2.0
"""nba_requant: codes of docs/numerics.md for random and extreme layers; the constants change every other cycle (a step
of noise between two layers), each arriving in the cycles in which the header says it must hold. With SHIFT_BITS every
channel has a shift; layers that add a residual have one for all."""

from __future__ import annotations

import random
from dataclasses import dataclass, replace

import cocotb
from lanes import Inputs, draw, pack, stream
from stepping import parameter, rng

LATENCY = 9
N_STEPS = 1500


@dataclass(frozen=True, kw_only=True, slots=True)
class Sizes:
    """The parameters of the module that matter here."""

    pq: int
    pp: int
    c_bits: int
    acc_bits: int
    has_res: bool
    shift_bits: int
    least: int
    most: int


def sizes(dut) -> Sizes:
    """Those of this module."""
    names = ("PQ", "PP", "C_BITS", "ACC_BITS", "HAS_RES", "SHIFT_BITS", "SHIFT_LEAST", "SHIFT_MOST")
    pq, pp, c_bits, acc_bits, has_res, shift_bits, least, most = (parameter(dut, name) for name in names)
    return Sizes(
        pq=pq, pp=pp, c_bits=c_bits, acc_bits=acc_bits, has_res=bool(has_res), shift_bits=shift_bits, least=least,
        most=most,
    )  # fmt: skip


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
    more: list[int]
    zero: int
    q_min: int
    q_max: int

    def total(self, m: int, p: int) -> int:
        """The value of channel m, column p before the shift."""
        residual = (self.res[p][m] - self.z_res) * self.res_mult
        return (self.acc[m][p] + self.bias[m]) * self.mult[m] + residual + (1 << (self.shift + self.more[m] - 1))

    def value(self, m: int, p: int) -> int:
        """The code of channel m, column p before it is clamped."""
        return (self.total(m, p) >> (self.shift + self.more[m])) + self.zero

    def code(self, m: int, p: int) -> int:
        """The output code of channel m, column p."""
        return max(self.q_min, min(self.q_max, self.value(m, p)))


def random_step(rand: random.Random, dims: Sizes) -> Step:
    """A legal step; the shift brings the values near the code range two times out of three."""
    pq, pp, c_bits, acc_bits, shift_bits = dims.pq, dims.pp, dims.c_bits, dims.acc_bits, dims.shift_bits
    own_shifts = shift_bits > 0 and rand.random() < 0.7
    has_res = dims.has_res and not own_shifts
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
    near = max(dims.least, min(dims.most, size.bit_length() - rand.randint(c_bits - 4, c_bits + 2)))
    q_min = least if out_signed else 0
    limits = sorted((draw(rand, q_min, q_min + codes), draw(rand, q_min, q_min + codes)))
    if rand.random() < 0.6:
        limits = [q_min, q_min + codes]
    found = Step(
        acc=acc, bias=bias, mult=mult, res=res, res_signed=res_signed,
        z_res=draw(rand, lowest, lowest + codes) if has_res else 0, res_mult=res_mult,
        shift=rand.choice((near, near, rand.randint(dims.least, dims.most))), more=[0] * pq,
        zero=draw(rand, q_min, q_min + codes), q_min=limits[0], q_max=limits[1],
    )  # fmt: skip
    if not own_shifts:
        return found
    # Multipliers that make up for a part of what the shifts differ.
    span = min(dims.most - found.shift, (1 << shift_bits) - 1)
    more = [draw(rand, 0, span) if rand.random() < 0.3 else rand.randint(0, min(span, 6)) for _ in range(pq)]
    mult = [min(65535, m << rand.randint(0, k)) for m, k in zip(mult, more, strict=True)]
    return replace(found, more=more, mult=mult)


def extreme_steps(dims: Sizes) -> list[Step]:
    """The largest and smallest totals that a layer can have, at the ends of shift, zero point and limits."""
    pq, pp, has_res = dims.pq, dims.pp, dims.has_res
    half, steps = 1 << (dims.acc_bits - 1), []
    least, codes = -(1 << (dims.c_bits - 1)), (1 << dims.c_bits) - 1
    low, high = dims.least, dims.most
    shifts = (low, low + 1, min(45, dims.acc_bits + dims.c_bits), high - 1, high)
    for acc in (-half, half - 1):
        for shift in dict.fromkeys(min(high, max(low, shift)) for shift in shifts):
            for q_min, zero in ((0, 0), (0, codes), (least, least), (least, ~least)):
                for side, res, z_res in ((0, 0, codes), (0, codes, 0), (least, least, ~least), (least, ~least, least)):
                    steps.append(
                        Step(
                            acc=[[acc] * pp] * pq, bias=[acc] * pq, mult=[65535] * pq,
                            res=[[res if has_res else 0] * pq] * pp, res_signed=side < 0,
                            z_res=z_res if has_res else 0, res_mult=65535 if has_res else 0,
                            shift=shift, more=[0] * pq, zero=zero, q_min=q_min, q_max=q_min + codes,
                        )
                    )  # fmt: skip
    return steps


def extreme_shifts(steps: list[Step], dims: Sizes) -> list[Step]:
    """Steps without a residual, each with the smallest and the largest shifts beside each other."""
    found = []
    for n, step in enumerate(steps):
        span = min(dims.most - step.shift, (1 << dims.shift_bits) - 1)
        more = [span if (m + n) % 2 else m % 2 * span // 2 for m in range(len(step.mult))]
        res = [[0] * len(row) for row in step.res]
        found.append(replace(step, more=more, res=res, z_res=0, res_mult=0))
    return found


def inputs(steps: list[Step], cycle: int, dims: Sizes, rand: random.Random) -> Inputs:
    """What the ports carry in a cycle: operands of its own step, constants of the steps that they belong to by now."""
    now, then1, then2, then3, then4, then5, then7 = (
        steps[max(0, min((cycle - back) // 2, len(steps) - 1))] for back in (0, 1, 2, 3, 4, 5, 7)
    )
    c_bits, shift_bits = dims.c_bits, dims.shift_bits
    late = then2 if shift_bits else then3
    # Of the shift beyond the least one, multiples of 8 are read a cycle before the rest.
    shift = dims.least + ((then4.shift - dims.least) & 0x38 | (then5.shift - dims.least) & 7)
    return {
        "s_acc": pack([value for row in now.acc for value in row], dims.acc_bits),
        "s_bias": pack(now.bias, dims.acc_bits),
        "s_mult": pack(now.mult, 16),
        "s_res": pack([value for row in now.res for value in row], c_bits)
        if dims.has_res
        else rand.getrandbits(c_bits * len(now.mult) * len(now.res)),
        "s_shift": pack(now.more, shift_bits)
        if shift_bits and cycle % 2 == 0
        else rand.getrandbits(max(1, shift_bits) * len(now.mult)),
        "c_least": now.shift if shift_bits else rand.getrandbits(6),
        "c_res_mult": then1.res_mult if dims.has_res else rand.getrandbits(16),
        "c_res_signed": int(then1.res_signed),
        "c_round": pack([(1 << (late.shift - 1)) - late.z_res * late.res_mult], 48),
        "c_shift": rand.getrandbits(6) if shift_bits else shift & 63,
        "c_zero": pack([then7.zero], c_bits + 1),
        "c_min": pack([then7.q_min], c_bits + 1),
        "c_max": pack([then7.q_max], c_bits + 1),
    }


async def check(dut, steps: list[Step]) -> list[int]:
    """Send the steps, compare every code; returns -1, 0 or 1 per code: clamped below, not, above."""
    dims, rand = sizes(dut), rng("noise")
    ports = [inputs(steps, cycle, dims, rand) for cycle in range(2 * len(steps) + LATENCY)]
    seen = await stream(dut, "m_code", LATENCY, ports)
    side: list[int] = []
    for i, (step, word) in enumerate(zip(steps, seen[::2], strict=False)):
        codes = [step.code(m, p) for p in range(dims.pp) for m in range(dims.pq)]
        assert word == pack(codes, dims.c_bits), f"step {i}: {step}"
        for m in range(dims.pq):
            value = step.value(m, 0)
            side.append((value > step.q_max) - (value < step.q_min))
    assert len(seen) >= 2 * len(steps)
    return side


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def random_layers(dut) -> None:
    rand, dims = rng(), sizes(dut)
    side = await check(dut, [random_step(rand, dims) for _ in range(N_STEPS)])
    for kind in (-1, 0, 1):
        assert side.count(kind) > N_STEPS // 20, f"only {side.count(kind)} of {len(side)} codes on side {kind}"


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def extreme_layers(dut) -> None:
    dims = sizes(dut)
    steps = extreme_steps(dims)
    await check(dut, steps + extreme_shifts(steps, dims) if dims.shift_bits else steps)

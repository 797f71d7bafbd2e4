# SPDX-License-Identifier: Apache-2.0
"""Parameter sets and planted bugs of the datapath modules: nba_align, nba_wnest, nba_spread, nba_pair, nba_chain,
nba_mul, nba_sum, nba_array, nba_requant."""

from __future__ import annotations

from runner import Mutant, Params


def _sets(names: str, *rows: tuple[int, ...]) -> tuple[Params, ...]:
    return tuple(dict(zip(names.split(), row, strict=True)) for row in rows)


_ALIGN = "BANKS COLUMNS LANES A_BITS NEST"
_ALIGN_WIDE = "BANKS COLUMNS LANES C_BITS A_BITS NEST"
_ALIGN_PADS = "BANKS COLUMNS LANES C_BITS A_BITS NEST PADS"
_WNEST = "N STORE_BITS W_BITS"
_ARRAY = "PER_CHANNEL PM PN PP A_BITS W_BITS ACC_BITS"
_ARRAY_MAX = "PER_CHANNEL PM PN PP A_BITS W_BITS ACC_BITS HAS_MAX"
_ARRAY_PACK = "PM PN PP A_BITS W_BITS ACC_BITS PACK"
_ARRAY_DEGREE = "PM PN PP A_BITS W_BITS ACC_BITS PACK DEGREE"
_ARRAY_CHAIN = "PM PN PP A_BITS W_BITS ACC_BITS PACK CHAIN"
_ARRAY_ADDERS = "PER_CHANNEL PM PN PP A_BITS W_BITS ACC_BITS MUL_LUT"
_MUL = "A_W B_W B_SIGNED P_W"
_MUL_STAGES = "A_W B_W B_SIGNED P_W STAGES"
_SPREAD = "PP DEGREE LANES OP_BITS"
_PAIR = "A_BITS W_BITS"
_CHAIN = "A_BITS W_BITS LINKS"
_PAIR_DEGREE = "A_BITS W_BITS DEGREE"
_SUM = "PN P_BITS ACC_BITS HAS_MAX"
_REQUANT = "PQ PP ACC_BITS HAS_RES"
_REQUANT_WIDE = "PQ PP C_BITS ACC_BITS HAS_RES"
_REQUANT_ADDERS = "PQ PP C_BITS ACC_BITS HAS_RES MUL_LUT"
_REQUANT_SPLIT = "PQ PP C_BITS ACC_BITS HAS_RES SPLIT"
_REQUANT_SHIFT = "PQ PP C_BITS ACC_BITS HAS_RES SPLIT SHIFT_BITS"
_REQUANT_RANGE = "PQ PP C_BITS ACC_BITS HAS_RES SHIFT_BITS SHIFT_LEAST SHIFT_MOST"

BENCHES: dict[str, tuple[Params, ...]] = {
    "nba_align": _sets(
        _ALIGN,
        (1, 1, 1, 8, 0),
        (1, 1, 3, 2, 1),
        (2, 2, 1, 4, 1),
        (4, 4, 2, 8, 1),
        (8, 8, 3, 7, 1),
        (4, 4, 4, 8, 0),
        (4, 2, 3, 4, 1),
        (8, 4, 1, 2, 1),
        (8, 1, 2, 8, 1),
        (7, 7, 1, 8, 0),
        (14, 7, 1, 4, 1),
    )
    + _sets(_ALIGN_WIDE, (2, 2, 3, 16, 16, 1), (4, 4, 1, 16, 5, 1), (1, 1, 2, 16, 16, 0))
    + _sets(_ALIGN_PADS, (4, 4, 3, 8, 5, 1, 1), (4, 2, 1, 8, 8, 0, 1), (1, 1, 2, 16, 16, 1, 1)),
    "nba_wnest": _sets(_WNEST, (1, 8, 8), (3, 8, 4), (2, 8, 2), (5, 6, 3), (1, 2, 2), (3, 16, 16), (2, 16, 6)),
    "nba_array": _sets(
        _ARRAY,
        (0, 1, 1, 1, 8, 8, 16),
        (0, 2, 4, 2, 8, 8, 24),
        (0, 3, 5, 1, 4, 4, 17),
        (0, 2, 4, 4, 8, 2, 9),
        (0, 1, 3, 2, 2, 8, 10),
        (1, 1, 1, 1, 8, 8, 20),
        (1, 4, 1, 2, 8, 2, 12),
        (1, 2, 1, 8, 2, 2, 4),
        (0, 2, 3, 2, 16, 16, 35),
        (1, 3, 1, 2, 16, 5, 24),
    )
    + _sets(_ARRAY_MAX, (1, 3, 1, 2, 8, 2, 10, 1), (1, 1, 1, 1, 16, 4, 21, 1))
    + _sets(_ARRAY_PACK, (2, 4, 2, 8, 8, 24, 1), (3, 5, 1, 8, 8, 20, 1), (1, 1, 2, 8, 4, 9, 1), (4, 3, 2, 2, 7, 11, 1))
    + _sets(
        _ARRAY_DEGREE,
        (2, 4, 2, 8, 8, 24, 1, 2),
        (3, 3, 1, 8, 8, 20, 1, 4),
        (3, 1, 2, 2, 2, 6, 1, 4),
        (1, 2, 1, 4, 4, 9, 1, 2),
    )
    + _sets(
        _ARRAY_CHAIN,
        (2, 4, 2, 8, 8, 24, 1, 1),
        (3, 5, 1, 8, 8, 20, 1, 1),
        (1, 2, 2, 8, 4, 9, 1, 1),
        (4, 3, 2, 2, 7, 11, 1, 1),
        (2, 9, 1, 7, 8, 22, 1, 1),
    )
    + _sets(_ARRAY_ADDERS, (1, 3, 1, 2, 8, 8, 20, 1), (1, 2, 1, 1, 16, 16, 34, 1), (0, 2, 3, 1, 8, 5, 11, 1)),
    "nba_mul": _sets(
        _MUL,
        (9, 8, 1, 17),
        (9, 3, 1, 11),
        (25, 16, 0, 41),
        (17, 9, 1, 48),
        (3, 2, 1, 5),
        (47, 16, 0, 63),
        (17, 16, 1, 21),
        (2, 2, 0, 4),
    )
    + _sets(
        _MUL_STAGES,
        (25, 16, 0, 41, 3),
        (47, 16, 0, 63, 3),
        (9, 5, 1, 14, 3),
        (3, 3, 1, 6, 3),
        (2, 2, 1, 4, 3),
        (9, 25, 1, 30, 3),
    ),
    "nba_spread": _sets(_SPREAD, (1, 2, 2, 9), (2, 4, 1, 9), (1, 4, 3, 3), (2, 2, 1, 5), (1, 4, 1, 7)),
    "nba_pair": _sets(_PAIR, (8, 8), (8, 2), (2, 7), (5, 4))
    + _sets(_PAIR_DEGREE, (8, 8, 2), (8, 8, 4), (2, 2, 4), (4, 8, 2), (3, 2, 2)),
    "nba_chain": _sets(_CHAIN, (8, 8, 2), (8, 2, 2), (2, 7, 2), (5, 4, 2), (7, 8, 2), (8, 8, 1)),
    "nba_sum": _sets(_SUM, (1, 16, 20, 0), (1, 10, 10, 1), (4, 16, 24, 0), (5, 8, 17, 0), (11, 9, 10, 0), (3, 4, 4, 1)),
    "nba_requant": _sets(
        _REQUANT, (1, 1, 8, 1), (2, 2, 24, 1), (1, 4, 30, 1), (4, 1, 30, 0), (2, 8, 17, 0), (3, 1, 4, 1)
    )
    + _sets(_REQUANT_WIDE, (2, 1, 16, 46, 1), (1, 2, 16, 40, 0), (2, 2, 16, 20, 1), (1, 1, 8, 31, 1), (1, 1, 16, 30, 1))
    + _sets(_REQUANT_SPLIT, (1, 2, 8, 24, 1, 1), (1, 1, 8, 19, 0, 1), (1, 1, 16, 46, 1, 1), (1, 1, 8, 17, 0, 1))
    + _sets(
        _REQUANT_SHIFT,
        (2, 2, 8, 24, 1, 0, 6),
        (3, 1, 8, 30, 0, 0, 3),
        (2, 1, 16, 46, 1, 1, 6),
        (4, 1, 8, 12, 1, 1, 1),
        (1, 1, 16, 31, 0, 0, 5),
    )
    + _sets(_REQUANT_ADDERS, (1, 2, 8, 24, 1, 1), (2, 1, 8, 12, 0, 1), (1, 1, 16, 46, 1, 1), (1, 1, 8, 31, 1, 1))
    + _sets(
        _REQUANT_RANGE,
        (1, 2, 8, 24, 1, 0, 20, 27),
        (2, 1, 8, 24, 1, 0, 17, 32),
        (1, 1, 8, 12, 0, 0, 13, 13),
        (1, 1, 8, 8, 1, 0, 9, 25),
        (2, 1, 8, 24, 1, 3, 19, 25),
        (1, 1, 16, 30, 0, 0, 22, 23),
        (1, 1, 8, 24, 0, 6, 8, 40),
    ),
}
"""Sets of the benches in Icarus."""

VERILATOR_BENCHES: tuple[tuple[str, Params], ...] = (("nba_requant", BENCHES["nba_requant"][1]),)

LINT: dict[str, tuple[Params, ...]] = {
    "nba_align": BENCHES["nba_align"]
    + _sets(_ALIGN, (1, 1, 1, 8, 1), (2, 2, 4, 8, 0), (8, 8, 1, 8, 1), (8, 2, 16, 5, 1)),
    "nba_wnest": BENCHES["nba_wnest"] + _sets(_WNEST, (4, 4, 2)),
    "nba_spread": BENCHES["nba_spread"],
    "nba_pair": BENCHES["nba_pair"],
    "nba_chain": BENCHES["nba_chain"],
    "nba_mul": BENCHES["nba_mul"] + _sets(_MUL, (4, 4, 0, 9), (31, 16, 0, 40), (5, 2, 1, 2), (9, 5, 1, 9)),
    "nba_sum": BENCHES["nba_sum"] + _sets(_SUM, (2, 2, 2, 1), (16, 16, 24, 0), (7, 32, 35, 0)),
    "nba_array": BENCHES["nba_array"] + _sets(_ARRAY, (0, 2, 16, 1, 2, 2, 12), (0, 3, 5, 8, 4, 4, 17)),
    "nba_requant": BENCHES["nba_requant"]
    + _sets(_REQUANT, (1, 1, 8, 0), (1, 8, 25, 1))
    + _sets(_REQUANT_SHIFT, (1, 8, 16, 46, 0, 0, 6), (8, 1, 8, 3, 1, 0, 2)),
}
"""Sets of the lint gates; the defaults are linted with all other modules."""

PROOFS: dict[str, tuple[Params, ...]] = {
    "nba_align": _sets(_ALIGN, (2, 2, 2, 8, 1), (2, 2, 1, 4, 1), (1, 1, 1, 8, 0), (4, 2, 1, 4, 1))
    + _sets(_ALIGN_WIDE, (1, 1, 1, 16, 16, 1), (1, 1, 1, 16, 6, 1))
    + _sets(_ALIGN_PADS, (2, 2, 2, 8, 4, 1, 1)),
    "nba_wnest": _sets(_WNEST, (2, 8, 8), (1, 8, 3), (1, 16, 16), (1, 16, 3)),
    "nba_array": _sets(_ARRAY, (0, 2, 2, 2, 3, 3, 8), (1, 2, 1, 2, 3, 3, 8))
    + _sets(_ARRAY_MAX, (1, 2, 1, 1, 3, 2, 5, 1))
    + _sets(_ARRAY_PACK, (3, 2, 1, 2, 2, 6, 1))
    + _sets(_ARRAY_DEGREE, (2, 1, 1, 2, 2, 5, 1, 4))
    + _sets(_ARRAY_CHAIN, (3, 3, 1, 2, 2, 6, 1, 1)),
    "nba_chain": _sets(_CHAIN, (2, 2, 2), (3, 3, 2), (2, 4, 2), (3, 2, 1)),
    "nba_spread": _sets(_SPREAD, (1, 2, 2, 9), (2, 4, 1, 9), (1, 4, 1, 3)),
    "nba_pair": _sets(_PAIR, (2, 2), (3, 3), (4, 3), (2, 5)) + _sets(_PAIR_DEGREE, (4, 3, 2), (2, 2, 4)),
    "nba_mul": _sets(_MUL, (4, 3, 1, 7), (3, 2, 1, 5), (4, 4, 0, 9), (3, 5, 1, 6), (2, 2, 0, 3), (3, 6, 1, 9))
    + _sets(_MUL_STAGES, (3, 3, 1, 6, 3), (2, 2, 1, 4, 3), (2, 16, 0, 18, 3)),
    "nba_sum": _sets(_SUM, (1, 3, 5, 1), (2, 2, 2, 1), (3, 3, 6, 0), (5, 2, 4, 0)),
    "nba_requant": _sets(_REQUANT, (2, 1, 24, 1), (1, 2, 30, 0))
    + _sets(_REQUANT_WIDE, (1, 1, 16, 40, 1))
    + _sets(_REQUANT_SHIFT, (2, 1, 8, 24, 1, 0, 4))
    + _sets(_REQUANT_RANGE, (1, 1, 8, 24, 1, 0, 20, 27), (1, 1, 8, 12, 0, 0, 13, 13)),
}

MUTANTS: tuple[Mutant, ...] = (
    Mutant(
        module="nba_align",
        old="largest_q2                             <= largest;",
        new="largest_q2                             <= 1'b0;",
        bench=BENCHES["nba_align"][2],
        proof=PROOFS["nba_align"][1],
    ),
    Mutant(
        module="nba_align",
        old="{unrotated[0 +: (WORD_W<<gi)]",
        new="{unrotated[0 +: WORD_W]",
        bench=BENCHES["nba_align"][4],
    ),
    Mutant(
        module="nba_align",
        old="{signed_q1 & word[gn*C_BITS+C_BITS-1], word",
        new="{word[gn*C_BITS+C_BITS-1], word",
        bench=BENCHES["nba_align"][0],
        proof=PROOFS["nba_align"][2],
    ),
    Mutant(module="nba_align", old="ok_q1[gj] ? columns", new="ok_q1[0] ? columns", bench=BENCHES["nba_align"][3]),
    Mutant(
        module="nba_wnest",
        old="16'h7fff >> (5'd16 - s_bits)",
        new="16'h7fff >> s_shift",
        bench=BENCHES["nba_wnest"][0],
        proof=PROOFS["nba_wnest"][0],
    ),
    Mutant(
        module="nba_wnest",
        old="assign up      = shifted_q[0] &&",
        new="assign up      = shifted_q[1] &&",
        bench=BENCHES["nba_wnest"][1],
    ),
    Mutant(module="nba_wnest", old="pair >>> s_shift", new="pair >> s_shift", bench=BENCHES["nba_wnest"][0]),
    Mutant(
        module="nba_array",
        old="sum_valid = valid_q[FLAGS-1]",
        new="sum_valid = valid_q[FLAGS-2]",
        bench=BENCHES["nba_array"][5],
        proof=PROOFS["nba_array"][0],
    ),
    Mutant(
        module="nba_array",
        old="sum_first = first_q[FLAGS-1]",
        new="sum_first = first_q[FLAGS-2]",
        bench=BENCHES["nba_array"][1],
    ),
    # The last lane of an odd count is left out of the tree, or one comes twice; a sum of the tree, or all of them, is a
    # bit short.
    Mutant(
        module="nba_sum",
        old="HERE  = (BELOW + 1) / 2;",
        new="HERE  = (BELOW > 1) ? BELOW / 2 : 1;",
        bench=BENCHES["nba_sum"][3],
        proof=PROOFS["nba_sum"][2],
    ),
    Mutant(
        module="nba_sum",
        old="? 2*i+1 : 0)*FROM",
        new="? 2*i : 0)*FROM",
        bench=BENCHES["nba_sum"][2],
        proof=PROOFS["nba_sum"][1],
    ),
    Mutant(
        module="nba_sum",
        old="WIDE  = P_BITS + gl + 1;",
        new="WIDE  = P_BITS + gl + ((gl > 0) ? 1 : 0);",
        bench=BENCHES["nba_sum"][3],
        proof=PROOFS["nba_sum"][2],
    ),
    Mutant(
        module="nba_sum",
        old="SUM_BITS = P_BITS + LEVELS;",
        new="SUM_BITS = P_BITS;",
        bench=BENCHES["nba_sum"][3],
    ),
    # A sum that counts without its flag; one that never replaces.
    Mutant(
        module="nba_sum",
        old="if (s_valid) acc_q",
        new="acc_q",
        bench=BENCHES["nba_sum"][2],
        proof=PROOFS["nba_sum"][2],
    ),
    Mutant(
        module="nba_sum",
        old="acc_q <= (s_first ? {ACC_BITS{1'b0}} : acc_q) + addend;",
        new="acc_q <= acc_q + addend;",
        bench=BENCHES["nba_sum"][0],
        proof=PROOFS["nba_sum"][3],
    ),
    # The largest product: compared without signs; kept on the first step; taken where all jobs add.
    Mutant(
        module="nba_sum",
        old="!s_first && old >= found;",
        new="!s_first && acc_q >= addend;",
        bench=BENCHES["nba_sum"][1],
        proof=PROOFS["nba_sum"][0],
    ),
    Mutant(
        module="nba_sum",
        old="s_max && !s_first && old",
        new="s_max && old",
        bench=BENCHES["nba_sum"][5],
        proof=PROOFS["nba_sum"][1],
    ),
    Mutant(
        module="nba_sum",
        old="(s_first || s_max) ?",
        new="s_first ?",
        bench=BENCHES["nba_sum"][1],
        proof=PROOFS["nba_sum"][0],
    ),
    Mutant(
        module="nba_dot",
        top="nba_array",
        old="localparam integer PROD_BITS = A_BITS + W_BITS;",
        new="localparam integer PROD_BITS = A_BITS + W_BITS - 1;",
        bench=BENCHES["nba_array"][6],
    ),
    Mutant(
        module="nba_array",
        old="      valid_q <= {FLAGS{1'b0}};\n",
        new="",
        bench=BENCHES["nba_array"][0],
        proof=PROOFS["nba_array"][1],
    ),
    # Two products of one multiplier: no half of a field; its top bit as it stands; no sign of either weight;
    # a bit less than -128 needs. Weights, products and operands of others.
    Mutant(
        module="nba_pair",
        old="product_q + halves",
        new="product_q",
        bench=BENCHES["nba_pair"][0],
        proof=PROOFS["nba_pair"][1],
    ),
    Mutant(
        module="nba_pair",
        old="{~fields_q[FIELD-1], ",
        new="{fields_q[FIELD-1], ",
        bench=BENCHES["nba_pair"][3],
        proof=PROOFS["nba_pair"][3],
    ),
    Mutant(
        module="nba_pair",
        old="{(FIELD+1){s_w0[W_BITS-1]}}",
        new="{(FIELD+1){1'b0}}",
        bench=BENCHES["nba_pair"][1],
        proof=PROOFS["nba_pair"][2],
    ),
    Mutant(
        module="nba_pair",
        old="{s_w1[W_BITS-1], s_w1,",
        new="{1'b0, s_w1,",
        bench=BENCHES["nba_pair"][2],
        proof=PROOFS["nba_pair"][0],
    ),
    Mutant(
        module="nba_pair",
        old="PAIR_W  = FIELD + W_BITS + 1;",
        new="PAIR_W  = FIELD + W_BITS;",
        bench=BENCHES["nba_pair"][0],
        proof=PROOFS["nba_pair"][0],
    ),
    # A chain of two multipliers: no half of a field; a bit less for both weights; the second without its sign, or not
    # a cycle later; the odd input with the weight of another one.
    Mutant(
        module="nba_chain",
        old="<= product_q + half;",
        new="<= product_q;",
        bench=BENCHES["nba_chain"][0],
        proof=PROOFS["nba_chain"][0],
    ),
    Mutant(
        module="nba_chain",
        old="(FIELD + W_BITS < 25) ? FIELD + W_BITS + 1 : 25;",
        new="FIELD + W_BITS;",
        bench=BENCHES["nba_chain"][1],
    ),
    Mutant(
        module="nba_chain",
        old="{{(FIELD+UP){s_w0[2*W_BITS-1]}}, s_w0[2",
        new="{{(FIELD+UP){1'b0}}, s_w0[2",
        bench=BENCHES["nba_chain"][3],
        proof=PROOFS["nba_chain"][2],
    ),
    Mutant(
        module="nba_chain",
        old="second_pair_q * second_q;",
        new="second_pair_q * second_d;",
        bench=BENCHES["nba_chain"][0],
        proof=PROOFS["nba_chain"][0],
    ),
    Mutant(
        module="nba_chain",
        old="FIELD  = A_BITS + W_BITS + 1;",
        new="FIELD  = A_BITS + W_BITS;",
        bench=BENCHES["nba_chain"][4],
    ),
    Mutant(
        module="nba_dot",
        top="nba_array",
        old=".s_w1({s_w[(PN+EVEN)*W_BITS +: W_BITS],",
        new=".s_w1({s_w[EVEN*W_BITS +: W_BITS],",
        bench=BENCHES["nba_array"][21],
    ),
    Mutant(
        module="nba_dot",
        top="nba_array",
        old=".s_w0       (s_w[PN*W_BITS-1:0]),",
        new=".s_w0       (s_w[2*PN*W_BITS-1:PN*W_BITS]),",
        bench=BENCHES["nba_array"][12],
    ),
    Mutant(
        module="nba_dot",
        top="nba_array",
        old="both = {products1, products0};",
        new="both = {products0, products0};",
        bench=BENCHES["nba_array"][15],
    ),
    Mutant(
        module="nba_array",
        old="{PP{{(PN*W_BITS){1'b0}}, s_w}}",
        new="{PP{s_w, {(PN*W_BITS){1'b0}}}}",
        bench=BENCHES["nba_array"][13],
    ),
    Mutant(
        module="nba_array",
        old="{DOTS{s_a[p*LANES*OP_W",
        new="{DOTS{s_a[(PP-1-p)*LANES*OP_W",
        bench=BENCHES["nba_array"][12],
    ),
    # Multipliers made of adders: digits without their sign, or not doubled; the 1 of a negative digit left out, of the
    # last one too; a sum a bit short; what lies below the second of a pair lost; an unsigned operand with a
    # sign. Operands of another lane; a residual code without its sign.
    Mutant(
        module="nba_mul",
        old="& {s_a, 1'b0})) ^ {(A_W+1){digit[2]}};",
        new="& {s_a, 1'b0}));",
        bench=BENCHES["nba_mul"][0],
        proof=PROOFS["nba_mul"][0],
    ),
    Mutant(
        module="nba_mul",
        old="digit == 3'b011 || digit == 3'b100",
        new="digit == 3'b100",
        bench=BENCHES["nba_mul"][2],
        proof=PROOFS["nba_mul"][2],
    ),
    Mutant(
        module="nba_mul",
        old="row, 1'b0, digits[2*gi], {FROM{1'b0}}};",
        new="row, 1'b0, 1'b0, {FROM{1'b0}}};",
        bench=BENCHES["nba_mul"][0],
        proof=PROOFS["nba_mul"][5],
    ),
    Mutant(
        module="nba_mul",
        old="{{(FULL-FROM-1){1'b0}}, digits[2*gi], {FROM{1'b0}}};",
        new="{FULL{1'b0}};",
        bench=BENCHES["nba_mul"][0],
        proof=PROOFS["nba_mul"][1],
    ),
    Mutant(
        module="nba_mul",
        old="TOP   = A_W + 2 * LAST + 2;",
        new="TOP   = A_W + 2 * LAST + 1;",
        bench=BENCHES["nba_mul"][0],
        proof=PROOFS["nba_mul"][5],
    ),
    Mutant(
        module="nba_mul",
        old="{sum, left[FROM-1:0]};",
        new="{sum, {FROM{1'b0}}};",
        bench=BENCHES["nba_mul"][2],
        proof=PROOFS["nba_mul"][2],
    ),
    Mutant(
        module="nba_mul",
        old="{(2*DIGITS-B_W+1){(B_SIGNED != 0) && s_b[B_W-1]}}",
        new="{(2*DIGITS-B_W+1){s_b[B_W-1]}}",
        bench=BENCHES["nba_mul"][5],
        proof=PROOFS["nba_mul"][2],
    ),
    # Saved carries: at their own bit, without one of the three pairs, or what is left second not added.
    Mutant(
        module="nba_mul",
        old="{more[P_W-2:0], 1'b0};",
        new="more;",
        bench=BENCHES["nba_mul"][8],
        proof=PROOFS["nba_mul"][8],
    ),
    Mutant(
        module="nba_mul",
        old="(x & y) | (x & z) | (y & z)",
        new="(x & y) | (x & z)",
        bench=BENCHES["nba_mul"][8],
        proof=PROOFS["nba_mul"][8],
    ),
    Mutant(
        module="nba_mul",
        old="assign carries[P_W-1:0] = terms[P_W +: P_W];",
        new="assign carries[P_W-1:0] = terms[2*P_W +: P_W];",
        bench=BENCHES["nba_mul"][8],
        proof=PROOFS["nba_mul"][8],
    ),
    Mutant(
        module="nba_dot",
        top="nba_array",
        old="        ) u_mul [PN-1:0] (\n          .clk(clk),\n          .s_a(s_a),",
        new="        ) u_mul [PN-1:0] (\n          .clk(clk),\n          .s_a({PN{s_a[OP_W-1:0]}}),",
        bench=BENCHES["nba_array"][27],
    ),
    Mutant(
        module="nba_requant",
        old=".s_b(value_bits),",
        new=".s_b({1'b0, code_q2}),",
        bench=BENCHES["nba_requant"][20],
    ),
    # Columns in fields of one product: halves of two columns are missing, or follow the degree of the next step; the
    # fields of four columns are read as those of two, without their top bit turned over, without their sign, or as the
    # degree of a step that is no longer there says.
    Mutant(
        module="nba_pair",
        old="3'd0, two, 3'd0,",
        new="3'd0, 1'b0, 3'd0,",
        bench=BENCHES["nba_pair"][4],
        proof=PROOFS["nba_pair"][4],
    ),
    Mutant(
        module="nba_pair",
        old="wire two  = s_degree_q1 != 2'd0;",
        new="wire two  = s_degree_q2 != 2'd0;",
        bench=BENCHES["nba_pair"][4],
        proof=PROOFS["nba_pair"][4],
    ),
    Mutant(
        module="nba_pair",
        old="columns[i +: 24] = {{5{~f[7]}}, f[6:4], {13",
        new="columns[i +: 16] = {{13",
        bench=BENCHES["nba_pair"][5],
        proof=PROOFS["nba_pair"][5],
    ),
    Mutant(
        module="nba_pair",
        old="{~f[15], f[14:12], ~f[11],",
        new="{~f[15], f[14:12], f[11],",
        bench=BENCHES["nba_pair"][6],
        proof=PROOFS["nba_pair"][5],
    ),
    Mutant(
        module="nba_pair",
        old="{{9{~f[7]}}, f[6:0]}",
        new="{9'd0, f[6:0]}",
        bench=BENCHES["nba_pair"][7],
        proof=PROOFS["nba_pair"][4],
    ),
    Mutant(
        module="nba_pair",
        old="of_four = DEGREE == 4 && s_degree_q2 == 2'd2;",
        new="of_four = DEGREE == 4 && s_degree_q1 == 2'd2;",
        bench=BENCHES["nba_pair"][5],
        proof=PROOFS["nba_pair"][5],
    ),
    # Operands of several columns: no borrow of the second, third or fourth; neighbours instead of every PP-th column;
    # always as many as there can be.
    Mutant(
        module="nba_spread",
        old="second[5:0] - {5'd0, a0[OP_BITS-1]}",
        new="second[5:0]",
        bench=BENCHES["nba_spread"][0],
        proof=PROOFS["nba_spread"][0],
    ),
    Mutant(
        module="nba_spread",
        old="{over, third[3:0]} - {7'd0, above[3]}",
        new="{over, third[3:0]}",
        bench=BENCHES["nba_spread"][2],
        proof=PROOFS["nba_spread"][2],
    ),
    Mutant(
        module="nba_spread",
        old="fourth[3:0] - {3'd0, third[3]}",
        new="fourth[3:0]",
        bench=BENCHES["nba_spread"][1],
        proof=PROOFS["nba_spread"][1],
    ),
    Mutant(
        module="nba_spread", old="s_data[((gp+PP)*LANES", new="s_data[((gp+1)*LANES", bench=BENCHES["nba_spread"][1]
    ),
    Mutant(
        module="nba_spread",
        old="(s_degree == 2'd1) ? two[12:0] :",
        new="(s_degree != 2'd3) ? two[12:0] :",
        bench=BENCHES["nba_spread"][3],
        proof=PROOFS["nba_spread"][0],
    ),
    # Sums of several columns: of the wrong field, with the sign of a narrower one, at the place of another column; the
    # degree a step early.
    Mutant(
        module="nba_dot",
        top="nba_array",
        old="FROM   = (gd == 0) ? 0 : (gd == 1) ? 16 :",
        new="FROM   = (gd == 0) ? 0 : (gd == 1) ? 8 :",
        bench=BENCHES["nba_array"][16],
    ),
    Mutant(
        module="nba_dot",
        top="nba_array",
        old="(gd == 0) ? 16 : (gd == 1) ? 8 : 4;",
        new="(gd == 0) ? 16 : 4;",
        bench=BENCHES["nba_array"][17],
    ),
    Mutant(
        module="nba_dot",
        top="nba_array",
        old="{g_part[3].accs, g_part[2].accs,",
        new="{g_part[2].accs, g_part[3].accs,",
        bench=BENCHES["nba_array"][18],
    ),
    Mutant(
        module="nba_array",
        old="degree_q2 = degree_q[3:2];",
        new="degree_q2 = degree_q[1:0];",
        bench=BENCHES["nba_array"][19],
    ),
    # The last banks instead of the first.
    Mutant(
        module="nba_align",
        old="stages[ROT_W*BANKS*WORD_W +: COLUMNS*WORD_W]",
        new="stages[(ROT_W+1)*BANKS*WORD_W-1 -: COLUMNS*WORD_W]",
        bench=BENCHES["nba_align"][6],
    ),
    Mutant(
        module="nba_requant",
        old="part_q8[PART_W-1:NEAR_W-1]) || !",
        new="part_q8[PART_W-1:NEAR_W-1]) ||",
        bench=BENCHES["nba_requant"][0],
    ),
    # The low half of a sum taken with its sign; the high product a bit short.
    Mutant(
        module="nba_requant",
        old="low_part_q3 <= {1'b0, sum_q2[16:0]}",
        new="low_part_q3 <= {sum_q2[16], sum_q2[16:0]}",
        bench=BENCHES["nba_requant"][11],
    ),
    Mutant(
        module="nba_requant",
        old="{high_q4[PROD_W-18:0], 17'd0}",
        new="{1'b0, high_q4[PROD_W-19:0], 17'd0}",
        bench=BENCHES["nba_requant"][11],
    ),
    Mutant(module="nba_requant", old="total >>> {", new="total >> {", bench=BENCHES["nba_requant"][0]),
    # The least shift left out, of one for all channels and of one for each; one of the rest missing.
    Mutant(
        module="nba_requant", old="(c_shift - LEAST) & MASK", new="c_shift & MASK", bench=BENCHES["nba_requant"][24]
    ),
    Mutant(
        module="nba_requant", old="(shift_q5 - LEAST) & MASK", new="shift_q5 & MASK", bench=BENCHES["nba_requant"][28]
    ),
    Mutant(module="nba_requant", old="(RANGE < 7) ? RANGE : 7", new="6", bench=BENCHES["nba_requant"][24]),
    Mutant(
        module="nba_requant",
        old="part_q7 >>> by_rest",
        new="part_q7 >>> by_rest[1:0]",
        bench=BENCHES["nba_requant"][0],
    ),
    # What lies above the part that goes on: not looked at, or from a bit too high on; the part's own top bit for its
    # sign.
    Mutant(
        module="nba_requant",
        old="beyond = !same[by_eights];",
        new="beyond = 1'b0;",
        bench=BENCHES["nba_requant"][0],
    ),
    Mutant(
        module="nba_requant",
        old="(&total[TOTAL_W-1:8*gs+PART_W-1]) || !(|total[TOTAL_W-1:8*gs+PART_W-1])",
        new="(&total[TOTAL_W-1:8*gs+PART_W]) || !(|total[TOTAL_W-1:8*gs+PART_W])",
        bench=BENCHES["nba_requant"][0],
    ),
    Mutant(
        module="nba_requant",
        old="{coarse[TOTAL_W-1], coarse[PART_W-2:0]}",
        new="coarse[PART_W-1:0]",
        bench=BENCHES["nba_requant"][0],
    ),
    Mutant(
        module="nba_requant",
        old="value_q3   <= {c_res_signed & code_q2[C_BITS-1]",
        new="value_q3   <= {code_q2[C_BITS-1]",
        bench=BENCHES["nba_requant"][1],
    ),
    # Codes per lane beyond the map: the first one in all lanes.
    Mutant(
        module="nba_align",
        old="{(LANES/N_PADS){pad_q1}}",
        new="{LANES{pad_q1[C_BITS-1:0]}}",
        bench=BENCHES["nba_align"][14],
    ),
    # A shift per channel: that of the job; another shift's or step's rounding constant; the rest of the next step's.
    Mutant(module="nba_requant", old="c_least + wide[5:0];", new="c_least;", bench=BENCHES["nba_requant"][15]),
    Mutant(module="nba_requant", old="own_q3 ? half : common;", new="common;", bench=BENCHES["nba_requant"][16]),
    Mutant(module="nba_requant", old="own_q3 ? half : common;", new="half;", bench=BENCHES["nba_requant"][17]),
    Mutant(
        module="nba_requant",
        old="shift_q3 == SHIFT[5:0];",
        new="shift_q4 == SHIFT[5:0];",
        bench=BENCHES["nba_requant"][18],
    ),
    Mutant(
        module="nba_requant",
        old="by_rest   = rest_q7;",
        new="by_rest   = rest_q6[2:0];",
        bench=BENCHES["nba_requant"][19],
    ),
    Mutant(module="nba_requant", old="? LARGE + 2 :", new="? LARGE + 1 :", bench=BENCHES["nba_requant"][3]),
    Mutant(module="nba_requant", old="LARGE + 3 :", new="LARGE + 2 :", bench=BENCHES["nba_requant"][10]),
    Mutant(module="nba_requant", old="OTHER + 3;", new="OTHER + 2;", bench=BENCHES["nba_requant"][27]),
    Mutant(
        module="nba_requant", old="PROD_W  = SUM_W + 16;", new="PROD_W  = SUM_W + 15;", bench=BENCHES["nba_requant"][4]
    ),
    Mutant(
        module="nba_requant",
        old="(near > above_q) ? high",
        new="(near > below_q) ? high",
        bench=BENCHES["nba_requant"][5],
    ),
    Mutant(
        module="nba_requant",
        old="(near < below_q) ?",
        new="(near < low) ?",
        bench=BENCHES["nba_requant"][1],
        proof=PROOFS["nba_requant"][1],
    ),
)

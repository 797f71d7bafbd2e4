# SPDX-License-Identifier: Apache-2.0
"""Output registers of ECP5 multipliers and block RAMs: which ones are moved into the block, and that no others are."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from nba.synth.ecp5_registers import MULTIPLIER, RAM_CELL, REGISTER, take_registers
from nba.synth.yosys import run_yosys

pytestmark = pytest.mark.eda

BODY = """
module top(input wire clk, input wire other, input wire en, input wire rst, input wire [8:0] a, input wire [7:0] b,
           output reg [16:0] p, output wire [16:0] q);
  reg  signed [8:0]  a_q;
  reg  signed [7:0]  b_q;
  wire signed [16:0] product = a_q * b_q;
  {begin}
  always @(posedge clk) begin
    a_q <= a;
    b_q <= b;
    {always}
  end
  {also}
endmodule
"""
PLAIN = {"begin": "", "always": "p <= product;", "also": "assign q = 17'd0;"}

MEMORY_BODY = """
module top(input wire clk, input wire other, input wire en, input wire we, input wire [{address}:0] a,
           input wire [{address}:0] b, input wire [{last}:0] d, output reg [{last}:0] p);
  (* ram_style = "block", no_rw_check *) reg [{last}:0] mem [0:{words} - 1];
  reg [{last}:0] word;
  always @(posedge clk) if (we) mem[a] <= d;
  always @(posedge clk) word <= mem[b];
  {always}
endmodule
"""


def netlist(folder: Path, **changes: str) -> dict[str, Any]:
    """What yosys makes of the module with some lines changed."""
    return synthesised(folder, BODY.format(**(PLAIN | changes)))


def synthesised(folder: Path, verilog: str) -> dict[str, Any]:
    rtl = folder / "rtl"
    rtl.mkdir()
    (rtl / "top.v").write_text(verilog)
    run_yosys("read_verilog rtl/top.v\nsynth_ecp5 -top top -json top.json\n", folder, "ecp5")
    found: dict[str, Any] = json.loads((folder / "top.json").read_text())
    return found


def counts(found: dict[str, Any]) -> Counter[str]:
    return Counter(cell["type"] for cell in found["modules"]["top"]["cells"].values())


def test_the_register_of_a_product_is_moved_into_the_block(tmp_path: Path) -> None:
    found = netlist(tmp_path)
    before = counts(found)
    outputs = list(found["modules"]["top"]["ports"]["p"]["bits"])
    assert before[MULTIPLIER] == 1
    assert take_registers(found) == 1
    assert before - counts(found) == Counter({REGISTER: 17})
    (cell,) = (c for c in found["modules"]["top"]["cells"].values() if c["type"] == MULTIPLIER)
    clock = found["modules"]["top"]["ports"]["clk"]["bits"]
    assert [cell["connections"][f"P{i}"][0] for i in range(17)] == outputs
    assert (cell["connections"]["CLK0"], cell["connections"]["CE0"], cell["connections"]["RST0"]) == (
        clock,
        ["1"],
        ["0"],
    )
    assert cell["parameters"]["REG_OUTPUT_CLK"] == "CLK0"
    assert all(cell["port_directions"][port] == "input" for port in ("CLK0", "CE0", "RST0"))
    assert take_registers(found) == 0


@pytest.mark.parametrize(
    "changes",
    [
        {"also": "assign q = product;"},
        {"always": "p <= product; r <= product ^ a;", "begin": "reg [16:0] r;", "also": "assign q = r;"},
        {"always": "if (en) p <= product;"},
        {"always": "p <= product; if (rst) p <= 17'd0;"},
        {"begin": "initial p = 17'd1;"},
        {
            "always": "p[7:0] <= product[7:0];",
            "also": "always @(posedge other) p[16:8] <= product[16:8];\nassign q = 0;",
        },
        {"always": "p[7:0] <= product[7:0];", "also": "always @(negedge clk) p[16:8] <= product[16:8];\nassign q = 0;"},
        {"always": "p <= product + 17'd3;"},
    ],
    ids=["output", "second reader", "enable", "reset", "begins at 1", "two clocks", "falling edge", "logic between"],
)
def test_other_registers_stay_outside(changes: dict[str, str], tmp_path: Path) -> None:
    found = netlist(tmp_path, **changes)
    same = json.dumps(found)
    assert counts(found)[MULTIPLIER] == 1
    assert take_registers(found) == 0
    assert json.dumps(found) == same


@pytest.mark.parametrize(("bits", "words", "side"), [(36, 512, "AB"), (32, 512, "AB"), (18, 1024, "B"), (8, 2048, "B")])
def test_the_register_of_a_memory_is_moved_into_the_block(bits: int, words: int, side: str, tmp_path: Path) -> None:
    body = MEMORY_BODY.format(address=words.bit_length() - 2, last=bits - 1, words=words, always=ALWAYS)
    found = synthesised(tmp_path, body)
    before = counts(found)
    outputs = list(found["modules"]["top"]["ports"]["p"]["bits"])
    assert before[RAM_CELL] == 1
    assert take_registers(found) == 1
    assert before - counts(found) == Counter({REGISTER: bits})
    (cell,) = (c for c in found["modules"]["top"]["cells"].values() if c["type"] == RAM_CELL)
    given = [bit for port, bits_ in cell["connections"].items() if port.startswith("DO") for bit in bits_]
    assert set(outputs) <= set(given)
    modes = {name: cell["parameters"][name] for name in ("REGMODE_A", "REGMODE_B")}
    assert modes == {name: "OUTREG" if name[-1] in side else "NOREG" for name in modes}
    assert all(cell["connections"][f"OCE{name}"] == ["1"] for name in side)
    assert take_registers(found) == 0


ALWAYS = "always @(posedge clk) p <= word;"


@pytest.mark.parametrize(
    "always",
    [
        "always @(posedge other) p <= word;",
        "always @(negedge clk) p <= word;",
        "always @(posedge clk) if (en) p <= word;",
        "always @(posedge clk) if (en) p <= 0; else p <= word;",
        "always @* p = word;",
        "initial p = 1;\n  always @(posedge clk) p <= word;",
    ],
    ids=["other clock", "falling edge", "enable", "reset", "none", "begins at 1"],
)
def test_other_registers_of_memories_stay_outside(always: str, tmp_path: Path) -> None:
    found = synthesised(tmp_path, MEMORY_BODY.format(address=9, last=17, words=1024, always=always))
    same = json.dumps(found)
    assert counts(found)[RAM_CELL] == 1
    assert take_registers(found) == 0
    assert json.dumps(found) == same

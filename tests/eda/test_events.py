# SPDX-License-Identifier: Apache-2.0
"""The energy model's counts of events against the RTL: enables of arrays, memories and streams, counted in Icarus."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import pytest
from template_pairs import COLUMNS_SEED, PACKED_SEED, SLICE_SEED, STREAM_SEED, Subject, subject

from nba.core import assets
from nba.core.tools import run_tool
from nba.emit.memories import hex_lines, weight_image
from nba.emit.rtl import render_rtl
from nba.ir.accelerator import HOST
from nba.machine.energy import frame_events

pytestmark = pytest.mark.eda

FRAMES = 3
SEEDS = (*range(300, 312), *range(PACKED_SEED, PACKED_SEED + 6), *range(COLUMNS_SEED, COLUMNS_SEED + 6))
SEEDS += (SLICE_SEED + 7, SLICE_SEED + 10, SLICE_SEED + 11, STREAM_SEED + 18, STREAM_SEED + 20, STREAM_SEED + 25)

BENCH = """
`timescale 1ns/1ns
module bench;
  reg clk = 1'b0, rst = 1'b1;
  always #5 clk = ~clk;
  reg [15:0] waddr = 0; reg [31:0] wdata = 0; reg wvalid = 0;
  wire running, in_ready, out_valid, out_last;
  reg was_running = 1'b0;
%(memory)s
  nba_t dut (
    .clk(clk), .rst(rst), .s_axis_tdata({%(in_bits)d{1'b1}}), .s_axis_tvalid(1'b1), .s_axis_tready(in_ready),
    .s_axis_tlast(1'b0), .m_axis_tdata(), .m_axis_tvalid(out_valid), .m_axis_tready(1'b1), .m_axis_tlast(out_last),
    .s_axil_awaddr(waddr), .s_axil_awvalid(wvalid), .s_axil_awready(), .s_axil_wdata(wdata), .s_axil_wstrb(4'hf),
    .s_axil_wvalid(wvalid), .s_axil_wready(), .s_axil_bresp(), .s_axil_bvalid(), .s_axil_bready(1'b1),
    .s_axil_araddr(16'd0), .s_axil_arvalid(1'b0), .s_axil_arready(), .s_axil_rdata(), .s_axil_rresp(),
    .s_axil_rvalid(), .s_axil_rready(1'b1), .stat_running(running), .stat_cycle(), .stat_start_pulse(),
    .stat_start_job(), .stat_end_pulse(), .stat_end_job()%(port)s);
  integer macs = 0, weight_reads = 0, param_reads = 0, requants = 0, residuals = 0, edge_reads = 0, edge_writes = 0;
  integer host_in_words = 0, host_out_words = 0, weight_beats = 0;
  integer b;
  function integer ones(input [15:0] bits);
    begin
      ones = 0;
      for (b = 0; b < 16; b = b + 1) ones = ones + bits[b];
    end
  endfunction
  always @(posedge clk) if (!rst && running) begin
%(counters)s
    if (dut.u_in.fire) host_in_words = host_in_words + 1;
    if (out_valid) host_out_words = host_out_words + 1;
  end
  task write(input [15:0] a, input [31:0] d);
    begin
      @(negedge clk); waddr = a; wdata = d; wvalid = 1'b1;
      @(negedge clk); wvalid = 1'b0;
      repeat (4) @(negedge clk);
    end
  endtask
  integer limit;
  initial begin
    repeat (4) @(negedge clk);
    rst = 1'b0;
    repeat (2) @(negedge clk);
    write(16'h0010, %(frames)d);
    write(16'h0008, 1);
    for (limit = 0; limit < 200000 && (limit < 4 || running); limit = limit + 1) @(negedge clk);
    if (running) $display("HANGS");
    $display("macs %%0d", macs); $display("weight_reads %%0d", weight_reads); $display("param_reads %%0d", param_reads);
    $display("requants %%0d", requants); $display("residuals %%0d", residuals);
    $display("edge_reads %%0d", edge_reads); $display("edge_writes %%0d", edge_writes);
    $display("host_in_words %%0d", host_in_words); $display("host_out_words %%0d", host_out_words);
    $display("weight_beats %%0d", weight_beats);
    $finish;
  end
endmodule
"""


PORT = (
    ("araddr", 40), ("arlen", 8), ("arsize", 3), ("arburst", 2), ("arvalid", 1), ("arready", 1), ("rdata", 0),
    ("rresp", 2), ("rlast", 1), ("rvalid", 1), ("rready", 1),
)  # fmt: skip
"""Signals of the port to external memory, and their bits (0: those of the port)."""


def external(case: Subject, folder: Path) -> tuple[str, str]:
    """The memory of the bench, whose contents are written, and the module's port to it; nothing where there is none."""
    memory = case.program.memory
    if memory is None:
        return "", ""
    image = weight_image(case.program, case.design.network.layers, case.weights)
    (folder / "rtl" / "weights.mem").write_text(hex_lines(image, memory.bus_bits))
    source = assets.root("templates") / "sim" / "nba_memory.v"
    (folder / "rtl" / source.name).write_text(source.read_text())
    wires = "".join(f"  wire [{(bits or memory.bus_bits) - 1}:0] {name};\n" for name, bits in PORT)
    ports = "".join(f", .s_axi_{name}({name})" for name, _ in PORT)
    return (
        f"{wires}  nba_memory #(.BUS({memory.bus_bits}), .WORDS({len(image)}), .LATENCY({memory.latency}),"
        f" .FILE(\"weights.mem\")) u_memory (.clk(clk), .rst(rst), .cfg_jitter(1'b0), .cfg_faults(2'd0),"
        f" .cfg_seed(32'd1), .n_faults(){ports});",
        "".join(f", .m_axi_{name}({name})" for name, _ in PORT),
    )


def counters(case: Subject) -> str:
    """Statements that count the enables, by names inside the library modules."""
    banks, lines = case.program.banks, []
    if case.program.memory is not None:
        lines.append("if (dut.u_fetch.used) weight_beats = weight_beats + 1;")
    for k, chunk in enumerate(case.program.chunks):
        unit, pp = f"dut.u_chunk_{k}", chunk.pp
        drain = f"{unit}.u_results.u_drain"
        residual = f"{drain}.busy_q && {drain}.cfg_res_en && !{drain}.words_end"
        lines += [
            f"if ({unit}.u_array.s_valid) macs = macs + {chunk.pm * chunk.pn * pp};",
            f"if ({unit}.u_issue.u_walk.m_valid) weight_reads = weight_reads + 1;",
            f"if ({drain}.busy_q) param_reads = param_reads + 1;",
            f"if ({drain}.m_valid) requants = requants + {chunk.pq * pp};",
            f"if ({residual}) residuals = residuals + {chunk.pq * pp};",
        ]
        slots: dict[str, int] = {"main": 0, "residual": 0}
        for edge in case.program.edges:
            if edge.consumer != k:
                continue
            slot = slots[edge.port]
            slots[edge.port] += 1
            reading = f"{unit}.u_issue.u_walk.m_valid && {unit}.u_operands.sel_q[7:4] == {slot}"
            if edge.port == "residual":
                reading = f"{residual} && {unit}.u_results.o_res_sel == {slot}"
            lines.append(f"if ({reading}) edge_reads = edge_reads + {banks};")
    for e, edge in enumerate(case.program.edges):
        lines.append(f"edge_writes = edge_writes + ones(dut.e{e}_w_en);")
        if edge.consumer == HOST:
            lines.append(f"if (dut.u_out.issue) edge_reads = edge_reads + {banks};")
    return "\n".join(f"    {line}" for line in lines)


def simulated(case: Subject, folder: Path) -> dict[str, int]:
    """Events of FRAMES frames."""
    for name, text in render_rtl(case.design, case.weights, "nba_t", (case.program,)).items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    bits = case.program.in_cols * case.program.in_lanes * 8
    memory, port = external(case, folder)
    bench = BENCH % {
        "in_bits": bits, "counters": counters(case), "frames": FRAMES, "memory": memory, "port": port,
    }  # fmt: skip
    (folder / "rtl" / "bench.v").write_text(bench)
    files = sorted(p.name for p in (folder / "rtl").glob("*.v"))
    run_tool(["iverilog", "-g2005", "-s", "bench", "-o", "bench.vvp", *files], cwd=folder / "rtl")
    output = run_tool(["vvp", "-n", "bench.vvp"], cwd=folder / "rtl").output
    assert "HANGS" not in output
    words = (line.split() for line in output.splitlines())
    return {w[0]: int(w[1]) for w in words if len(w) == 2 and w[1].isdigit()}


@pytest.mark.sampled(every=3)
@pytest.mark.parametrize("seed", SEEDS)
def test_counts_are_those_of_the_rtl(seed: int, tmp_path: Path) -> None:
    case = subject(seed)
    found = simulated(case, tmp_path)
    want = asdict(frame_events(case.program))
    assert len(found) == 10
    assert found == {name: FRAMES * want[name] for name in found}


def test_residuals_strides_and_packed_columns_occur() -> None:
    cases = [subject(seed) for seed in SEEDS]
    assert any(frame_events(case.program).residuals for case in cases)
    assert any(ring.stride > 1 for case in cases for edge in case.program.edges for ring in edge.rings)
    assert any(job.slices > 1 for case in cases for chunk in case.program.chunks for job in chunk.jobs)
    assert any(job.stage for case in cases for chunk in case.program.chunks for job in chunk.jobs)
    assert {job.degree for case in cases for chunk in case.program.chunks for job in chunk.jobs} == {1, 2, 4}

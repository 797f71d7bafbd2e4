# SPDX-License-Identifier: Apache-2.0
"""What timing analyses print, as recorded from runs on a small module, and what benchmarks/clock.py makes of it."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks import clock
from benchmarks.clock_cases import FLOWS, WIRING, Case, cases, library, needed, verilog
from benchmarks.figures_file import FILE, read
from nba.boards import clocks, get, names
from nba.boards.clocks import ROUTED_ECP5, SEVEN_SERIES, STEP_MHZ
from nba.core.errors import ToolError
from nba.synth import nextpnr, opensta, xc7
from nba.synth.path import TimingPath, place, register_name
from nba.synth.yosys import Port, wrapper

CLOCK = "$glbnet$clk$TRELLIS_IO_IN"


def _step(kind: str, delay: float, start: str, end: str, *sources: str) -> dict[str, object]:
    ends = {"from": {"cell": start, "loc": [109, 20], "port": "Q"}, "to": {"cell": end, "loc": [110, 20], "port": "D"}}
    return {"delay": delay, "type": kind, **ends, **({"net": "n", "sources": list(sources)} if sources else {})}


LUT = "u_dut.sum_q_TRELLIS_FF_Q_1_DI_LUT4_Z_D_LUT4_Z"
BEGIN, END = "u_dut.sum_q_TRELLIS_FF_Q_3", "u_dut.g_lane[0].b_q_TRELLIS_FF_Q"
REPORT = {
    "critical_paths": [
        {
            "from": "<async>", "to": f"posedge {CLOCK}",
            "path": [_step("source", 0, "pin_in$tr_io", "pin_in$tr_io"), _step("routing", 9.5, "pin_in$tr_io", BEGIN)],
        },
        {
            "from": f"posedge {CLOCK}", "to": f"posedge {CLOCK}",
            "path": [
                _step("clk-to-q", 0.395, BEGIN, BEGIN),
                _step("routing", 0.735, BEGIN, LUT, "rtl/nba_t.v:2.13-2.18", "/x/share/lattice/cells_map.v:1.2-3.4"),
                _step("logic", 0.18, LUT, LUT),
                _step("routing", 0.546, LUT, "other", "rtl/nba_t.v:2.13-2.18"),
                _step("logic", 0.193, "other", "other"),
                _step("routing", 0.269, "other", END, "pins.v:1.40-1.46"),
                _step("setup", 0, END, END),
            ],
        },
    ],
    "fmax": {CLOCK: {"achieved": 431.4063720703125, "constraint": 200}},
    "utilization": {
        "MULT18X18D": {"available": 156, "used": 3}, "DP16KD": {"available": 208, "used": 2},
        "TRELLIS_COMB": {"available": 83640, "used": 27}, "TRELLIS_FF": {"available": 83640, "used": 17},
    },
}  # fmt: skip

STA = r"""
10. Executing STA pass (static timing analysis).
Latest arrival time in 'pins' is 1159:
    1159 u_dut.sum_q[3]\FDRE (FDRE.D)
           $abc$21214$aiger$o19
    1159 $auto$alumacc.cc:578:replace_alu$1146.genblk1.slice[0].genblk1.carry4 (CARRY4.S->O)
           $abc$21214$aiger$o6
     541 $abc$21214$lut$aiger$o6 (LUT2.I0->O)
           \u_dut.sum_q[1]
     303 u_dut.sum_q[1]\FDRE (FDRE.C->Q)
       0   \clk (<primary input>)

Arrival histogram:
(  1167,   1115] |*
"""
STA_DSP = r"""
Latest arrival time in 't' is 4123:
    4123 $mul$t2.v:2$3.mul_sliceB_last (DSP48E1.PCIN)
           $abc$22910$aiger$o343
    3098 $mul$t2.v:2$3.sliceB[0].mul (DSP48E1.CLK->PCOUT)
       0   \clk (<primary input>)
"""
STA_OPEN = r"""
Latest arrival time in 'pins' is 1188:
    1188 (<unknown>)
Warning: Critical-path does not terminate in a recognised endpoint.
           \u_dut.r_data_q[5]
    1188 u_dut.g_dist.ram_mem.0.7 (RAM32M.WCLK->DOA)
       0   \clk (<primary input>)
"""

CHECKS = """Startpoint: _110_ (rising edge-triggered flip-flop clocked by clk)
Endpoint: _116_ (rising edge-triggered flip-flop clocked by clk)
Path Group: clk
Path Type: max

    Delay      Time   Description
-------------------------------------------------------------
   0.0000    0.0000   clock clk (rise edge)
   0.0000    0.0000   clock network delay (ideal)
   0.0000    0.0000 ^ _110_/CLK (sky130_fd_sc_hd__dfxtp_1)
   0.3665    0.3665 ^ _110_/Q (sky130_fd_sc_hd__dfxtp_1)
   0.0804    0.4469 v _067_/Y (sky130_fd_sc_hd__nor2_2)
   0.5506    0.9974 v _084_/Y (sky130_fd_sc_hd__nand2_2)
   0.0034    1.0009 v _116_/D (sky130_fd_sc_hd__dfxtp_1)
             1.0009   data arrival time

   0.0000    0.0000   clock clk (rise edge)
   0.0000    0.0000   clock network delay (ideal)
   0.0000    0.0000   clock reconvergence pessimism
             0.0000 ^ _116_/CLK (sky130_fd_sc_hd__dfxtp_1)
  -0.1136   -0.1136   library setup time
            -0.1136   data required time
-------------------------------------------------------------
            -1.1145   slack (VIOLATED)
"""
NETLIST = r"""  sky130_fd_sc_hd__dfxtp_1 _110_ (
    .CLK(clk),
    .D(_001_),
    .Q(\a[3] )
  );
  DFF_X1 _116_ (
    .CK(clk),
    .D(_0151_),
    .Q(\u_dut.g_lane[0].b_q[1] ),
    .QN(_1208_)
  );
"""


def test_report_of_nextpnr(tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    path.write_text(json.dumps(REPORT))
    found = nextpnr.read_report(path)
    way = found.path
    assert found.clock_mhz == 431.4063720703125
    assert (found.lut, found.ff, found.mult18, found.bram) == (27, 17, 3, 2)
    assert (way.start, way.end, way.levels, way.places) == ("sum_q", "g_lane[0].b_q", 2, ("nba_t.v:2",))
    assert way.logic_ns == 0.395 + 0.18 + 0.193 + 0
    assert way.route_ns == 0.735 + 0.546 + 0.269
    assert way.delay_ns == way.logic_ns + way.route_ns


@pytest.mark.parametrize(
    "change", [{"fmax": {}}, {"fmax": {**REPORT["fmax"], "b": {"achieved": 1}}}, {"critical_paths": []}]
)
def test_report_without_one_clock_is_refused(change: dict[str, object], tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    path.write_text(json.dumps({**REPORT, **change}))
    with pytest.raises(ToolError, match=r"clocks|not a report"):
        nextpnr.read_report(path)


def test_sta_of_yosys() -> None:
    assert xc7.read_sta(STA) == TimingPath(start="sum_q[1]", end="sum_q[3]", delay_ns=1.159, levels=2)


def test_sta_names_hard_blocks_with_their_ports() -> None:
    found = xc7.read_sta(STA_DSP)
    assert found.start == "$mul$t2.v:2$3.sliceB[0].mul (DSP48E1.PCOUT)"
    assert found.end == "$mul$t2.v:2$3.mul_sliceB_last (DSP48E1.PCIN)"
    assert (found.delay_ns, found.levels) == (4.123, 0)


def test_sta_end_without_set_up_time() -> None:
    found = xc7.read_sta(STA_OPEN)
    assert (found.start, found.end) == ("g_dist.ram_mem.0.7 (RAM32M.DOA)", "r_data_q[5]")
    assert (found.delay_ns, found.levels) == (1.188, 0)


def test_sta_without_a_path_is_refused() -> None:
    with pytest.raises(ToolError, match="no path"):
        xc7.read_sta("No timing paths found.\n")


def test_checks_of_opensta() -> None:
    found = opensta.read_checks(CHECKS)
    assert (found.start, found.end, found.levels) == ("_110_", "_116_", 2)
    assert found.delay_ns == 1.0009 + 0.1136
    assert opensta.driven(NETLIST, found.start) == "a[3]"
    assert opensta.driven(NETLIST, found.end) == "g_lane[0].b_q[1]"
    assert opensta.driven(NETLIST, "_999_") == "_999_"


@pytest.mark.parametrize("text", ["No paths found.\n", f"Error: pins.v, line 3 syntax error\n{CHECKS}"])
def test_checks_without_a_path_or_with_an_error_are_refused(text: str) -> None:
    with pytest.raises(ToolError, match=r"no path|syntax error"):
        opensta.read_checks(text)


def test_names() -> None:
    assert register_name("u_dut.a.code_q5_TRELLIS_FF_Q_1") == "a.code_q5"
    assert register_name(r"u_dut.sum_q[1]\FDRE") == "sum_q[1]"
    assert register_name("s_valid_TRELLIS_FF_Q") == "s_valid"
    assert place("rtl/nba_x.v:84.3-85.9") == "nba_x.v:84"
    assert place("pins.v:1.2-1.3") is None
    assert place("/venv/share/lattice/cells_map.v:1.2-1.3") is None


def test_wrapper_puts_every_bit_between_registers() -> None:
    ports = tuple(
        Port(name=name, bits=bits, is_input=given)
        for name, bits, given in (
            ("clk", 1, True),
            ("s_a", 3, True),
            ("s_b", 1, True),
            ("m_x", 4, False),
            ("m_y", 1, False),
        )
    )
    text = wrapper("nba_x", {"W": "2'd3"}, ports)
    assert "nba_x #(.W(2'd3)) u_dut (.clk(clk), .s_a(s_a), .s_b(s_b), .m_x(d_m_x), .m_y(d_m_y));" in text
    assert "s_a <= ~{s_a, pin_in};" in text
    assert "s_b <= ~{s_b, s_a[2]};" in text
    assert "fold_1[0] <= out_m_x[0] ^ out_m_x[1] ^ out_m_x[2] ^ out_m_x[3] ^ out_m_y[0];" in text
    with pytest.raises(ToolError, match="no inputs or no outputs"):
        wrapper("nba_x", {}, ports[:2])


def test_every_module_with_logic_has_parameters() -> None:
    """A new module without a line in the table is a KeyError here."""
    names = {path.stem for path in library().glob("*.v")}
    found = {case.module for case in cases() if case.kind == "module"}
    assert found == {name for name in names if not WIRING.fullmatch(name)}
    for flow in ("ecp5", "xc7", "sky130"):
        assert found == {case.module for case in cases() if case.kind == "module" and flow in case.flows}, flow


def test_only_what_a_module_needs_is_read() -> None:
    case = next(case for case in cases() if case.module == "nba_rom")
    top, files = verilog(case, "xc7")
    assert top == "nba_rom"
    assert set(files) == {"nba_rom.v", "nba_rom.mem"}
    words = files["nba_rom.mem"].split()
    assert len(words) == 1024
    assert max(int(word, 16) for word in words) >> 63 == 1
    a = {"nba_a.v": "nba_b #(\n", "nba_b.v": "  nba_c u_c (", "nba_c.v": "// nba_d u_d (", "nba_d.v": ""}
    assert set(needed("nba_a", a)) == {"nba_a.v", "nba_b.v", "nba_c.v"}


def _measured(delay_ns: float, seed: int = 0, flow: str = "xc7", kind: str = "module") -> clock.Measured:
    case = Case(module="m", values=(("W", 1),), memories=(), flows=FLOWS, kind=kind)
    way = TimingPath(start="a", end="b", delay_ns=delay_ns)
    return clock.Measured(case=case, flow=flow, seed=seed, delay_ns=delay_ns, path=way, cells={})


def test_median_of_the_seeds_and_goals() -> None:
    routed = [_measured(delay, seed, "ecp5") for seed, delay in ((1, 6.0), (2, 5.0), (3, 5.5))]
    assert [one.seed for one in clock.medians([*routed, _measured(2.8)])] == [3, 0]
    assert not clock.misses(_measured(2.8))
    assert clock.misses(_measured(2.81))
    assert not clock.misses(_measured(5.88, 1, "ecp5"))
    assert clock.misses(_measured(5.89, 1, "ecp5"))
    assert not clock.misses(_measured(7.0, 1, "ecp5", "design"))
    assert clock.misses(_measured(7.2, 1, "ecp5", "design"))


def test_digest_follows_verilog_parameters_seed_and_tools() -> None:
    case = _measured(1.0).case
    task = clock.Task(case=case, flow="ecp5", seed=1, top="m", files={"m.v": "module m; endmodule"})
    versions = {"yosys": "1"}
    others = [
        replace(task, seed=2), replace(task, flow="xc7"), replace(task, flow="sky130"), replace(task, top="n"),
        replace(task, files={"m.v": "module m ; endmodule"}), replace(task, case=replace(case, values=(("W", 2),))),
    ]  # fmt: skip
    found = {task.digest(versions), task.digest({"yosys": "2"}), *(other.digest(versions) for other in others)}
    assert len(found) == 2 + len(others)
    assert task.digest(versions) == replace(task).digest(dict(versions))


def test_cache_gives_back_what_was_measured(tmp_path: Path) -> None:
    task = clock.Task(case=_measured(1.0).case, flow="xc7", seed=0, top="m", files={})
    cache = clock.Cache(tmp_path, {"xc7": {"yosys": "1"}})
    assert cache.get(task) is None
    want = replace(
        _measured(1.5), path=TimingPath(start="a", end="b", delay_ns=1.5, places=("m.v:1",)), cells={"lut": 2}
    )
    cache.put(task, want)
    assert cache.get(task) == want
    assert clock.Cache(tmp_path, {"xc7": {"yosys": "2"}}).get(task) is None


def test_what_is_recorded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The worst of each flow of which everything was measured; results of other Verilog go, those that hold stay."""
    figures: dict[str, float] = {}
    monkeypatch.setattr(clock, "RECORDED", tmp_path / "clock.json")
    monkeypatch.setattr(clock, "record", lambda key, value, unit, command: figures.update({key: value}))
    case = _measured(1.0).case
    routed = [clock.Task(case=case, flow="ecp5", seed=seed, top="m", files={}) for seed in (1, 2, 3)]
    fast = [clock.Task(case=case, flow="xc7", seed=0, top=top, files={}) for top in "mn"]
    cache = clock.Cache(tmp_path / "a", {})
    for task, delay in zip([*routed, fast[0]], (8.0, 5.0, 6.25, 2.0), strict=True):
        cache.put(task, _measured(delay, task.seed, task.flow))
    clock.keep([*routed, *fast], cache)
    assert figures == {"clock.ecp5.slowest_module_mhz": 160.0}
    kept = json.loads((tmp_path / "clock.json").read_text())
    assert sorted(row["delay_ns"] for row in kept.values()) == [2.0, 5.0, 6.25, 8.0]
    assert all(row["commit"] and row["machine"] and row["date"] for row in kept.values())
    again = clock.Cache(tmp_path / "b", {})
    assert again.get(fast[0]) == _measured(2.0)
    again.put(fast[1], _measured(3.125))
    clock.keep(fast, again)
    assert figures == {"clock.xc7.slowest_module_ns": 3.12, "clock.ecp5.slowest_module_mhz": 160.0}
    kept = json.loads((tmp_path / "clock.json").read_text())
    assert sorted(row["delay_ns"] for row in kept.values()) == [2.0, 3.125, 5.0, 6.25, 8.0]


def test_a_missing_library_of_cells_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / opensta.SKY130.file).write_bytes(b"")
    found = clock.available(None, tmp_path, clock.Console(width=200))
    assert found == ["ecp5", "xc7", "sky130"]
    assert "nangate45 is SKIPPED" in capsys.readouterr().out


def test_missing_programs_are_errors_with_the_command_that_installs_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(ToolError, match="apt-get install opensta"):
        opensta.require_opensta()
    monkeypatch.setattr(nextpnr.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ToolError, match=r"pip install '\.\[pnr\]'"):
        nextpnr.require_nextpnr()


def test_designs_multiply_one_by_one_where_multipliers_are_narrow() -> None:
    case = next(case for case in cases() if case.module == "two_modes_3_chunks")
    found = {flow: verilog(case, flow)[1] for flow in ("xc7", "ecp5")}
    pairs = {flow: re.findall(r"\.PACK +\((\d)\)", files["nba_t.v"]) for flow, files in found.items()}
    assert "1" in pairs["xc7"]
    assert pairs["ecp5"] == ["0"] * len(pairs["xc7"])
    differ = {name for name, text in found["xc7"].items() if text != found["ecp5"][name]}
    assert differ == {"nba_t.v", "nba_requant.v"}
    assert re.search(r"parameter integer SPLIT +=\s1,", found["ecp5"]["nba_requant.v"])


def test_every_recorded_row_names_a_commit_that_can_be_measured_again() -> None:
    rows = json.loads(clock.RECORDED.read_text())
    assert len(rows) > 50
    assert [row["module"] for row in rows.values() if not re.fullmatch("[0-9a-f]{12}", row["commit"])] == []


def test_a_changed_tree_is_not_recorded(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(clock, "commit", lambda: "0123456789ab+changes")
    assert not clock.parse([]).record
    with pytest.raises(SystemExit) as ended:
        clock.parse(["--record"])
    assert ended.value.code == 2
    assert "this tree differs from its commit; commit first" in capsys.readouterr().err
    monkeypatch.setattr(clock, "commit", lambda: "0123456789ab")
    assert clock.parse(["--record"]).record


def test_the_margin_of_whole_designs_is_the_recorded_one() -> None:
    """The text beside the margin cites the slowest whole design of 7-series, which the margin covers."""
    rows = json.loads(clock.RECORDED.read_text()).values()
    slowest = max(row["delay_ns"] for row in rows if (row["flow"], row["kind"]) == ("xc7", "design"))
    text = Path(clocks.__file__).read_text(encoding="utf-8")
    assert f"({slowest:.2f} ns for the slowest in benchmarks/RESULTS.md)" in text
    assert slowest <= 1.1 * SEVEN_SERIES.module_ns


def test_the_supported_clock_is_the_recorded_one() -> None:
    """What platforms promise, and what is printed beside it, are the figures of benchmarks/clock.py."""
    figures = read(FILE)
    slowest, design = figures["clock.xc7.slowest_module_ns"], figures.get("clock.ecp5.small_design_mhz")
    assert (SEVEN_SERIES.module_ns, SEVEN_SERIES.commit) == (slowest.value, slowest.commit)
    routed = None if ROUTED_ECP5 is None else (ROUTED_ECP5.clock_mhz, ROUTED_ECP5.commit)
    assert routed == (None if design is None else (design.value, design.commit))
    assert all(get(name).clock_mhz == get(name).family.clock.clock_mhz for name in names())
    clock = SEVEN_SERIES.clock_mhz
    assert 1000 / (clock + STEP_MHZ) < SEVEN_SERIES.module_ns * SEVEN_SERIES.margin <= 1000 / clock

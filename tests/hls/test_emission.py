# SPDX-License-Identifier: Apache-2.0
"""What the emitted HLS files look like: deterministic, plain, and untouched by hostile names."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from nba.core.errors import NbaError, ToolError
from nba.emit.env import comment, environment
from nba.emit.hls import render_hls
from nba.ir.design import Design
from nba.verify.hls import find_headers, verify_hls
from tests.hls.bench import Case, render, write_bundle
from tests.hls.operators import FULL, operator_case

HOSTILE = (
    "int", "always", "*/ int evil; /*", "a\nint evil(){}\n", "back\\", "trigraph ??/", "`rm -rf`", 'q"uo\'te',
    "../../etc/passwd", "{{ 7 * 7 }}", "{% raw %}", "\r#error evil", "\u2028evil", "// verilator lint_off",
    "$(shell evil)", "[exec evil]", "", "x" * 5000,
)  # fmt: skip


@pytest.fixture(scope="module")
def case() -> Case:
    return operator_case(FULL)


def _named(design: Design, name: str) -> Design:
    network = design.network
    return replace(
        design,
        name=name,
        network=replace(
            network,
            name=name,
            tensors=tuple(replace(t, name=name) for t in network.tensors),
            layers=tuple(replace(layer, name=name) for layer in network.layers),
        ),
    )


def _code(text: str, mark: str) -> str:
    """`text` without its comments."""
    return "\n".join(re.sub(rf"{mark}.*", "", line) for line in text.split("\n"))


@pytest.mark.parametrize("name", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_names_stay_in_comments(case: Case, name: str) -> None:
    plain = render(_named(case.design, "plain"), case.weights)
    hostile = render(_named(case.design, name), case.weights)
    assert plain.keys() == hostile.keys()
    for path, text in hostile.items():
        if "/include/" in path:  # copied verbatim
            assert text == plain[path]
            continue
        mark = "#" if path.endswith(("Makefile", ".tcl")) else "//"
        assert _code(text, mark) == _code(plain[path], mark), path
        assert text.isascii(), path
        assert not re.search(r"\r|\?\?", text), path
        assert not [line for line in text.split("\n") if mark in line and line.endswith("\\")], path


def test_hostile_design_compiles_and_is_exact(case: Case, tmp_path: Path) -> None:
    design = _named(case.design, " ".join(HOSTILE[:-1]))
    write_bundle(tmp_path, render(design, case.weights))
    result = verify_hls(tmp_path / "hls", design.network, case.x, case.expected, tmp_path / "work")
    assert result.mismatches == 0


def test_the_same_design_gives_the_same_text(case: Case) -> None:
    first = render(case.design, case.weights)
    environment.cache_clear()
    assert render(case.design, case.weights) == first
    for path, text in first.items():
        if "/ap_types/" in path:  # of others, with their own notice
            continue
        assert "SPDX-License-Identifier: Apache-2.0" in text.split("\n")[0], path
        assert text.endswith("\n"), path
        assert not re.search("[^\n]\t| $", text, re.MULTILINE), path


def test_synthesised_files_use_what_synthesis_accepts(case: Case) -> None:
    """No heap, no virtual functions, no standard library outside the test bench; pragmas and interfaces in place."""
    files = render(case.design, case.weights)
    simulated = re.compile("csim|main|/include/")
    synthesised = {
        p: _code(t, "//") for p, t in files.items() if p.endswith((".h", ".cpp")) and not simulated.search(p)
    }
    for path, text in synthesised.items():
        assert not re.search(r"\b(new|delete|malloc|virtual|std::|throw|dynamic_cast)\b", text), path
    top = synthesised["hls/top.cpp"]
    for pragma in (
        "INTERFACE mode=axis port=s_axis",
        "INTERFACE mode=s_axilite port=return",
        "ARRAY_PARTITION",
        "DEPENDENCE",
    ):
        assert f"#pragma HLS {pragma}" in top
    assert "#pragma HLS PIPELINE II=1" in synthesised["hls/lib/nba_engine.h"]


@pytest.mark.parametrize("top", ["int", "main", "9lives", "a b", "a;b", "_x", "", "nba", "x\n", "é"])
def test_unusable_top_is_refused(case: Case, top: str) -> None:
    with pytest.raises(NbaError, match="identifier"):
        render(case.design, case.weights, top)


def test_unusable_part_is_refused(case: Case) -> None:
    with pytest.raises(NbaError, match="part"):
        render_hls(case.design, case.weights, part="xc7; exec evil")


def test_comment_filter_keeps_plain_text() -> None:
    assert comment("conv2.block_1 [3x3]") == "conv2.block_1 [3x3]"
    assert comment("a */ b") == "a __ b"


def test_missing_headers_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NBA_HLS_INCLUDE", str(tmp_path))
    with pytest.raises(ToolError, match="NBA_HLS_INCLUDE"):
        find_headers()
    monkeypatch.delenv("NBA_HLS_INCLUDE")
    folders = find_headers()
    for header in ("ap_int.h", "hls_stream.h"):
        assert any((folder / header).is_file() for folder in folders)

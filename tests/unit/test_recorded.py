# SPDX-License-Identifier: Apache-2.0
"""Recorded figures: what the file takes, and that README.md and RESULTS.md say exactly what was recorded."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path

import pytest

from benchmarks import figures_file, record, render_docs
from benchmarks.figures_file import ROOT, Figure, read
from benchmarks.render_docs import DOCUMENTS, Recorded, load, render
from nba.boards.logic_xc7 import XC7
from nba.flow import metrics
from tests.documented import undocumented
from tests.unit.test_metrics import BASE

pytestmark = [pytest.mark.golden, pytest.mark.xdist_group("recorded")]
SAMPLE = Recorded(
    figures={
        "run.digits.wall_s": Figure(
            value=185.0, unit="s", command="run --it", commit="0123456789ab", date="2026-01-02",
            machine="Some CPU, 2 cores",
        )
    },
    runs={
        "digits": {**BASE, "seconds": {"map": 1.0, "report": 2.0, "search": 9.0}, "design_id": "d" * 64},
    },
)  # fmt: skip


@pytest.fixture(scope="module")
def found() -> Recorded:
    """What the repository holds."""
    return load()


@pytest.mark.parametrize("name", DOCUMENTS)
def test_documents_say_what_was_recorded(name: str, found: Recorded) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    assert render(text, found) == text, f"{name}: not what was recorded; run `make docs`"


def test_every_block_stands_in_a_document(found: Recorded) -> None:
    texts = "".join((ROOT / name).read_text(encoding="utf-8") for name in DOCUMENTS)
    assert sorted(re.findall(r"<!-- generated: (.*?) -->", texts)) == sorted(render_docs.BLOCKS)
    assert texts.count("<!-- end -->") == len(render_docs.BLOCKS)


def test_another_record_gives_another_text() -> None:
    """What is in a block before does not matter; every number in it is that of the record."""
    text = "".join(f"# A\n<!-- generated: {name} -->\n98.76 %\n<!-- end -->\nB\n" for name in render_docs.BLOCKS)
    done = render(text, SAMPLE)
    assert "98.76" not in done
    assert done.count("100,000 at a target clock of 100 MHz (not confirmed)") == 2
    assert "ends, after 3 min 5 s on Some CPU, 2 cores,\nwith this table (commit 0123456789ab, 2026-01-02):" in done
    assert "`run --it` at commit 0123456789ab, 2026-01-02, Some CPU, 2 cores. All rows are from this one run." in done
    assert "| seconds of wall clock | 185: search 9, map 1, report 2 |" in done
    assert "| `run.digits.wall_s` | 185 s | `run --it` | 0123456789ab, 2026-01-02 | Some CPU, 2 cores |" in done
    assert "build/digits/metrics.json" in done
    assert "Not recorded with this version yet: `make record EXAMPLES=instantnet_digits`." in done
    run = SAMPLE.runs["digits"]
    faster = Recorded(figures=SAMPLE.figures, runs={"digits": {**run, "fps": run["fps"] + 1000}})
    assert render(done, faster).count("101,000 at a target clock") == 2
    assert render(render(done, faster), SAMPLE) == done


def test_blocks_that_cannot_be_rendered_are_named() -> None:
    with pytest.raises(ValueError, match="generated block 'x'"):
        render("<!-- generated: x -->\n<!-- end -->\n", SAMPLE)
    with pytest.raises(ValueError, match="generated block 'digits': unknown, or without its end"):
        render("<!-- generated: digits -->\n<!-- generated: figures -->\n<!-- end -->\n", SAMPLE)
    missing = render("<!-- generated: digits -->\n1\n<!-- end -->\n", Recorded(figures={}, runs=SAMPLE.runs))
    assert missing.splitlines()[1] == "Not recorded with this version yet: `make record EXAMPLES=digits`."


def test_claims_of_recorded_runs_hold(found: Recorded) -> None:
    for name, run in found.runs.items():
        assert render_docs.wall_key(name) in found.figures
        assert [line for line in metrics.table(run) if line.holds is False] == []
        for key, (value, unit) in record.headlines(name, run).items():
            assert (found.figures[key].value, found.figures[key].unit) == (value, unit), "not of one run"


def test_every_key_of_the_metrics_is_documented(found: Recorded) -> None:
    for run in found.runs.values():
        assert undocumented(run) == set()
    assert undocumented({"accuracy": {"no_such_key": 1}, "versions": {"what-ever": "1"}}) == {"no_such_key"}


def test_recorded_figures_are_whole(found: Recorded) -> None:
    for key, figure in found.figures.items():
        assert figure.command, key
        assert figure.unit, key
        assert re.fullmatch(r"[0-9a-f]{12}(\+changes)?", figure.commit), key
        assert re.fullmatch(r"\d{4}-\d\d-\d\d", figure.date), key
        assert re.search(r", \d+ cores?$", figure.machine), key


def test_record_keeps_other_figures_and_sorts(tmp_path: Path) -> None:
    path = tmp_path / "figures.json"
    figures_file.record("b.x", 2, "s", "make b", path=path)
    figures_file.record("a.y", 0.5, "%", "make a", path=path)
    first = path.read_bytes()
    figures_file.record("b.x", 3.5, "s", "make b", path=path)
    assert list(json.loads(path.read_text())) == ["a.y", "b.x"]
    found = read(path)
    assert (found["b.x"].value, found["a.y"].value) == (3.5, 0.5)
    assert found["a.y"].machine.endswith(("core", "cores"))
    figures_file.record("b.x", 2, "s", "make b", path=path)
    assert path.read_bytes() == first, "the same figures give the same bytes"


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, True, "1", None, [1], 1j])
def test_what_is_no_finite_number_is_refused(value: object, tmp_path: Path) -> None:
    path = tmp_path / "figures.json"
    with pytest.raises(ValueError, match=r"a\.b: .* is no finite number"):
        figures_file.record("a.b", value, "s", "make", path=path)  # type: ignore[arg-type]
    assert not path.exists()


@pytest.mark.parametrize("key", ["a", "A.b", "a..b", "a.b ", "", "a/b.c", ".a.b"])
def test_keys_are_words_with_points(key: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no key of a figure"):
        figures_file.record(key, 1, "s", "make", path=tmp_path / "figures.json")


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "figures.json"
    path.write_text('{"a.b": {"value": 1}}')
    with pytest.raises(ValueError, match=r"figures\.json: a\.b: .*record the figure again"):
        read(path)


def test_changes_of_the_tree_are_said(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = {"rev-parse": "0123456789ab", "status": " M nba/cli.py"}
    monkeypatch.setattr(figures_file, "_git", lambda *arguments: answers[arguments[0]])
    assert figures_file.commit() == "0123456789ab+changes"
    answers["status"] = ""
    assert figures_file.commit() == "0123456789ab"
    answers["rev-parse"] = ""
    assert figures_file.commit() == "unknown"


def test_runs_whose_claims_fail_are_not_recorded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(record, "RECORDED", tmp_path / "recorded")
    source = tmp_path / "metrics.json"
    source.write_text(json.dumps({"bit_exact": {"icarus": {"images": 2, "mismatches": 1}}}))
    with pytest.raises(SystemExit, match="bit-exact, Icarus"):
        record.keep("digits", source, 1.0)
    assert not (tmp_path / "recorded").exists()


def test_the_errors_of_the_estimate_are_those_of_the_table_in_use() -> None:
    text = render("<!-- generated: logic -->\n1\n<!-- end -->\n", SAMPLE)
    for share in (XC7.lut_mean_error, XC7.lut_worst_error, XC7.ff_mean_error, XC7.ff_worst_error):
        assert f"{100 * share:.1f} %" in text
    assert f"Of {XC7.designs} designs" in text


def test_an_interval_that_was_not_simulated_is_not_recorded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(record, "RECORDED", tmp_path / "recorded")
    source = tmp_path / "metrics.json"
    run = json.loads((render_docs.RECORDED / "digits.metrics.json").read_text())
    run["cycles"]["steady"]["reached"] = False
    source.write_text(json.dumps(run))
    with pytest.raises(SystemExit, match="too short for the steady interval"):
        record.keep("digits", source, 1.0)
    assert not (tmp_path / "recorded").exists()


def test_figures_are_frozen() -> None:
    figure = Figure(value=1, unit="s", command="c", commit="0", date="d", machine="m")
    with pytest.raises(AttributeError):
        figure.value = 2  # type: ignore[misc]

# SPDX-License-Identifier: Apache-2.0
"""benchmarks/structure.py: a small tree in which nothing is wrong counts nothing; each planted fault counts as one."""

from __future__ import annotations

import ast
import json
import subprocess
from collections import defaultdict
from dataclasses import asdict
from pathlib import Path

import pytest

from benchmarks import structure
from benchmarks.render_docs import NotRecorded, Recorded, render
from benchmarks.render_docs import structure as rendered
from benchmarks.structure import Structure, code_lines, code_of, counts, measure
from nba.core.sources import PACKAGE, import_circles, module_file, modules_of

CLEAN = {
    "nba/__init__.py": '"""nba"""\n',
    "nba/a.py": '"""A dense layer\'s words.\n\ndepthwise too."""\nimport nba.b\n\nMAX = max(3, 4)\n# dense\n',
    "nba/b.py": "def f(x):\n    '''avgpool'''\n    condense = 'densely'\n    return condense\n",
    "templates/rtl/lib/m.v": "// dense\nmodule m; /* depthwise\navgpool */ endmodule\n",
    "templates/rtl/top.v.j2": "{# dense #}\nmodule top; // {{ dense }}\nendmodule\n",
    "templates/README.md": "dense\n",
    "sim/bench.py": "# maxpool\nx = 1\n",
}


def tree(folder: Path, **changes: str) -> Path:
    """A small tree with files changed or added."""
    for name, text in {**CLEAN, **changes}.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


def test_nothing_is_counted_where_nothing_is_wrong(tmp_path: Path) -> None:
    assert counts(measure(tree(tmp_path))) == {
        "import_cycles": 0, "files_naming_a_layer_kind": 0, "row_formula_places": 0, "names_in_several_modules": 0,
        "functions_above_50_lines": 0, "functions_above_10_parameters": 0, "modules": 3, "lines_of_code": 5,
    }  # fmt: skip


LONG = "def f():\n" + "    x = 1\n" * 50
MANY = "def f(self, a, b, c, d, e, f, g, h, i, j, *, k): ...\n"
PLANTED = {
    "import_cycles": [
        {"nba/b.py": "def f():\n    import nba.a\n"},
        {"nba/b.py": "def f():\n    from nba import a\n"},
        {"nba/b.py": "from nba import a\n", "nba/__init__.py": "import nba.c\n", "nba/c.py": "import nba\n"},
    ],
    "files_naming_a_layer_kind": [
        {"nba/b.py": "kind = 'dense'\n"},
        {"nba/b.py": "x = f'a {y} depthwise'\n"},
        {"nba/b.py": "DENSE_CHUNK = 1\n"},
        {"nba/b.py": "def avg_pool(x): return MaxPool(x)\n"},
        {"nba/b.py": "x = row.maxpool\n"},
        {"nba/b.py": "x = {\n 'dense': 1}\n"},
        {"nba/c.yaml": "x: dense # y\n"},
        {"templates/rtl/lib/m.v": "module m; wire dense; endmodule // x\n"},
        {"templates/rtl/lib/m.v": 'module m; parameter KIND = "depthwise"; endmodule\n'},
        {"templates/rtl/top.v.j2": "module top; {% if dense %} {% endif %} endmodule\n"},
        {"templates/hls/lib/e.h": "enum Kind { DEPTHWISE };\n"},
        {"templates/bundle/Makefile.j2": "x: dense # y\n"},
        {"sim/bench.py": "DENSE = 1\n"},
    ],
    "row_formula_places": [
        {"nba/b.py": "x = g * max(words * taps, drain)\n"},
        {"nba/b.py": "x = np.maximum(steps, drain)\n"},
        {"nba/b.py": "x = max(pm // pq, words * layer.kernel_h * layer.kernel_w)\n"},
        {"nba/b.py": "x = max(words[i] * layer[TAPS], chunk.pm // chunk.pq)\n"},
    ],
    "names_in_several_modules": [
        {"nba/c.py": "def f(): ...\n"},
        {"nba/c.py": "class f: ...\n"},
        {"nba/c.py": "def run(): ...\n", "nba/d.py": "def run(): ...\n"},
    ],
    "functions_above_50_lines": [{"nba/b.py": LONG}, {"nba/b.py": "class A:\n" + LONG.replace("def", "  def")}],
    "functions_above_10_parameters": [
        {"nba/b.py": MANY},
        {"nba/b.py": "def f(a, b, c, d, e, f, g, h, i, /, j, *, k): ...\n"},
    ],
    "modules": [{"nba/c.py": "x = 1\n"}],
}


@pytest.mark.parametrize(("key", "changes"), [(key, change) for key, all_ in PLANTED.items() for change in all_])
def test_every_planted_fault_is_one(key: str, changes: dict[str, str], tmp_path: Path) -> None:
    found, clean = counts(measure(tree(tmp_path / "a", **changes))), counts(measure(tree(tmp_path / "b")))
    wanted = 2 if key == "import_cycles" and len(changes) > 1 else 1
    assert found[key] - clean[key] == wanted
    sizes = ("modules", "lines_of_code")
    assert {k for k in found if found[k] != clean[k] and k not in sizes} - {key} == set()


@pytest.mark.parametrize(
    "changes",
    [
        {"nba/b.py": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import nba.a\n"},
        {"nba/b.py": "x = max(compute, load, drain)\ny = max(own, drains / parallel)\n"},
        {"nba/c.py": "def _f(): ...\nclass A:\n    def f(self): ...\n"},
        {"nba/flow/stages/c.py": "def run(): ...\n", "nba/flow/runner.py": "def run(): ...\n"},
        {"nba/api.py": "def f(): ...\n"},
        {"nba/b.py": LONG.replace("    x = 1\n", "", 1)},
        {"nba/b.py": MANY.replace(", *, k", "")},
        {"templates/hls/include/ap_types/dense.h": "int dense;\n"},
    ],
)
def test_what_is_none(changes: dict[str, str], tmp_path: Path) -> None:
    found, clean = counts(measure(tree(tmp_path / "a", **changes))), counts(measure(tree(tmp_path / "b")))
    sizes = ("modules", "lines_of_code")
    assert {k for k in found if found[k] != clean[k] and k not in sizes} == set()


def test_lines_of_code() -> None:
    assert code_lines('"""a\nb"""\n\n# c\nx = (1,\n     2)  # d\ntext = """e\nf"""\n') == {5, 6, 7, 8}


def test_a_kind_of_file_without_a_rule_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.vhd").write_text("dense")
    with pytest.raises(ValueError, match=r"no rule says what a comment is in a file '\.vhd'"):
        code_of(tmp_path / "x.vhd")


def test_this_tree() -> None:
    """What is defined once stays so, by what the measure itself lists."""
    assert import_circles() == []
    found = measure(PACKAGE.parent)
    assert found.import_cycles == ()
    assert "nba/ir/operators.py" in found.files_naming_a_layer_kind
    assert len(found.files_naming_a_layer_kind) <= 6
    assert [place.partition(":")[0] for place in found.row_formula_places] == ["nba/machine/timing.py"]
    assert found.names_in_several_modules == ()


def test_no_public_constant_stands_in_two_modules() -> None:
    """Functions and classes: `measure`. Every module may have its logger, every stage its STAGE; type variables are no
    values."""
    homes: dict[str, list[str]] = defaultdict(list)
    for module in modules_of():
        path = module_file(module)
        assert path is not None
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.Assign | ast.AnnAssign) and "TypeVar(" not in ast.unparse(node):
                targets = node.targets if isinstance(node, ast.Assign) else [node.target]
                for name in (target.id for target in targets if isinstance(target, ast.Name)):
                    homes[name].append(module)
    assert "ORDER_CLASSES" in homes
    public = {name: found for name, found in homes.items() if not name.startswith("_")}
    assert {name for name, found in public.items() if len(found) > 1} <= {"STAGE", "log"}


def reason(place: str) -> str:
    """The comment above a function, given as file:line name, and above its decorators."""
    path, line = place.partition(" ")[0].split(":")
    above = (PACKAGE.parent / path).read_text(encoding="utf-8").splitlines()[: int(line) - 1]
    while above[-1].lstrip().startswith("@"):
        above.pop()
    return above[-1].strip()


def test_long_functions_say_why_they_are_long() -> None:
    found = measure(PACKAGE.parent)
    places = {*found.functions_above_50_lines, *found.functions_above_10_parameters}
    assert places
    assert [place for place in places if not reason(place).startswith("# ")] == []


def git(folder: Path, *arguments: str) -> str:
    identity = ("-c", "user.name=n", "-c", "user.email=e@example.org")
    done = subprocess.run(["git", *identity, *arguments], cwd=folder, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_a_commit_is_measured_and_what_it_touches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its tree, not the files that lie there now."""
    tree(tmp_path)
    git(tmp_path, "init", "-q")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-qm", "first")
    tree(tmp_path, **{"nba/b.py": "kind = 'maxpool'\n", "tests/test_x.py": "", "docs/x.md": "x"})
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-qm", "Max pooling: an operator more")
    monkeypatch.setattr(structure, "ROOT", tmp_path)
    assert structure.measure_commit("HEAD~1").files_naming_a_layer_kind == ()
    assert structure.measure_commit("HEAD").files_naming_a_layer_kind == ("nba/b.py",)
    assert structure.touched("HEAD") == ["docs/x.md", "nba/b.py"]
    with pytest.raises(SystemExit, match="git archive none"):
        structure.measure_commit("none")


def test_what_is_recorded_is_what_the_document_shows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = {"modules": 3, "lines_of_code": 1234}
    names = [key for key in asdict(measure(tree(tmp_path))) if key not in sizes]
    before = Structure(**{**dict.fromkeys(names, ("x", "y")), **sizes})  # type: ignore[arg-type]
    now = Structure(**{**dict.fromkeys(names, ()), **sizes})  # type: ignore[arg-type]
    kept: dict[str, int] = {}
    monkeypatch.setattr(structure, "RECORDED", tmp_path / "structure.json")
    monkeypatch.setattr(structure, "record", lambda key, value, unit, command: kept.update({key: value}))
    monkeypatch.setattr(structure, "commit", lambda: "0123456789ab")
    structure.keep(("dae271f00000", before), now)
    structure.keep(None, now)
    assert kept == {f"structure.{key}": value for key, value in counts(now).items()}
    found = Recorded(figures={}, runs={}, structure=json.loads((tmp_path / "structure.json").read_text()))
    lines = rendered(found).splitlines()
    assert lines[0] == "| | commit dae271f00000 | commit 0123456789ab |"
    assert lines[2] == "| circles of imports, those inside functions seen | 2 | 0 |"
    assert lines[-1].endswith("| 1,234 | 1,234 |")
    with pytest.raises(NotRecorded):
        rendered(Recorded(figures={}, runs={}))
    empty = render("<!-- generated: structure -->\n<!-- end -->\n", Recorded(figures={}, runs={}))
    assert "`python -m benchmarks.structure --record`" in empty

# SPDX-License-Identifier: Apache-2.0
"""The documents name files, modules and each other as they are: every link, path and Python name in them exists."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    str(page.relative_to(ROOT))
    for pattern in ("*.md", "docs/*.md", "docs/decisions/*.md", "benchmarks/*.md", "templates/*/*.md")
    for page in ROOT.glob(pattern)
)
HISTORY = ("CHANGELOG.md", "benchmarks/RESULTS.md")
"""Pages that tell of the past: what they name may be gone."""
LINK = re.compile(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)")
IN_TREE = re.compile(r"`((?:nba|tests|benchmarks|templates|examples|docs)/[\w./-]*\w)`")
IN_CODE = re.compile(r"(?<![\w./-])nba(?!\.rdl)(?:\.[A-Za-z_]\w*)+")
NAME = re.compile(r"`(nba(?:\.\w+)+)(?:\(\))?`")

BESIDE = re.compile(r"`([A-Za-z_][\w.]*)`(?: of | in | \()`((?:nba|tests|benchmarks|sim)/[\w./-]+\.py)`")
"""A name, and the file that is said to hold it: `Class.field` of `path`, or `name` (`path`."""


def text(page: str) -> str:
    """A page without its blocks of code, in which a path may be an example."""
    return re.sub(r"```.*?```", "", (ROOT / page).read_text(encoding="utf-8"), flags=re.DOTALL)


def unknown(name: str) -> bool:
    """Whether a dotted name is neither a module nor something that a module names."""
    parts = name.split(".")
    for n in range(len(parts), 0, -1):
        path = ROOT.joinpath(*parts[:n])
        source = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
        if source.is_file():
            return n < len(parts) and not re.search(rf"\b{parts[n]}\b", source.read_text(encoding="utf-8"))
    return True


def lacks(path: Path, name: str) -> bool:
    """Whether a file of Python does not hold `name`: a word of it, or a field or method of a class."""
    source = path.read_text(encoding="utf-8")
    owner, _, member = name.rpartition(".")
    if not owner:
        return not re.search(rf"\b{name}\b", source)
    classes = {node.name: node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.ClassDef)}
    found = {
        getattr(part, "name", None) or getattr(getattr(part, "target", None), "id", None)
        for part in (classes[owner].body if owner in classes else ())
    }
    return member not in found


def wrong(page: str, content: str) -> Iterator[str]:
    """Links, paths and names of `content` that lead nowhere from `page`."""
    for target in LINK.findall(content):
        if not (ROOT / page).parent.joinpath(target).exists():
            yield f"link {target}"
    if page not in HISTORY:
        yield from (f"path {path}" for path in IN_TREE.findall(content) if not (ROOT / path).exists())
        yield from (f"name {name}" for name in NAME.findall(content) if unknown(name))
        held = [(name, path) for name, path in BESIDE.findall(content) if (ROOT / path).is_file()]
        yield from (f"name {name} of {path}" for name, path in held if lacks(ROOT / path, name))


@pytest.mark.parametrize("page", PAGES)
def test_all_that_a_page_names_is_there(page: str) -> None:
    assert list(wrong(page, text(page))) == []


@pytest.mark.parametrize("folder", ["nba", "benchmarks", "sim"])
def test_all_that_the_code_names_is_there(folder: str) -> None:
    """Modules of nba, and what they define, in docstrings, comments and texts."""
    sources = {path: path.read_text(encoding="utf-8") for path in (ROOT / folder).rglob("*.py")}
    names = [(path.name, name) for path, source in sources.items() for name in IN_CODE.findall(source)]
    assert len(sources) > 5
    assert [place for place in names if unknown(place[1])] == []


def test_what_is_gone_is_found() -> None:
    content = "[a](none.md) `nba/none.py` `nba.machine.none` `nba.none` `nba.machine.schedule.none` [b](search.md)"
    assert list(wrong("docs/search.md", content)) == [
        "link none.md", "path nba/none.py", "name nba.machine.none", "name nba.none", "name nba.machine.schedule.none",
    ]  # fmt: skip


def test_a_name_is_looked_for_in_the_file_beside_it() -> None:
    here = ("`DataConfig.name` of `nba/learn/data/config.py`", "`_OPERATOR` in `nba/learn/space/operators.py`")
    assert list(wrong("CONTRIBUTING.md", " ".join(here))) == []
    gone = "`Dataset.name` of `nba/spec.py`, `Spec.none` in `nba/spec.py`, `_OPERATOR` (`nba/spec.py`: the pattern)"
    assert list(wrong("CONTRIBUTING.md", gone)) == [
        "name Dataset.name of nba/spec.py", "name Spec.none of nba/spec.py", "name _OPERATOR of nba/spec.py",
    ]  # fmt: skip


def test_every_page_can_be_found_from_readme() -> None:
    linked = set(LINK.findall(text("README.md")))
    assert {page for page in PAGES if page.startswith("docs/") and page.count("/") == 1} <= linked


def test_every_term_of_the_glossary_is_defined_once() -> None:
    rows = re.findall(r"^\| ([^|]+) \| ([^|]+) \|$", text("docs/glossary.md"), flags=re.MULTILINE)
    terms = [term.strip() for cell, _ in rows if cell not in ("term", "---") for term in cell.split(",")]
    assert len(terms) == len(set(terms)) > 60
    assert all(meaning.strip() for _, meaning in rows)

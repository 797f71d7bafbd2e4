# SPDX-License-Identifier: Apache-2.0
"""How simple the code is, in figures that a reader can check: circles of imports, repeated knowledge, sizes.

    python -m benchmarks.structure [--baseline COMMIT] [--record]      counts of this tree, of COMMIT too
    python -m benchmarks.structure --max-pool COMMIT [--record]        files that the commit of max pooling touches

--record keeps the counts in benchmarks/figures.json, those of both trees in benchmarks/recorded/structure.json, from
which RESULTS.md has its table. Any layout of nba/, templates/ and sim/ is measured by the same rules (`measure`).
"""

from __future__ import annotations

import argparse
import ast
import io
import json
import re
import subprocess
import sys
import tarfile
import tempfile
import tokenize
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks.figures_file import ROOT, commit, record
from nba.core.files import write_atomic
from nba.core.sources import import_circles, modules_of
from nba.ir.operators import OPERATORS

RECORDED = ROOT / "benchmarks" / "recorded" / "structure.json"
COMMAND = "python -m benchmarks.structure --record"
TREES = ("nba", "templates", "sim")
"""Folders in which a layer kind may be named."""
VENDORED = ("ap_types", "_assets", "__pycache__")
LINES, PARAMETERS = 50, 10
"""What a function may have without a reason."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Structure:
    """The counts of a tree; what is counted, as names."""

    import_cycles: tuple[str, ...]
    files_naming_a_layer_kind: tuple[str, ...]
    row_formula_places: tuple[str, ...]
    names_in_several_modules: tuple[str, ...]
    functions_above_50_lines: tuple[str, ...]
    functions_above_10_parameters: tuple[str, ...]
    modules: int
    lines_of_code: int


TITLES = {
    "import_cycles": "circles of imports, those inside functions seen",
    "files_naming_a_layer_kind": "files that name a layer kind (nba/, templates/, sim/; comments aside)",
    "row_formula_places": "places of the row formula",
    "names_in_several_modules": "public functions and classes whose name several modules define",
    "functions_above_50_lines": f"functions above {LINES} lines",
    "functions_above_10_parameters": f"functions above {PARAMETERS} parameters",
    "modules": "modules of nba",
    "lines_of_code": "lines of Python in nba (without blank lines, comments, docstrings)",
}
UNITS = {
    "import_cycles": "circles", "files_naming_a_layer_kind": "files", "row_formula_places": "places",
    "names_in_several_modules": "names", "functions_above_50_lines": "functions",
    "functions_above_10_parameters": "functions", "modules": "modules", "lines_of_code": "lines",
}  # fmt: skip


def measure(root: Path) -> Structure:
    """The counts of the tree in `root`."""
    package = root / "nba"
    trees = {path: ast.parse(path.read_text(encoding="utf-8")) for path in _python(package)}
    functions = [(path, node) for path, tree in trees.items() for node in _functions(tree)]
    return Structure(
        import_cycles=tuple(" <-> ".join(circle) for circle in import_circles(package)),
        files_naming_a_layer_kind=tuple(naming_files(root)),
        row_formula_places=tuple(_places(root, _formulas(trees))),
        names_in_several_modules=tuple(several(trees, package)),
        functions_above_50_lines=tuple(_places(root, ((p, n) for p, n in functions if _length(n) > LINES))),
        functions_above_10_parameters=tuple(
            _places(root, ((p, n) for p, n in functions if _parameters(n) > PARAMETERS))
        ),
        modules=len(modules_of(package)),
        lines_of_code=sum(len(code_lines(path.read_text(encoding="utf-8"))) for path in trees),
    )


def _python(package: Path) -> list[Path]:
    return sorted(path for path in package.rglob("*.py") if not set(path.parts) & set(VENDORED))


def _functions(tree: ast.AST) -> list[ast.FunctionDef | ast.AsyncFunctionDef]:
    return [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]


def _places(root: Path, found: Iterable[tuple[Path, ast.AST]]) -> Iterator[str]:
    for path, node in found:
        name = getattr(node, "name", "")
        yield f"{path.relative_to(root)}:{getattr(node, 'lineno', 0)}{f' {name}' if name else ''}"


def _length(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    return (node.end_lineno or node.lineno) - node.lineno + 1


def _parameters(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    every = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
    return len(every) - (bool(every) and every[0].arg in ("self", "cls"))


PROTOCOL = ("run", "check", "preflight")
"""One thing under one name: what every stage defines (nba.flow.stage.Stage), and what its runner does with them."""
API = "nba.api"
"""Its functions are called as those that they wrap, so that the public name is the one that the code has."""


def several(trees: dict[Path, ast.Module], package: Path) -> Iterator[str]:
    """Names of public functions and classes on the top level of several modules, each with these modules. The protocol
    of the stages and the functions of the API name one thing, not two: they do not count."""
    homes: dict[str, set[str]] = defaultdict(set)
    for path, tree in trees.items():
        parts = path.relative_to(package.parent).with_suffix("").parts
        module = ".".join(parts).removesuffix(".__init__")
        one = PROTOCOL if parts[1] in ("flow", "stages") else ()
        for node in tree.body if module != API else ():
            public = isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_")
            if public and node.name not in one:
                homes[node.name].add(module)
    for name, modules in sorted(homes.items()):
        if len(modules) > 1:
            yield f"{name}: {', '.join(sorted(modules))}"


WORK = {"words", "steps", "taps", "TAPS", "kernel_h", "kernel_w"}
"""What the steps of a row are called where somebody multiplies them."""


def _formulas(trees: dict[Path, ast.Module]) -> Iterator[tuple[Path, ast.AST]]:
    """Every maximum of two: the steps that a group of channels computes, and those that it drains."""
    for path, tree in trees.items():
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and ast.unparse(node.func) in ("max", "np.maximum") and len(node.args) == 2:
                sides = [{n.id for n in ast.walk(arg) if isinstance(n, ast.Name)} for arg in node.args]
                sides = [names | _attributes(arg) for names, arg in zip(sides, node.args, strict=True)]
                if any(_drains(a) and b & WORK for a, b in (sides, sides[::-1])):
                    yield path, node


def _attributes(node: ast.AST) -> set[str]:
    return {n.attr for n in ast.walk(node) if isinstance(n, ast.Attribute)}


def _drains(names: set[str]) -> bool:
    return "drain" in names or {"pm", "pq"} <= names


def code_lines(text: str) -> set[int]:
    """Numbers of the lines that hold Python other than comments and docstrings."""
    lines: set[int] = set()
    for token in _tokens(text):
        lines.update(range(token.start[0], token.end[0] + 1))
    return lines


SILENT = (tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER)


def _tokens(text: str) -> Iterator[tokenize.TokenInfo]:
    """The tokens of Python without comments, layout, and texts that stand for themselves."""
    bare = {
        (node.lineno, node.col_offset)
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
    }
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type not in SILENT and token.start not in bare:
            yield token


def _kinds() -> re.Pattern[str]:
    """A layer kind as a word of a name: dense, dense_chunk, DENSE, MaxPool, max_pool."""
    words = "|".join("_?".join(kind) for kind in OPERATORS)
    return re.compile(f"(?<![A-Za-z])(?i:{words})(?![a-z])")


HASH, SLASHES, JINJA = r"#[^\n]*", r"//[^\n]*|/\*.*?\*/", r"\{#.*?#\}"
COMMENTS = {
    **dict.fromkeys((".v", ".h", ".hpp", ".cpp", ".c", ".css", ".rdl"), SLASHES),
    **dict.fromkeys((".html", ".svg", ".xml"), r"<!--.*?-->"),
    **dict.fromkeys((".tcl", ".xdc", ".ys", ".yaml", ".py", ""), HASH),
}
"""Comments of each kind of file, Python's own files excepted; "" is a Makefile."""


def code_of(path: Path) -> str:
    """The text of a file without its comments; nothing of a document. Raises ValueError for a kind of file of which
    nobody has said what a comment is."""
    text = path.read_text(encoding="utf-8")
    name = path.name.removesuffix(".j2")
    if name != path.name:
        text = re.sub(JINJA, "", text, flags=re.DOTALL)
    suffix = Path(name).suffix
    if suffix in (".md", ".json", ".typed", ".txt", ".TXT"):
        return ""
    if path.suffix == ".py":
        return " ".join(token.string for token in _tokens(text))
    if suffix not in COMMENTS:
        raise ValueError(f"{path}: no rule says what a comment is in a file {suffix!r}; add it to COMMENTS")
    return re.sub(COMMENTS[suffix], "", text, flags=re.DOTALL)


def naming_files(root: Path) -> Iterator[str]:
    """Files of TREES whose code names a layer kind: in identifiers and in texts, comments and docstrings aside."""
    kinds = _kinds()
    for path in sorted(path for tree in TREES for path in (root / tree).rglob("*") if path.is_file()):
        if not set(path.parts) & set(VENDORED) and path.suffix != ".pyc" and kinds.search(code_of(path)):
            yield path.relative_to(root).as_posix()


def _git(*arguments: str) -> bytes:
    done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, check=False, timeout=120)
    if done.returncode:
        sys.exit(f"git {' '.join(arguments)}: {done.stderr.decode(errors='replace').strip()}")
    return done.stdout


def measure_commit(name: str) -> Structure:
    """The counts of the tree at a commit of this repository."""
    with tempfile.TemporaryDirectory() as folder:
        with tarfile.open(fileobj=io.BytesIO(_git("archive", name, *TREES))) as archive:
            archive.extractall(folder, filter="data")
        return measure(Path(folder))


def touched(name: str) -> list[str]:
    """Files other than tests that a commit changes."""
    names = _git("show", "--first-parent", "--format=", "--name-only", name).decode().split()
    return sorted(path for path in names if not path.startswith("tests/"))


def counts(found: Structure) -> dict[str, int]:
    """Each count as a number."""
    return {key: value if isinstance(value, int) else len(value) for key, value in asdict(found).items()}


def _table(before: Structure | None, now: Structure) -> Table:
    table = Table(box=None, pad_edge=False)
    for title in ("", *(() if before is None else ("before",)), "now"):
        table.add_column(title, justify="right" if title else "left")
    for key, value in counts(now).items():
        table.add_row(TITLES[key], *(() if before is None else (f"{counts(before)[key]:,}",)), f"{value:,}")
    return table


def keep(before: tuple[str, Structure] | None, now: Structure) -> None:
    """Record the counts of this tree, and beside them those of an earlier one: of the last call's, if None."""
    for key, value in counts(now).items():
        record(f"structure.{key}", value, UNITS[key], COMMAND)
    old = json.loads(RECORDED.read_text(encoding="utf-8")) if RECORDED.exists() else {}
    if before is not None:
        old["before"] = {"commit": before[0], "counts": counts(before[1])}
    old["now"] = {"commit": commit(), "counts": counts(now)}
    write_atomic(RECORDED, json.dumps(old, indent=1, sort_keys=True) + "\n")


def main(arguments: list[str] | None = None) -> int:
    """Measure, print, record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--baseline", metavar="COMMIT", help="an earlier tree to compare with")
    parser.add_argument(
        "--max-pool", metavar="COMMIT", help="the commit that added max pooling, or text of its subject"
    )
    parser.add_argument("--record", action="store_true", help="keep the counts")
    parser.add_argument("--list", action="store_true", help="print what was counted, too")
    args = parser.parse_args(arguments)
    console = Console(highlight=False, soft_wrap=True)
    if args.max_pool:
        name = args.max_pool
        if not re.fullmatch("[0-9a-f]{7,40}", name):
            name = _git("log", "-1", "--format=%H", "--fixed-strings", f"--grep={name}").decode().strip()
        if not name:
            parser.error(f"--max-pool {args.max_pool}: no commit has this in its message")
        files = touched(name)
        console.print("\n".join([*files, f"{len(files)} files besides tests"]), markup=False)
        if args.record:
            record("structure.max_pool_files", len(files), "files", f"python -m benchmarks.structure --max-pool {name}")
        return 0
    now, before = measure(ROOT), None
    if args.baseline:
        name = _git("rev-parse", "--short=12", f"{args.baseline}^{{commit}}").decode().strip()
        before = name, measure_commit(name)
    console.print(_table(before and before[1], now))
    if args.list:
        for key, value in asdict(now).items():
            if not isinstance(value, int):
                console.print("\n".join([f"{key}:", *(f"  {line}" for line in value)]), markup=False)
    if args.record:
        keep(before, now)
    return 0


if __name__ == "__main__":
    sys.exit(main())

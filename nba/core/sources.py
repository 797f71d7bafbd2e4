# SPDX-License-Identifier: Apache-2.0
"""Which modules of nba a module needs, read from the import statements; and digests of sources, files and folders."""

from __future__ import annotations

import ast
import errno
import hashlib
import json
import os
import stat
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

PACKAGE = Path(__file__).resolve().parents[1]
LITTER = ("__pycache__", ".pyc", "events.out.tfevents.")
"""Parts of the names of files that no result depends on."""
LOG = "log.txt"
"""Name of the text logs of stages, on which no result depends either."""


def digest_json(value: Any) -> str:
    """sha256 of a JSON value, independent of the order of its keys."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def digest_file(path: Path) -> str:
    """sha256 of the content of a file."""
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def digest_tree(folder: Path) -> dict[str, str]:
    """Relative path -> sha256 of every file in `folder`, caches of Python, TensorBoard's events and logs left out."""
    paths = sorted(
        p for p in folder.rglob("*") if p.is_file() and p.name != LOG and not any(x in str(p) for x in LITTER)
    )
    return {p.relative_to(folder).as_posix(): digest_file(p) for p in paths}


def folder_state(folder: Path) -> list[tuple[str, int | str, int]]:
    """Relative path, size and time of change of every file below `folder`, behind symbolic links too; of a folder that
    several links lead to, path and target of all but one."""
    found: list[tuple[str, int | str, int]] = []
    root, seen, todo = str(folder), set(), [str(folder)]
    while todo:
        path = todo.pop()
        name = os.path.relpath(path, root)
        try:
            status = os.stat(path)
        except OSError as err:
            if err.errno in (errno.ENOENT, errno.ELOOP):  # a link that leads nowhere
                continue
            raise
        if not stat.S_ISDIR(status.st_mode):
            found.append((name, status.st_size, status.st_mtime_ns))
        elif (status.st_dev, status.st_ino) in seen:
            found.append((name, os.path.relpath(os.path.realpath(path), root), 0))
        else:
            seen.add((status.st_dev, status.st_ino))
            todo += [os.path.join(path, entry) for entry in sorted(os.listdir(path), reverse=True)]
    return found


def module_file(module: str, package: Path = PACKAGE) -> Path | None:
    """Source file of the module `nba` or of one in it, such as `nba.ir.check`; None if it is not a module of the
    package in that folder."""
    first, *rest = module.split(".")
    if first != package.name:
        return None
    base = package.joinpath(*rest)
    for path in (base / "__init__.py", base.with_suffix(".py")):
        if path.is_file():
            return path
    return None


@cache
def imports(module: str, *, lazy: bool = True, package: Path = PACKAGE) -> frozenset[str]:
    """Modules of the package in that folder that `module` imports, those for typing only left out; with `lazy` those in
    functions too."""
    names = imported_names(module, lazy=lazy, package=package)
    return frozenset(name for name in names if name != module and module_file(name, package))


def import_circles(package: Path = PACKAGE) -> list[list[str]]:
    """Modules of the package in that folder that need each other, circle by circle, imports inside functions seen. A
    module that names the package which holds it, to import what lies beside it, does not need that package itself; the
    outermost one nobody needs."""
    import networkx as nx

    graph = nx.DiGraph(
        (module, other)
        for module in modules_of(package)
        for other in imports(module, package=package)
        if other == package.name or not module.startswith(f"{other}.")
    )
    return sorted(sorted(found) for found in nx.strongly_connected_components(graph) if len(found) > 1)


def modules_of(package: Path = PACKAGE) -> list[str]:
    """Names of all modules of the package in that folder, the assets of a wheel left out."""
    paths = (path for path in package.rglob("*.py") if "_assets" not in path.parts)
    names = (".".join(path.relative_to(package.parent).with_suffix("").parts) for path in paths)
    return sorted(name.removesuffix(".__init__") for name in names)


def imported_names(module: str, *, lazy: bool = True, package: Path = PACKAGE) -> frozenset[str]:
    """Like `imports`, of any package; `from a import b` gives both a and a.b, which need not be a module."""
    at_once, in_functions = _imported_names(module, package)
    return at_once | in_functions if lazy else at_once


_STATEMENTS = ("body", "orelse", "finalbody", "handlers", "cases")
"""Fields of syntax nodes that hold statements, in which alone an import can stand."""


@cache
def _imported_names(module: str, package: Path) -> tuple[frozenset[str], frozenset[str]]:
    """What a module imports when it is imported, and what its functions import when they are called."""
    path = module_file(module, package)
    assert path is not None, module
    holder = module.split(".") if path.name == "__init__.py" else module.split(".")[:-1]
    found: tuple[set[str], set[str]] = (set(), set())
    todo: list[tuple[ast.AST, bool]] = [(ast.parse(path.read_text(encoding="utf-8")), False)]
    while todo:
        node, called = todo.pop()
        if isinstance(node, ast.Import):
            found[called].update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parts = holder[: len(holder) - node.level + 1] + ([node.module] if node.module else [])
                base = ".".join(parts)
            found[called].add(base)
            found[called].update(f"{base}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.If) and ast.unparse(node.test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING"):
            todo.extend((child, called) for child in node.orelse)
        else:
            inside = called or isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
            todo.extend((child, inside) for name in _STATEMENTS for child in getattr(node, name, ()))
    return frozenset(found[False]), frozenset(found[True])


def closure(modules: Iterable[str]) -> tuple[str, ...]:
    """`modules`, all that they import, and so on, with the packages that hold them; sorted. Of a package that merely
    holds one of them nothing is called, so what its functions would import does not count."""
    seen: set[tuple[str, bool]] = set()
    todo = [(module, True) for module in modules]
    while todo:
        module, called = todo.pop()
        if (module, called) in seen:
            continue
        seen.add((module, called))
        todo.extend((name, True) for name in imports(module, lazy=called))
        parent = module.rpartition(".")[0]
        if parent:
            todo.append((parent, False))
    return tuple(sorted({module for module, _ in seen}))


def digest_source(module: str) -> str:
    """One digest of the source of `module` and of everything of nba that it needs."""
    files = {name: module_file(name) for name in closure([module])}
    return digest_json({name: digest_file(path) for name, path in files.items() if path is not None})

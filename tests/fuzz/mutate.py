# SPDX-License-Identifier: Apache-2.0
"""Seeded mutations of texts, values and bytes."""

from __future__ import annotations

import copy
import io
import json
import random
import re
import string
import struct
import zipfile
from collections.abc import Callable
from typing import Any

import numpy as np
import yaml

TOKENS = (
    "!!int x", "!!int 3", "!!float x", "!!float [1]", "!!timestamp x", "!!timestamp 2001-01-01", "!!bool x", "!!bool 1",
    "!!binary =", "!!set {a, b}", "!!omap [a: 1]", "!!pairs x", "!!map x", "!!seq x", "!!str [a]", "!!null x",
    "!!merge x", "!!python/object:os.system x", "!local x", "!", "&a [*a]", "&a {b: *a}", "*a", "&a", "{", "}", "[",
    "]",
    "[[[[[[[[", "{{a: b}: c}", "[a]: b", "? a", "- ", ": ", "\t", "'", '"', '"\\ud800"', '"\\udfff\\ud800"', '"\\0"',
    '"\\x07"', '"\\N"', "%YAML 1.1", "%TAG ! x", "---", "...", "--- a\n--- b", "<<: *a", "<<: {seed: 1}", "|", ">-",
    "#",
    "9" * 60, "9" * 5000, "-" + "9" * 400, "1e999", "-1e999", "1e-400", "-0", "-0.0", "0x10", "0o7", "0b1", "010",
    "1_000",
    "1e5", "1E+5", ".5", "5.", "+.5", ".inf", "-.inf", ".nan", "NaN", "Infinity", "~", "null", "Null", "true", "True",
    "yes", "no", "on", "off", "=", "12:30:45", "190:20:30", "2001-01-01", "2001-12-14t21:59:43.10-05:00", "\ufeff",
    "\x85", "\u2028", "\xa0", "\x00", "\x1b[31m", "é", "💥", "\u202e", "a" * 300, "a" * 5000, "", " ", "../../x",
    "/dev/zero", "/etc/passwd", "~root/x",
    "~no-such-user/x", "$HOME", "`id`", "{{ 7 * 7 }}", "%s%n", "<script>", "-1", "0", "1", "2",
    "2147483647", "2147483648", "4294967296", "9223372036854775807", "9223372036854775808", "1.0", "0.1", "1e308",
    "5e-324",
)  # fmt: skip
VALUES: tuple[Any, ...] = (
    None, True, False, -1, 0, 1, 2, 3, 5, 7, 16, 63, 255, 256, 4095, 4096, 65535, 65536, 2**31 - 1, 2**31, 2**53 + 1,
    2**63 - 1, 2**63, -(2**63), 10**30, 10**400, 0.0, -0.0, 0.5, 1e-5, 1e-320, 1e-300, 1e300, 1e308, -1e308, "", " ",
    "a", "skip", "k3_e6", "mixed", "digits", "0", "1e5", "1.5", "yes", "no", "null", "~", "true", "2001-01-01", "12:30",
    "=", "<<", "é💥", "a\nb", "a\tb", "\x00", "\x7f", "\x85", "\u2028", "\ud800", "x" * 65, "x" * 5000, [], {}, [[]],
    [{}],
    {"": ""}, [None], [1, 2], ["a"], {"a": 1}, {"preset": "x"}, [0] * 50, "../x", "/dev/null", "~no-such-user/x",
)  # fmt: skip


def text(rng: random.Random, source: str, tokens: tuple[str, ...] = TOKENS) -> str:
    """`source` after a few edits."""
    for _ in range(rng.choice((1, 1, 1, 2, 3, 6))):
        source = rng.choice(_EDITS)(rng, source, tokens)
    return source


def _insert(rng: random.Random, source: str, tokens: tuple[str, ...]) -> str:
    at = rng.randint(0, len(source))
    return source[:at] + rng.choice(tokens) + source[at:]


def _value(rng: random.Random, source: str, tokens: tuple[str, ...]) -> str:
    """What stands behind a colon, or between commas, is another."""
    places = list(re.finditer(r"(?<=: )[^\n,}{\]]+|(?<=\[)[^\n,\]]+|-?[0-9][0-9.e+-]*", source))
    if not places:
        return _insert(rng, source, tokens)
    found = rng.choice(places)
    return source[: found.start()] + rng.choice(tokens) + source[found.end() :]


def _key(rng: random.Random, source: str, tokens: tuple[str, ...]) -> str:
    places = list(re.finditer(r"[A-Za-z_]+(?=\"?:)", source))
    if not places:
        return source
    one, other = rng.choice(places), rng.choice(places)
    word = other.group() if rng.random() < 0.5 else rng.choice(tokens)
    return source[: one.start()] + word + source[one.end() :]


def _cut(rng: random.Random, source: str, tokens: tuple[str, ...]) -> str:
    begin = rng.randint(0, len(source))
    return source[:begin] + source[min(len(source), begin + rng.choice((1, 2, 5, 20, 100, 10**6))) :]


def _again(rng: random.Random, source: str, tokens: tuple[str, ...]) -> str:
    lines = source.split("\n")
    at = rng.randrange(len(lines))
    block = lines[at : at + rng.choice((1, 1, 3, 8))] * rng.choice((1, 1, 1, 40))
    to = rng.randint(0, len(lines))
    return "\n".join((*lines[:to], *block, *lines[to:]))


def _indent(rng: random.Random, source: str, tokens: tuple[str, ...]) -> str:
    lines = source.split("\n")
    at = rng.randrange(len(lines))
    lines[at] = rng.choice((" ", "  ", "\t", "- ", "")) + (lines[at].lstrip() if rng.random() < 0.5 else lines[at])
    return "\n".join(lines)


def _character(rng: random.Random, source: str, tokens: tuple[str, ...]) -> str:
    at = rng.randint(0, len(source))
    return source[:at] + rng.choice((*string.printable, "\x00", "\ud800", "é", "\U0001f4a5")) + source[at + 1 :]


_EDITS: tuple[Callable[[random.Random, str, tuple[str, ...]], str], ...] = (
    _insert, _value, _value, _value, _key, _cut, _again, _indent, _character,
)  # fmt: skip


def value(rng: random.Random, source: Any, pool: tuple[Any, ...] = VALUES, edits: int | None = None) -> Any:
    """A JSON-like value after a few changes of its structure."""
    found = copy.deepcopy(source)
    for _ in range(edits or rng.choice((1, 1, 1, 2, 4))):
        found = _changed(rng, found, pool)
    return found


def _changed(rng: random.Random, root: Any, pool: tuple[Any, ...]) -> Any:
    parent, key = _place(rng, root)
    if parent is None:
        return rng.choice(pool)
    how = rng.randrange(12)
    if how > 8:
        alike = [at[name] for at, name in _places(root) if type(at[name]) is type(parent[key])]
        parent[key] = copy.deepcopy(rng.choice(alike))
    elif how < 4:
        parent[key] = copy.deepcopy(rng.choice(pool))
    elif how == 4:
        del parent[key]
    elif how == 5 and isinstance(parent, dict):
        parent[rng.choice(("", "x", "name", "seed", "é", "a" * 200, str(key) + "s", "\ud800"))] = parent.pop(key)
    elif how == 5 and isinstance(parent, list):
        parent.insert(rng.randint(0, len(parent)), copy.deepcopy(parent[key]))
    elif how == 6 and isinstance(parent[key], int | float) and not isinstance(parent[key], bool):
        parent[key] = rng.choice((parent[key] + 1, parent[key] - 1, -parent[key], parent[key] * 2, parent[key] * 10**6))
    elif how == 7:
        other, name = _place(rng, root)
        if other is not None:
            parent[key] = copy.deepcopy(other[name])
    elif isinstance(parent[key], list):
        parent[key] = parent[key] * rng.choice((0, 2, 2, 300))
    else:
        parent[key] = [parent[key]]
    return root


def _place(rng: random.Random, root: Any) -> tuple[Any, Any]:
    """A random container in `root` and a key of it."""
    places = _places(root)
    return rng.choice(places) if places else (None, None)


def _places(root: Any) -> list[tuple[Any, Any]]:
    """Containers in `root` and their keys."""
    places: list[tuple[Any, Any]] = []
    todo = [root]
    while todo and len(places) < 4000:
        item = todo.pop()
        entries = item.items() if isinstance(item, dict) else enumerate(item) if isinstance(item, list) else ()
        for key, inner in entries:
            places.append((item, key))
            todo.append(inner)
    return places


JSON_TOKENS = (
    "NaN", "Infinity", "-Infinity", "1e999", "-1e400", "9" * 400, "9" * 5000, "-" + "9" * 25, "9223372036854775807",
    "9223372036854775808", "1e308", "1e-400", "-0", "-0.0", "01", "1.", ".5", "null", "true", "nul", '"\\ud800"',
    '"\\u0000"',
    '"' + "x" * 300 + '"', '"' + "x" * 100_000 + '"', "[]", "{}", "[" * 5000, "{", "}", "]", ",", ":", '"', "'a'",
    '{"a": 1, "a": 2}', "\ufeff", "\x00", "é", "/*", "0", "1", "-1", "4095", "65536",
)  # fmt: skip


def json_text(rng: random.Random, source: Any, pool: tuple[Any, ...] = VALUES) -> str:
    """A JSON text near `source`: of other structure, or edited as a text."""
    if rng.random() < 0.75:
        found = value(rng, source, pool)
        made = json.dumps(found, indent=rng.choice((None, 1)))
        return made if rng.random() < 0.95 else json.dumps(found, ensure_ascii=False).replace("\ud800", "?")
    return text(rng, json.dumps(source, indent=1), JSON_TOKENS)


def yaml_text(rng: random.Random, source: Any, pool: tuple[Any, ...] = VALUES, edits: int | None = None) -> str:
    """A YAML text near the value `source`, of other structure."""
    found: str = yaml.safe_dump(value(rng, source, pool, edits), sort_keys=False, allow_unicode=rng.random() < 0.5)
    return found


def encoded(source: str) -> bytes:
    """UTF-8, half surrogates as other programs write them."""
    return source.encode("utf-8", "surrogatepass")


def damaged(rng: random.Random, source: bytes) -> bytes:
    """Bytes after flips, cuts and insertions."""
    found = bytearray(source)
    for _ in range(rng.choice((1, 1, 2, 8))):
        if not found:
            break
        at = rng.randrange(len(found))
        how = rng.randrange(5)
        if how == 0:
            found[at] ^= 1 << rng.randrange(8)
        elif how == 1:
            found[at : at + rng.choice((1, 2, 4))] = bytes(rng.randrange(256) for _ in range(rng.choice((1, 2, 4))))
        elif how == 2:
            del found[at : at + rng.choice((1, 16, 10**9))]
        elif how == 3:
            found[at:at] = bytes(rng.randrange(256) for _ in range(rng.randint(1, 64)))
        else:
            found[at : at + 4] = rng.choice((b"\xff" * 4, b"\x00" * 4, struct.pack("<I", 2**31)))
    return bytes(found)


def _npy(array: np.ndarray, version: tuple[int, int] = (1, 0)) -> bytes:
    data = io.BytesIO()
    np.lib.format.write_array(data, array, version=version, allow_pickle=True)
    return data.getvalue()


def _header(descr: str, shape: str, body: bytes = b"") -> bytes:
    """An array whose header says what it likes."""
    head = f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}".encode()
    head += b" " * (-(len(head) + 11) % 64) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(head)) + head + body


def npz(rng: random.Random, arrays: dict[str, np.ndarray]) -> bytes:
    """An .npz file near one of `arrays`."""
    if rng.random() < 0.3:
        buffer = io.BytesIO()
        np.savez(buffer, **arrays)  # type: ignore[arg-type]
        return damaged(rng, buffer.getvalue())
    if rng.random() < 0.1:
        first = next(iter(arrays.values()))
        return rng.choice((_npy(first), b"", b"PK", b"PK\x05\x06" + b"\0" * 18, b"\x80\x04N.", _npy(first)[:40]))
    members = {name: _npy(array) for name, array in arrays.items()}
    name = rng.choice(list(members))
    members[name] = rng.choice(_ARRAYS)(rng, arrays[name])
    how = rng.randrange(6)
    if how == 0:
        del members[rng.choice(list(members))]
    elif how == 1:
        members[rng.choice(("x", "../../x", "é", "a" * 300, name + "_"))] = members.pop(name)
    squeeze = rng.choice((zipfile.ZIP_STORED, zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_LZMA))
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", squeeze) as archive:
        for key, data in members.items():
            archive.writestr(zipfile.ZipInfo(f"{key}.npy"), data, compress_type=squeeze)
    return buffer.getvalue()


_ARRAYS: tuple[Callable[[random.Random, np.ndarray], bytes], ...] = (
    lambda rng, a: _npy(a.astype(rng.choice(("i1", "i2", "i4", "i8", "u1", ">i4", "f4", "f8", "c8", "?", "U3", "S3")))),
    lambda rng, a: _npy(a.astype(object)),
    lambda rng, a: _npy(a.reshape(-1)),
    lambda rng, a: _npy(a[..., np.newaxis]),
    lambda rng, a: _npy(a[:0]),
    lambda rng, a: _npy(np.concatenate([a, a])),
    lambda rng, a: _npy(np.array(3)),
    lambda rng, a: _npy(np.asfortranarray(a)),
    lambda rng, a: _npy(a, (2, 0)),
    lambda rng, a: _npy(a, (3, 0)),
    lambda rng, a: _npy(np.full_like(a, rng.choice((-128, 0, 127)) if a.dtype.kind == "i" else 1)),
    lambda rng, a: _npy((a.astype("i8") + rng.choice((1, -1, 1000, 2**20))).astype(a.dtype)),
    lambda rng, a: _header("'<i4'", "(1099511627776,)"),
    lambda rng, a: _header("'<i4'", "(1048576, 1048576, 1048576)"),
    lambda rng, a: _header("'<i4'", "(-1,)"),
    lambda rng, a: _header("'<i4'", "(0, 99999999999999999999)"),
    lambda rng, a: _header("'<i4'", "(3,"),
    lambda rng, a: _header("__import__('os')", "(3,)"),
    lambda rng, a: _header("[('a', '<i4')]", "(3,)", b"\0" * 12),
    lambda rng, a: _header("'|O'", "(1,)", b"\x80\x04N."),
    lambda rng, a: _header("'<i4'", "((((((((((3))))))))))", b"\0" * 12),
    lambda rng, a: _header("'" + "i" * 50_000 + "'", "(3,)"),
    lambda rng, a: _header("'|i1'", "(30000000,)", b"\0" * 30_000_000) if rng.random() < 0.1 else _npy(a),
    lambda rng, a: damaged(rng, _npy(a)),
    lambda rng, a: b"",
)


def soup(rng: random.Random, words: tuple[str, ...]) -> str:
    """YAML-like text without a model: words, tokens and punctuation."""
    parts = (*words, *TOKENS, *("\n", "\n", "\n  ", "\n    ", ": ", ": ", "- ", ", ", "[", "]", "{", "}") * 6)
    return "".join(rng.choice(parts) for _ in range(rng.randint(1, 60)))

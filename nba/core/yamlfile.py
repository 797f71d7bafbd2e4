# SPDX-License-Identifier: Apache-2.0
"""Files that a user writes in YAML: reading them, and saying everything that is wrong with them at once."""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar

import yaml
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from nba.core.errors import SpecError, listed
from nba.core.jsonfile import read_bytes, shown

_MAX_BYTES = 1 << 17
"""Size of a file that a user writes by hand."""
_MAX_TEXT = 4096
"""Characters of a text in it: as long as a path may be."""
MAX_DIGITS = 40
"""Digits of an integer in it; what a field takes is less, and its own message says so."""
MAX_VALUES = 20_000
"""Values in it, every use of an alias counted."""
TAGS = frozenset(f"tag:yaml.org,2002:{name}" for name in ("null", "bool", "int", "float", "str", "seq", "map", "merge"))
"""Kinds of values that a file may hold; dates, sets and the like mean nothing to any field."""


class _Loader(yaml.SafeLoader):
    """YAML without its traps: a key that is given twice is an error instead of silently the last one, and plain words
    and numbers are read as in YAML 1.2 (`no` is a word, 010 is ten, 1e-3 is a number)."""

    yaml_implicit_resolvers: ClassVar[dict[Any, Any]] = {}
    yaml_constructors: ClassVar[dict[Any, Any]] = {
        tag: made for tag, made in yaml.SafeLoader.yaml_constructors.items() if tag is None or tag in TAGS
    }

    def get_single_node(self) -> yaml.Node | None:
        """The document, unless its aliases would grow to more than `MAX_VALUES` values."""
        node: yaml.Node | None = super().get_single_node()
        if node is not None:
            _count(node, {})
        return node


class _Dumper(yaml.SafeDumper):
    """What it writes `_Loader` reads back to the same value: texts that either kind of YAML takes for a number or a
    word with a meaning are quoted."""


def _count(node: yaml.Node, sizes: dict[int, int]) -> int:
    """Values in `node`. Raises yaml.MarkedYAMLError where they are too many, or where a value holds itself."""
    known = sizes.get(id(node))
    if known == 0:
        raise yaml.constructor.ConstructorError(None, None, "an alias stands inside its own value", node.start_mark)
    if known is not None:
        return known
    sizes[id(node)] = 0
    total = 1
    if isinstance(node, yaml.MappingNode):
        total += sum(_count(key, sizes) + _count(value, sizes) for key, value in node.value)
    elif isinstance(node, yaml.SequenceNode):
        total += sum(_count(value, sizes) for value in node.value)
    if total > MAX_VALUES:
        problem = f"more than {MAX_VALUES:,} values, every use of an alias counted"
        raise yaml.constructor.ConstructorError(None, None, problem, node.start_mark)
    sizes[id(node)] = total
    return total


_PATTERNS: tuple[tuple[str, str, Any], ...] = (
    ("bool", r"true|false|True|False|TRUE|FALSE", "tTfF"),
    ("int", r"[-+]?[0-9]+", "-+0123456789"),
    ("float", r"[-+]?(\.[0-9]+|[0-9]+\.[0-9]*)([eE][-+]?[0-9]+)?|[-+]?[0-9]+[eE][-+]?[0-9]+", "-+.0123456789"),
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
)
for _tag, _pattern, _first in _PATTERNS:
    for _kind in (_Loader, _Dumper):
        _kind.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(rf"(?:{_pattern})$"), list(_first))


def _wrong(node: yaml.Node, problem: str) -> yaml.constructor.ConstructorError:
    return yaml.constructor.ConstructorError(None, None, problem, node.start_mark)


def _word(loader: _Loader, node: yaml.Node, kind: str) -> str:
    """The text of a scalar that is tagged, or reads, as `kind`; checked, since a tag may stand before any text."""
    text: str = loader.construct_scalar(node)
    pattern = next(pattern for name, pattern, _ in _PATTERNS if name == kind)
    if not re.fullmatch(pattern, text):
        raise _wrong(node, f"{shown(text)} is not a YAML 1.2 {kind}")
    return text


def _int(loader: _Loader, node: yaml.Node) -> int:
    text = _word(loader, node, "int")
    if len(text) > MAX_DIGITS:
        raise _wrong(node, f"an integer of {len(text):,} digits; legal: at most {MAX_DIGITS}")
    return int(text)


def _float(loader: _Loader, node: yaml.Node) -> float:
    text = _word(loader, node, "float") if _looks_real(node) else str(_int(loader, node))
    value = float(text)
    if not math.isfinite(value):
        raise _wrong(node, f"the number {text[:24]} is too large")
    return value


def _looks_real(node: yaml.Node) -> bool:
    return not re.fullmatch(r"[-+]?[0-9]+", str(node.value))


def _text(loader: _Loader, node: yaml.Node) -> str:
    text: str = loader.construct_scalar(node)
    if len(text) > _MAX_TEXT:
        raise _wrong(node, f"a text of {len(text):,} characters; legal: at most {_MAX_TEXT:,}")
    strange = next((c for c in text if c not in "\n\t" and (c < " " or "\x7f" <= c < "\xa0" or _half(c))), None)
    if strange is not None:
        raise _wrong(node, f"the character {strange!a} in a text; control characters and surrogates mean nothing")
    return text


def _half(c: str) -> bool:
    return "\ud800" <= c <= "\udfff"


_Loader.add_constructor("tag:yaml.org,2002:int", _int)
_Loader.add_constructor("tag:yaml.org,2002:float", _float)
_Loader.add_constructor("tag:yaml.org,2002:str", _text)
_Loader.add_constructor("tag:yaml.org,2002:bool", lambda loader, node: _word(loader, node, "bool").lower() == "true")


def _mapping(loader: _Loader, node: yaml.MappingNode) -> dict[Any, Any]:
    if not isinstance(node, yaml.MappingNode):
        raise _wrong(node, "expected fields (`name: value`)")
    found: dict[Any, int] = {}
    for key_node, _ in node.value:
        if isinstance(key_node, yaml.ScalarNode):
            line = key_node.start_mark.line + 1
            if key_node.value in found:
                problem = f"`{key_node.value[:60]}` is given twice (first in line {found[key_node.value]})"
                raise yaml.constructor.ConstructorError(None, None, problem, key_node.start_mark)
            found[key_node.value] = line
    return loader.construct_mapping(node, deep=True)


_Loader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping)


def names_a_file(text: str) -> bool:
    """Whether a value that may also be the name of something ready is the path of a file."""
    return Path(text).suffix in (".yaml", ".yml") or "/" in text or text.startswith("~")


def read_text(path: Path, *, what: str, example: str) -> str:
    """The text of `path`, a file of the kind `what`, as `example` is one. Raises SpecError if it cannot be read."""
    try:
        return read_bytes(path, _MAX_BYTES).decode("utf-8").replace("\r\n", "\n")
    except FileNotFoundError:
        raise SpecError(f"{path}: no such file; give the path of a {what}, as {example}") from None
    except IsADirectoryError:
        raise SpecError(f"{path}: is a folder; give the path of a {what} file") from None
    except UnicodeDecodeError as err:
        raise SpecError(f"{path}: not UTF-8 text (byte {err.start}); save it as UTF-8") from None
    except OSError as err:
        raise SpecError(f"{path}: cannot be read: {err.strerror}") from None
    except ValueError as err:
        raise SpecError(f"{str(path)!r:.200}: cannot be read: {err}") from None


def parse_yaml(text: str, *, where: str, what: str, fields: Collection[str]) -> dict[Any, Any]:
    """What stands in `text`, the file `where` of the kind `what`, which holds `fields`. Raises SpecError."""
    if len(text) > _MAX_BYTES:
        raise SpecError(f"{where}: it has {len(text):,} characters; legal: at most {_MAX_BYTES:,}")
    try:
        raw = yaml.load(text, Loader=_Loader)
    except yaml.MarkedYAMLError as err:
        mark = err.problem_mark
        place = f":{mark.line + 1}:{mark.column + 1}" if mark else ""
        hint = " (YAML indents with spaces, not tabs)" if "'\\t'" in str(err.problem) else ""
        raise SpecError(f"{where}{place}: {err.problem}{hint}") from None
    except yaml.YAMLError as err:
        raise SpecError(f"{where}: not YAML: {' '.join(str(err).split())}") from None
    except RecursionError:
        raise SpecError(f"{where}: nested too deeply for a {what}") from None
    if not isinstance(raw, dict):
        kind = "empty" if raw is None else f"a {type(raw).__name__}"
        raise SpecError(f"{where}: the file is {kind}; it must hold the fields {', '.join(fields)}")
    return raw


def dump_yaml(value: Any) -> str:
    """`value` as YAML that `parse_yaml` reads back to the same value, fields in their order."""
    text: str = yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=True)
    return text


def value_at(values: Any, field: str) -> Any:
    """The value of `field`, written with dots, in a spec's `model_dump`; None where a section on the way is absent."""
    for part in field.split("."):
        if values is None:
            return None
        values = values[part]
    return values


def report(where: str, problems: Sequence[str]) -> str:
    """The message that lists all problems of the file `where`."""
    count = f"{len(problems)} error{'s' if len(problems) > 1 else ''}"
    return f"{where}: {count}\n{listed(problems)}"


def near(word: str, legal: Collection[str]) -> str:
    """A hint at the legal word that `word` may be meant to be."""
    close = difflib.get_close_matches(word, list(legal), n=1)
    return f" (did you mean {close[0]!r}?)" if close else ""


def explain(error: ValidationError, model: type[BaseModel], *, raw: Any = None) -> list[str]:
    """One line per error of a `model`: field, what is wrong, the value found, what is legal. With the `raw` values,
    entries of lists are called by their name as well, if they have one."""
    found = error.errors()
    # A list that is too short only because its entries are wrong is not an error of its own.
    shadowed = {e["loc"] for e in found if any(o is not e and o["loc"][: len(e["loc"])] == e["loc"] for o in found)}
    return [_explain(e, model, raw) for e in found if not (e["type"] == "too_short" and e["loc"] in shadowed)]


def field_path(loc: tuple[int | str, ...], raw: Any = None) -> str:
    """A place in a file, as messages name it."""
    text = ""
    for part in loc:
        raw = raw[part] if _holds(raw, part) else None
        name = raw.get("name") if isinstance(part, int) and isinstance(raw, dict) else None
        if isinstance(part, int):
            text += f"[{part}]" if not isinstance(name, str) else f"[{part}: {name}]"
        else:
            text += f".{part}" if text else str(part)
    return text


def _holds(raw: Any, part: int | str) -> bool:
    if isinstance(raw, dict):
        return part in raw
    return isinstance(raw, list) and isinstance(part, int) and part < len(raw)


def _fields_at(loc: tuple[int | str, ...], model: type[BaseModel]) -> Collection[str]:
    """Names of the fields of the section that holds `loc`."""
    for part in loc[:-1]:
        if isinstance(part, str):
            model = next(_models(model.model_fields[part].annotation), model)
    return list(model.model_fields)


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for inner in getattr(annotation, "__args__", ()):
        yield from _models(inner)


_FORMS = {
    "tuple_type": "a list is needed",
    "dict_type": "a section is needed",
    "too_short": "the number of entries is {actual_length}; legal: at least {min_length}",
    "too_long": "the number of entries is {actual_length}; legal: at most {max_length}",
}
"""What is wrong with a list or a section, in the words of YAML."""


def _explain(error: ErrorDetails, model: type[BaseModel], raw: Any) -> str:
    loc, kind = error["loc"], error["type"]
    where = field_path(loc, raw)
    if kind == "extra_forbidden":
        legal = _fields_at(loc, model)
        return f"{where}: unknown field{near(str(loc[-1]), legal)}; legal here: {', '.join(legal)}"
    if kind == "missing":
        return f"{where}: missing"
    message = error["msg"].removeprefix("Value error, ")
    if kind == "model_type":
        message = f"a section is needed; legal here: {', '.join(_fields_at((*loc, ''), model))}"
    if kind in _FORMS:
        message = _FORMS[kind].format(**error.get("ctx", {}))
    if kind == "string_pattern_mismatch":
        message = "letters, digits, `_`, `.` and `-` only, at most 64, the first a letter or digit"
    message = message[:1].lower() + message[1:]
    found = "" if isinstance(error["input"], dict | list) else f" (found {shown(error['input'])})"
    return f"{where}: {message}{found}".removeprefix(": ")

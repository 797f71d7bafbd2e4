# SPDX-License-Identifier: Apache-2.0
"""JSON values as dataclasses, with every problem that one has."""

from __future__ import annotations

import math
import types
import typing
from dataclasses import MISSING, fields, is_dataclass
from functools import cache
from typing import Any

from pydantic import BaseModel, ValidationError

from nba.core.jsonfile import SHOWN, shown
from nba.core.yamlfile import explain

_MAX_TEXT = 200
"""Characters of a name, or of any other text, in a design."""


def decode(kind: Any, value: Any, where: str, problems: list[str], *, defaults: bool = False) -> Any:
    """JSON value -> `kind`: a dataclass, pydantic model, tuple, Literal, scalar, any of these or None, or a scalar or a
    tuple. Appends to `problems` instead of raising.

    With `defaults`, a field that has a default may be left out; otherwise only one whose metadata says so.
    """
    origin, args = typing.get_origin(kind), typing.get_args(kind)
    if isinstance(kind, type) and is_dataclass(kind):
        return _decode_object(kind, value, where, problems, defaults=defaults)
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return _decode_model(kind, value, where, problems)
    if origin is tuple:
        return _decode_list(args, value, where, problems, defaults=defaults)
    if origin is typing.Literal:
        if value not in args:
            problems.append(f"{where}: {shown(value)} is not one of {', '.join(map(repr, args))}")
        return value
    if origin in (typing.Union, types.UnionType):
        if value is None:
            return None
        kinds = [a for a in args if a is not type(None)]
        lists = [a for a in kinds if (typing.get_origin(a) is tuple) == isinstance(value, list)]
        return decode((lists or kinds)[0], value, where, problems, defaults=defaults)
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        problems.append(f"{where}: expected {kind.__name__}, found {shown(value)}")
    elif isinstance(value, str) and len(value) > _MAX_TEXT:
        problems.append(f"{where}: has {len(value):,} characters; legal: at most {_MAX_TEXT}")
    elif isinstance(value, float) and not math.isfinite(value):
        problems.append(f"{where}: is {value}; legal: finite numbers")
    return value


def _decode_object(kind: Any, value: Any, where: str, problems: list[str], *, defaults: bool) -> Any:
    """A JSON object -> the dataclass `kind`, or None."""
    if not isinstance(value, dict):
        problems.append(f"{where}: expected an object, found {type(value).__name__}")
        return None
    hints = _hints(kind)
    known = {f.name for f in fields(kind)}
    needed = {
        f.name
        for f in fields(kind)
        if not (f.default is not MISSING and (defaults or f.metadata.get("may_lack", False)))
    }
    problems.extend(f"{where}.{k[:SHOWN]}: unknown field" for k in sorted(set(value) - known))
    problems.extend(f"{where}.{k}: missing" for k in sorted(needed - set(value)))
    found = {
        k: decode(hints[k], value[k], f"{where}.{k}", problems, defaults=defaults) for k in sorted(known & set(value))
    }
    return None if problems else kind(**found)


def _decode_model(kind: type[BaseModel], value: Any, where: str, problems: list[str]) -> BaseModel | None:
    """A JSON object -> the model `kind`, which checks its own fields, or None."""
    try:
        return kind.model_validate(value)
    except ValidationError as err:
        problems.extend(f"{where}.{line}" for line in explain(err, kind))
        return None


def _decode_list(args: tuple[Any, ...], value: Any, where: str, problems: list[str], *, defaults: bool) -> Any:
    """A JSON list -> a tuple of `args`: one kind and an ellipsis, or the kind of every entry."""
    if not isinstance(value, list):
        problems.append(f"{where}: expected a list, found {type(value).__name__}")
        return ()
    if len(args) == 2 and args[1] is Ellipsis:
        args = (args[0],) * len(value)
    if len(args) != len(value):
        problems.append(f"{where}: expected {len(args)} entries, found {len(value)}")
        return ()
    pairs = enumerate(zip(args, value, strict=True))
    return tuple(decode(a, v, f"{where}[{i}]", problems, defaults=defaults) for i, (a, v) in pairs)


@cache
def _hints(kind: type) -> dict[str, Any]:
    return typing.get_type_hints(kind)

# SPDX-License-Identifier: Apache-2.0
"""What a section of a spec is: a frozen pydantic model that its owner defines and uses as its configuration."""

from __future__ import annotations

from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field

Positive = Annotated[int, Field(gt=0, le=2**31 - 1, strict=True)]
Rate = Annotated[float, Field(gt=0, le=1, strict=True)]
PositiveFloat = Annotated[float, Field(gt=0, le=1e12, allow_inf_nan=False, strict=True)]
Weight = Annotated[float, Field(ge=0, le=1e6, allow_inf_nan=False, strict=True)]
"""Factor of a term of a loss."""


class Section(BaseModel):
    """A section: frozen; unknown fields are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    def but(self, **changes: object) -> Self:
        """The same section with other values of some fields, checked anew. Raises ValidationError."""
        kept = {name: getattr(self, name) for name in type(self).model_fields}
        return type(self).model_validate({**kept, **changes})


def merged(preset: dict[str, Any], given: dict[str, Any]) -> dict[str, Any]:
    """`preset` with the fields of `given` in place of its own; sections within are merged field by field."""
    found = dict(preset)
    for key, value in given.items():
        inner = found.get(key)
        found[key] = merged(inner, value) if isinstance(inner, dict) and isinstance(value, dict) else value
    return found


def with_preset(raw: Any, presets: dict[str, dict[str, Any]]) -> Any:
    """`raw` with the fields of the preset that it names, where it does not give them itself."""
    name = raw.get("preset") if isinstance(raw, dict) else None
    return merged(presets[name], raw) if isinstance(name, str) and name in presets else raw

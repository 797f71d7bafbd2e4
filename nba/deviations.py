# SPDX-License-Identifier: Apache-2.0
"""What of a published preset a spec does not do, as sentences for its user."""

from __future__ import annotations

from collections.abc import Iterator

from nba.core.yamlfile import value_at
from nba.published import NETWORKS_MISSING, PUBLISHED, PublishedSettings
from nba.spec import Spec


def notes(spec: Spec) -> tuple[str, ...]:
    """What a user of the published presets in `spec` must know: what cannot be expressed, and which values are not the
    published ones. Empty where no such preset is used."""
    lines: list[str] = []
    name = spec.schedule.preset
    if name in PUBLISHED:
        lines += [f"{name}: {line}" for line in (*PUBLISHED[name].missing, *_differing(spec, PUBLISHED[name]))]
    space = None if spec.network is None else spec.network.preset
    said = {line.partition(": ")[2] for line in lines}
    lines += [f"{space}: {line}" for line in NETWORKS_MISSING.get(space or "", ()) if line not in said]
    return tuple(lines)


def _differing(spec: Spec, published: PublishedSettings) -> Iterator[str]:
    """What `spec` has in place of published values."""
    values = spec.model_dump(mode="json")
    wanted = [*published.elsewhere]
    for section, fields in (("search", published.search), ("train", published.train)):
        wanted += [(f"schedule.{section}.{field}", value) for field, value in fields.items()]
    for field, value in wanted:
        found = value_at(values, field)
        if found != value:
            yield f"{field}: {found} in this spec, published {value}"

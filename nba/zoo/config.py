# SPDX-License-Identifier: Apache-2.0
"""The section `given` of a spec: a network that is not searched."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from nba.core.section import Section
from nba.zoo.networks import ZOO


class GivenNetwork(Section):
    """A network that is given, so that nothing is searched or trained: one of `published` and `file`. published: its
    name; all layers have 8 bits. image: rows and columns of its images, by default those of the publication. weights:
    `random` draws them from the seed of the spec: bits, cycles and resources are those of the hardware, but the outputs
    mean nothing. file: a trained, quantised network that another tool wrote (docs/import.md)."""

    published: Literal["mobilenet_v1", "mobilenet_v2", "resnet18", "resnet8"] | None = None
    image: Annotated[int, Field(ge=4, le=512, strict=True)] | None = None
    weights: Literal["random"] | None = None
    file: Annotated[str, Field(min_length=1)] | None = None

    @model_validator(mode="before")
    @classmethod
    def _of_the_publication(cls, raw: Any) -> Any:
        name = raw.get("published") if isinstance(raw, dict) else None
        if not (isinstance(name, str) and name in ZOO):
            return raw
        stated = {key: value for key, value in raw.items() if value is not None}
        return {"image": ZOO[name].image, "weights": "random", **stated}

    @model_validator(mode="after")
    def _one_network(self) -> GivenNetwork:
        if (self.published is None) == (self.file is None):
            raise ValueError("give one of `published`, a name, and `file`, a file of a trained network")
        if self.file is not None and (self.image is not None or self.weights is not None):
            raise ValueError("`image` and `weights` belong to `published`; a file has both; leave them out")
        return self

    @property
    def title(self) -> str:
        """What messages call it."""
        return self.published or str(self.file)

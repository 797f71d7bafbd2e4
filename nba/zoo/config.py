# SPDX-License-Identifier: Apache-2.0
"""The section `given` of a spec: a network that is not searched."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from nba.core.section import Section
from nba.zoo.networks import IMAGENET_SIZE, ZOO


class GivenNetwork(Section):
    """A network that is given, so that nothing is searched or trained. published: its name; all layers have 8 bits.
    image: rows and columns of its images, by default those of the publication. weights: `random` draws them from the
    seed of the spec: bits, cycles and resources are those of the hardware, but the outputs mean nothing."""

    published: Literal["mobilenet_v1", "mobilenet_v2", "resnet18", "resnet8"]
    image: Annotated[int, Field(ge=4, le=512, strict=True)] = IMAGENET_SIZE
    weights: Literal["random"] = "random"

    @model_validator(mode="before")
    @classmethod
    def _image_of_the_publication(cls, raw: Any) -> Any:
        name = raw.get("published") if isinstance(raw, dict) else None
        return {"image": ZOO[name].image, **raw} if isinstance(name, str) and name in ZOO else raw

# SPDX-License-Identifier: Apache-2.0
"""The sections `budgets` and `accelerator` of a spec: the hard limits of a design, and the numbers of chunks that are
searched."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator

from nba.core.section import Positive, PositiveFloat, Rate, Section
from nba.ir.accelerator import MAX_BANKS


class ResourceBudgets(Section):
    """The hard limits that the user and the search have in one unit; None is no limit.

    dsp: DSP blocks. bram: 36-Kbit memory blocks (a half is one 18-Kbit block). lut: 6-input LUTs, by the calibrated
    estimate. power_w: dynamic watts at one frame per interval, by a relative model.
    """

    dsp: Positive
    bram: PositiveFloat
    lut: Positive | None = None
    power_w: PositiveFloat | None = None


class RunBudgets(ResourceBudgets):
    """Hard limits: what is emitted satisfies them, or the run says which it does not and ends with an error.

    dsp: DSP blocks. bram: 36-Kbit blocks (a half is one 18-Kbit block). lut: 6-input LUTs, by an estimate whose error
    the report states. power_w: dynamic watts at full speed, by a relative model. latency_us: from the first input to
    the first output. fps: frames per second, at least. accuracy: of the integer network on the test images, at least
    (share of 1); it is known once the network is trained. clock_mhz: the target clock [MHz], at most the one that the
    platform supports, which is the default.
    """

    latency_us: PositiveFloat | None = None
    fps: PositiveFloat | None = None
    accuracy: Rate | None = None
    clock_mhz: Annotated[float, Field(ge=1.0, le=10_000.0, allow_inf_nan=False)] | None = None


Columns = Annotated[int, Field(ge=1, le=MAX_BANKS, strict=True)]


class ChunkLimits(Section):
    """Bounds of the accelerators that are searched. Every network has layers of two kinds, with chunks of their own.

    columns: columns of a map that an engine may work on at once, the numbers to choose from; None: 1, 2, 4 and 8.
    """

    min_chunks: Annotated[int, Field(ge=1, le=8, strict=True)] = 2
    max_chunks: Annotated[int, Field(ge=2, le=8, strict=True)] = 4
    columns: Annotated[tuple[Columns, ...], Field(min_length=1)] | None = None

    @model_validator(mode="after")
    def _ordered(self) -> ChunkLimits:
        if self.min_chunks > self.max_chunks:
            raise ValueError(f"min_chunks {self.min_chunks} is more than max_chunks {self.max_chunks}")
        return self

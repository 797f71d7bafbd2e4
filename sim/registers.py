# SPDX-License-Identifier: Apache-2.0
"""The registers by name, from registers.json: the table that their one description gives (docs/registers.md)."""

import json
from pathlib import Path

MAP = json.loads((Path(__file__).resolve().parent / "registers.json").read_text())
REGISTER = {register["name"].lower(): register["offset"] for register in MAP["registers"]}
"""Addresses."""
FIELDS = {register["name"].lower(): register["fields"] for register in MAP["registers"]}
ONLY_WITH = {
    only: [register["name"].lower() for register in MAP["registers"] if register["only_with"] == only]
    for only in ("modes", "memory")
}
"""Registers that only designs of several modes, and those that stream weights, have."""
COUNTERS, COUNTERS_CHUNK, COUNTERS_JOB, MAX_CHUNKS = (
    MAP["counters"][key] for key in ("offset", "chunk_stride", "job_stride", "chunks")
)
COUNTER_PARTS = [register["offset"] for register in MAP["counters"]["registers"]]
"""Where, of a job's counters, the first cycle and the last memory write are."""


def bits(register, field):
    """The bits of a field, in their places."""
    (found,) = (row for row in FIELDS[register] if row["name"] == field)
    return ((1 << found["width"]) - 1) << found["low"]


def reset_values():
    """What the registers hold after a reset, by name: those of which the description says all."""
    return {
        name: sum(field["reset"] << field["low"] for field in fields)
        for name, fields in FIELDS.items()
        if all(field["reset"] is not None for field in fields)
    }


WHOLE_WORDS = ("mode", "weights_lo", "weights_hi")
"""Registers that take no part of a word."""
START, SOFT_RESET = bits("ctrl", "start"), bits("ctrl", "soft_reset")
IDLE, BUSY, DONE = 0, bits("status", "busy"), bits("status", "done")
"""What STATUS says before a batch, in it, and after it."""
READ_ERROR = bits("status", "read_error")
"""What it says besides where external memory answered a read with an error."""
ID = reset_values()["id"]

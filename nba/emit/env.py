# SPDX-License-Identifier: Apache-2.0
"""The one Jinja2 environment: every generated file of a bundle is rendered here."""

from __future__ import annotations

import re
from functools import lru_cache

import jinja2

from nba.core import assets
from nba.core.figures import clock_text

COMMENT_CHARS = 60
"""Longest text that a user's name may contribute to a comment."""

_UNSAFE = re.compile(r"[^A-Za-z0-9 _.,:+=()<>\[\]-]")


def comment(text: object) -> str:
    """A user's text as it may stand inside a comment of any generated language, on one line.

    Keeps letters, digits, blanks and `_.,:+=()<>[]-`; every other character (quotes, backticks, slashes, stars,
    backslashes, question marks, line ends, anything outside ASCII) becomes `_`. At most `COMMENT_CHARS` characters.
    """
    return _UNSAFE.sub("_", str(text))[:COMMENT_CHARS].strip()


@lru_cache(maxsize=1)
def environment() -> jinja2.Environment:
    """The environment over `templates/`: StrictUndefined, no autoescape, the filters `comment` for users' names and
    `clock` for clocks."""
    env = jinja2.Environment(
        loader=jinja2.FileSystemLoader(assets.root("templates")),
        undefined=jinja2.StrictUndefined,
        autoescape=False,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        newline_sequence="\n",
    )
    env.filters["comment"] = comment
    env.filters["clock"] = clock_text
    return env

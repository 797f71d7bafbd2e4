# SPDX-License-Identifier: Apache-2.0
"""The built-in boards by name, those in files of the user, and those that a design carries with it."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from nba.boards.platform import Platform
from nba.core.errors import SpecError

if TYPE_CHECKING:
    from nba.boards.schema import BoardText

LOADED: dict[str, Platform] = {}
"""Built-in boards that were read already."""


@cache
def board_files() -> dict[str, Path]:
    """The files of the built-in boards, by name. generic-xc7 is a large device for designs that no board bounds."""
    folder = Path(__file__).resolve().parent / "platforms"
    return {path.stem: path for path in sorted(folder.glob("*.yaml"))}


def names() -> tuple[str, ...]:
    """Names of the built-in boards, sorted."""
    return tuple(sorted(board_files()))


def get(name: str, described: BoardText | None = None) -> Platform:
    """The built-in board called `name`; or, with a description that has passed `board_problems`, the board that it
    describes. Raises SpecError for an unknown name, and lists the legal ones."""
    from nba.boards.schema import built_board, read_board

    if described is not None:
        return replace(built_board(described), described=described)
    if name not in LOADED:
        if name not in board_files():
            raise SpecError(unknown_board(name, names()))
        LOADED[name] = built_board(read_board(board_files()[name]))
    return LOADED[name]


def unknown_board(name: str, legal: Collection[str]) -> str:
    """The message about a name that is none of the `legal` ones."""
    from nba.core.yamlfile import near

    return (
        f"platform: {name!r} is not known{near(name, legal)}; legal: {', '.join(sorted(legal))}, or a YAML file that "
        "describes a board (its path holds a / or ends in .yaml)"
    )


def load_board(name_or_path: str) -> Platform:
    """The board called so, or described in that file. Raises SpecError with every error of the file."""
    from nba.boards.schema import read_board
    from nba.core.yamlfile import names_a_file

    if not names_a_file(name_or_path):
        return get(name_or_path)
    board = read_board(Path(name_or_path))
    if board.name in board_files() and board == read_board(board_files()[board.name]):
        return get(board.name)
    problems = board_problems(board)
    if problems:
        raise SpecError("\n".join(f"{name_or_path}: {problem}" for problem in problems))
    return get(board.name, board)


def board_problems(board: BoardText) -> list[str]:
    """What is wrong with a well-formed description of a board that is no built-in one, one line each."""
    from nba.boards.schema import contradictions

    found = contradictions(board)
    if board.name in board_files():
        found.append(f"name: {board.name!r} is a built-in board with other figures; give the board a name of its own")
    return found

"""Files that one run of a benchmark leaves and the next goes on from."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel

Kind = TypeVar("Kind", bound=BaseModel)


def read_result(kind: type[Kind], path: Path, what: str) -> Kind:
    """What the file has.

    Raises
    ------
    ValueError
        If that is something else; `what` says in its message what was expected.
    """
    try:
        return kind.model_validate_json(path.read_bytes())
    except ValueError as error:
        raise ValueError(
            f"{path} is no {what} to go on from; name another file: {error}"
        ) from error


def refuse_mixing(path: Path, others: Sequence[str]) -> None:
    """Raise ``ValueError`` if there is anything in which the file's measurements differ."""
    if others:
        raise ValueError(
            f"{path} was measured with other {', '.join(others)}; go on with the same, or name "
            "another file"
        )


def write_result(result: BaseModel, path: Path) -> None:
    """All of it, or what was there stays."""
    write_whole(result.model_dump_json(indent=1), path)


def write_whole(text: str, path: Path) -> None:
    """All of it, or what was there stays; a folder that is not there is made.

    `autofit.non_linear.atomic_file` does more, but importing `autofit` starts the device, which the
    process that waits for others must not.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    part.write_text(text)
    part.replace(path)

"""The manifest of a saved state: which files it consists of, and of which fit it is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, NonNegativeInt, ValidationError

from autofit.non_linear.atomic_file import replace_on_success
from autofit.non_linear.errors import CheckpointError
from autofit.non_linear.search.nest.nss._fingerprint import Fingerprint
from autofit.non_linear.search.nest.nss._rows import DamagedFileError, StoredRows, checksum

FORMAT = 1
_MOST_BYTES = 2**26


class Counts(BaseModel):
    """What `Run` counts, under its names there."""

    model_config = ConfigDict(frozen=True, extra="forbid", from_attributes=True)

    iterations: NonNegativeInt
    useful_evaluations: NonNegativeInt
    total_evaluations: NonNegativeInt
    seconds: Annotated[float, Field(ge=0.0, allow_inf_nan=False)]


class Manifest(BaseModel):
    """One saved state.

    Attributes
    ----------
    format
        Version of the layout of these files.
    generation
        How many states were saved before it.
    versions
        Of the software, and the device.
    fingerprint
        Of the fit.
    counts
        Where the run was.
    state
        The random key and the sampler's state, one row.
    tail
        The youngest dead points, which do not fill a segment yet.
    segments
        All dead points before them.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="strings")

    format: Literal[1] = FORMAT
    generation: NonNegativeInt
    versions: dict[str, str]
    fingerprint: Fingerprint
    counts: Counts
    state: StoredRows
    tail: StoredRows
    segments: tuple[StoredRows, ...]


def write_manifest(path: Path, manifest: Manifest) -> None:
    """Write a manifest with its checksum as JSON, atomically.

    Raises
    ------
    OSError
        When the disk does not take it; what was at `path` is then untouched.
    """
    content = json.loads(manifest.model_dump_json())
    content["checksum"] = _checksum(content)
    with replace_on_success(path) as temporary:
        temporary.write_text(json.dumps(content, indent=1), encoding="utf-8")


def read_manifest(path: Path) -> Manifest:
    """Read what `write_manifest` wrote.

    Raises
    ------
    FileNotFoundError
        When there is no such file.
    DamagedFileError
        When the file is not what was written.
    CheckpointError
        When a newer version of this software has written it.
    """
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise ValueError(f"more than {_MOST_BYTES:,} bytes")
        content = json.loads(path.read_bytes())
        if not isinstance(content, dict):
            raise ValueError("no JSON object")
        # Before the checksum, which a newer version may make in another way.
        _refuse_newer(path, content.get("format"))
        if content.pop("checksum", None) != _checksum(content):
            raise ValueError("it does not have the checksum that it was saved with")
        return Manifest.model_validate(content)
    except FileNotFoundError:
        raise
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise DamagedFileError(f"{path} cannot be read ({where}: {first['msg']})") from error
    except (OSError, ValueError, RecursionError) as error:
        raise DamagedFileError(f"{path} cannot be read ({error})") from error


def _refuse_newer(path: Path, found: Any) -> None:
    if isinstance(found, int) and found > FORMAT:
        raise CheckpointError(
            f"{path} has format {found}, and this version reads {FORMAT}: a newer version of this "
            "software has saved it. Update to that one, or remove the folder to start afresh."
        )


def _checksum(content: dict[str, Any]) -> str:
    return checksum(json.dumps(content, sort_keys=True).encode())

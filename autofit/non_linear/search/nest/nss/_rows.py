"""Trees of arrays as rows of one table, and such tables as files that are checked when read."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import jax
import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, NonNegativeInt

from autofit.non_linear.atomic_file import replace_on_success
from autofit.non_linear.errors import CheckpointError

_NPY_VERSION = (1, 0)
_MOST_HEADER_BYTES = 2**16  # what version 1.0 of the format can hold


class DamagedFileError(CheckpointError):
    """A file of a saved state is missing, or is not what was written."""


class StoredRows(BaseModel):
    """A file of rows.

    Attributes
    ----------
    name
        Of the file in its folder.
    rows
        How many it holds.
    checksum
        Of the whole file; see `checksum`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    # A name and no path: a manifest from elsewhere cannot point out of its own folder.
    name: Annotated[str, Field(pattern=r"^[a-z]+-[0-9]+\.npy$")]
    rows: NonNegativeInt
    checksum: str


@dataclass(frozen=True)
class RowLayout:
    """How the leaves of a tree, each of shape ``(n, ...)``, lie in a table of ``n`` rows.

    Attributes
    ----------
    dtype
        Of one row: a field for every leaf, named by its path in the tree.
    structure
        Of the tree.
    """

    dtype: np.dtype
    structure: Any

    @classmethod
    def of(cls, tree: Any) -> RowLayout:
        """The layout of a tree like this one, with any number of rows."""
        leaves, structure = jax.tree_util.tree_flatten_with_path(tree)
        fields = [
            (jax.tree_util.keystr(path, simple=True, separator="."), leaf.dtype, leaf.shape[1:])
            for path, leaf in leaves
        ]
        return cls(np.dtype(fields), structure)

    def pack(self, trees: Sequence[Any]) -> NDArray[np.void]:
        """The rows of all trees, one after the other, in one table."""
        leaves = [jax.tree.leaves(tree) for tree in trees]
        table = np.empty(sum(len(tree[0]) for tree in leaves), self.dtype)
        start = 0
        for tree in leaves:
            stop = start + len(tree[0])
            for name, leaf in zip(self.dtype.names or (), tree, strict=True):
                table[name][start:stop] = leaf
            start = stop
        return table

    def unpack(self, table: NDArray[np.void]) -> Any:
        """The tree with these rows; its leaves are copies."""
        leaves = [np.array(table[name]) for name in self.dtype.names or ()]
        return jax.tree.unflatten(self.structure, leaves)


def checksum(content: bytes) -> str:
    """BLAKE2b of 16 bytes, in hexadecimal digits."""
    return hashlib.blake2b(content, digest_size=16).hexdigest()


def write_rows(path: Path, table: NDArray[np.void]) -> StoredRows:
    """Write a table as an ``.npy`` file, atomically.

    Raises
    ------
    OSError
        When the disk does not take it; what was at `path` is then untouched.
    """
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, table, version=_NPY_VERSION, allow_pickle=False)
    content = buffer.getvalue()
    with replace_on_success(path) as temporary:
        temporary.write_bytes(content)
    return StoredRows(name=path.name, rows=len(table), checksum=checksum(content))


def read_rows(folder: Path, stored: StoredRows, dtype: np.dtype) -> NDArray[np.void]:
    """Read a table that `write_rows` wrote, read-only, shape ``(stored.rows,)``.

    No pickle is read, and nothing is allocated before the size of the file has been found to be
    the one of so many rows of `dtype`.

    Raises
    ------
    DamagedFileError
        When there is anything else in the file, or it cannot be read.
    """
    path = folder / stored.name
    wanted_bytes = stored.rows * dtype.itemsize
    try:
        header_bytes = path.stat().st_size - wanted_bytes
        if not 0 < header_bytes <= _MOST_HEADER_BYTES:
            raise DamagedFileError(
                f"{path} has {header_bytes + wanted_bytes:,} bytes, and {stored.rows:,} rows of "
                f"{dtype.itemsize:,} bytes were saved"
            )
        content = path.read_bytes()
    except OSError as error:
        raise DamagedFileError(f"{path} cannot be read ({error})") from error
    if checksum(content) != stored.checksum:
        raise DamagedFileError(f"{path} does not have the checksum that it was saved with")
    file = io.BytesIO(content)
    try:
        version = np.lib.format.read_magic(file)
        found = np.lib.format.read_array_header_1_0(file)
    except Exception as error:  # NumPy parses the header as Python text, which fails in many ways
        raise DamagedFileError(f"{path} is not a table of numbers ({error})") from error
    # Only the fit's own type is taken, so a header cannot ask for Python objects.
    if (version, *found) != (_NPY_VERSION, (stored.rows,), False, dtype):
        raise DamagedFileError(f"{path} holds other arrays than this fit has")
    if len(content) != file.tell() + wanted_bytes:
        raise DamagedFileError(f"{path} has another length than its header says")
    return np.ndarray((stored.rows,), dtype, content, file.tell())

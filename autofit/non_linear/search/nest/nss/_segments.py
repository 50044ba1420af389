"""Dead points on the disk: files of one size that are written once and only ever added to."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autofit.non_linear.search.nest.nss._rows import (
    DamagedFileError,
    RowLayout,
    StoredRows,
    read_rows,
    write_rows,
)

_SEGMENT_BYTES = 2**20  # few files in a long run, and little to write again until one is full


@dataclass(frozen=True)
class Segments:
    """The dead points of a run that are on the disk, oldest first.

    Attributes
    ----------
    folder
        Where the files are.
    layout
        Of the rows.
    files
        Each holds `rows_per_segment` rows.
    """

    folder: Path
    layout: RowLayout
    files: tuple[StoredRows, ...] = ()

    @property
    def rows_per_segment(self) -> int:
        return max(1, _SEGMENT_BYTES // self.layout.dtype.itemsize)

    @property
    def n_dead(self) -> int:
        return len(self.files) * self.rows_per_segment

    def extended(self, table: NDArray[np.void]) -> tuple[Segments, NDArray[np.void]]:
        """Write as many whole segments as `table` fills.

        Returns
        -------
        The segments with the new ones, and the rows that are left.

        Raises
        ------
        OSError
            When the disk does not take them; these segments are then still what they were.
        """
        rows, files = self.rows_per_segment, list(self.files)
        whole = len(table) // rows * rows
        for start in range(0, whole, rows):
            path = self.folder / f"dead-{len(files):06d}.npy"
            files.append(write_rows(path, table[start : start + rows]))
        return replace(self, files=tuple(files)), table[whole:]

    def read(self) -> Iterator[Any]:
        """The dead points, a tree for every file with leaves of shape ``(rows_per_segment, ...)``.

        Raises
        ------
        DamagedFileError
            When a file is missing or is not what was written.
        """
        for file in self.files:
            if file.rows != self.rows_per_segment:
                raise DamagedFileError(
                    f"{self.folder / file.name} should hold {self.rows_per_segment:,} dead points, "
                    f"and {file.rows:,} are claimed"
                )
            yield self.layout.unpack(read_rows(self.folder, file, self.layout.dtype))

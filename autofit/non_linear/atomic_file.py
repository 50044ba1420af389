"""Write a file so that readers see the old content or the new content, never a part of it."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import uuid4


@contextmanager
def replace_on_success(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield a temporary path that becomes `path` when the block ends without an error.

    The temporary file sits in the folder of `path`, because `os.replace` is only atomic within one
    file system. It is flushed to the disk before the rename, and the folder after it: otherwise a
    power cut could leave the new name on an empty file, or lose the rename.

    Parameters
    ----------
    path
        The file to create or replace. Its folder is created when missing.

    Yields
    ------
    Path
        Where the block has to write. When the block raises, this file is removed and what was at
        `path` stays as it was. A process killed inside the block leaves it behind, hidden, and
        `path` is still as it was.
    """
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    # Not `tempfile`: its files are private to the user, and results are often shared with a group.
    temporary = target.with_name(f".{target.name}.{uuid4().hex}.tmp")
    try:
        yield temporary
        with open(temporary, "rb+") as file:
            os.fsync(file.fileno())
        os.replace(temporary, target)
    finally:
        temporary.unlink(missing_ok=True)
    with suppress(OSError):  # not every system can flush a folder
        _flush_folder(target.parent)


def _flush_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

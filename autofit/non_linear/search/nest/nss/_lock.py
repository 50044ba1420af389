"""An output folder is used by one run at a time.

Two proofs that a run is alive, because clusters have file systems of every kind. The first is an
OS lock (`flock`), which ends with its process, however that ends. It is not enough: Lustre may be
mounted without it (``ENOSYS``) or with locks of one node only (``localflock``), as may NFS
(``nolock``). The second is a heartbeat: the owner touches the lock file. Where the OS lock cannot
tell, a second run watches the file for some heartbeats before it takes the folder over. No clocks
are compared, and a reused process id means nothing.
"""

from __future__ import annotations

import logging
import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from autofit.non_linear.errors import FolderInUseError

try:
    import fcntl
except ImportError:  # Windows, where the heartbeat has to do
    fcntl = None

logger = logging.getLogger("autofit")

LOCK_FILE = ".lock"


class Owner(BaseModel):
    """Who uses a folder, as its lock file says."""

    model_config = ConfigDict(frozen=True)

    host: str = Field(default_factory=socket.gethostname)
    pid: int = Field(default_factory=os.getpid)
    job: str | None = Field(default_factory=lambda: os.environ.get("SLURM_JOB_ID"))
    since: datetime = Field(default_factory=lambda: datetime.now(UTC))
    token: str = Field(default_factory=lambda: uuid4().hex)

    def __str__(self) -> str:
        job = f", Slurm job {self.job}" if self.job else ""
        return f"process {self.pid} on {self.host}{job}, since {self.since:%Y-%m-%d %H:%M:%S} UTC"


@contextmanager
def folder_lock(folder: Path | None, beat_seconds: float = 10.0) -> Iterator[None]:
    """Hold `folder` for this run while the block lasts; refuse it where another run does.

    Parameters
    ----------
    folder
        Created when missing. ``None``, the folder of a fit that writes nothing, needs no lock.
    beat_seconds
        Between two touches of the lock file. What another machine left locked is taken over
        after 3.5 of them without a sign of life.

    Raises
    ------
    FolderInUseError
        With the owner and the remedy; nothing was changed then.

    Notes
    -----
    The lock of a process that was killed is taken over, with a line in the log. Where no lock file
    can be made (a read-only disk, someone else's folder) the run goes on without, and says so.
    """
    if folder is None:
        yield
        return
    path = folder / LOCK_FILE
    try:
        folder.mkdir(parents=True, exist_ok=True)
        descriptor = _acquired(path, beat_seconds)
    except OSError as error:
        logger.warning("%s cannot be locked (%s); see that no other run uses it", folder, error)
        yield
        return
    ended = threading.Event()
    heart = threading.Thread(
        target=_beat, args=(path, beat_seconds, ended), name="autofit-lock", daemon=True
    )
    try:
        heart.start()
        try:
            yield
        finally:
            ended.set()
            heart.join()
            # Before the OS lock ends: who opened the file in the meantime sees that it is gone.
            with suppress(OSError):
                os.ftruncate(descriptor, 0)
                path.unlink()
    finally:
        os.close(descriptor)


def _acquired(path: Path, beat_seconds: float) -> int:
    """Descriptor of the lock file, of which this process is the owner now."""
    while True:
        descriptor, has_os_lock = _opened(path)
        try:
            if _take(path, descriptor, has_os_lock, beat_seconds):
                return descriptor
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)  # the owner before has ended in order, and its file is gone


def _opened(path: Path) -> tuple[int, bool]:
    """The lock file, created when missing, and whether its OS lock is ours; raises as the lock."""
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            has_os_lock = _os_lock(path, descriptor)
            if not has_os_lock or _is_at(path, descriptor):
                return descriptor, has_os_lock
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)  # its last owner removed it between our opening and locking


def _os_lock(path: Path, descriptor: int) -> bool:
    """Take the OS lock; False where the file system has none."""
    if fcntl is None:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        raise _refusal(path, _owner(path)) from None
    except OSError:
        return False
    return True


def _is_at(path: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False


def _take(path: Path, descriptor: int, has_os_lock: bool, beat_seconds: float) -> bool:
    """Make this process the owner, once the one before is known to be gone.

    False when that one removes the file meanwhile: the descriptor is of no file any more.
    """
    previous, this = _owner(path), Owner()
    if previous is not None:
        is_gone = has_os_lock and previous.host == this.host
        if not (is_gone or _stays_silent(path, previous, beat_seconds)):
            return False
        logger.warning("taking over %s, which was left locked by %s", path.parent, previous)
    try:
        os.ftruncate(descriptor, 0)
        os.lseek(descriptor, 0, os.SEEK_SET)
        os.write(descriptor, this.model_dump_json().encode())
    except OSError as error:
        logger.warning("%s is locked, but without its owner's name (%s)", path.parent, error)
        return True
    if not has_os_lock:
        time.sleep(0.1 * beat_seconds)  # of two that start together, the last to write stays
        now = _owner(path)
        if now is None and not path.exists():
            return False
        if now is not None and now.token != this.token:
            raise _refusal(path, now)
    return True


def _owner(path: Path) -> Owner | None:
    """The owner that the file names; None when it names none."""
    try:
        return Owner.model_validate_json(path.read_bytes())
    except (OSError, ValidationError):
        return None


def _stays_silent(path: Path, previous: Owner, beat_seconds: float) -> bool:
    """Watch the file for some heartbeats; True without a sign of life, False when given back."""
    wait = 3.5 * beat_seconds
    logger.warning(
        "%s is locked by %s; waiting %.0f s for a sign of life", path.parent, previous, wait
    )
    before = _modified(path)
    deadline = time.monotonic() + wait
    while time.monotonic() < deadline:
        time.sleep(0.25 * beat_seconds)
        now = _modified(path)
        if now is None or (now != before and _owner(path) is None):  # emptied, and gone at once
            return False
        if now != before:
            raise _refusal(path, previous)
    return True


def _modified(path: Path) -> int | None:
    """When the file changed, in ns; None when it is gone. NFS asks its server on opening only."""
    try:
        with open(path, "rb") as file:
            return os.fstat(file.fileno()).st_mtime_ns
    except OSError:
        return None


def _beat(path: Path, beat_seconds: float, ended: threading.Event) -> None:
    while not ended.wait(beat_seconds):
        with suppress(OSError):
            os.utime(path)


def _refusal(path: Path, owner: Owner | None) -> FolderInUseError:
    return FolderInUseError(
        f"{path.parent} is in use by {owner or 'another process'}. Two runs in one folder would "
        "write over each other: wait for that one, end it, or give this fit another name or "
        "unique_tag. A lock ends with its process; there is no file to remove."
    )

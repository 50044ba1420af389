"""One run in a folder: real processes, real SIGKILL, and a file system without locks."""

import errno
import fcntl
import logging
import os
import signal
import subprocess
import sys
import threading

import pytest

from autofit.non_linear.errors import FolderInUseError
from autofit.non_linear.search.nest.nss import _lock
from autofit.non_linear.search.nest.nss._lock import LOCK_FILE, Owner, folder_lock

HOLDER = """
import fcntl, sys, time
from pathlib import Path
from autofit.non_linear.search.nest.nss._lock import folder_lock
if sys.argv[2] == "no-locks":
    def flock(*_):
        raise OSError(38, "Function not implemented")
    fcntl.flock = flock
with folder_lock(Path(sys.argv[1]), beat_seconds=float(sys.argv[3])):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def holder(tmp_path):
    """``holder(kind)``: a process that holds the folder's lock."""
    started = []

    def start(kind="flock", beat_seconds=0.1):
        process = subprocess.Popen(
            [sys.executable, "-c", HOLDER, str(tmp_path), kind, str(beat_seconds)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        assert process.stdout.readline() == "held\n", process.stderr.read()
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


@pytest.fixture
def without_locks(monkeypatch):
    def flock(*_):
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))

    monkeypatch.setattr(fcntl, "flock", flock)


def refused(folder, **keywords):
    """The error's text, and that the refused attempt changed nothing."""
    before = (folder / LOCK_FILE).read_bytes()
    with pytest.raises(FolderInUseError) as caught, folder_lock(folder, **keywords):
        pytest.fail("two runs in one folder")
    assert (folder / LOCK_FILE).read_bytes() == before
    return str(caught.value)


def test_the_second_run_is_refused_with_the_owner(tmp_path, holder):
    process = holder()
    message = refused(tmp_path)
    assert f"in use by process {process.pid} on {Owner().host}, since 20" in message
    assert "another name or unique_tag" in message
    process.communicate("")
    assert process.returncode == 0 and not list(tmp_path.iterdir())
    with folder_lock(tmp_path):
        pass


def test_a_killed_owner_is_succeeded_at_once(tmp_path, holder, caplog):
    process = holder()
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    with caplog.at_level(logging.WARNING, "autofit"), folder_lock(tmp_path):
        assert "waiting" not in caplog.text
        assert f"left locked by process {process.pid}" in caplog.text
        assert Owner.model_validate_json((tmp_path / LOCK_FILE).read_bytes()).pid == os.getpid()
    assert not list(tmp_path.iterdir())


def test_without_os_locks_the_heartbeat_refuses(tmp_path, holder, without_locks):
    process = holder("no-locks")
    assert f"process {process.pid}" in refused(tmp_path, beat_seconds=0.2)


def test_without_os_locks_a_killed_owner_is_succeeded(tmp_path, holder, without_locks, caplog):
    process = holder("no-locks")
    process.kill()
    process.wait()
    with caplog.at_level(logging.WARNING, "autofit"), folder_lock(tmp_path, beat_seconds=0.2):
        assert "waiting 1 s for a sign of life" in caplog.text
        assert f"left locked by process {process.pid}" in caplog.text


def test_a_lock_from_another_machine_is_watched_though_the_os_lock_is_free(tmp_path):
    """As where each node has OS locks of its own: the file is touched by the other node."""
    elsewhere = Owner(host="node-7", pid=1, job="4711")
    (tmp_path / LOCK_FILE).write_text(elsewhere.model_dump_json())
    ended = threading.Event()

    def touch():
        while not ended.wait(0.05):
            os.utime(tmp_path / LOCK_FILE)

    other = threading.Thread(target=touch)
    other.start()
    try:
        assert "process 1 on node-7, Slurm job 4711" in refused(tmp_path, beat_seconds=0.1)
    finally:
        ended.set()
        other.join()
    with folder_lock(tmp_path, beat_seconds=0.1):
        pass


def test_a_lock_that_its_owner_gives_back_while_it_is_watched_is_taken(
    tmp_path, holder, without_locks
):
    """Its heart beats every ten seconds, and it ends in order before that."""
    process = holder("no-locks", beat_seconds=10)
    ending = threading.Timer(0.5, process.communicate)
    ending.start()
    with folder_lock(tmp_path, beat_seconds=1.0):
        ending.join()
        assert process.returncode == 0
        assert Owner.model_validate_json((tmp_path / LOCK_FILE).read_bytes()).pid == os.getpid()
    assert not list(tmp_path.iterdir())


def test_a_lock_that_is_emptied_a_moment_before_it_is_gone_is_taken(tmp_path, without_locks):
    """Its owner writes to the file once more when it gives it back."""
    path = tmp_path / LOCK_FILE
    path.write_text(Owner(host="elsewhere").model_dump_json())
    steps = [threading.Timer(0.2, os.truncate, (path, 0)), threading.Timer(0.3, path.unlink)]
    for step in steps:
        step.start()
    with folder_lock(tmp_path, beat_seconds=1.0):  # looks after 0.25 s
        assert Owner.model_validate_json(path.read_bytes()).pid == os.getpid()
    assert not list(tmp_path.iterdir())


def test_a_lock_inside_itself_is_refused(tmp_path):
    with folder_lock(tmp_path):
        assert f"process {os.getpid()}" in refused(tmp_path)


@pytest.mark.parametrize("content", [b"", b"\xff\x00", b'{"host": 3}', b"[" * 10_000])
def test_a_lock_file_that_is_not_one_is_replaced(tmp_path, content):
    (tmp_path / LOCK_FILE).write_bytes(content)
    with folder_lock(tmp_path):
        assert refused(tmp_path)
    assert not list(tmp_path.iterdir())


def test_many_at_once_take_turns(tmp_path):
    """However opening, locking and removing interleave, there is never a second owner."""
    inside, most, refusals, held, tries = 0, 0, 0, 0, 0
    count = threading.Lock()

    def run():
        nonlocal inside, most, refusals, held, tries
        while held <= 100 or tries < 600:  # however seldom the scheduler lets one win
            with count:
                tries += 1
            try:
                with folder_lock(tmp_path):
                    with count:
                        inside += 1
                        held += 1
                        most = max(most, inside)
                    with count:
                        inside -= 1
            except FolderInUseError:
                with count:
                    refusals += 1

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == 1 and held + refusals == tries >= 600 and held > 100


def test_a_folder_that_cannot_be_written_goes_unlocked(tmp_path, caplog):
    (tmp_path / "file").write_text("")
    with caplog.at_level(logging.WARNING, "autofit"), folder_lock(tmp_path / "file" / "folder"):
        assert "cannot be locked" in caplog.text and "no other run" in caplog.text


def test_no_folder_needs_no_lock():
    with folder_lock(None):
        pass


def test_of_two_that_start_together_without_os_locks_one_stays(
    tmp_path, without_locks, monkeypatch
):
    other = Owner(host="node-7", pid=1).model_dump_json()
    monkeypatch.setattr(_lock.time, "sleep", lambda _: (tmp_path / LOCK_FILE).write_text(other))
    with pytest.raises(FolderInUseError, match="process 1 on node-7"), folder_lock(tmp_path):
        pytest.fail("two runs in one folder")
    assert (tmp_path / LOCK_FILE).read_text() == other, "the name of the one that stays"

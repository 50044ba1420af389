"""What a batch system or a user asks of a running fit, as flags that its loop looks at."""

from __future__ import annotations

import signal
import threading
from types import FrameType
from typing import Any

_SAVE = getattr(signal, "SIGUSR1", None)
"""Slurm sends it before the time limit with ``--signal=USR1@60``; Windows has none."""


class Signals:
    """Turns signals into an orderly end, or a saving, while the block lasts.

    ======== =====================================================================================
    SIGINT   sets `stop`; the second Ctrl-C is what it was before, a `KeyboardInterrupt` at once
    SIGTERM  sets `stop`; when the block is done the process ends with status 143 (128 + SIGTERM)
             by `SystemExit`, or a handler that the program had set is called
    SIGUSR1  requests a saving; the run goes on
    ======== =====================================================================================

    Handlers only set flags: nothing is interrupted half-way. Further SIGTERMs change nothing, as
    batch systems send several. A signal that the program ignores stays ignored. Python hears
    signals in its main thread only; in another one this does nothing. The handlers of before are
    put back at the end.

    Parameters
    ----------
    stopping
        Whether SIGINT and SIGTERM are heard as well; else only SIGUSR1 is.

    Attributes
    ----------
    stop
        ``"SIGINT"``, or ``"SIGTERM"``, once that has come; empty before.

    Examples
    --------
    >>> with Signals() as signals:
    ...     while not signals.stop:
    ...         work()
    ...         if signals.take_save_request():
    ...             save()
    ...     save()
    """

    def __init__(self, stopping: bool = True) -> None:
        self.stop = ""
        self._stopping = stopping
        self._save_requested = False
        self._before: dict[int, Any] = {}

    def take_save_request(self) -> bool:
        """Whether a saving was requested since the last call."""
        requested, self._save_requested = self._save_requested, False
        return requested

    def __enter__(self) -> Signals:
        if threading.current_thread() is threading.main_thread():
            if self._stopping:
                self._listen(signal.SIGINT, self._on_stop)
                self._listen(signal.SIGTERM, self._on_stop)
            if _SAVE is not None:
                self._listen(_SAVE, self._on_save)
        return self

    def __exit__(self, error: type[BaseException] | None, *_: object) -> None:
        before = self._before.get(signal.SIGTERM)
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before.clear()
        if self.stop != "SIGTERM" or error is not None:
            return
        if callable(before):
            signal.raise_signal(signal.SIGTERM)
        else:
            # Not by the signal itself, so that `finally` blocks and exit handlers get their turn.
            raise SystemExit(128 + signal.SIGTERM)

    def _listen(self, number: int, handler: Any) -> None:
        before = signal.getsignal(number)
        # None is a handler that was not set from Python and could not be put back.
        if before is not None and before is not signal.SIG_IGN:
            self._before[number] = before  # first: the handler may be called at once
            signal.signal(number, handler)

    def _on_stop(self, number: int, frame: FrameType | None) -> None:
        if not self.stop or number == signal.SIGTERM:  # which ends the process, after SIGINT too
            self.stop = signal.Signals(number).name
        if number == signal.SIGINT:
            signal.signal(signal.SIGINT, self._before[signal.SIGINT])

    def _on_save(self, number: int, frame: FrameType | None) -> None:
        self._save_requested = True

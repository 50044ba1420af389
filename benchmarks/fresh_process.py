"""Work in a process of its own: its peak of memory is its own, and so are its failures."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping
from contextlib import ExitStack, suppress
from typing import Any

_ONE_BLAS_THREAD = {"OPENBLAS_NUM_THREADS": "1"}
"""As `af.NSS` samples: OpenBLAS's threads inside those of XLA slow each other down."""

_NOTHING_COMPILED_BEFORE = {"JAX_ENABLE_COMPILATION_CACHE": "false"}
"""Unless it is asked for: what JAX takes from a cache on disk has no compile time to measure."""


def lines_from(
    module: str, *arguments: str, timeout: float, environment: Mapping[str, str] | None = None
) -> tuple[list[str], str]:
    """What ``python -m module arguments…`` printed as JSON.

    Parameters
    ----------
    module, *arguments
        What to run. It prints one JSON object on a line as soon as it has it.
    timeout
        Seconds after which the process is ended; below zero it is not begun.
    environment
        Variables that differ from those of this process.

    Returns
    -------
    tuple of list of str and str
        The lines, and why there may be too few of them; ``""`` when the process ended well.
    """
    if timeout <= 0:
        return [], "not begun: no time was left"
    command, env = _begun_by(module, arguments, environment)
    try:
        run = subprocess.run(command, env=env, capture_output=True, text=True, timeout=timeout)
        text, complaint = run.stdout, _complaint(run.returncode, run.stderr)
    except subprocess.TimeoutExpired as expired:
        text, complaint = (expired.stdout or b"").decode(), f"not done after {timeout:.0f} s"
    lines = [line for line in text.splitlines() if _is_json(line)]
    return lines, complaint


class Worker:
    """``python -m module arguments…``, which works when it is told to and waits in between.

    It answers each line with one JSON object on a line, and ends when there are no more lines; what
    it begins with is an answer as well.

    Parameters
    ----------
    module, *arguments, environment
        As for `lines_from`.

    Attributes
    ----------
    complaint
        Why it gave no answer; ``""`` as long as it does, and when it ended well.
    """

    def __init__(
        self, module: str, *arguments: str, environment: Mapping[str, str] | None = None
    ) -> None:
        command, env = _begun_by(module, arguments, environment)
        self.complaint = ""
        with ExitStack() as stack:
            self._errors = stack.enter_context(tempfile.TemporaryFile("w+"))
            self._process = subprocess.Popen(
                command,
                env=env,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._errors,
                text=True,
            )
            stack.callback(self._process.communicate)
            stack.callback(self._process.kill)
            self._held = stack.pop_all()

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, *_: object) -> None:
        self._held.close()

    def answer(self, timeout: float) -> dict[str, Any] | None:
        """Its next answer; ``None`` if it ended, or had to be ended after so many seconds."""
        assert self._process.stdout is not None

        def give_up() -> None:
            self.complaint = f"no answer within {timeout:.0f} s"
            self._process.kill()

        timer = threading.Timer(timeout, give_up)
        timer.start()
        answers = (json.loads(line) for line in self._process.stdout if _is_json(line.rstrip()))
        try:
            answer = next(answers, None)
        finally:
            timer.cancel()
        if answer is None:
            status = self._process.wait()
            self._errors.seek(0)
            self.complaint = self.complaint or _complaint(status, self._errors.read())
        return answer

    def tell(self, line: str) -> None:
        """What to do next."""
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):  # the answer will say why it has ended
            self._process.stdin.write(line + "\n")
            self._process.stdin.flush()


def _begun_by(
    module: str, arguments: tuple[str, ...], environment: Mapping[str, str] | None
) -> tuple[list[str], dict[str, str]]:
    env = _NOTHING_COMPILED_BEFORE | os.environ | _ONE_BLAS_THREAD | dict(environment or {})
    return [sys.executable, "-m", module, *arguments], env


def _is_json(line: str) -> bool:
    return line.startswith("{") and line.endswith("}")


def _complaint(status: int, stderr: str) -> str:
    if status == 0:
        return ""
    if status < 0:
        return f"ended by {signal.Signals(-status).name}"
    errors = re.findall(r"^[\w.]*(?:Error|Exception|Exit|Interrupt)\b.*", stderr, re.MULTILINE)
    return (errors or stderr.strip().splitlines() or [f"exit status {status}"])[-1]

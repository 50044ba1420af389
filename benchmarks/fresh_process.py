"""Work in a process of its own: its peak of memory is its own, and so are its failures."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Mapping

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
    command = [sys.executable, "-m", module, *arguments]
    env = _NOTHING_COMPILED_BEFORE | os.environ | _ONE_BLAS_THREAD | dict(environment or {})
    try:
        run = subprocess.run(command, env=env, capture_output=True, text=True, timeout=timeout)
        text, complaint = run.stdout, _complaint(run.returncode, run.stderr)
    except subprocess.TimeoutExpired as expired:
        text, complaint = (expired.stdout or b"").decode(), f"not done after {timeout:.0f} s"
    lines = [line for line in text.splitlines() if line.startswith("{") and line.endswith("}")]
    return lines, complaint


def _complaint(status: int, stderr: str) -> str:
    if status == 0:
        return ""
    if status < 0:
        return f"ended by {signal.Signals(-status).name}"
    errors = re.findall(r"^[\w.]*(?:Error|Exception|Exit|Interrupt)\b.*", stderr, re.MULTILINE)
    return (errors or stderr.strip().splitlines() or [f"exit status {status}"])[-1]

"""Fits in processes of their own, and what a disturbance came to."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from autofit.non_linear.paths import OUTPUT_VARIABLE
from autofit_memplan.cache import FOLDER_VARIABLE

PROGRAMS_VARIABLE = "JAX_COMPILATION_CACHE_DIR"


class Outcome(BaseModel):
    """What disturbances of one kind came to.

    Attributes
    ----------
    what
        Was done.
    tried, good
        How often, and how often the run did what it should.
    remark
        For the table.
    detail
        Counts and times.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    what: str
    tried: int
    good: int
    remark: str = ""
    detail: dict[str, Any] = {}


class Workshop:
    """A folder for the output of fits, and caches that make them start sooner.

    Parameters
    ----------
    folder
        Of both.
    patience
        Seconds after which a fit counts as stuck and is killed.
    """

    def __init__(self, folder: Path, patience: float) -> None:
        self._patience = patience
        self.output = folder / "output"
        self.output.mkdir()
        self.environment = {
            "JAX_PLATFORMS": "cpu",
            OUTPUT_VARIABLE: str(self.output),
            FOLDER_VARIABLE: str(folder / "plans"),
            PROGRAMS_VARIABLE: os.environ.get(PROGRAMS_VARIABLE, str(folder / "programs")),
            "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
            "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
        }

    @property
    def checkpoint(self) -> Path:
        """The folder of the saved state of the only fit there is."""
        (files,) = self.output.glob("fit/*/files")
        return files / "checkpoint"

    def clear(self) -> None:
        """Remove the output of the fits so far."""
        shutil.rmtree(self.output)
        self.output.mkdir()

    def fit(self, prefix: tuple[str, ...] = (), **disturbance: Any) -> Fit:
        """Start a fit; see `benchmarks.faults.fit.fit` for the arguments."""
        module = [sys.executable, "-m", "benchmarks.faults.fit", json.dumps(disturbance)]
        return Fit([*prefix, *module], {**os.environ, **self.environment}, self._patience)


@contextmanager
def workshop(patience: float = 300.0) -> Iterator[Workshop]:
    """A workshop in a temporary folder."""
    with tempfile.TemporaryDirectory(prefix="faults-") as folder:
        yield Workshop(Path(folder), patience)


class Fit:
    """A fit in a process of its own.

    Attributes
    ----------
    told
        What it has printed so far.
    """

    def __init__(self, command: list[str], environment: dict[str, str], patience: float) -> None:
        self.told: list[dict[str, Any]] = []
        self._errors = tempfile.TemporaryFile("w+")  # noqa: SIM115, closed by __exit__
        self._process = subprocess.Popen(
            command, env=environment, stdout=subprocess.PIPE, stderr=self._errors, text=True
        )
        self.pid = self._process.pid
        self._clock = threading.Timer(patience, self._process.kill)
        self._clock.start()

    def __enter__(self) -> Fit:
        return self

    def __exit__(self, *_: object) -> None:
        self._clock.cancel()
        self._process.kill()
        self._process.wait()
        assert self._process.stdout is not None
        self._process.stdout.close()
        self._errors.close()

    def wait_for(self, key: str) -> dict[str, Any]:
        """The next line that has this key; empty when the process ended without one."""
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self.told.append(json.loads(line))
            if key in self.told[-1]:
                return self.told[-1]
        return {}

    def end(self) -> int:
        """Wait for the end; the exit status, negative for a signal."""
        self.wait_for("no such key")
        return self._process.wait()

    def signal(self, number: signal.Signals) -> bool:
        """Send a signal; False when the process was gone."""
        if self._process.poll() is not None:
            return False
        self._process.send_signal(number)
        return True

    @property
    def digest(self) -> str:
        """Of the finished run; empty when there is none."""
        return next((line["digest"] for line in self.told if "digest" in line), "")

    @property
    def errors(self) -> str:
        """What it has written to its standard error so far."""
        self._errors.seek(0)
        return self._errors.read()


def finished(shop: Workshop, **disturbance: Any) -> str:
    """The digest of a fit that ran to its end.

    Raises
    ------
    RuntimeError
        When it did not.
    """
    with shop.fit(**disturbance) as fit:
        status = fit.end()
        if status:
            raise RuntimeError(f"the fit ended with {status}: {fit.errors[-2000:]}")
        return fit.digest

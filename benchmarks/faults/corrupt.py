"""Saved states that are damaged in every way that a disk or a user can think of."""

from __future__ import annotations

import logging
import random
import shutil
import tempfile
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import autofit as af
from autofit.non_linear.errors import CheckpointError
from autofit.non_linear.search.nest.nss import _output, _segments
from autofit.non_linear.search.nest.nss import search as search_module
from autofit.non_linear.search.nest.nss._checkpoint import Checkpoint
from autofit.non_linear.search.nest.nss._output import RunOutput
from autofit.non_linear.search.nest.nss._run import Run
from benchmarks.faults.fit import OPTIONS, Laplace, digest, model
from benchmarks.faults.process import Outcome

_SEARCH = {**OPTIONS, "chunk_size": 10, "checkpoint_interval": 40, "silence": True}
_SAVED, _SEGMENT_BYTES = 300, 20_000

Damage = Callable[[Path, random.Random, Path], None]


def _flip(path: Path, rng: random.Random, other: Path) -> None:
    content = bytearray(path.read_bytes())
    for _ in range(rng.choice((1, 1, 1, 20))):
        content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
    path.write_bytes(content)


def _truncate(path: Path, rng: random.Random, other: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: rng.randrange(len(content))])


def _zero(path: Path, rng: random.Random, other: Path) -> None:
    content = bytearray(path.read_bytes())
    start, length = rng.randrange(len(content)), rng.choice((16, 512, 4096))
    stop = min(start + length, len(content))
    content[start:stop] = bytes(stop - start)
    path.write_bytes(content)


def _delete(path: Path, rng: random.Random, other: Path) -> None:
    path.unlink()


def _swap(path: Path, rng: random.Random, other: Path) -> None:
    second = rng.choice([p for p in sorted(path.parent.iterdir()) if p.suffix == path.suffix])
    content = path.read_bytes()
    path.write_bytes(second.read_bytes())
    second.write_bytes(content)


def _stranger(path: Path, rng: random.Random, other: Path) -> None:
    """The file of that name of another fit, or the whole folder."""
    names = [path.name] if rng.random() < 0.7 else [p.name for p in path.parent.iterdir()]
    for name in names:
        if (other / name).exists():
            shutil.copy(other / name, path.parent / name)


DAMAGES: dict[str, Damage] = {
    "bits flipped": _flip,
    "truncated": _truncate,
    "block of zeros": _zero,
    "deleted": _delete,
    "swapped": _swap,
    "file of another fit": _stranger,
}


class Saved:
    """An unfinished fit on the disk, and what is known about it.

    Attributes
    ----------
    folder
        Of the saved states.
    digests
        Of the run at each saving.
    """

    def __init__(self, output: Path, seed: int) -> None:
        self.output, self.seed = output, seed
        self.digests: list[str] = []
        self._arguments: tuple[Any, ...] = ()
        self.fit(max_iterations=_SAVED)
        (self.folder,) = output.glob("fit/*/files/checkpoint")

    def load(self) -> Run | None:
        """What a run that goes on would begin with."""
        return Checkpoint(*self._arguments).load()

    def fit(self, **options: Any) -> str:
        """Begin the fit, or go on with it; the digest of its end."""
        saved, ended = self, []

        class Kept(Checkpoint):
            def __init__(self, *arguments: Any) -> None:
                folder, fresh, *rest = arguments
                saved._arguments = (folder, replace(fresh), *rest)  # the run itself goes on
                super().__init__(*arguments)

            def save(self, run: Run) -> None:
                super().save(run)
                saved.digests.append(digest(run))

        class Told(RunOutput):
            def finish(self, run: Run, chunk_sizes: dict[str, Any]) -> Any:
                ended.append(digest(run))
                return super().finish(run, chunk_sizes)

        with (
            patch.dict("os.environ", PYAUTOFIT_OUTPUT=str(self.output)),
            patch.object(_output, "Checkpoint", Kept),
            patch.object(search_module, "RunOutput", Told),
        ):
            search = af.NSS("fit", **_SEARCH, seed=self.seed, **options)
            search.fit(model(), Laplace())
        return ended[0]


def corrupt(loads: int = 200, resumes: int = 20, seed: int = 7) -> list[Outcome]:
    """Damage a saved state in `loads` ways and load it; in `resumes` of them, finish the fit."""
    rng = random.Random(seed)
    with tempfile.TemporaryDirectory() as name, _quietly():
        root = Path(name)
        saved, other = Saved(root / "one", 42), Saved(root / "other", 43)
        pristine = root / "pristine"
        shutil.copytree(saved.output, pristine)
        valid, found = tuple(saved.digests[-2:]), Counter()
        if _loaded(saved, valid[-1:]) != "recovered":
            raise RuntimeError("the state was not whole before it was damaged")
        for kind in _kinds(loads):
            _damage(saved.folder, kind, rng, other.folder)
            found[kind, _loaded(saved, valid)] += 1
            _restore(pristine, saved.output)
        expected = saved.fit()
        finished = Counter()
        for kind in _kinds(resumes):
            _restore(pristine, saved.output)
            _damage(saved.folder, kind, rng, other.folder)
            try:
                finished[kind, "recovered" if saved.fit() == expected else "wrong bits"] += 1
            except CheckpointError:
                finished[kind, "refused"] += 1
    return [
        *_outcomes("loaded", found),
        *_outcomes("resumed to the end", finished),
    ]


def _kinds(count: int) -> Iterator[str]:
    kinds = list(DAMAGES)
    return (kinds[i % len(kinds)] for i in range(count))


def _damage(folder: Path, kind: str, rng: random.Random, other: Path) -> None:
    """Damage one file; one time in five, several."""
    for _ in range(rng.choice((1, 1, 1, 1, 3))):
        of = rng.choice(("dead", "state", "tail", "manifest"))  # there are many of the first
        files = [p for p in sorted(folder.glob(f"{of}-*")) if p.stat().st_size]
        if files:
            DAMAGES[kind](rng.choice(files), rng, other)


def _loaded(saved: Saved, valid: tuple[str, ...]) -> str:
    before = _contents(saved.folder)
    try:
        run = saved.load()
    except CheckpointError:
        result = "refused"
    else:
        result = "recovered" if run is not None and digest(run) in valid else "wrong bits"
    return result if _contents(saved.folder) == before else "overwritten"


def _contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def _restore(pristine: Path, output: Path) -> None:
    shutil.rmtree(output)
    shutil.copytree(pristine, output)


def _outcomes(what: str, found: Counter[tuple[str, str]]) -> Iterator[Outcome]:
    for kind in DAMAGES:
        counts = {result: n for (k, result), n in found.items() if k == kind}
        if not counts:
            continue
        good = counts.get("refused", 0) + counts.get("recovered", 0)
        yield Outcome(
            what=f"{kind}, {what}",
            tried=sum(counts.values()),
            good=good,
            remark=", ".join(f"{n} {result}" for result, n in sorted(counts.items())),
            detail=counts,
        )


@contextmanager
def _quietly() -> Iterator[None]:
    """No warnings of damage, which are asked for here, and small segments."""
    silent = logging.NullHandler()
    logging.getLogger("autofit").addHandler(silent)
    try:
        with warnings.catch_warnings(), patch.object(_segments, "_SEGMENT_BYTES", _SEGMENT_BYTES):
            warnings.simplefilter("ignore", UserWarning)
            yield
    finally:
        logging.getLogger("autofit").removeHandler(silent)

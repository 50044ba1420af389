"""Saving and restoring an unfinished run, so that the same script goes on where it stopped.

The folder holds::

    dead-000000.npy …                 dead points, written once, never changed
    state-0.npy tail-0.npy manifest-0.json
    state-1.npy tail-1.npy manifest-1.json

Two generations of the live state take turns, each with the dead points that do not fill a segment
yet; the manifest is written last. What a save writes does not grow with the run, up to a line of
the manifest for every segment.
"""

from __future__ import annotations

import logging
import shutil
import warnings
from contextlib import suppress
from pathlib import Path
from typing import Any

import jax
import numpy as np

from autofit.mapper import AbstractPriorModel
from autofit.non_linear.errors import CheckpointError
from autofit.non_linear.search.nest.nss._fingerprint import Fingerprint, versions
from autofit.non_linear.search.nest.nss._manifest import (
    Counts,
    Manifest,
    read_manifest,
    write_manifest,
)
from autofit.non_linear.search.nest.nss._rows import (
    DamagedFileError,
    RowLayout,
    StoredRows,
    read_rows,
    write_rows,
)
from autofit.non_linear.search.nest.nss._run import Run
from autofit.non_linear.search.nest.nss._segments import Segments

logger = logging.getLogger("autofit")


class Checkpoint:
    """The saved states of one run, in a folder of their own.

    Parameters
    ----------
    folder
        Created by the first save.
    fresh
        The run as it starts, with its first live points.
    search
        What determines the chain; JSON-able.
    model
        The model that is fitted.
    precision
        The shortest floating-point type in which its log likelihood computes.
    """

    def __init__(
        self,
        folder: Path,
        fresh: Run,
        search: dict[str, Any],
        model: AbstractPriorModel,
        precision: str,
    ) -> None:
        self._folder, self._precision = folder, precision
        self._key_kind = jax.random.key_impl(fresh.rng_key)
        self._state_layout = RowLayout.of(_one_row(fresh))
        self._no_segments = Segments(folder, RowLayout.of(fresh.state.particles))
        self._generation = 0
        log_likelihoods = fresh.state.particles.loglikelihood
        self._fingerprint = Fingerprint.of(search, model, self._state_layout, log_likelihoods)

    def save(self, run: Run) -> None:
        """Save `run`; dead points that fill a segment leave the memory.

        Raises
        ------
        OSError
            When the disk does not take it. `run` and the states saved before are then unharmed.
        """
        segments = run.segments or self._no_segments
        segments, rest = segments.extended(segments.layout.pack(run.dead))
        slot = self._generation % 2
        manifest = Manifest(
            generation=self._generation,
            versions=versions(),
            fingerprint=self._fingerprint,
            counts=Counts.model_validate(run),
            state=write_rows(
                self._folder / f"state-{slot}.npy", self._state_layout.pack([_one_row(run)])
            ),
            tail=write_rows(self._folder / f"tail-{slot}.npy", rest),
            segments=segments.files,
        )
        write_manifest(self._folder / f"manifest-{slot}.json", manifest)
        self._generation += 1
        run.store(segments, segments.layout.unpack(rest))

    def load(self) -> Run | None:
        """The run as it was last saved, or None where nothing was.

        With other versions of jax, jaxlib, blackjax or numpy than it was saved with, or on another
        kind of device, it goes on all the same: a valid run, but maybe not the bits of an
        uninterrupted one.

        Raises
        ------
        CheckpointError
            When the folder holds the state of another fit or of a newer version, or when it is
            damaged and so is the state before it. Nothing in the folder is changed then.

        Warns
        -----
        UserWarning
            When one of the two saved states is damaged and the other one is used, or when versions
        differ.
        """
        with suppress(OSError):  # a killed process may have left some
            for temporary in self._folder.glob(".*.tmp"):
                temporary.unlink(missing_ok=True)
        manifests, missing, damages = [], [], []
        for slot in range(2):
            path = self._folder / f"manifest-{slot}.json"
            try:
                manifests.append(read_manifest(path))
            except FileNotFoundError:
                missing.append(f"{path} is missing")
            except DamagedFileError as error:
                damages.append(str(error))
        had_two = any(manifest.generation > 0 for manifest in manifests)
        # The second saving begins with these, when the manifest of the first is there.
        second = (self._folder / f"{name}-1.npy" for name in ("state", "tail"))
        if had_two or (not manifests and any(path.exists() for path in second)):
            damages += missing
        for manifest in sorted(manifests, key=lambda manifest: -manifest.generation):
            try:
                run = self._restored(manifest)
            except DamagedFileError as error:
                damages.append(str(error))
                continue
            if damages:
                _warn(
                    f"a saved state is damaged: {'; '.join(damages)}. Going on from the other "
                    f"one, after iteration {run.iterations:,}."
                )
            self._generation = manifest.generation + 1
            return run
        if damages:
            raise CheckpointError(
                f"no saved state of {self._folder} is whole: {'; '.join(damages)}. Restore the "
                "folder from a copy, or remove it to start afresh."
            )
        return None

    def remove(self) -> None:
        """Remove the folder."""
        shutil.rmtree(self._folder)

    def _restored(self, manifest: Manifest) -> Run:
        differences = manifest.fingerprint.differences(self._fingerprint, self._precision)
        if differences:
            raise CheckpointError(
                f"{self._folder} holds the state of another fit: {'; '.join(differences[:5])}. "
                "Give this fit another name or unique_tag, or remove the folder to start afresh."
            )
        segments = Segments(self._folder, self._no_segments.layout, manifest.segments)
        for _ in segments.read():
            pass  # read now to be sure, and once more when samples are made
        tail = self._read(manifest.tail, segments.layout, range(segments.rows_per_segment))
        saved = self._read(manifest.state, self._state_layout, range(1, 2))
        saved = jax.tree.map(lambda x: np.array(x[0]), saved)
        _warn_of_versions(manifest.versions)
        return Run(
            rng_key=jax.random.wrap_key_data(saved["rng_key"], impl=self._key_kind),
            state=saved["state"],
            dead=(tail,),
            segments=segments,
            **manifest.counts.model_dump(),
        )

    def _read(self, stored: StoredRows, layout: RowLayout, allowed: range) -> Any:
        if stored.rows not in allowed:
            raise DamagedFileError(
                f"{self._folder / stored.name} is said to hold {stored.rows:,} rows, where "
                f"{allowed[0]:,} to {allowed[-1]:,} are possible"
            )
        return layout.unpack(read_rows(self._folder, stored, layout.dtype))


def _one_row(run: Run) -> dict[str, Any]:
    """Where the chain is, as a tree of leaves of shape ``(1, ...)`` on the host."""
    tree = {"rng_key": jax.random.key_data(run.rng_key), "state": run.state}
    return jax.tree.map(lambda x: np.asarray(x)[None], tree)


def _warn_of_versions(saved: dict[str, str]) -> None:
    changed = [
        f"{name} {saved.get(name, 'absent')} -> {now}"
        for name, now in versions().items()
        if saved.get(name) != now
    ]
    if changed:
        _warn(
            f"the state was saved with other versions ({', '.join(changed)}): the run goes on, but "
            "its bits may differ from those of an uninterrupted one."
        )


def _warn(text: str) -> None:
    """For the user, and for `search.log`."""
    logger.warning("%s", text)
    warnings.warn(text, stacklevel=4)

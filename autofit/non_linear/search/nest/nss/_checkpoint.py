"""The state of an unfinished run in one file, so that the same script goes on where it stopped."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jax
import numpy as np

from autofit.non_linear.atomic_file import replace_on_success
from autofit.non_linear.errors import CheckpointError
from autofit.non_linear.search.nest.nss._run import Run

FORMAT = 1
_COUNTS = ("iterations", "useful_evaluations", "total_evaluations", "seconds")


def save(path: Path, run: Run, fingerprint: dict[str, Any]) -> None:
    """Write `run` to `path`, atomically.

    Parameters
    ----------
    fingerprint
        What a run must share to be continued from this file; JSON-able.
    """
    header = {
        "format": FORMAT,
        "fingerprint": fingerprint,
        **{name: getattr(run, name) for name in _COUNTS},
    }
    dead = jax.tree.map(lambda *parts: np.concatenate(parts), *run.dead) if run.dead else None
    arrays = {f"state_{i}": np.asarray(x) for i, x in enumerate(jax.tree.leaves(run.state))}
    arrays |= {f"dead_{i}": x for i, x in enumerate(jax.tree.leaves(dead))}
    arrays["rng_key"] = np.asarray(jax.random.key_data(run.rng_key))
    with replace_on_success(path) as temporary, open(temporary, "wb") as file:
        np.savez(file, header=np.array(json.dumps(header)), **arrays)


def load(path: Path, like: Run, fingerprint: dict[str, Any]) -> Run:
    """Read a run that `save` wrote.

    Parameters
    ----------
    like
        A freshly initialised run, whose shapes and types the file must have.
    fingerprint
        Of the fit that wants to go on.

    Raises
    ------
    CheckpointError
        When the file is not readable, or was written by another fit.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            header = json.loads(str(file["header"]))
            saved = {name: file[name] for name in file.files}
    except (OSError, ValueError, KeyError, EOFError) as error:
        raise CheckpointError(
            f"{path} cannot be read as a saved state ({error}). Remove it to start afresh."
        ) from error
    if header.get("format") != FORMAT:
        raise CheckpointError(
            f"{path} has format {header.get('format')!r}; this version reads {FORMAT}. Remove it "
            "to start afresh."
        )
    if header["fingerprint"] != fingerprint:
        differs = sorted(
            name
            for name in fingerprint.keys() | header["fingerprint"].keys()
            if header["fingerprint"].get(name) != fingerprint.get(name)
        )
        raise CheckpointError(
            f"{path} was written by another fit: {', '.join(differs)} differ. Remove it to start "
            "afresh, or give this fit another name or unique_tag."
        )
    leaves, structure = jax.tree.flatten(like.state)
    state = [saved[f"state_{i}"] for i in range(len(leaves))]
    for old, new in zip(leaves, state, strict=True):
        if old.shape != new.shape or old.dtype != new.dtype:
            raise CheckpointError(
                f"{path} holds arrays of {new.dtype}{list(new.shape)} where this fit has "
                f"{old.dtype}{list(old.shape)}. Remove it to start afresh."
            )
    particles = like.state.particles
    dead = [saved[name] for name in sorted(saved, key=_order) if name.startswith("dead_")]
    return Run(
        rng_key=jax.random.wrap_key_data(saved["rng_key"]),
        state=jax.tree.unflatten(structure, state),
        dead=[jax.tree.unflatten(jax.tree.structure(particles), dead)] if dead else [],
        **{name: header[name] for name in _COUNTS},
    )


def _order(name: str) -> tuple[str, int]:
    kind, _, index = name.partition("_")
    return kind, int(index) if index.isdigit() else 0

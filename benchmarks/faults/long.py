"""A run that is so long that whatever grows with it would show."""

from __future__ import annotations

import numpy as np
import psutil

from benchmarks.faults.process import Outcome, workshop

_SEARCH = {
    "n_live": 4_000,
    "num_delete": 4,
    "num_mcmc_steps": 5,
    "chunk_size": 4,
    "termination": -1e6,
    "checkpoint_seconds": 0.5,
}
"""A thousandth of the live points at a time, so that 10⁵ iterations do not use up the digits."""

_MIB, _ENOUGH = 2**20, 20_000
"""Below so many iterations, times are not judged: there are too few of them."""


def long(iterations: int = 100_000) -> list[Outcome]:
    """Resident memory, pace and time of a saving along `iterations` iterations.

    They are compared between the second quarter of the run and the last, for the first has the
    start in it.
    """
    moments: list[tuple[int, float, int]] = []
    with workshop(patience=60.0 + 0.1 * iterations) as shop:
        search = {**_SEARCH, "max_iterations": iterations}
        with shop.fit(search=search, every=iterations // 100) as fit:
            process = psutil.Process(fit.pid)
            while line := fit.wait_for("at"):
                moments.append((line["at"], line["seconds"], process.memory_info().rss))
            if fit.end() or not fit.digest:
                raise RuntimeError(f"the long run failed: {fit.errors[-2000:]}")
            told = fit.told
    at, seconds, resident = (np.array(column, float) for column in zip(*moments, strict=True))
    saves = np.array([(line["saved"], line["seconds"]) for line in told if "saved" in line])
    result_seconds = next(line["result_seconds"] for line in told if "result_seconds" in line)
    second, last = _quarter(at, iterations, 1), _quarter(at, iterations, 3)
    paces = [float(np.polyfit(at[q], seconds[q], 1)[0]) for q in (second, last)]
    later = at > iterations / 4
    growth = float(np.polyfit(at[later], resident[later], 1)[0]) * 1e4
    save_seconds = [
        float(np.median(saves[_quarter(saves[:, 0], iterations, i), 1])) for i in (0, 1, 3)
    ]
    judged = iterations >= _ENOUGH
    return [
        Outcome(
            what=f"resident memory over {iterations:,} iterations",
            tried=1,
            good=growth < _MIB,
            remark=f"{growth / _MIB:+.2f} MiB each 10,000 iterations, of {resident[-1] / _MIB:.0f}",
            detail={"bytes_per_10000": growth, "resident_bytes": resident[::10].tolist()},
        ),
        Outcome(
            what="time of a saving",
            tried=len(saves),
            good=len(saves) * (not judged or save_seconds[2] < 2 * save_seconds[1] + 0.01),
            remark="median {:.0f}, {:.0f}, {:.0f} ms in quarters 1, 2, 4".format(
                *(1e3 * s for s in save_seconds)
            ),
            detail={"median_seconds": save_seconds},
        ),
        Outcome(
            what="time of an iteration",
            tried=1,
            good=not judged or paces[1] < 2 * paces[0],
            remark=f"{1e3 * paces[0]:.2f} and {1e3 * paces[1]:.2f} ms in quarters 2 and 4; "
            f"{result_seconds:.1f} s for the result, after {seconds[-1] - seconds[0]:.0f} s",
            detail={"seconds": paces, "result_seconds": result_seconds},
        ),
    ]


def _quarter(at: np.ndarray, iterations: int, which: int) -> np.ndarray:
    return (at > which * iterations / 4) & (at <= (which + 1) * iterations / 4)

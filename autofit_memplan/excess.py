"""What one more call in a batch takes beyond its prediction."""

from __future__ import annotations

from collections.abc import Mapping

from autofit_memplan.errors import MeasureError
from autofit_memplan.measure import Job, measure
from autofit_memplan.units import MIB

SIZES = (2, 6)
"""Batches that are run. Not one call alone: XLA may well treat it as a special case."""

NOISE_BYTES = 2 * MIB
"""Two fresh processes may differ by this in the peak they measure; on a CPU they did by 0.9 MiB."""


def measured_excess(job: Job) -> int:
    """Run two small batches, each in a fresh process: bytes per further call not predicted.

    To be asked before this process sets up a device: on a GPU, JAX would take most of the memory.

    Parameters
    ----------
    job
        What to run; its `Job.chunk_size` does not matter.

    Raises
    ------
    MeasureError
        If one of the batches does not fit or fails.
    """
    predicted, measured = {}, {}
    for size in SIZES:
        _, batch = measure(job._replace(chunk_size=size))
        if batch.predicted_bytes is None or batch.measured_bytes is None:
            raise MeasureError(f"a batch of {size} was not measured: {batch.note}")
        predicted[size], measured[size] = batch.predicted_bytes, batch.measured_bytes
    return excess_per_call(predicted, measured)


def excess_per_call(predicted: Mapping[int, int], measured: Mapping[int, int]) -> int:
    """By how much the measured bytes of a further call exceed the predicted; never negative.

    Parameters
    ----------
    predicted, measured
        Bytes by size of the batch, at the same two sizes. What both sizes have in common, such as
        a library's workspace, drops out; a difference of up to `NOISE_BYTES` does not count.
    """
    small, large = sorted(measured)
    grown = (measured[large] - measured[small]) - (predicted[large] - predicted[small])
    return 0 if grown <= NOISE_BYTES else -(-grown // (large - small))

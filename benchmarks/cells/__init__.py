"""The field's three source models as likelihoods of one vector, to plan, time and sample with.

Each cell is a log-likelihood in JAX and float64 of a point of the unit cube, with factories named
after the instruments: `memplan plan benchmarks.cells.mge:hst`. Importing one imports `demo`, which
switches JAX to float64.

They are the core of these models, not all of what the field's codes do: one sample a pixel, no
light of the lens, and sources that may be negative in the two inversions.
"""

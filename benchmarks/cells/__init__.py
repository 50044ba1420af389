"""The field's three source models as likelihoods of one vector, to plan, time and sample with.

Each cell is a log-likelihood in JAX and float64 of a point of the unit cube, with factories named
after the instruments: `memplan plan benchmarks.cells.mge:hst`.
"""

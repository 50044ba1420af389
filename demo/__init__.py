"""A strong gravitational lens fitted with `af.NSS`; run it with `python -m demo`.

The likelihood is computed in double precision: the differences of log-likelihood that steer the
sampler are of order one beside a chi-squared of order a thousand.
"""

import jax

jax.config.update("jax_enable_x64", True)

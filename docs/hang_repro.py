"""Two independent batched Choleskys in one scan: hangs for ever with jaxlib 0.10 on two CPU threads.

``python docs/hang_repro.py`` shows the hang, ``python docs/hang_repro.py --protected`` the remedy.
"""

import sys

import jax
import jax.numpy as jnp

jax.config.update("jax_enable_x64", True)

MATRICES = 4.0 * jnp.eye(128) + 0.01 * jnp.ones((8, 128, 128))
PROTECTION = {"xla_cpu_scheduler_type": "CPU_SCHEDULER_TYPE_MEMORY_OPTIMIZED"}


def body(x, _):
    left = jnp.linalg.cholesky(MATRICES + x)
    right = jnp.linalg.cholesky(MATRICES + 2.0 * x)
    return x + 1e-9 * (left.sum() + right.sum()), None


lowered = jax.jit(lambda x: jax.lax.scan(body, x, None, length=20)[0]).lower(0.0)
program = lowered.compile(compiler_options=PROTECTION if "--protected" in sys.argv else None)
for _ in range(300):
    program(0.0).block_until_ready()
print("finished, jaxlib", jax.lib.__version__)

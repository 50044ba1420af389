"""Two independent batched Choleskys in one scan: with jaxlib 0.10 on two CPU threads it hangs.

``python docs/hang_repro.py`` shows the hang, ``python docs/hang_repro.py --protected`` the remedy.
"""

import sys

import jax
import jax.numpy as jnp
import jaxlib

jax.config.update("jax_enable_x64", True)
MATRICES = 4.0 * jnp.eye(128) + 0.01 * jnp.ones((8, 128, 128))
PROTECTION = {"xla_cpu_scheduler_type": "CPU_SCHEDULER_TYPE_MEMORY_OPTIMIZED"}


def body(x, _):
    left = jnp.linalg.cholesky(MATRICES + x)
    right = jnp.linalg.cholesky(MATRICES + 2.0 * x)
    return x + 1e-9 * (left.sum() + right.sum()), None


lowered = jax.jit(lambda x: jax.lax.scan(body, x, None, length=20)[0]).lower(0.0)
program = lowered.compile(compiler_options=PROTECTION if "--protected" in sys.argv else None)
for done in range(100):
    print(f"\r{done} of 100", end="", flush=True)
    program(0.0).block_until_ready()
print(f"\rfinished with jaxlib {jaxlib.__version__}")

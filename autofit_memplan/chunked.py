"""`chunked_vmap`: `jax.vmap` in waves of at most `chunk_size` calls, with one compiled body."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from autofit_memplan.solver import balance, check_chunk_size, waves


def chunked_vmap(fn: Callable, chunk_size: int | None) -> Callable:
    """Map `fn` over the leading axis of its arguments, at most `chunk_size` calls at once.

    `jax.lax.map(fn, xs, batch_size=k)` compiles the remainder ``n % k`` as a second copy of
    `fn`. Here the ``n`` calls are cut into ``ceil(n / k)`` waves of equal width and the last
    wave is filled up with repeats of the last call, so that `fn` is compiled once.

    Parameters
    ----------
    fn
        A function of one example, traceable by JAX; arguments and results may be pytrees.
    chunk_size
        Most calls at once. ``None``, or as many as there are calls, is `jax.vmap` itself.

    Returns
    -------
    A function of the same arguments with one more leading axis of length ``n``.

    Raises
    ------
    ValueError
        If `chunk_size` is not ``None`` and not a positive int; and, by the function returned, if
        the leading axes of its arguments differ.

    Notes
    -----
    Values equal those of `jax.vmap` bit for bit where XLA computes an element the same way in
    every batch, as it does for elementwise functions. Sums, matrix products and factorisations
    may be added up in another order at another width and then differ in the last bits.

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> chunked_vmap(jnp.sum, chunk_size=2)(jnp.ones((5, 3)))
    Array([3., 3., 3., 3., 3.], dtype=float32)
    """
    if chunk_size is not None:
        chunk_size = check_chunk_size(chunk_size)

    def mapped(*args: Any) -> Any:
        n = _leading_length(args)
        if chunk_size is None or chunk_size >= n:
            return jax.vmap(fn)(*args)
        rounds, width = waves(n, chunk_size), balance(n, chunk_size)
        padded = rounds * width

        def cut(x):
            if padded > n:
                last = jnp.broadcast_to(x[-1:], (padded - n, *x.shape[1:]))
                x = jnp.concatenate([x, last])
            return x.reshape((rounds, width, *x.shape[1:]))

        out = jax.lax.map(lambda wave: jax.vmap(fn)(*wave), jax.tree.map(cut, args))
        return jax.tree.map(lambda y: y.reshape((padded, *y.shape[2:]))[:n], out)

    return mapped


def _leading_length(args: tuple) -> int:
    shapes = [np.shape(leaf) for leaf in jax.tree.leaves(args)]
    lengths = sorted({shape[0] if shape else 0 for shape in shapes})
    if len(lengths) != 1 or () in shapes:
        raise ValueError(
            "chunked_vmap needs arrays whose leading axes all have the same length; the arguments "
            f"have shapes {shapes}. Stack one entry per call along the first axis of each"
        )
    return lengths[0]

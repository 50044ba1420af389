"""Which device programs are compiled for, and so whose memory counts."""

import jax

from autofit_memplan import read_budget
from autofit_memplan.cache import program_key
from autofit_memplan.device import default_device


def test_it_is_the_first_unless_jax_is_told_otherwise():
    (cpu, *_) = jax.local_devices(backend="cpu")
    assert default_device() is jax.local_devices()[0]
    for told in (cpu, "cpu"):
        with jax.default_device(told):
            assert default_device() is cpu
            assert read_budget().platform == "cpu"


def test_figures_of_one_way_to_compile_are_not_those_of_another():
    def key():
        return program_key(jax.jit(lambda x: x + 1).trace(1.0), "cpu", None, {})

    before = key()
    assert key() == before
    was = jax.config.jax_compiler_enable_remat_pass
    try:
        jax.config.update("jax_compiler_enable_remat_pass", not was)
        assert key() != before
    finally:
        jax.config.update("jax_compiler_enable_remat_pass", was)

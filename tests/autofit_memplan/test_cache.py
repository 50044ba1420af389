"""The plan cache: what is a hit, what is not, and what never breaks a plan."""

import json
import os
import subprocess
import sys
from importlib.metadata import entry_points

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from autofit_memplan import cache, plan_calls, processor, read_budget
from autofit_memplan.footprint import compile_program

SHAPE = jax.ShapeDtypeStruct((64,), "float32")


def make():
    """The same function as a new object, for JAX itself remembers what it has compiled."""

    def product(x):
        return jnp.sort(jnp.outer(x, x), axis=0).sum()

    return product


def compile_cached():
    return compile_program(make(), SHAPE, platform="cpu", cache=True)


def figures(program):
    return program.footprint.model_dump(exclude={"compile_seconds", "from_cache"})


def test_a_known_program_is_not_compiled_until_it_is_asked_for(compiled):
    first = compile_cached()
    assert compiled == ["jit(product)"]
    again = compile_cached()
    assert compiled == ["jit(product)"]
    assert figures(again) == figures(first)
    assert (first.footprint.from_cache, again.footprint.from_cache) == (False, True)
    assert first.footprint.compile_seconds > again.footprint.compile_seconds == 0
    x = np.linspace(0, 1, 64, dtype="float32")
    expected = np.outer(x.astype("float64"), x).sum()
    for _ in range(2):
        np.testing.assert_allclose(again.executable(x), expected, rtol=1e-5)
    assert len(compiled) == 2
    stats = again.executable.memory_analysis()
    assert stats.temp_size_in_bytes == again.footprint.temp_bytes >= 64 * 64 * 4


def test_a_program_that_is_compiled_to_need_more_than_was_known_is_counted_the_next_time():
    first = compile_cached()
    known = cache.load(first.key, cache.Analysis)
    cache.store(first.key, known.model_copy(update={"temp_bytes": 1024}))
    again = compile_cached()
    assert again.footprint.temp_bytes == 1024
    with pytest.warns(UserWarning, match="the plan cache knew"):
        assert again.executable is again.executable
    assert figures(compile_cached()) == figures(first)


def test_a_plan_made_again_compiles_nothing_and_says_so(compiled):
    budget = read_budget(limit="40 MiB")
    first = plan_calls(make(), SHAPE, 20, budget)
    assert (first.calls.compiles, first.calls.cached) == (1, 0)
    compiled.clear()
    again = plan_calls(make(), SHAPE, 20, budget)
    assert not compiled
    assert (again.calls.compiles, again.calls.cached, again.calls.compile_seconds) == (0, 1, 0)
    assert again.calls.predicted_bytes == first.calls.predicted_bytes
    assert "figures from cache" in str(again.report())
    assert again.executable("calls")(jnp.ones((20, 64))).shape == (20,)
    assert len([name for name in compiled if "mapped" in name]) == 1
    without = plan_calls(make(), SHAPE, 20, budget, cache=False)
    assert (without.calls.compiles, without.calls.cached) == (1, 0)


@pytest.mark.parametrize("is_cached", [True, False])
def test_nothing_is_written_unless_asked(plan_cache, is_cached):
    compile_program(make(), SHAPE, platform="cpu", cache=is_cached)
    assert len(list(plan_cache.iterdir())) == is_cached


def key_of(fn, *args, platform="cpu", target=None, options=None):
    return cache.program_key(jax.jit(fn).trace(*args), platform, target, options or {})


def test_what_is_another_program_has_another_key(monkeypatch):
    product = make()
    ones = np.ones(64, "float32")
    keys = [
        key_of(product, SHAPE),
        key_of(product, jax.ShapeDtypeStruct((65,), "float32")),
        key_of(product, jax.ShapeDtypeStruct((64,), "int32")),
        key_of(lambda x: product(x) + 1, SHAPE),
        key_of(lambda x: product(x) * (x * ones).sum(), SHAPE),
        key_of(lambda x: product(x) * (x * ones.astype("float16")).sum(), SHAPE),
        key_of(lambda x: x, 1.0),
        key_of(lambda x: x, jnp.float32(1.0)),
        key_of(product, SHAPE, options={"xla_gpu_enable_triton_gemm": False}),
        key_of(product, SHAPE, platform="gpu"),
        key_of(product, SHAPE, target=("one",)),
        key_of(product, SHAPE, target=("two",)),
    ]
    monkeypatch.setenv("XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false")
    keys.append(key_of(product, SHAPE))
    monkeypatch.delenv("XLA_FLAGS")
    monkeypatch.setattr(cache, "version", lambda name: "0.0.1")
    cache._versions.cache_clear()
    keys.append(key_of(product, SHAPE))
    cache._versions.cache_clear()
    assert len(set(keys)) == len(keys)


def test_another_processor_is_another_key_and_its_clock_is_not(tmp_path, monkeypatch):
    """Nodes that share a home need not be alike."""
    monkeypatch.setattr(processor, "CPU_INFO", tmp_path / "cpuinfo")
    monkeypatch.setattr(cache, "_processor", cache._processor.__wrapped__)

    def on(flags, mhz):
        core = f"model name\t: Xeon\ncpu MHz\t\t: {mhz}\nflags\t\t: {flags}\n"
        processor.CPU_INFO.write_text(f"processor\t: 0\n{core}\nprocessor\t: 1\n{core}\n")
        return key_of(make(), SHAPE)

    plain = on("sse4_2 avx2", 2600)
    assert on("sse4_2 avx2", 3100) == plain
    assert on("sse4_2 avx2 avx512f", 2600) != plain
    monkeypatch.setattr(processor, "CPU_INFO", tmp_path / "none")
    assert key_of(make(), SHAPE) != plain


def test_values_and_addresses_do_not_matter():
    def with_constant_and_callback(seed):
        constant = np.random.default_rng(seed).standard_normal(64).astype("float32")

        def fn(x):
            host = jax.pure_callback(lambda v: v, SHAPE, x)  # its address is in the jaxpr's text
            return (host * constant).sum()

        return fn

    keys = {key_of(with_constant_and_callback(seed), SHAPE) for seed in range(3)}
    assert len(keys) == 1


OTHER = {"key": "0" * 64, "analysis": {"argument_bytes": 1}}


@pytest.mark.parametrize(
    "corrupt",
    [
        lambda path: path.write_bytes(path.read_bytes()[:-20]),
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(np.random.default_rng(0).bytes(300)),
        lambda path: path.write_text(json.dumps(OTHER)),
        lambda path: path.write_text(path.read_text().replace(path.stem, "0" * 64)),
        lambda path: path.write_text(path.read_text().replace('temp_bytes":', 'temp_bytes":"x",')),
        lambda path: (path.unlink(), path.mkdir()),
    ],
    ids=["truncated", "empty", "random", "other JSON", "another's", "mistyped", "a folder"],
)
@pytest.mark.filterwarnings("ignore:the plan cache cannot be written:UserWarning")
def test_a_damaged_entry_is_not_believed(plan_cache, corrupt, compiled):
    first = compile_cached()
    (path,) = plan_cache.iterdir()
    corrupt(path)
    again = compile_cached()
    assert len(compiled) == 2
    assert not again.footprint.from_cache
    assert figures(again) == figures(first)
    if path.is_file():
        assert compile_cached().footprint.from_cache  # it was written anew


def test_a_folder_that_cannot_be_written_is_one_warning(tmp_path, monkeypatch):
    occupied = tmp_path / "file"
    occupied.write_text("not a folder")
    monkeypatch.setenv(cache.FOLDER_VARIABLE, str(occupied))
    cache._warn_once.cache_clear()
    with pytest.warns(UserWarning, match="cannot be written") as warned:
        programs = [compile_cached() for _ in range(3)]
    assert len(warned) == 1
    assert figures(programs[0]) == figures(programs[2])
    assert not programs[2].footprint.from_cache


def test_without_the_variable_it_is_the_users_cache(tmp_path, monkeypatch):
    monkeypatch.delenv(cache.FOLDER_VARIABLE)
    monkeypatch.setattr(cache, "user_cache_path", lambda name: tmp_path / name)
    compile_cached()
    (path,) = (tmp_path / "autofit-memplan").iterdir()
    assert cache.load(path.stem, cache.Analysis) is not None


PROCESS = """
import jax, jax.numpy as jnp
from autofit_memplan.footprint import compile_program
ones = jnp.ones(64)
@jax.custom_jvp
def inner(x): return x * ones
inner.defjvp(lambda p, t: (inner(*p), t[0]))
def fn(x): return jnp.sort(jnp.outer(inner(x), x), axis=0).sum()
footprint = compile_program(fn, ones, platform="cpu", cache=True).footprint
print(footprint.from_cache, footprint.temp_bytes)
"""


BESIDE_JAX_S_CACHE = """
import sys, jax, jax.numpy as jnp
from autofit_memplan.footprint import compile_program
seen = []
jax.monitoring.register_event_listener(lambda event, **_: seen.append(event))
def fn(x): return jnp.sort(jnp.outer(x, x), axis=0).sum()
for target in [None, *sys.argv[1:]]:
    compile_program(fn, jax.ShapeDtypeStruct((64,), "float32"), platform="gpu" if target else "cpu",
        target=target)
    print(seen.count("/jax/compilation_cache/cache_hits"))
"""


def test_jax_s_own_persistent_cache_is_used_here_and_harmless_for_targets(tmp_path):
    plugins = [entry.value for entry in entry_points(group="jax_plugins")]
    targets = ["a100"] if any("cuda" in plugin for plugin in plugins) else []
    settings = {
        "JAX_COMPILATION_CACHE_DIR": str(tmp_path),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
    }
    hits = []
    for _ in range(2):
        run = subprocess.run(
            [sys.executable, "-W", "error", "-c", BESIDE_JAX_S_CACHE, *targets],
            env=os.environ | settings,
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert run.returncode == 0, run.stderr
        hits.append(int(run.stdout.split()[0]))
    assert hits[0] == 0 < hits[1]


def test_two_processes_share_what_they_know(plan_cache):
    def start(seed):
        # Another seed of hashing: an order that depends on it would be another key.
        return subprocess.Popen(
            [sys.executable, "-c", PROCESS],
            env={**os.environ, "PYTHONHASHSEED": str(seed)},
            stdout=subprocess.PIPE,
            text=True,
        )

    at_once = [start(seed) for seed in (1, 2)]
    outputs = [process.communicate(timeout=60)[0].split() for process in at_once]
    assert len(list(plan_cache.iterdir())) == 1
    later = start(3).communicate(timeout=60)[0].split()
    assert later == ["True", outputs[0][1]]
    assert outputs[0][1] == outputs[1][1]

"""GPUs that are not here: their table, their memory, and JAX's state when one is planned for."""

import os
import subprocess
import sys

import jax
import pytest

from autofit_memplan import BudgetError, TargetError, read_budget
from autofit_memplan.targets import TARGETS, find_target

MIB, GIB = 2**20, 2**30

needs_plugin = pytest.mark.usefixtures("cuda_plugin")

# The table


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("a100-sxm-80gb", "a100-sxm-80gb"),
        ("A100", "a100-sxm-80gb"),
        ("NVIDIA A100-SXM4-80GB", "a100-sxm-80gb"),
        ("A100-SXM4-80GB", "a100-sxm-80gb"),
        ("A100 SXM4 40GB", "a100-sxm-40gb"),
        ("h 100", "h100-sxm"),
        ("NVIDIA H100 80GB HBM3", "h100-sxm"),
        ("RTX A6000", "a6000"),
        ("rtx6000-pro", "rtx6000pro"),
    ],
)
def test_names_are_understood(name, found):
    assert find_target(name).name == found


def test_no_two_targets_share_a_name():
    names = [n for t in TARGETS for n in (t.name, t.device_kind, *t.aliases)]
    for target in TARGETS:
        for name in (target.name, target.device_kind, *target.aliases):
            assert find_target(name) is target
    assert len(set(map(str.lower, names))) == len(names)


def test_an_unknown_name_is_an_error_with_those_nearby():
    with pytest.raises(
        TargetError, match=r"'a100-sxm-90gb'.*mean a100-sxm-80gb or .*Known are v100"
    ):
        read_budget(target="a100-sxm-90gb")
    with pytest.raises(TargetError, match=r"target=7 is not a known GPU\. Known are"):
        read_budget(target=7)
    with pytest.raises(TargetError, match="give one of them"):
        read_budget(jax.devices()[0], target="a100")


# The budget


def test_the_budget_is_jax_s_share_of_the_card():
    budget = read_budget(target="a100-sxm-80gb")
    assert budget.limit_bytes == int(0.75 * 85100068864) - 128 * MIB
    assert sum(line.bytes for line in budget.lines) == budget.limit_bytes
    assert (budget.platform, budget.target) == ("gpu", "a100-sxm-80gb")
    assert budget.device_kind == "NVIDIA A100-SXM4-80GB"
    assert read_budget(target="a100-sxm-80gb", limit="40 GiB").limit_bytes == 40 * GIB
    assert not any("taken to be" in note for note in budget.notes)
    assert any("a100-sxm-40gb" in note for note in read_budget(target="a100").notes)


@pytest.mark.parametrize("name", ["XLA_CLIENT_MEM_FRACTION", "XLA_PYTHON_CLIENT_MEM_FRACTION"])
def test_the_user_s_fraction_is_honoured(monkeypatch, name):
    monkeypatch.setenv(name, "0.5")
    assert read_budget(target="h200").limit_bytes == int(0.5 * 151397597184) - 128 * MIB
    monkeypatch.setenv(name, "1.0")  # then it is the card itself that ends it
    assert read_budget(target="h200").limit_bytes == 151397597184 - (512 + 512 + 128) * MIB
    monkeypatch.setenv(name, "most")
    with pytest.raises(BudgetError, match=f"{name}='most' is not a share of the card"):
        read_budget(target="h200")


def test_two_fractions_contradict_each_other(monkeypatch):
    monkeypatch.setenv("XLA_CLIENT_MEM_FRACTION", "0.5")
    monkeypatch.setenv("XLA_PYTHON_CLIENT_MEM_FRACTION", "0.6")
    with pytest.raises(BudgetError, match="are both set"):
        read_budget(target="a100")


# How JAX was started

PLAN_HERE = """
import sys, jax, jax.numpy as jnp
if sys.argv[1] == "started":
    jnp.ones(3).block_until_ready()
from autofit_memplan import plan_calls, read_budget
plan = plan_calls(lambda x: jnp.sort(jnp.outer(x, x), axis=0).sum(),
    jax.ShapeDtypeStruct((512,), "float32"), 4, read_budget(target="a100"))
print(plan.call.temp_bytes, plan.budget.target, jax.devices()[0].platform, jnp.ones(3).sum())
"""


@needs_plugin
@pytest.mark.parametrize("platforms", [None, "cpu"])
@pytest.mark.parametrize("state", ["fresh", "started"])
def test_however_jax_was_started(platforms, state):
    env = {name: value for name, value in os.environ.items() if name != "JAX_PLATFORMS"}
    run = subprocess.run(
        [sys.executable, "-c", PLAN_HERE, state],
        env=env | ({"JAX_PLATFORMS": platforms} if platforms else {}),
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert run.returncode == 0, run.stderr
    temp_bytes, target, *here = run.stdout.split()
    assert int(temp_bytes) >= 2 * MIB and target == "a100-sxm-80gb"
    if not os.path.exists("/dev/nvidiactl"):
        assert here == ["cpu", "3.0"]
        assert state == "started" or "Traceback" not in run.stderr


@pytest.mark.skipif(os.path.exists("/dev/nvidiactl"), reason="there is a GPU")
def test_a_platform_that_does_not_start_is_named():
    run = subprocess.run(
        [sys.executable, "-c", "import autofit_memplan as m; m.read_budget(target='a100')"],
        env=os.environ | {"JAX_PLATFORMS": "cuda"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert "TargetError: JAX does not start with JAX_PLATFORMS='cuda'" in run.stderr

"""What the planner's tests share: compilations counted, machines that stand in, a plan by hand."""

from importlib.metadata import entry_points

import jax
import pytest
from standin_machine import Machine, machines

from autofit_memplan.compiler import compiler_options
from autofit_memplan.records import (
    BudgetLine,
    DeviceBudget,
    Footprint,
    Plan,
    ProgramPlan,
    Unchunked,
)

MIB = 2**20
GIB = 2**30


@pytest.fixture(autouse=True)
def single_precision():
    """JAX as the planner alone finds it, whatever another test's import has switched on."""
    with jax.enable_x64(False):
        yield


@pytest.fixture
def cuda_plugin():
    """Skips a test where the extra [targets] is not installed."""
    if not any("cuda" in entry.value for entry in entry_points(group="jax_plugins")):
        pytest.skip("the extra [targets] is not installed")


@pytest.fixture
def compiled():
    """Names of the programs that XLA compiles while a test runs."""
    compiler_options("cpu")  # probes the compiler once in a process
    names = []

    def listen(event, _, fun_name="", **__):
        if event == "/jax/core/compile/backend_compile_duration":
            names.append(fun_name)

    jax.monitoring.register_event_duration_secs_listener(listen)
    yield names
    jax.monitoring.unregister_event_duration_listener(listen)


@pytest.fixture(scope="module")
def machine(tmp_path_factory):
    """Starts machines whose GPUs are imitated by C libraries, by name."""
    with machines(tmp_path_factory.mktemp("machines")) as start:
        yield start


@pytest.fixture
def usual(machine) -> Machine:
    return machine("usual")


@pytest.fixture
def plan() -> Plan:
    """Figures that all print differently."""
    call = Footprint(
        argument_bytes=1 * MIB,
        output_bytes=2 * MIB,
        alias_bytes=512 * 2**10,
        temp_bytes=210 * MIB,
        constant_bytes=3 * MIB,
        scratch_bytes=17 * MIB,
        compile_seconds=1.23,
    )
    init = call.model_copy(update={"temp_bytes": 16_000 * MIB})
    step = call.model_copy(update={"temp_bytes": 18_000 * MIB})
    return Plan(
        budget=DeviceBudget(
            device_kind="NVIDIA A100-SXM4-80GB",
            platform="gpu",
            limit_bytes=40 * GIB,
            largest_block_bytes=39 * GIB,
            lines=(
                BudgetLine(label="allocator limit", bytes=60 * GIB, source="JAX memory_stats"),
                BudgetLine(label="in use", bytes=-4 * GIB, source="JAX memory_stats"),
                BudgetLine(label="free on the card", bytes=None, source="NVML: unknown (denied)"),
                BudgetLine(label="limit 40 GiB", bytes=-16 * GIB, source="user"),
            ),
            notes=("NVML: unknown [denied].",),
        ),
        call=call,
        programs=(
            ProgramPlan(
                name="init",
                n=1500,
                chunk_size=75,
                waves=20,
                footprint=init,
                predicted_bytes=init.total_bytes,
                budget_share=init.total_bytes / (40 * GIB),
                unchunked=Unchunked(predicted_bytes=308 * GIB, fits=False, is_compiled=False),
                compiles=5,
                compile_seconds=13.57,
            ),
            ProgramPlan(
                name="step",
                n=50,
                chunk_size=48,
                waves=2,
                footprint=step,
                predicted_bytes=step.total_bytes,
                budget_share=step.total_bytes / (40 * GIB),
                unchunked=Unchunked(predicted_bytes=19 * GIB, fits=True, is_compiled=True),
                compiles=3,
                compile_seconds=24.68,
            ),
        ),
        warnings=("pure_callback [twice] was left out of the figures.",),
    )

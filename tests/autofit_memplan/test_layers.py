"""Who may import whom, read off the sources."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PLANNER = ROOT / "autofit_memplan"

# Each file imports from rows above its own only, and files of one row not from each other.
ROWS = [
    ["units", "_cuda_driver", "processor", "remembered"],
    ["errors", "solver", "jaxprs", "_hlo", "_nvml", "compiler"],
    ["device", "records", "targets", "_portable", "_cpu_scratch", "chunked"],
    ["scratch"],
    ["_limit", "_account", "_allocator", "_compile_only", "cache", "report"],
    ["_host_memory", "_device_memory", "footprint", "fast"],
    ["_target_memory"],
    ["budget", "certify"],
    ["planner", "specs"],
    ["__init__", "measure"],
    ["excess", "sweep"],
    ["plots", "_cli_output"],
    ["_cli_devices", "_cli_plan", "_cli_sweep"],
    ["cli"],
    ["__main__"],
]
FLAT = {name: level for level, row in enumerate(ROWS) for name in row}


def imports(path):
    """``(module, is_lazy)`` of every import of a file; a lazy one is inside something."""
    tree = ast.parse(path.read_text())
    at_once = {id(node) for node in tree.body}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, id(node) not in at_once
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path.name}: relative import"
            yield node.module, id(node) not in at_once


def sources(folder):
    found = sorted(folder.rglob("*.py"))
    assert found
    return found


def top(module):
    return module.split(".")[0]


@pytest.mark.parametrize("path", sources(PLANNER), ids=lambda path: path.stem)
def test_the_planner_imports_neither_the_front_end_nor_the_sampler(path):
    assert not {top(module) for module, _ in imports(path)} & {"autofit", "blackjax"}


@pytest.mark.parametrize("path", sources(PLANNER), ids=lambda path: path.stem)
def test_imports_inside_the_planner_go_one_way(path):
    level = FLAT[path.stem]
    for module, is_lazy in imports(path):
        # Records render themselves on demand, by the one import that waits until then.
        is_report_on_demand = (path.stem, module, is_lazy) == (
            "records",
            "autofit_memplan.report",
            True,
        )
        if top(module) == "autofit_memplan" and not is_report_on_demand:
            assert FLAT[module.split(".")[1]] < level, f"{path.name} imports {module}"


def test_one_file_of_the_front_end_imports_the_planner():
    importers = [
        path.relative_to(ROOT).as_posix()
        for path in sources(ROOT / "autofit")
        if any(top(module) == "autofit_memplan" for module, _ in imports(path))
    ]
    assert importers == ["autofit/non_linear/search/nest/nss/_memory.py"]


@pytest.mark.parametrize("path", sources(ROOT / "autofit"), ids=lambda path: path.stem)
def test_the_front_end_knows_no_memory_gauge(path):
    assert not {top(module) for module, _ in imports(path)} & {"pynvml", "psutil"}


def test_arithmetic_is_free_of_jax():
    for name in ("solver", "units", "errors"):
        assert not {top(module) for module, _ in imports(PLANNER / f"{name}.py")} & {"jax", "numpy"}

"""The demo at a small size, in a process whose memory is its own."""

import re
import subprocess
import sys

from autofit_memplan.units import parse_bytes

MIB = 2**20


def test_both_programs_run_within_the_limit_and_as_predicted(pytestconfig):
    command = [sys.executable, "-m", "benchmarks.demo_hst"]
    small = ["--cell", "benchmarks.cells.pixelization:small", "--n-live", "60"]
    run = subprocess.run(
        [*command, *small, "--memory-limit", "25 MiB"],
        cwd=pytestconfig.rootpath,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert run.returncode == 0, run.stderr
    assert "limit 25 MiB" in run.stdout
    assert "Stopped at max_iterations, before convergence: 2 iterations" in run.stdout
    lines = re.findall(
        r"(init|step): (\d+) of (\d+) at once, predicted (.*?), measured (.*?) \(", run.stdout
    )
    assert [line[0] for line in lines] == ["init", "step"]
    for _, chunk, n, predicted, measured in lines:
        assert 1 < int(chunk) < int(n)
        assert 10 * MIB < parse_bytes(predicted) <= 25 * MIB
        # of such a small one, threads and code are a good part
        assert abs(parse_bytes(measured) - parse_bytes(predicted)) < 24 * MIB

"""The demo with a small cell, in a process whose memory is its own.

Batches are so large that temporaries and the copies that FFTs make are above 32 MiB. glibc gives
such blocks back; smaller ones stay with their threads or come from what compiling left, and a peak
is then off by tens of MiB (`docs/scratch.md`): by 17 to 36 on one machine.
"""

import json
import re
import subprocess
import sys

import pytest

from autofit_memplan.units import parse_bytes

MIB = 2**20


def test_both_programs_run_within_the_limit_and_as_predicted(pytestconfig, tmp_path):
    output = tmp_path / "hst.json"
    command = [sys.executable, "-m", "benchmarks.demo_hst"]
    cell = ["--cell", "benchmarks.cells.pixelization:small", "--memory-limit", "300 MiB"]
    run = subprocess.run(
        [*command, *cell, "--n-live", "240", "--num-delete", "160", "--output", str(output)],
        cwd=pytestconfig.rootpath,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert run.returncode == 0, run.stderr
    assert "limit 300 MiB" in run.stdout
    assert "Stopped at max_iterations, before convergence: 2 iterations" in run.stdout
    lines = re.findall(
        r"(init|step): (\d+) of (\d+) at once, predicted (.*?), measured (.*?) \(", run.stdout
    )
    assert [line[0] for line in lines] == ["init", "step"]
    for _, chunk, n, predicted, measured in lines:
        assert 1 < int(chunk) < int(n)
        assert 200 * MIB < parse_bytes(predicted) <= 300 * MIB
        assert parse_bytes(measured) == pytest.approx(parse_bytes(predicted), abs=64 * MIB)
    written = json.loads(output.read_text())
    assert written["limit_bytes"] == 300 * MIB
    for program, (name, chunk, n, *_) in zip(written["programs"], lines, strict=True):
        assert (program["program"], program["chunk_size"], program["calls"]) == (
            name,
            int(chunk),
            int(n),
        )

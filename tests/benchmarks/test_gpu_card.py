"""Which card `python -m benchmarks.gpu` measures, with which settings, and when it is skipped."""

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
from jaxlib import xla_client

from benchmarks.gpu import busy as gpu_busy
from benchmarks.gpu import card as gpu_card
from benchmarks.gpu import command as gpu

ROOT = Path(__file__).parents[2]
H100 = "NVIDIA H100 80GB HBM3, 580.159.04, 81559, 0, 81079"
FIRST = {"CUDA_DEVICE_ORDER": "PCI_BUS_ID", "CUDA_VISIBLE_DEVICES": "0"}


@pytest.fixture(autouse=True)
def in_the_root(monkeypatch):
    """Where `python -m benchmarks.…` finds its modules."""
    monkeypatch.chdir(ROOT)


@pytest.fixture
def own_variables(monkeypatch):
    """What `main` sets is forgotten after the test."""
    for name in FIRST:
        monkeypatch.setenv(name, FIRST[name])
    return monkeypatch


@pytest.fixture
def only_card(tmp_path):
    """A folder with an `nvidia-smi` that knows one card, by its number and its UUID."""
    there = tmp_path / "nvidia-smi"
    there.write_text(
        f'#!/bin/sh\ncase "$1" in --id=0|--id=GPU-7) echo "{H100}";; *) exit 6;; esac\n'
    )
    there.chmod(0o755)
    return tmp_path


def command(tmp_path, **env):
    """The whole command; variables that are ``None`` are not set."""
    given = {name: text for name, text in (os.environ | env).items() if text is not None}
    return subprocess.run(
        [sys.executable, "-m", "benchmarks.gpu", "--output", str(tmp_path / "gpu.json")],
        env=given,
        capture_output=True,
        text=True,
    )


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, FIRST),
        ({"CUDA_VISIBLE_DEVICES": "GPU-7,1"}, {**FIRST, "CUDA_VISIBLE_DEVICES": "GPU-7"}),
        ({"CUDA_DEVICE_ORDER": "FASTEST_FIRST"}, FIRST),
        ({"JAX_PLATFORMS": "cuda"}, {**FIRST, "JAX_PLATFORMS": "cuda,cpu"}),
        ({"JAX_PLATFORMS": "cuda,cpu"}, FIRST),
        ({"JAX_PLATFORMS": ""}, FIRST),
        (
            {"XLA_PYTHON_CLIENT_ALLOCATOR": "Platform"},
            {**FIRST, "XLA_PYTHON_CLIENT_ALLOCATOR": "default"},
        ),
        ({"XLA_PYTHON_CLIENT_ALLOCATOR": "cuda_async"}, FIRST),
    ],
)
def test_every_process_has_one_card_an_account_of_it_and_a_cpu(given, expected):
    assert gpu_card.for_all(given) == expected


def test_nvidia_smi_is_read_as_bytes():
    card = gpu_card.parsed(H100)
    assert card == {
        "name": "NVIDIA H100 80GB HBM3",
        "driver_version": "580.159.04",
        "memory_total_bytes": 81559 * 2**20,
        "memory_used_bytes": 0,
        "memory_free_bytes": 81079 * 2**20,
    }


@pytest.mark.parametrize(("visible", "known"), [("GPU-7,1", True), ("0", True), ("1", False)])
def test_nvidia_smi_is_asked_of_the_card_that_jax_uses(only_card, monkeypatch, visible, known):
    monkeypatch.setenv("PATH", f"{only_card}:{os.environ['PATH']}")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert gpu_card.nvidia_smi() == (gpu_card.parsed(H100) if known else None)


def test_memory_that_is_not_told_is_a_dash():
    assert gpu_card.shown(gpu_card.parsed(H100), "free", "used") == ["79.2 GiB", "0 B"]
    assert gpu_card.shown(None, "free") == ["-"]


@pytest.mark.parametrize("old_name", ["XLA_PYTHON_CLIENT_MEM_FRACTION", "XLA_CLIENT_MEM_FRACTION"])
def test_the_process_that_holds_takes_its_share_at_once_whatever_is_inherited(
    monkeypatch, old_name
):
    inherited = {old_name: "0.2", "XLA_PYTHON_CLIENT_ALLOCATOR": "vmm"}
    for name, text in (inherited | gpu_busy.TAKING).items():
        monkeypatch.setenv(name, text)
    options = xla_client.generate_pjrt_gpu_plugin_options()
    asked = [options[name] for name in ("allocator", "preallocate", "memory_fraction")]
    assert asked == ["default", True, 0.9]


@pytest.mark.parametrize(("free", "is_far"), [(8_000, False), (3_000, False), (500, True)])
def test_a_card_that_is_not_as_crowded_as_was_meant_is_refused(free, is_far):
    card = gpu_card.parsed(f"NVIDIA H100 80GB HBM3, 580.159.04, 81559, 0, {free}")
    if is_far:
        with pytest.raises(RuntimeError, match=r"500\.0 MiB of 79\.6 GiB .* leave 8\.0 GiB\. End"):
            gpu_busy.refuse_far(card)
    else:
        gpu_busy.refuse_far(card)


def test_a_card_that_nothing_was_taken_of_is_refused():
    with pytest.raises(RuntimeError, match=r"79\.2 GiB of 79\.6 GiB are free"):
        gpu_busy.refuse_far(gpu_card.parsed(H100))
    gpu_busy.refuse_far(None)


@pytest.mark.skipif(gpu_card.has_device_file(), reason="there is a GPU")
def test_without_a_gpu_it_is_skipped(tmp_path):
    done = command(tmp_path, PATH=str(tmp_path))
    assert (done.returncode, done.stdout) == (0, "skipped: no NVIDIA GPU here\n")
    assert not (tmp_path / "gpu.json").exists()


def test_with_a_gpu_that_jax_was_told_to_leave_alone_it_is_skipped(only_card):
    done = command(
        only_card, PATH=f"{only_card}:{os.environ['PATH']}", JAX_PLATFORMS="cpu", **FIRST
    )
    why = "there is an NVIDIA GPU, but JAX runs on cpu here: JAX_PLATFORMS=cpu"
    assert (done.returncode, done.stdout) == (0, f"skipped: {why}\n")


@pytest.mark.skipif(gpu_card.has_device_file(), reason="there is a GPU, on which it would run")
def test_with_a_plugin_that_does_not_start_it_fails_with_what_jax_says(only_card):
    """A card that nothing came of is not "skipped"."""
    done = command(
        only_card,
        PATH=f"{only_card}:{os.environ['PATH']}",
        JAX_PLATFORMS=None,
        CUDA_VISIBLE_DEVICES=None,
    )
    if find_spec("jax_plugins.xla_cuda12") is None:
        assert done.returncode == 0
        assert 'no CUDA plugin is installed: pip install "jax[cuda12]"' in done.stdout
    else:
        assert done.returncode == 1
        assert "there is an NVIDIA GPU, but JAX runs on cpu here\n" in done.stderr
        assert "Exception when calling jax_plugins.xla_cuda12.initialize()" in done.stderr


def test_with_a_gpu_on_which_jax_does_not_start_it_fails(tmp_path, own_variables):
    """It counts though `nvidia-smi` is missing."""
    (tmp_path / "nvidia0").touch()
    own_variables.setattr(gpu_card, "_DEVICES", tmp_path)
    own_variables.setenv("PATH", str(tmp_path))
    own_variables.setenv("JAX_PLATFORMS", "cuda,none_such")
    own_variables.setattr(sys, "argv", ["gpu", "--output", str(tmp_path / "gpu.json")])
    with pytest.raises(SystemExit, match=r"JAX does not start here: .*none_such"):
        gpu.main()

"""Real signals to real processes: an orderly end, a saving, and the handlers put back."""

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from problems import CorrelatedGaussian, cube

import autofit as af
import autofit.non_linear.search.nest.nss._signals as module
from autofit.non_linear.search.nest.nss._signals import Signals

LOOP = """
import signal, sys, time
sys.path.insert(0, sys.argv[1])
from _signals import Signals

def user_handler(number, frame):
    print("user", number, flush=True)

{before}
try:
    with Signals() as signals:
        print("ready", flush=True)
        end = time.monotonic() + 30
        while time.monotonic() < end and not signals.stop:
            time.sleep(0.02)
            if signals.take_save_request():
                print("saved", flush=True)
        print("stop", signals.stop, flush=True)
        {closing}
        print("closed", flush=True)
    print("goes on", flush=True)
finally:
    print("cleaned", flush=True)
"""


@pytest.fixture
def start():
    """``start(before, closing)``: a process in its loop, at the line after its "ready"."""
    started = []

    def start(before="pass", closing="pass"):
        process = subprocess.Popen(
            [
                sys.executable,
                "-c",
                LOOP.format(before=before, closing=closing),
                str(Path(module.__file__).parent),
            ],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        assert process.stdout.readline() == "ready\n", process.stderr.read()
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def lines_after(process, *signals):
    """All that is printed after the signals, each of which is sent after the line of the last."""
    lines = []
    for number in signals:
        process.send_signal(number)
        lines.append(process.stdout.readline().strip())
    lines += process.stdout.read().split("\n")[:-1]
    process.wait(timeout=20)
    return lines


def test_sigterm_is_an_orderly_end_with_its_status(start):
    process = start()
    assert lines_after(process, signal.SIGTERM) == ["stop SIGTERM", "closed", "cleaned"]
    # What a shell reports of a process that SIGTERM has killed.
    shell = subprocess.run(["bash", "-c", "sh -c 'kill -TERM $$'; exit $?"])
    assert process.returncode == shell.returncode == 143


def test_ctrl_c_ends_the_loop_and_the_script_goes_on(start):
    process = start()
    lines = lines_after(process, signal.SIGINT)
    assert lines == ["stop SIGINT", "closed", "goes on", "cleaned"]
    assert process.returncode == 0


def test_a_second_ctrl_c_is_immediate(start):
    process = start(closing="time.sleep(30)")
    lines = lines_after(process, signal.SIGINT, signal.SIGINT)
    assert lines == ["stop SIGINT", "cleaned"]
    assert "KeyboardInterrupt" in process.stderr.read()


@pytest.mark.parametrize("first", [signal.SIGTERM, signal.SIGINT])
def test_a_sigterm_while_closing_waits_for_the_end_and_ends_the_process(start, first):
    process = start(closing="print('closing', flush=True); time.sleep(1)")
    process.send_signal(first)
    assert [process.stdout.readline() for _ in range(2)] == [f"stop {first.name}\n", "closing\n"]
    assert lines_after(process, signal.SIGTERM) == ["closed", "cleaned"]
    assert process.returncode == 143


def test_sigusr1_saves_each_time_and_goes_on(start):
    process = start()
    usr1 = signal.SIGUSR1
    lines = lines_after(process, usr1, usr1, signal.SIGTERM)
    assert lines == ["saved", "saved", "stop SIGTERM", "closed", "cleaned"]


def test_a_handler_of_the_program_is_called_in_the_end(start):
    process = start(before="signal.signal(signal.SIGTERM, user_handler)")
    lines = lines_after(process, signal.SIGTERM)
    assert lines == ["stop SIGTERM", "closed", "user 15", "goes on", "cleaned"]


def test_what_the_program_ignores_stays_ignored(start):
    """As under nohup or in the background of a shell, where SIGINT is ignored."""
    process = start(before="signal.signal(signal.SIGINT, signal.SIG_IGN)")
    process.send_signal(signal.SIGINT)
    lines = lines_after(process, signal.SIGUSR1, signal.SIGTERM)
    assert lines == ["saved", "stop SIGTERM", "closed", "cleaned"]


def test_an_error_in_the_block_is_not_hidden_by_the_end(start):
    process = start(closing="raise ValueError('the disk is full')")
    lines_after(process, signal.SIGTERM)
    assert process.returncode == 1


NUMBERS = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)


def test_the_handlers_are_put_back():
    before = [signal.getsignal(number) for number in NUMBERS]
    with Signals():
        assert all(
            signal.getsignal(number) != handler
            for number, handler in zip(NUMBERS, before, strict=True)
        )
    assert [signal.getsignal(number) for number in NUMBERS] == before
    with Signals() as signals:
        os.kill(os.getpid(), signal.SIGINT)
        assert signals.stop == "SIGINT"
    assert [signal.getsignal(number) for number in NUMBERS] == before


def test_a_request_to_save_before_sampling_does_not_end_the_fit():
    """Sent while the likelihood is traced; SIGTERM is not held back for so long."""

    class Asked(CorrelatedGaussian):
        def log_likelihood_function(self, instance):
            os.kill(os.getpid(), signal.SIGUSR1)
            assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
            return super().log_likelihood_function(instance)

    search = af.NSS(n_live=60, num_delete=20, num_mcmc_steps=10, max_iterations=1, silence=True)
    assert search.fit(cube(5, 5.0), Asked()).samples.samples_info["iterations"] == 1
    assert signal.getsignal(signal.SIGUSR1) is signal.SIG_DFL


def test_outside_the_main_thread_nothing_is_touched():
    before = [signal.getsignal(number) for number in NUMBERS]
    seen = []

    def run():
        with Signals() as signals:
            seen.append([signal.getsignal(number) for number in NUMBERS])
        seen.append(signals.stop)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert seen == [before, ""]

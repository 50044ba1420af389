"""Waiting for the device: noticed in time, and without keeping a core busy; by a made-up clock."""

from types import SimpleNamespace

import pytest

from autofit.non_linear.search.nest.nss import _loop


class Clock:
    def __init__(self):
        self.now, self.sleeps = 0.0, 0

    def perf_counter(self):
        return self.now

    def sleep(self, seconds):
        self.now += seconds
        self.sleeps += 1


@pytest.mark.parametrize("length", [0.5e-3, 7e-3, 25e-3, 46e-3, 0.13, 0.52, 3.0, 60.0])
def test_the_end_of_a_call_is_noticed_in_time(monkeypatch, length):
    clock, looked = Clock(), []
    monkeypatch.setattr(_loop, "time", clock)
    result = SimpleNamespace(
        is_ready=lambda: clock.now >= length, block_until_ready=lambda: looked.append("blocked")
    )
    assert _loop.wait(result, lambda: looked.append("heard")) is result
    late = clock.now - length
    assert late <= max(1e-4, min(0.02 * length, 0.02)) * 1.01
    assert clock.sleeps < 400 + length / 0.02, "some sleeps, then one each 20 ms"
    assert looked == ["heard"] * (clock.sleeps + 1) + ["blocked"]


def test_what_came_while_the_device_works_ends_the_waiting(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(_loop, "time", clock)

    def stop():
        if clock.now > 0.1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        _loop.wait(SimpleNamespace(is_ready=lambda: False), stop)
    assert clock.now < 0.11

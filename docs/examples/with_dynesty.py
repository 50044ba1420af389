"""dynesty: it asks for one likelihood at a time, so its proposals are run side by side.

pip install dynesty
python docs/examples/with_dynesty.py
"""

from concurrent.futures import Future, ThreadPoolExecutor
from queue import SimpleQueue

import dynesty
import numpy as np
from problem import N_DIM, from_unit_cube, log_likelihood, show

import autofit_memplan as memplan

QUEUE = 32


class BatchPool:
    """A pool whose workers wait for each other at the likelihood: one batch answers them all."""

    def __init__(self, evaluate, size):
        self.evaluate, self.size = evaluate, size
        self.mail = SimpleQueue()

    def log_likelihood(self, point):
        """What a worker calls: hand the point in, wait for the batch that it goes with."""
        answer = Future()
        self.mail.put((point, answer))
        return answer.result()

    def map(self, work, items):
        items = list(items)
        with ThreadPoolExecutor(self.size) as threads:
            for start in range(0, len(items), self.size):
                wave = [threads.submit(work, item) for item in items[start : start + self.size]]
                self.serve(wave)
                yield from (worker.result() for worker in wave)

    def serve(self, workers):
        """Answer the workers until all of them are done."""
        for worker in workers:
            worker.add_done_callback(lambda _: self.mail.put(None))
        running, waiting = len(workers), []
        while running:
            letter = self.mail.get()
            if letter is None:
                running -= 1
            else:
                waiting.append(letter)
            if waiting and len(waiting) == running:
                self.answer(waiting)
                waiting = []

    def answer(self, waiting):
        try:
            values = self.evaluate(np.stack([point for point, _ in waiting]))
        except BaseException as error:  # for the workers to raise: they would wait for ever
            for _, answer in waiting:
                answer.set_exception(error)
        else:
            for (_, answer), value in zip(waiting, values, strict=True):
                answer.set_result(value)


plan = memplan.plan_calls(
    log_likelihood, np.zeros(N_DIM), QUEUE, memplan.read_budget(limit="2 MiB")
)
compiled = plan.executable("calls")


def evaluate(points):
    """Up to QUEUE points; np.resize fills the batch up with repeats, which are then dropped."""
    return np.asarray(compiled(np.resize(points, (QUEUE, N_DIM))))[: len(points)]


pool = BatchPool(evaluate, QUEUE)
sampler = dynesty.NestedSampler(
    pool.log_likelihood,
    from_unit_cube,
    N_DIM,
    nlive=250,
    sample="rwalk",
    pool=pool,
    queue_size=QUEUE,
    use_pool={"prior_transform": False, "update_bound": False, "stop_function": False},
    rstate=np.random.default_rng(1),
)
sampler.run_nested(dlogz=0.1, print_progress=False)
show(plan, sampler.results.logz[-1], sampler.results.logzerr[-1])

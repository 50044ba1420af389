"""Reads budgets in a process of its own, one JSON request a line, for the stand-in libraries.

A request has ``env`` (added to the environment for this request alone), ``stats`` (what
``memory_stats()`` answers; text is raised as an error) and ``ordinal``. The answer has the
``card`` reading and the ``budget``, or the ``error`` in its place.
"""

import json
import os
import sys
import types

from autofit_memplan._nvml import read_card
from autofit_memplan.budget import read_budget
from autofit_memplan.errors import BudgetError


def answer(request: dict) -> dict:
    def memory_stats():
        if isinstance(request["stats"], str):
            raise RuntimeError(request["stats"])
        return request["stats"]

    device = types.SimpleNamespace(
        platform="gpu",
        device_kind="stand-in",
        local_hardware_id=request["ordinal"],
        memory_stats=memory_stats,
    )
    card = read_card(request["ordinal"])._asdict()
    try:
        return {"card": card, "budget": read_budget(device).model_dump(mode="json")}
    except BudgetError as error:
        return {"card": card, "error": str(error)}


if __name__ == "__main__":
    own = dict(os.environ)
    for line in sys.stdin:
        request = json.loads(line)
        # os.environ writes through to the C environment, where the libraries read it.
        os.environ.update(request["env"])
        print(json.dumps(answer(request)), flush=True)
        for name in request["env"]:
            del os.environ[name]
        os.environ.update(own)

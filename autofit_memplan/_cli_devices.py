"""`memplan devices` and `memplan targets`: what is here, and what could be."""

from __future__ import annotations

import argparse
import json
from contextlib import suppress

from rich.text import Text

from autofit_memplan._cli_output import at_work, rows, show
from autofit_memplan._limit import parse_limit
from autofit_memplan.budget import Device, read_budget
from autofit_memplan.device import local_devices
from autofit_memplan.errors import BudgetError, MemplanError
from autofit_memplan.records import DeviceBudget
from autofit_memplan.report import budget_report
from autofit_memplan.targets import TARGETS
from autofit_memplan.units import format_bytes


def show_devices(options: argparse.Namespace) -> None:
    """Every device of JAX's default backend, and the CPU, each with its budget."""
    if options.limit is not None:
        parse_limit(options.limit)
    with at_work():
        devices = _devices()
        budgets = [_budget_or_problem(device, options.limit) for device in devices]
    if options.json:
        found = [
            {"device": str(device)}
            | ({"problem": it} if isinstance(it, str) else {"budget": it.model_dump(mode="json")})
            for device, it in zip(devices, budgets, strict=True)
        ]
        print(json.dumps(found, indent=1))
        return
    for device, it in zip(devices, budgets, strict=True):
        show(Text(f"{device}: {device.device_kind}", "bold"))
        show(Text(it, "red") if isinstance(it, str) else budget_report(it), "")


def show_targets(options: argparse.Namespace) -> None:
    """The table of GPUs that can be planned for."""
    if options.json:
        found = [
            {
                "name": target.name,
                "device_kind": target.device_kind,
                "aliases": target.aliases,
                "memory_bytes": target.memory_bytes,
            }
            for target in TARGETS
        ]
        print(json.dumps(found, indent=1))
        return
    table = rows("--target", ">memory", "device", "also")
    for target in TARGETS:
        memory, also = format_bytes(target.memory_bytes), ", ".join(target.aliases)
        table.add_row(target.name, memory, target.device_kind, also)
    show(table)


def _devices() -> list[Device]:
    devices = local_devices()
    with suppress(BudgetError):  # where JAX_PLATFORMS leaves it out
        devices = list(dict.fromkeys((*devices, *local_devices("cpu"))))
    return devices


def _budget_or_problem(device: Device, limit: str | None) -> DeviceBudget | str:
    """One device without a budget must not hide the others."""
    try:
        return read_budget(device, limit=limit)
    except MemplanError as error:
        return str(error)

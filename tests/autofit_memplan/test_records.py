"""Plans go to JSON and back."""

import json

import pytest
from pydantic import ValidationError

from autofit_memplan.records import Plan


def test_round_trip_gives_an_equal_plan(plan):
    assert Plan.model_validate_json(plan.model_dump_json()) == plan


def test_executables_ride_along_without_being_part_of_the_record(plan):
    loaded = Plan.model_validate_json(plan.model_dump_json())
    plan._live["step"] = object()
    assert loaded == plan
    assert "live" not in plan.model_dump_json()
    with pytest.raises(KeyError):
        loaded.executable("step")


def test_plans_that_differ_in_one_byte_are_not_equal(plan):
    call = plan.call.model_copy(update={"temp_bytes": plan.call.temp_bytes + 1})
    assert plan.model_copy(update={"call": call}) != plan
    assert plan != plan.model_dump()


def test_totals_are_in_the_json_for_those_who_read_it_without_python(plan):
    call = json.loads(plan.model_dump_json())["call"]
    parts = ("argument_bytes", "output_bytes", "temp_bytes", "constant_bytes", "scratch_bytes")
    assert call["total_bytes"] == sum(call[part] for part in parts) - call["alias_bytes"]


def test_records_are_frozen(plan):
    with pytest.raises(ValidationError):
        plan.init.chunk_size = 150


def test_a_program_is_found_by_name(plan):
    assert plan.step.name == "step"
    with pytest.raises(KeyError, match="'calls'"):
        _ = plan.calls


def test_fits_follows_the_budget(plan):
    assert plan.fits
    smaller = plan.budget.model_copy(update={"limit_bytes": plan.step.predicted_bytes - 1})
    assert not plan.model_copy(update={"budget": smaller}).fits

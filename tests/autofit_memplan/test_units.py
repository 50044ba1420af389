"""Sizes as text and back."""

import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autofit_memplan.errors import InfeasibleError, LimitError, MemplanError
from autofit_memplan.units import format_bytes, parse_bytes


@pytest.mark.parametrize(
    ("n", "text"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1.0 KiB"),
        (1_048_575, "1.0 MiB"),  # never "1024.0 KiB"
        (406_217_318, "387.4 MiB"),
        (-9 * 2**30, "-9.0 GiB"),
        (3 * 2**60, "3072.0 PiB"),
    ],
)
def test_format(n, text):
    assert format_bytes(n) == text


@pytest.mark.parametrize(
    ("text", "n"),
    [
        ("8 GiB", 8_589_934_592),
        ("8GB", 8_000_000_000),
        ("512M", 536_870_912),
        ("512m", 536_870_912),
        (" 1.5 kib ", 1536),
        ("0.1 GiB", 107_374_182),  # parts of a byte are dropped
        ("1024", 1024),
        ("7 B", 7),
        (".5 TB", 500_000_000_000),
        ("2 PiB", 2_251_799_813_685_248),
    ],
)
def test_parse(text, n):
    assert parse_bytes(text) == n


@pytest.mark.parametrize(
    "text", ["", "GiB", "8 GiBs", "8 bits", "-1 GiB", "1,000", "1e9", "nan", "٨ GiB", "1..5 GB"]
)
def test_unreadable_text_is_named_with_the_accepted_forms(text):
    with pytest.raises(ValueError, match="powers of 1024") as caught:
        parse_bytes(text)
    assert repr(text) in str(caught.value)


@given(st.integers(min_value=0, max_value=2**59))
def test_reading_back_what_was_shown_is_within_the_last_digit(n):
    # One decimal of at least 1.0 (above 1 KiB): half a digit is 5 % at worst.
    assert abs(parse_bytes(format_bytes(n)) - n) <= 0.05 * n + 1


def test_infeasible_error_gives_the_numbers_the_account_and_the_remedy():
    error = InfeasibleError.compose(
        "one call",
        needed_bytes=97_925_484_544,
        limit_bytes=71 * 2**30,
        account=[("total", 80 * 2**30), ("NVML", None), ("limit", 0), ("reserved", -9 * 2**30)],
    )
    assert str(error).startswith(
        "one call needs 91.2 GiB; the budget is 71.0 GiB (80.0 GiB total - 9.0 GiB reserved). "
    )
    assert "float32" in str(error)
    assert (error.needed_bytes, error.limit_bytes) == (97_925_484_544, 71 * 2**30)


def test_errors_cross_process_borders():
    error = pickle.loads(pickle.dumps(InfeasibleError.compose("init", 2**31, 2**30)))
    assert (error.needed_bytes, error.limit_bytes) == (2**31, 2**30)
    assert str(error).startswith("init needs 2.0 GiB")


def test_error_families():
    assert issubclass(LimitError, ValueError)
    assert issubclass(LimitError, MemplanError)

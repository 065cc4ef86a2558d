"""Money: exact both ways, and nothing rounded behind the user's back."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spotify_ads_async.errors import InvalidRequest, SpotifyAdsError
from spotify_ads_async.money import InvalidAmount, InvalidAmountType, format_micros, from_micros, micros

MICRO_AMOUNTS = st.integers(min_value=-(2**63) + 1, max_value=2**63 - 1)


@pytest.mark.parametrize(
    ("amount", "expected"),
    [
        ("19.99", 19_990_000),
        ("0", 0),
        ("-0.000001", -1),
        ("+7", 7_000_000),
        ("0019.990", 19_990_000),
        ("9223372036854.775807", 2**63 - 1),
        (250, 250_000_000),
        (-3, -3_000_000),
        (Decimal("0.1") + Decimal("0.2"), 300_000),
        (Decimal("1.5E+3"), 1_500_000_000),
        (Decimal("1.0000000000"), 1_000_000),
        (Decimal("0E-1000"), 0),
        (Decimal("0E+1000"), 0),
    ],
)
def test_amounts_become_exact_millionths(amount: str | int | Decimal, expected: int) -> None:
    assert micros(amount) == expected
    assert type(micros(amount)) is int


@pytest.mark.parametrize("amount", [19.99, 20.0, True, None, b"1", 1j, ["1"]])
def test_floats_and_other_types_are_refused(amount: object) -> None:
    with pytest.raises(InvalidAmountType, match=type(amount).__name__) as caught:
        micros(amount)  # type: ignore[arg-type]
    assert isinstance(caught.value, TypeError)
    assert isinstance(caught.value, InvalidRequest)
    assert caught.value.value is amount
    assert not caught.value.may_have_taken_effect


def test_the_refusal_of_a_float_says_what_to_write() -> None:
    with pytest.raises(InvalidAmountType, match=r'micros\("19\.99"\).*float cannot hold'):
        micros(19.99)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "amount",
    [
        "",
        " 1",
        "1 ",
        "1_000",
        "1,000",
        "1,5",
        ".5",
        "5.",
        "1e3",
        "NaN",
        "Infinity",
        "$5",
        "\u0661",
        "1\n",
        Decimal("NaN"),
        Decimal("-Infinity"),
        Decimal("sNaN"),
    ],
)
def test_what_is_no_plain_number_is_refused(amount: str | Decimal) -> None:
    with pytest.raises(InvalidAmount) as caught:
        micros(amount)
    assert isinstance(caught.value, ValueError)
    assert isinstance(caught.value, SpotifyAdsError)


@pytest.mark.parametrize(
    "amount",
    [
        "0.0000001",
        Decimal("1E-7"),
        Decimal("0.12345678901234567890123456789012345678901234567890"),
        Decimal("1E-999999"),
    ],
)
def test_more_than_six_decimals_are_refused_not_rounded(amount: str | Decimal) -> None:
    with pytest.raises(InvalidAmount, match="6 decimals"):
        micros(amount)


@pytest.mark.parametrize(
    "amount",
    ["9223372036854.775808", "-9223372036854.775808", 2**63, "1" * 5000, 10**5000, Decimal("1E+999999")],
    ids=range(6),
)
def test_more_than_64_bits_are_refused(amount: str | int | Decimal) -> None:
    with pytest.raises(InvalidAmount, match="64 bits"):
        micros(amount)


@given(MICRO_AMOUNTS)
def test_there_and_back_is_the_same(amount: int) -> None:
    units = from_micros(amount)
    assert micros(units) == amount
    assert micros(str(units)) == amount
    assert units * 1_000_000 == amount


@given(st.decimals(min_value=-(10**12), max_value=10**12, places=6))
def test_every_amount_with_six_decimals_survives(amount: Decimal) -> None:
    assert from_micros(micros(amount)) == amount


@given(st.decimals(min_value=-1000, max_value=1000, places=9))
def test_an_amount_is_exact_or_refused(amount: Decimal) -> None:
    try:
        result = micros(amount)
    except InvalidAmount:
        assert amount * 1_000_000 % 1 != 0
    else:
        assert Decimal(result) == amount * 1_000_000


@given(MICRO_AMOUNTS, MICRO_AMOUNTS)
def test_sums_agree_on_both_sides(one: int, other: int) -> None:
    assert from_micros(one) + from_micros(other) == Decimal(one + other) / 1_000_000


@pytest.mark.parametrize(
    ("amount", "expected"), [(19_990_000, "19.99"), (20_000_000, "20"), (0, "0"), (-500_000, "-0.5"), (1, "0.000001")]
)
def test_currency_units_have_no_trailing_zeros(amount: int, expected: str) -> None:
    assert str(Decimal(expected)) == expected
    assert format(from_micros(amount), "f") == expected


@pytest.mark.parametrize("amount", [1.0, True, "1", None, Decimal(1)])
def test_back_takes_ints_alone(amount: object) -> None:
    with pytest.raises(InvalidAmountType):
        from_micros(amount)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("amount", "currency", "expected"),
    [
        (1_234_500_000, "USD", "1,234.50 USD"),
        (160_000_000, "JPY", "160 JPY"),
        (160_500_000, "JPY", "160.5 JPY"),
        (1_500_000, "KWD", "1.500 KWD"),
        (1, "EUR", "0.000001 EUR"),
        (-1_234_567_890_000, "SEK", "-1,234,567.89 SEK"),
        (-500_000, None, "-0.50"),
        (0, None, "0.00"),
    ],
)
def test_amounts_are_written_for_people(amount: int, currency: str | None, expected: str) -> None:
    assert format_micros(amount, currency) == expected


@given(MICRO_AMOUNTS, st.sampled_from(["USD", "JPY", "KWD"]))
def test_writing_for_people_never_rounds(amount: int, currency: str) -> None:
    written = format_micros(amount, currency).removesuffix(f" {currency}").replace(",", "")
    assert micros(written) == amount

from __future__ import annotations

import pytest

from client.ike.events import Kind
from client.tunnel.backoff import DELAYS, JITTER, TREATMENTS, delay, retries_left


@pytest.mark.parametrize(("failures", "seconds"), [(1, 1), (2, 2), (3, 5), (7, 120), (8, 120), (10_000, 120)])
def test_delays_grow_to_two_minutes_and_stay_there(failures: int, seconds: float) -> None:
    assert delay(failures, 0.0) == seconds


def test_chance_only_shortens_a_delay() -> None:
    for failures, whole in enumerate(DELAYS, 1):
        assert whole * (1 - JITTER) < delay(failures, 0.999) <= whole


def test_every_cause_has_a_treatment() -> None:
    assert set(TREATMENTS) == set(Kind)


def test_a_refused_password_is_retried_at_most_once() -> None:
    assert retries_left(Kind.AUTH_REJECTED, 0, steadfast=True)
    assert not retries_left(Kind.AUTH_REJECTED, 1, steadfast=True)


def test_a_gateway_without_an_answer_is_tried_for_ever() -> None:
    assert retries_left(Kind.NET_NO_RESPONSE, 10_000, steadfast=False)


def test_what_was_right_once_is_given_more_time() -> None:
    assert not retries_left(Kind.TS_UNACCEPTABLE, 0, steadfast=False)
    assert retries_left(Kind.TS_UNACCEPTABLE, 0, steadfast=True)

"""The tables in docs/ that tests write: what stands there comes from a test that exists, and nothing is made up."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.netns.logins import Record, Row, script

ROWS = script().written()
RESULTS = [{"method": "PSK", "peer": "strongSwan 6.0.1", "test": "test_logins.py::test[PSK]"}]


def test_the_page_has_its_table() -> None:
    assert len(ROWS) > 20


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row[0]}, {row[1]}")
def test_a_row_names_a_test_that_exists_or_says_that_nothing_was_shown(
    row: tuple[str, str, str, str],
) -> None:
    _method, peer, result, test = row
    if result.startswith(script().NOT_SHOWN):
        assert (peer, test) == ("–", "–")
        assert len(result) > len(script().NOT_SHOWN) + 10  # a reason
        return
    assert result == script().RESULT
    file, _, rest = test.strip("`").partition("::")
    source = (Path(__file__).parent / "netns" / file).read_text()
    assert f"def {rest.partition('[')[0]}(" in source
    assert peer


def test_what_was_never_shown_says_so() -> None:
    methods = {method for method, _, result, _ in ROWS if result == script().RESULT}
    for method, _, result, _ in ROWS:
        assert (result == script().RESULT) is (method in methods)
    assert "EAP-OTP" not in methods


def test_a_result_that_the_page_does_not_have_is_noticed() -> None:
    assert script().differences(RESULTS) == ["PSK, strongSwan 6.0.1"]
    record = Record()
    record.rows.add(Row("PSK", "somebody else's gateway", "test_logins.py::test[PSK]"))
    assert record.unsaid() == ["PSK, somebody else's gateway"]


def test_the_table_is_markdown_with_a_row_for_each_result() -> None:
    lines = script().table(script().rows_of(RESULTS)).splitlines()
    assert lines[0] == "| way to log in | peer | result | test |"
    assert lines[2].startswith("| PSK | strongSwan 6.0.1 | right in, wrong refused")
    assert all("not shown" in line for line in lines[3:])

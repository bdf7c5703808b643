"""The tables in docs/ that tests write: what stands there comes from a test that exists, and nothing is made up."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.evidence import is_whole
from tests.netns.logins import FAILED, PASSED, Record, Row, TableRow, script

pytest_plugins = ["pytester"]

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


def test_the_page_is_what_its_script_makes_of_the_rows_that_were_shown() -> None:
    """What was not shown, the order and the form: no run is needed to see these."""
    shown = [row for row in ROWS if row[2] == script().RESULT]
    results = [{"method": method, "peer": peer, "test": test.strip("`")} for method, peer, _, test in shown]
    assert script().rows_of(results) == ROWS
    assert script().table(ROWS) in script().PAGE.read_text()


def test_what_was_never_shown_says_so() -> None:
    methods = {method for method, _, result, _ in ROWS if result == script().RESULT}
    for method, _, result, _ in ROWS:
        assert (result == script().RESULT) is (method in methods)
    assert "EAP-OTP" not in methods


METHOD, TEST = "PSK", "test_logins.py::test_right[PSK]"


def page(*peers: str) -> list[TableRow]:
    """A page on which PSK was shown against these, each by a test of its own."""
    rows = [{"method": METHOD, "peer": peer, "test": f"{TEST}{peer}"} for peer in peers]
    return script().rows_of(rows)


def run(**outcomes: str | None) -> Record:
    """A run in which the tests against these peers ended so; None: passed, without showing anything."""
    record = Record()
    for peer, outcome in outcomes.items():
        record.outcomes[f"{TEST}{peer}"] = outcome or PASSED
        if outcome == PASSED:
            record.rows.add(Row(METHOD, peer, f"{TEST}{peer}"))
    return record


@pytest.mark.parametrize("whole", [True, False])
def test_a_page_that_says_what_was_shown_is_accepted(whole: bool) -> None:
    assert run(one=PASSED, two=PASSED).compare(page("one", "two"), whole=whole) == ([], [])


def test_a_result_that_the_page_does_not_have_is_noticed() -> None:
    record = run(one=PASSED, two=PASSED)
    assert record.compare(page("one"), whole=False) == (["shown, and not on the page: PSK, two"], [])


@pytest.mark.parametrize("whole", [True, False])
def test_a_row_whose_test_fails_or_no_longer_shows_it_is_noticed(whole: bool) -> None:
    failed, silent = run(one=PASSED, two=FAILED), run(one=PASSED, two=None)
    assert failed.compare(page("one", "two"), whole=whole) == (
        ["on the page, and its test has failed: PSK, two"],
        [],
    )
    assert silent.compare(page("one", "two"), whole=whole) == (
        ["on the page, and its test has not shown it: PSK, two"],
        [],
    )


def test_a_row_whose_test_is_gone_is_noticed_by_a_run_of_all_tests_alone() -> None:
    part, whole = (run(one=PASSED).compare(page("one", "two"), whole=whole) for whole in (False, True))
    assert part == ([], [])
    assert whole == ([f"on the page, and there is no such test: PSK, two, `{TEST}two`"], [])


@pytest.mark.parametrize("whole", [True, False])
def test_a_row_whose_test_was_skipped_is_named_and_not_judged(whole: bool) -> None:
    verdict = run(one=PASSED, two="skipped: no peer here").compare(page("one", "two"), whole=whole)
    assert verdict == ([], ["PSK, two: skipped: no peer here"])


def test_a_page_that_hides_what_is_not_shown_is_noticed_by_a_run_of_all_tests() -> None:
    written = page("one")[:-1]
    assert run(one=PASSED).compare(written, whole=True).differences
    assert not run(one=PASSED).compare(written, whole=False).differences


def report(when: str, outcome: str, why: str = "") -> pytest.TestReport:
    location = ("", 0, "")
    longrepr = ("file.py", 1, f"Skipped: {why}\nand more") if outcome == "skipped" else None
    return pytest.TestReport(f"tests/netns/{TEST}one@tls", location, {}, outcome, longrepr, when)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("reports", "outcome"),
    [
        ([("setup", "passed"), ("call", "passed"), ("teardown", "passed")], PASSED),
        ([("setup", "passed"), ("call", "failed"), ("teardown", "passed")], FAILED),
        ([("setup", "failed"), ("teardown", "passed")], FAILED),
        ([("setup", "passed"), ("call", "passed"), ("teardown", "failed")], FAILED),
        ([("setup", "skipped"), ("teardown", "passed")], "skipped: no root"),
        ([("setup", "skipped"), ("teardown", "failed")], FAILED),
    ],
)
def test_the_worst_report_of_a_test_counts(reports: list[tuple[str, str]], outcome: str) -> None:
    record = Record()
    for when, ended in reports:
        record.hear(report(when, ended, "no root"))
    assert record.outcomes == {f"{TEST}one": outcome}


@pytest.mark.parametrize(
    ("arguments", "whole"),
    [
        (["tests"], True),
        (["tests/netns"], True),
        (["tests/ike", "tests/netns", "--maxfail=20"], True),
        (["tests/ike"], False),
        (["tests/netns/test_logins.py"], False),
        (["tests", "-k", "login"], False),
        (["tests", "-m", "not slow"], False),
        (["tests", "--deselect", "tests/netns/test_logins.py"], False),
        (["tests", "--ignore", "tests/netns/test_logins.py"], False),
        (["tests", "--lf"], False),
        (["tests", "--peer", "trixie"], False),
    ],
)
def test_only_a_run_of_all_tests_is_taken_for_one(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, arguments: list[str], whole: bool
) -> None:
    monkeypatch.chdir(Path(__file__).parents[1])
    assert is_whole(pytester.parseconfig(*arguments)) is whole


def test_the_table_is_markdown_with_a_row_for_each_result() -> None:
    lines = script().table(script().rows_of(RESULTS)).splitlines()
    assert lines[0] == "| way to log in | peer | result | test |"
    assert lines[2].startswith("| PSK | strongSwan 6.0.1 | right in, wrong refused")
    assert all("not shown" in line for line in lines[3:])

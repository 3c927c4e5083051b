"""The two forms of the suite, and what a run says of programs that are not installed."""

import pytest

from tests.tools import programs, sizes

NOTHING = programs.Program("no-such-program", "a program that no machine has", lambda: None)


@pytest.fixture(params=["short", "full"])
def form(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv(sizes.VARIABLE, request.param)
    return str(request.param)


def test_a_size_is_that_of_the_form(form: str) -> None:
    assert sizes.is_full() is (form == "full")
    assert sizes.sized("short", "full") == form


@pytest.mark.parametrize(("full", "short"), [(1_500, 150), (100, 10), (30, 6), (4, 4)])
def test_the_short_form_runs_a_tenth_of_the_examples(full: int, short: int, form: str) -> None:
    assert sizes.examples(full) == sizes.sized(short, full) * sizes.EFFORT
    assert sizes.examples(full, short=3) == sizes.sized(3, full) * sizes.EFFORT


def test_a_program_that_is_not_there_skips_its_tests_or_fails_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(programs.REQUIRED, "nginx")
    with pytest.raises(pytest.skip.Exception, match="needs no-such-program"):
        programs.need(NOTHING)
    monkeypatch.setenv(programs.REQUIRED, "nginx,no-such-program")
    with pytest.raises(pytest.fail.Exception, match="make programs"):
        programs.need(NOTHING)


def test_the_end_of_a_run_names_what_is_missing_once() -> None:
    reasons = ["needs nginx (a proxy)", "this system has no pty", "needs chromium (a browser)", "needs nginx (a proxy)"]
    assert programs.summary(reasons) == [
        "1 test did not run: it needs chromium (a browser)",
        "2 tests did not run: each needs nginx (a proxy)",
        "To run them too, install what is missing: make programs",
    ]
    assert programs.summary(["this system has no pty"]) == []

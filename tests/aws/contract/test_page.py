"""docs/AWS_CONTRACT.md says what the suite holds the engines to."""

from tests.aws.contract import page
from tests.aws.contract.deviations import DEVIATIONS, UNTESTED


def test_the_page_is_the_suites_own_words() -> None:
    written = page.PAGE.read_text(encoding="utf-8")
    assert written == page.text(), "write it anew: python -m tests.aws.contract.page"


def test_known_deviations_are_of_tests_that_exist() -> None:
    tests = {behaviour.test for chapter in page.chapters() for behaviour in chapter.behaviours}
    named = [test for table in (DEVIATIONS, UNTESTED) for of_engine in table.values() for test in of_engine]
    assert set(named) <= tests


def test_every_test_has_a_name_of_its_own() -> None:
    tests = [behaviour.test for chapter in page.chapters() for behaviour in chapter.behaviours]
    assert len(tests) == len(set(tests))

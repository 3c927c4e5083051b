import pytest

from oncefold.core.errors import OncefoldError
from oncefold_lab.local.streams import RecordFilter

INSERT = {"eventName": "INSERT", "dynamodb": {"NewImage": {"id": {"S": "delta/1"}, "n": {"N": "1"}}}}
REMOVE = {"eventName": "REMOVE", "dynamodb": {"OldImage": {"id": {"S": "delta/1"}}}}


@pytest.mark.parametrize(
    ("pattern", "passing"),
    [
        ('{"eventName": ["INSERT"]}', [INSERT]),
        ('{"eventName": ["INSERT", "REMOVE"]}', [INSERT, REMOVE]),
        ('{"eventName": ["MODIFY"]}', []),
        ('{"nothing": ["INSERT"]}', []),
        ('{"dynamodb": {"NewImage": {"id": {"S": [{"prefix": "delta/"}]}}}}', [INSERT]),
        ('{"dynamodb": {"NewImage": {"id": {"S": [{"prefix": "other/"}]}}}}', []),
        ('{"dynamodb": {"NewImage": [{"exists": false}]}}', [REMOVE]),
        ('{"dynamodb": {"NewImage": {"n": {"N": ["1", "2"]}}}, "eventName": ["INSERT"]}', [INSERT]),
        ('{"dynamodb": {"NewImage": {"n": {"N": [1]}}}}', []),
    ],
)
def test_a_record_passes_if_each_rule_fits(pattern: str, passing: list[object]) -> None:
    wanted = RecordFilter.of([pattern])
    assert wanted is not None
    assert [record for record in (INSERT, REMOVE) if wanted.passes(record)] == passing


def test_one_of_several_patterns_is_enough() -> None:
    wanted = RecordFilter.of(['{"eventName": ["INSERT"]}', '{"eventName": ["REMOVE"]}'])
    assert wanted is not None
    assert all(wanted.passes(record) for record in (INSERT, REMOVE))


def test_without_patterns_there_is_no_filter() -> None:
    assert RecordFilter.of([]) is None


@pytest.mark.parametrize(
    "pattern", ['{"a": [{"numeric": [">", 1]}]}', '{"$or": [{"a": [1]}]}', '{"a": "INSERT"}', '["INSERT"]', "{"]
)
def test_a_pattern_that_cannot_be_run_is_refused(pattern: str) -> None:
    with pytest.raises(OncefoldError, match="filter pattern"):
        RecordFilter.of([pattern])

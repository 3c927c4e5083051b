"""The stream that a stack reads is known by its mappings."""

from typing import Any

import pytest
from botocore.exceptions import ClientError

from oncefold.aws.mappings import mappings_of, stream_name
from oncefold.aws.names import Names

NAMES = Names("risk")
KINESIS = "arn:aws:kinesis:eu-central-1:123456789012:stream/"


class Functions:
    """Lambda with a mapping a page."""

    def __init__(self, *sources: str, error: str | None = None) -> None:
        self._sources, self._error = sources, error

    def list_event_source_mappings(self, FunctionName: str, Marker: str = "0") -> dict[str, Any]:  # noqa: N803
        assert FunctionName.partition(":")[0] == NAMES.state_function
        if self._error is not None:
            raise ClientError({"Error": {"Code": self._error, "Message": "no"}}, "ListEventSourceMappings")
        here, following = int(Marker), int(Marker) + 1
        page: dict[str, Any] = {
            "EventSourceMappings": [{"EventSourceArn": one, "UUID": one} for one in self._sources[here:following]]
        }
        return page | ({"NextMarker": str(following)} if following < len(self._sources) else {})


@pytest.mark.parametrize(
    ("sources", "name"),
    [
        ([], "risk-events"),
        ([KINESIS + "trades"], "trades"),
        (["arn:aws:sqs:eu-central-1:123456789012:orders", KINESIS + "trades"], "trades"),
        ([KINESIS + "other", KINESIS + "risk-events"], "risk-events"),
        ([KINESIS + "trades/consumer/fast:1767225600"], "trades"),
        (["arn:aws:sqs:eu-central-1:123456789012:orders"], "risk-events"),
    ],
)
def test_the_stream_is_the_stacks_own_or_the_one_that_it_reads(sources: list[str], name: str) -> None:
    functions = Functions(*sources)
    assert stream_name(NAMES, functions) == name
    assert [mapping["EventSourceArn"] for mapping in mappings_of(NAMES.state_function, functions)] == sources


def test_who_may_not_see_the_mappings_gets_the_name_of_the_stacks_own() -> None:
    assert stream_name(NAMES, Functions(error="AccessDeniedException")) == "risk-events"
    assert stream_name(NAMES, Functions(error="ResourceNotFoundException")) == "risk-events"
    with pytest.raises(ClientError):
        stream_name(NAMES, Functions(error="ServiceException"))

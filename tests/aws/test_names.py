"""The names of a stack's parts follow from the pipeline's, and no two pipelines share them."""

import pytest

from oncefold.aws.names import STACK_CHARS, Names
from oncefold.core.errors import OncefoldError


def test_a_plain_name_is_in_the_name_of_the_stack() -> None:
    assert Names.of_pipeline("risk").stack == "oncefold-risk"
    assert Names.of_pipeline("a-b").stack == "oncefold-a-b"


@pytest.mark.parametrize(
    "pipelines",
    [
        ("a_b", "a-b"),
        ("a_b-c", "a-b_c", "a_b_c", "a-b-c"),
        ("n" * 39, "n" * 40, "n" * 41),
        ("n" * 39 + "x", "n" * 39 + "y"),
        ("n" * 38 + "_x", "n" * 38 + "-x"),
    ],
)
def test_pipelines_with_similar_names_have_stacks_of_their_own(pipelines: tuple[str, ...]) -> None:
    stacks = [Names.of_pipeline(name).stack for name in pipelines]
    assert len(set(stacks)) == len(pipelines)
    assert all(len(stack) <= STACK_CHARS for stack in stacks)
    assert stacks == [Names.of_pipeline(name).stack for name in pipelines]


@pytest.mark.parametrize("name", ["", "9", "a_b", "a" * (STACK_CHARS + 1), "a b", "é"])
def test_what_cloudformation_takes_for_no_name_is_refused(name: str) -> None:
    with pytest.raises(OncefoldError, match="is no name for a stack"):
        Names(name)

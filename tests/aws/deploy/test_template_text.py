"""The text of a template: as YAML it is the same document, whatever is in it."""

import json
from typing import Any

import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st

from oncefold.aws.deploy.template import template
from oncefold.aws.deploy.template_text import MOST_BYTES, as_json, as_yaml, for_request
from oncefold.aws.functions.guard import ECONOMY, MODES, STANDARD
from oncefold.aws.names import STACK_CHARS, Names
from tests.aws.deploy.pipelines import ALL, COUNTS
from tests.tools.sizes import examples

NAMES = Names("oncefold-risk")


class Loader(yaml.SafeLoader):
    """YAML with CloudFormation's short functions."""


def long_form(loader: Any, name: str, node: Any) -> dict[str, Any]:
    """What a short function stands for."""
    if isinstance(node, yaml.ScalarNode):
        value: Any = loader.construct_scalar(node)
        if name == "GetAtt":
            value = value.split(".", 1)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    else:
        value = loader.construct_mapping(node, deep=True)
    return {name if name in {"Ref", "Condition"} else f"Fn::{name}": value}


Loader.add_multi_constructor("!", long_form)


def read(text: str) -> Any:
    return yaml.load(text, Loader)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("pipeline", ALL, ids=lambda pipeline: pipeline.name[:8])
def test_as_yaml_it_is_the_same_document_in_fewer_bytes(pipeline: Any, mode: str) -> None:
    document = template(pipeline, NAMES, mode)
    assert read(as_yaml(document)) == json.loads(as_json(document)) == document
    assert len(as_yaml(document)) < 0.9 * len(as_json(document))


TEXTS = st.sampled_from([
    "yes", "No", "on", "null", "~", "a: b", "AWS::NoValue", "- x", "#", "'", '"it\'s"', "2010-09-09", "1e3", "0x1", "",
    " ", "a,b", "{", "]", "!Ref", "&a", "*a", "ü\n\t", "\u2028", "=", "y", "\\",
])  # fmt: skip
VALUES = st.recursive(
    TEXTS | st.text() | st.integers(-9, 99) | st.booleans(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS | st.text(min_size=1), inner, max_size=3),
    max_leaves=12,
)


@settings(max_examples=examples(300))
@given(st.dictionaries(st.sampled_from(["Resources", "Outputs", "on"]), VALUES))
@example({"Resources": {"\x1f" * 103: "yes", "k" * 1_025: [], "\u1e70" * 102: {"k": 1}}})
def test_any_document_stays_what_it_is(document: dict[str, Any]) -> None:
    assert read(as_yaml(document)) == (document or None)


def test_a_request_has_what_fits_it() -> None:
    longest = Names("n" * STACK_CHARS)
    assert json.loads(for_request(template(COUNTS, longest, STANDARD)))
    economy = template(COUNTS, longest, ECONOMY)
    assert for_request(economy) == as_yaml(economy)
    assert len(for_request(economy).encode()) < MOST_BYTES < len(as_json(economy).encode())

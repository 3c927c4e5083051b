"""Every example of the README and the tutorial runs, prints what is shown, and every link leads somewhere."""

import re
from pathlib import Path

import pytest

from tests.oracle.pages import ROOT, blocks, examples, run, steady
from tests.tools.sizes import full_only, sized

PAGES = ("README.md", "docs/TUTORIAL.md")
LEFT_ALONE = {"README.md": 6, "docs/TUTORIAL.md": 2}
"""Blocks that are not run: what sets up a machine, or needs an account."""


LONG = ("oncefold aws local --demo",)
"""What the short form leaves out: a whole pipeline, 13 s."""


def text_of(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


@pytest.mark.parametrize("name", ["README.md", pytest.param("docs/TUTORIAL.md", marks=full_only("forty commands"))])
def test_every_example_runs_and_prints_what_is_shown(name: str, tmp_path: Path) -> None:
    compared = 0
    for example, output in run(text_of(name), tmp_path, without=sized(LONG, ())):
        if example.shown is not None:
            compared += 1
            where = f"{name}, line {example.shown.line}; to write it anew: python -m tests.oracle.pages {name}"
            assert steady(output) == steady(example.shown.text), where
    assert compared


@pytest.mark.parametrize("name", PAGES)
def test_hardly_anything_is_left_out(name: str) -> None:
    page = text_of(name)
    found = blocks(page)
    assert sum(block.left_alone for block in found) == LEFT_ALONE[name]
    shown = [example.shown for example in examples(page)]
    assert all(block in shown for block in found if block.kind == "text"), "an output without its example"
    assert {block.kind for block in found} <= {"sh", "python", "text", "toml"}
    assert page.count("\n```") == 2 * len(found), "a block that does not say what it is"


@pytest.mark.parametrize("name", PAGES)
def test_every_link_leads_somewhere(name: str) -> None:
    page = text_of(name)
    targets = re.findall(r"\]\(([^)#\s]+)", page) + re.findall(r'src="([^"]+)"', page)
    missing = [
        target for target in targets if "://" not in target and not ((ROOT / name).parent / target).resolve().exists()
    ]
    assert targets
    assert not missing


def test_make_does_what_the_readme_says() -> None:
    makefile = text_of("Makefile")
    for command in re.findall(r"\bmake ([a-z-]+)", text_of("README.md")):
        assert re.search(rf"^{command}:", makefile, re.MULTILINE), command

"""The public interface: everything that `oncefold` exports is documented, and the examples of its docstrings run."""

import doctest
import inspect
import re
from pathlib import Path

import pytest

import oncefold

ROOT = Path(__file__).parent.parent
NAMES = [name for name in oncefold.__all__ if not name.startswith("__")]
README = (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.fixture
def orders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder with the README's orders and their pipeline, which is the working directory."""
    (csv,) = re.findall(r"cat > orders\.csv <<'END'\n(.*?)^END$", README, re.DOTALL | re.MULTILINE)
    (toml,) = re.findall(r"^(name = \"orders\"\n.*?)^orders\.toml is a valid", README, re.DOTALL | re.MULTILINE)
    (tmp_path / "orders.csv").write_text(csv, encoding="utf-8")
    (tmp_path / "orders.toml").write_text(toml, encoding="utf-8")
    monkeypatch.chdir(tmp_path)


def examples() -> list[doctest.DocTest]:
    """The examples of everything that is exported, methods included."""
    finder = doctest.DocTestFinder(exclude_empty=True)
    found: dict[str, doctest.DocTest] = {}
    for name in NAMES:
        thing = getattr(oncefold, name)
        if not (inspect.isclass(thing) or inspect.isfunction(thing)):
            continue
        module = inspect.getmodule(thing)
        for test in finder.find(thing, f"{thing.__module__}.{thing.__name__}", module=module):
            found[test.name] = test
    return [test for test in found.values() if test.examples]


EXAMPLES = examples()


@pytest.mark.usefixtures("orders")
@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.name)
def test_examples_of_docstrings_run_and_print_what_is_shown(example: doctest.DocTest) -> None:
    lines: list[str] = []
    failed, _ = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(example, out=lines.append)
    assert not failed, "".join(lines)


@pytest.mark.parametrize("name", NAMES)
def test_what_is_exported_is_documented(name: str) -> None:
    thing = getattr(oncefold, name)
    if not (inspect.isclass(thing) or inspect.isfunction(thing)):
        return
    assert inspect.getdoc(thing)
    for member, value in vars(thing).items() if inspect.isclass(thing) else ():
        if not member.startswith("_") and (inspect.isfunction(value) or isinstance(value, property | classmethod)):
            assert inspect.getdoc(value), f"{name}.{member}"


@pytest.mark.parametrize("name", NAMES)
def test_what_is_exported_is_in_the_reference(name: str) -> None:
    pages = "".join(page.read_text(encoding="utf-8") for page in sorted((ROOT / "docs" / "api").glob("*.md")))
    assert re.search(rf"^::: oncefold\.{name}$", pages, re.MULTILINE)


def test_everything_that_is_exported_can_be_had_by_its_name() -> None:
    assert sorted(oncefold.__all__) == list(oncefold.__all__)
    assert set(oncefold.__all__) <= set(dir(oncefold))

"""Where a learner's handlers are found."""

from pathlib import Path

import pytest

from oncefold.core.errors import OncefoldError
from oncefold_workshop.course.functions import HandlerPlace, LearnerFunctions, parse


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "functions.py").touch()
    (tmp_path / "deep" / "er").mkdir(parents=True)
    (tmp_path / "deep" / "__init__.py").touch()
    (tmp_path / "deep" / "er" / "__init__.py").touch()
    return tmp_path


def sweep_of(text: str, folder: Path) -> str | None:
    sweep = parse(text, folder).sweep
    return None if sweep is None else sweep.name


def test_a_module_of_the_folder(folder: Path) -> None:
    state, middle, reduce = (
        HandlerPlace("functions", folder.resolve(), False, name) for name in ("state", "map_", "reduce")
    )
    assert parse("functions:state,map_, reduce", folder) == LearnerFunctions(state, middle, reduce)
    assert parse("functions:state,reduce", folder).map is None
    assert sweep_of("functions:state,reduce,tidy@minute", folder) == "tidy"
    assert sweep_of("functions:state,map,reduce,tidy@minute", folder) == "tidy"
    assert parse("deep.er:state,reduce", folder).state.own_file("deep.er") == folder / "deep" / "er" / "__init__.py"


def test_a_file_anywhere(folder: Path) -> None:
    found = parse(f"{folder}/functions.py:state,reduce", Path("/")).state
    assert (found.module, found.root) == ("functions", folder.resolve())


def test_an_installed_module_has_its_own_package_alone(folder: Path) -> None:
    found = parse("oncefold_workshop.pipelines.handlers:state_after,map_after,reduce_after", folder).state
    assert found.own_file("oncefold_workshop.pipelines.handlers") is not None
    assert found.own_file("click") is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("functions", "write MODULE:STATE,MAP,REDUCE"),
        ("functions:state", "write MODULE:STATE,MAP,REDUCE"),
        ("functions:a,b,c,d", "write MODULE:STATE,MAP,REDUCE"),
        ("functions:state,re duce", "write MODULE:STATE,MAP,REDUCE"),
        (":state,reduce", "write MODULE:STATE,MAP,REDUCE"),
        ("nowhere:state,reduce", "there is no module nowhere"),
        ("nowhere.py:state,reduce", "there is no file nowhere.py"),
        ("nowhere.at.all:state,reduce", "there is no module nowhere.at.all"),
        ("math:state,reduce", "there is no module math"),
    ],
)
def test_what_cannot_be_found_is_said(text: str, message: str, folder: Path) -> None:
    with pytest.raises(OncefoldError, match="--functions") as error:
        parse(text, folder)
    assert message in str(error.value)

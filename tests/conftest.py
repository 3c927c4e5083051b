"""What holds for all tests.

Neither a busy machine nor a shell that ignores Ctrl-C for its jobs lets them fail; `--full` runs the full form of each
(tests/tools/sizes.py), and the end of a run names what did not run for want of a program (tests/tools/programs.py).
"""

import gc
import os
import signal

import pytest
from hypothesis import HealthCheck, settings

from tests.tools import programs, sizes

LONGEST = frozenset({"test_demo.py", "test_end_to_end.py", "test_openapi.py", "test_readme.py", "test_whole.py"})
"""Files with tests that take ten seconds or more in one of the forms."""

_COMMON = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # Programs that tests start would inherit it, and could not be interrupted.
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("oncefold")
    group.addoption("--full", action="store_true", help="the full form of every test, as in `make test-all`")
    group.addoption("--longer", action="store_true", help="with --full: without tests that have one form alone")
    group.addoption("--require", metavar="NAMES", help="fail, and do not skip, tests that lack one of these programs")


def pytest_configure(config: pytest.Config) -> None:
    """Options become variables of the environment before any test module is imported; workers inherit them."""
    config.addinivalue_line("markers", "full(reason): runs in the full form only")
    if config.getoption("--full"):
        os.environ[sizes.VARIABLE] = "full"
    if config.getoption("--require"):
        os.environ[programs.REQUIRED] = config.getoption("--require")
    if getattr(config.option, "numprocesses", None) and not hasattr(config, "workerinput"):
        # Before the workers begin: none of their tests has to wait for the compiler.
        from oncefold.kernels import build  # noqa: PLC0415 - the workers need none of it

        build.main([])
    settings.register_profile("oncefold", _COMMON, max_examples=sizes.examples(settings.default.max_examples))
    settings.load_profile("oncefold")


def pytest_sessionstart() -> None:
    """Thousands of tests and all they import come to be and stay: no search for garbage among them."""
    gc.disable()


def pytest_collection_finish() -> None:
    gc.freeze()
    gc.enable()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """One more than there are processors: many tests wait for processes that they start."""
    return (os.cpu_count() or 1) + 1


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what only the full form runs; the longest tests come first, lest a run ends with one of them alone."""
    items.sort(key=lambda item: item.path.name not in LONGEST)
    left_out: list[pytest.Item] = []
    if not sizes.is_full():
        left_out = [item for item in items if item.get_closest_marker("full")]
    elif config.getoption("--longer"):
        files = {path: sizes.has_two_forms(path) for path in {item.path for item in items}}
        left_out = [item for item in items if not (files[item.path] or item.get_closest_marker("full"))]
    if left_out:
        gone = set(left_out)
        items[:] = [item for item in items if item not in gone]
        config.hook.pytest_deselected(items=left_out)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    skipped = [report for report in terminalreporter.stats.get("skipped", []) if isinstance(report.longrepr, tuple)]
    lines = programs.summary(report.longrepr[2].removeprefix("Skipped: ") for report in skipped)
    if lines:
        terminalreporter.section("programs that are not installed")
        for line in lines:
            terminalreporter.write_line(line, yellow=True)

"""Functions run from their zip as Lambda runs them, and every way to fail ends in words."""

import fcntl
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from oncefold.core.errors import OncefoldError
from oncefold_lab.local.functions import FunctionSettings, InvocationResult, LocalFunction
from tests.aws.local.functions import zipped
from tests.tools.waiting import until

Run = Callable[..., LocalFunction]


@pytest.fixture
def run(tmp_path: Path, request: pytest.FixtureRequest) -> Run:
    """Makes functions `handler.handle` of a source, closed at the end."""

    def make(source: str, reported: Callable[[InvocationResult], None] | None = None, **settings: Any) -> LocalFunction:
        settings = {"handler": "handler.handle", "timeout_seconds": 30.0, **settings}
        made = LocalFunction(
            FunctionSettings("function", code=zipped(tmp_path / "code.zip", source), **settings), reported
        )
        request.addfinalizer(made.close)
        return made

    return make


def test_the_answer_comes_back(run: Run) -> None:
    function = run("def handle(event, context): return {'got': event, 'name': context.function_name}")
    assert function.invoke({"n": 1}).answer() == {"got": {"n": 1}, "name": "function"}
    assert function.invoke(b"[1, 2]").answer() == {"got": [1, 2], "name": "function"}


def test_the_code_comes_from_the_zip_and_the_rest_is_what_lambda_has(tmp_path: Path) -> None:
    source = """
        import importlib.util, os
        import awslambdaric, boto3, oncefold
        def handle(event, context):
            return {
                "oncefold": os.path.relpath(oncefold.__file__, os.environ["LAMBDA_TASK_ROOT"]),
                "others": [name for name in event if importlib.util.find_spec(name) is not None],
            }
    """
    code = zipped(tmp_path / "code.zip", source, oncefold__in____init__="")
    with LocalFunction(FunctionSettings("function", "handler.handle", code, timeout_seconds=30)) as function:
        answer = function.invoke(b'["numpy", "pyarrow", "click", "pytest", "pip"]').answer()
    assert answer == {"oncefold": "oncefold/__init__.py", "others": []}


def test_the_environment_is_the_functions_own(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OF_THIS_MACHINE", "1")
    source = "def handle(event, context): return dict(os.environ)"
    function = run(source, environment={"ONCEFOLD_STACK": "s", "AWS_REGION": "eu-west-1"}, memory_mb=512)
    variables = function.invoke({}).answer()
    assert "OF_THIS_MACHINE" not in variables
    assert variables["ONCEFOLD_STACK"] == "s"
    assert variables["AWS_LAMBDA_FUNCTION_NAME"] == "function"
    assert variables["AWS_LAMBDA_FUNCTION_MEMORY_SIZE"] == "512"
    assert Path(variables["LAMBDA_TASK_ROOT"]).is_absolute()
    assert function.settings.arn == "arn:aws:lambda:eu-west-1:000000000000:function:function"


def test_an_environment_stays_warm(run: Run) -> None:
    function = run("""
        calls = []
        def handle(event, context):
            calls.append(1)
            return len(calls)
    """)
    assert [function.invoke({}).answer() for _ in range(3)] == [1, 2, 3]


def test_the_time_left_is_the_timeouts(run: Run) -> None:
    function = run("def handle(event, context): return context.get_remaining_time_in_millis()", timeout_seconds=20)
    assert 10_000 < function.invoke({}).answer() <= 20_000


def test_an_error_has_its_type_words_and_place(run: Run) -> None:
    function = run("""
        def handle(event, context):
            if event: raise ValueError("not this")
            return os.getpid()
    """)
    before = function.invoke({}).answer()
    failed = function.invoke({"n": 1})
    assert failed.error is not None
    assert (failed.error.type, failed.error.message) == ("ValueError", "not this")
    assert "in handle" in failed.error.stack[0]
    assert failed.payload == b""
    assert function.invoke({}).answer() == before


@pytest.mark.parametrize(
    ("death", "message"),
    [
        ("os._exit(3)", "Runtime exited with error: exit status 3"),
        ("os._exit(0)", "Runtime exited without providing a reason"),
        ("os.kill(os.getpid(), 9)", "Runtime exited with error: signal: SIGKILL"),
    ],
)
def test_a_process_that_ends_is_a_failure_and_is_replaced(run: Run, death: str, message: str) -> None:
    function = run(f"""
        def handle(event, context):
            print("so far")
            if event: {death}
            return "alive"
    """)
    failed = function.invoke({"n": 1})
    assert failed.error is not None
    assert failed.error.type == "Runtime.ExitError"
    assert message in failed.error.message
    assert failed.log[0] == "so far"
    assert function.invoke({}).answer() == "alive"


def test_a_process_that_ends_between_invocations_is_replaced_unseen(run: Run) -> None:
    function = run("def handle(event, context): return os.getpid()")
    first = function.invoke({}).answer()
    os.kill(first, signal.SIGKILL)
    os.waitid(os.P_PID, first, os.WEXITED | os.WNOWAIT)
    assert function.invoke({}).answer() != first


def test_a_timeout_ends_the_process(run: Run) -> None:
    function = run(
        """
        import time
        def handle(event, context):
            if event: time.sleep(600)
            return "in time"
        """,
        timeout_seconds=0.5,
    )
    failed = function.invoke({"n": 1})
    assert failed.error is not None
    assert failed.error.type == "Sandbox.Timedout"
    assert "Task timed out after 0.50 seconds" in failed.error.message
    assert 0.5 <= failed.seconds < 30
    assert function.invoke({}).answer() == "in time"


@pytest.mark.parametrize(
    ("source", "handler", "kind", "message"),
    [
        ("", "nowhere.handle", "Runtime.ImportModuleError", "No module named 'nowhere'"),
        ("", "handler.nothing", "Runtime.HandlerNotFound", "Handler 'nothing' missing"),
        ("import numpy", "handler.handle", "Runtime.ImportModuleError", "No module named 'numpy'"),
        ("1 / 0", "handler.handle", "ZeroDivisionError", "division by zero"),
        ("def handle(:", "handler.handle", "Runtime.UserCodeSyntaxError", "Syntax error"),
        ("os._exit(7)", "handler.handle", "Runtime.ExitError", "exit status 7"),
    ],
)
def test_a_start_that_fails_is_reported_in_words(run: Run, source: str, handler: str, kind: str, message: str) -> None:
    function = run(source, handler=handler)
    for _ in range(2):
        failed = function.invoke({})
        assert failed.error is not None
        assert failed.error.type == kind
        assert message in failed.error.message


def test_what_is_printed_belongs_to_its_invocation(run: Run) -> None:
    reported: list[InvocationResult] = []
    function = run(
        """
        import sys
        print("imported")
        def handle(event, context):
            print("one", event["n"])
            print("two", file=sys.stderr)
            sys.stdout.write("no end")
        """,
        reported.append,
    )
    made = [function.invoke({"n": n}) for n in range(2)]
    assert made[0].log == ("imported", "one 0", "two", "no end")
    assert made[1].log == ("one 1", "two", "no end")
    assert reported == made
    assert made[0].stream == made[1].stream


def test_much_printing_does_not_block(run: Run) -> None:
    function = run("""
        def handle(event, context):
            for number in range(20_000): print("line", number)
    """)
    log = function.invoke({}).log
    assert len(log) == 20_000
    assert log[-1] == "line 19999"


def test_payloads_of_six_megabytes_pass(run: Run) -> None:
    function = run("def handle(event, context): return event")
    text = "x" * (6 * 2**20 - 2)
    assert function.invoke(f'"{text}"'.encode()).answer() == text


def test_environments_start_as_needed_up_to_the_limit(run: Run, tmp_path: Path) -> None:
    """Each invocation waits until all three are under way at once."""
    source = f"""
        import pathlib, time
        def handle(event, context):
            here = pathlib.Path({str(tmp_path)!r})
            (here / f"at-{{event['n']}}").touch()
            while len(list(here.glob("at-*"))) < 3: time.sleep(0.005)
            return os.getpid()
    """
    function = run(source, concurrency=3)
    with ThreadPoolExecutor(6) as pool:
        pids = {made.answer() for made in pool.map(lambda n: function.invoke({"n": n}), range(6))}
    assert len(pids) == 3


def test_one_environment_takes_one_invocation_at_a_time(run: Run) -> None:
    function = run("""
        import threading
        busy = threading.Lock()
        def handle(event, context):
            assert busy.acquire(blocking=False)
            busy.release()
            return os.getpid()
    """)
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda _: function.invoke({}), range(100)))
    assert len({one.answer() for one in made}) == 1


def test_closing_ends_what_is_under_way(run: Run, tmp_path: Path) -> None:
    function = run(f"""
        import pathlib, time
        def handle(event, context):
            pathlib.Path({str(tmp_path / "begun")!r}).touch()
            time.sleep(600)
    """)
    made: list[InvocationResult] = []
    thread = threading.Thread(target=lambda: made.append(function.invoke({})))
    thread.start()
    until((tmp_path / "begun").exists, "the function runs")
    function.close()
    thread.join(30)
    assert made[0].error is not None
    assert made[0].error.type == "Runtime.ExitError"
    with pytest.raises(OncefoldError, match="is closed"):
        function.invoke({})


def test_nothing_outlives_the_process_that_started_it(tmp_path: Path) -> None:
    """The function holds a lock on a file for as long as its process lives."""
    code = zipped(
        tmp_path / "code.zip",
        f"""
        import fcntl, pathlib, time
        held = open({str(tmp_path / "held")!r}, "w")
        fcntl.flock(held, fcntl.LOCK_EX)
        def handle(event, context):
            pathlib.Path({str(tmp_path / "begun")!r}).touch()
            time.sleep(600)
        """,
    )
    leaving = {**os.environ, "TMPDIR": str(tmp_path)}
    parent = subprocess.Popen([sys.executable, "-c", dedent(_PARENT), str(code)], env=leaving)
    until((tmp_path / "begun").exists, "the function runs")
    assert not _is_free(tmp_path / "held")
    parent.kill()
    parent.wait()
    until(lambda: _is_free(tmp_path / "held"), "the function's process is gone")


_PARENT = """
    import sys
    from pathlib import Path
    from oncefold_lab.local.functions import LocalFunction, FunctionSettings
    LocalFunction(FunctionSettings("function", "handler.handle", Path(sys.argv[1]), timeout_seconds=600)).invoke({})
"""


def _is_free(path: Path) -> bool:
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
        return True


def test_code_that_is_no_zip_is_refused(tmp_path: Path) -> None:
    (tmp_path / "code.zip").write_text("no zip")
    with pytest.raises(OncefoldError, match="cannot be unpacked"):
        LocalFunction(FunctionSettings("function", "handler.handle", tmp_path / "code.zip"))


def test_small_invocations_are_quick(run: Run) -> None:
    """Hundreds a second; a server that waits for acknowledgements does eleven. A busy machine delays some."""
    function = run("def handle(event, context): return event")
    function.invoke({})
    took = []
    for _ in range(200):
        begun = time.monotonic()
        function.invoke({})
        took.append(time.monotonic() - begun)
    assert sorted(took)[40] < 0.06

"""The page's pure modules, run in the browser that will run them."""

import csv
import io
import itertools
import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from oncefold.core.decimals import format_decimal
from oncefold.core.nodepath import join, split
from tests.serve.dashboard.browsing import SHOP, visiting
from tests.serve.running import Running
from tests.tools.sizes import examples

MANTISSAS = st.integers(-(10**30), 10**30) | st.integers(-300, 300)
LABELS = st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=6), min_size=1, max_size=4)
MANY = settings(
    max_examples=examples(15, short=4), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@pytest.fixture(scope="module")
def modules(browser, tmp_path_factory):
    """Calls a function of a module with JSON values."""
    with Running(tmp_path_factory.mktemp("modules"), pipeline=SHOP) as server, visiting(browser, server) as visit:
        visit.open()

        def call(module, expression, values):
            loaded = f"const m = await import('/assets/{module}.js');"
            return visit.page.evaluate(
                f"async (values) => {{ {loaded} return values.map((v) => {expression}); }}", values
            )

        yield call


@MANY
@given(st.lists(st.tuples(MANTISSAS, MANTISSAS), min_size=1, max_size=50))
def test_decimals_are_compared_and_divided_exactly(modules, pairs):
    texts = [[format_decimal(a, 2), format_decimal(b, 2)] for a, b in pairs]
    assert modules("exact", "m.compare(...v)", texts) == [(a > b) - (a < b) for a, b in pairs]
    assert modules("exact", "m.share(...v)", texts) == [None if b == 0 else share(a, b) for a, b in pairs]
    assert modules("exact", "m.format(m.mantissa(v), 2)", [first for first, _ in texts]) == [
        first for first, _ in texts
    ]


def share(part: int, whole: int) -> int:
    """Ten-thousandths, rounded half away from zero, with a bound."""
    size = (abs(part) * 20_000 // abs(whole) + 1) // 2
    return min(size, 99_999_999) * (-1 if (part < 0) != (whole < 0) else 1)


def test_shares_and_axes_are_written_as_people_write_them(modules):
    shares = [
        ["1", "3"],
        ["1", "100000"],
        ["99999", "100000"],
        ["5", "5"],
        ["0", "5"],
        ["-1", "4"],
        ["1", "0"],
        ["12", "1"],
    ]
    assert modules("exact", "m.shareText(...v)", shares) == [
        "33.3 %", "<0.1 %", ">99.9 %", "100.0 %", "0.0 %", "-25.0 %", "\N{EN DASH}", "1,200.0 %",
    ]  # fmt: skip
    shorts = ["1528765618.41", "999.99", "1000", "-25300", "0.00", "12345678901234567890", "1569914447.99"]
    shorts += ["999999.50", "99960", "-1234.5", "0.125", "999.999", "-0.001"]
    assert modules("exact", "m.short(v)", shorts) == [
        "1.53 bn", "999.99", "1 k", "-25.3 k", "0.00", "12,346 qn", "1.57 bn",
        "1 m", "100 k", "-1.23 k", "0.13", "1 k", "0.00",
    ]  # fmt: skip


@MANY
@given(st.lists(LABELS, min_size=1, max_size=30))
def test_paths_are_those_of_the_server(modules, nodes):
    paths = [join(labels) for labels in nodes]
    assert modules("nodepath", "m.segments(v).map(m.label)", paths) == [list(split(path)) for path in paths]
    assert modules("nodepath", "m.join(v.map(m.segment))", nodes) == paths
    assert modules("nodepath", "m.parent(v)", paths) == [join(labels[:-1]) for labels in nodes]
    first = sorted({labels[0] for labels in nodes})
    shuffled = sorted(first, key=lambda text: json.dumps(text)[::-1])
    assert modules("nodepath", "v.toSorted(m.compareLabels)", [shuffled]) == [first]
    routes = [{"view": "node", "rollup": "a b", "path": path} for path in paths]
    found = modules("router", "m.parse(m.format(v))", routes)
    assert [(route["rollup"], route["path"]) for route in found] == [("a b", path) for path in paths]


def test_events_are_read_however_they_are_cut(modules):
    text = ': keep-alive\n\nevent: hello\nid: 3\ndata: {"commit":3}\n\n'
    text += 'event: commit\r\nid: 4\r\ndata: {"a":\r\ndata: "é"}\r\n\r\n'
    read = "(() => { const t = new m.EventText(); return v.flatMap((piece) => [...t.events(piece)]); })()"
    whole = modules("sse", read, [[text]])[0]
    assert [(event["event"], event["id"], json.loads(event["data"])) for event in whole] == [
        ("hello", "3", {"commit": 3}), ("commit", "4", {"a": "é"}),
    ]  # fmt: skip
    for step in (1, 2, 3, 7):
        pieces = [text[at : at + step] for at in range(0, len(text), step)]
        assert modules("sse", read, [pieces])[0] == whole


def test_spans_are_two_units_long(modules):
    spans = [400, 3_000, 250_000, 7_500_000, 22_888_800_000, 179_628_400_000]
    assert modules("times", "m.span(v)", spans) == [
        "0 s",
        "3 s",
        "4 min 10 s",
        "2 h 5 min",
        "264 d 22 h",
        "2,079 d",
    ]


@MANY
@given(st.lists(st.tuples(MANTISSAS, MANTISSAS), min_size=1, max_size=30), st.integers(2, 6))
def test_ticks_are_round_and_enclose_the_amounts(modules, pairs, about):
    ends = [[str(min(pair)), str(max(pair))] for pair in pairs]
    for (least, most), texts in zip(
        ends, modules("axes", f"m.amountTicks(BigInt(v[0]), BigInt(v[1]), {about}).map(String)", ends), strict=True
    ):
        ticks = [int(text) for text in texts]
        assert ticks[0] <= int(least)
        assert int(most) <= ticks[-1]
        assert len(ticks) <= about + 2
        steps = {b - a for a, b in itertools.pairwise(ticks)}
        assert len(steps) <= 1
        assert all(str(step).rstrip("0") in {"1", "2", "5"} for step in steps)


def test_times_along_an_axis_are_those_of_calendars_and_clocks(modules):
    ranges = [
        ["2026-03-02T09:00:00Z", "2026-03-02T09:00:20Z"],
        ["2026-03-02T21:00:00Z", "2026-03-03T03:30:00Z"],
        ["2026-02-23T00:00:00Z", "2026-03-30T00:00:00Z"],
        ["2025-11-04T00:00:00Z", "2026-06-05T00:00:00Z"],
        ["2019-05-01T00:00:00Z", "2026-05-01T00:00:00Z"],
        ["2026-03-02T09:00:00Z", "2026-03-02T09:00:00Z"],
    ]
    words = "m.timeTicks(Date.parse(v[0]), Date.parse(v[1]), 5).map(({ words }) => words)"
    assert modules("axes", words, ranges) == [
        ["2 Mar 09:00:00", "09:00:05", "09:00:10", "09:00:15", "09:00:20"],
        ["2 Mar 21:00", "3 Mar", "03:00"],
        ["23 Feb", "2 Mar", "9 Mar", "16 Mar", "23 Mar", "30 Mar"],
        ["Jan 2026", "Mar 2026", "May 2026"],
        ["2020", "2022", "2024", "2026"],
        ["2 Mar 09:00:00"],
    ]


def test_windows_begin_and_end_where_their_labels_say(modules):
    labels = ["2021", "2021-03", "2021-03-22", "2021-03-22T11:00:00Z", "2021-03-22T02:00:00+02:00", "never", "20211"]
    starts = modules("windows", "m.windowStart(v) === null ? null : new Date(m.windowStart(v)).toISOString()", labels)
    assert [None if text is None else text[:16] for text in starts] == [
        "2021-01-01T00:00", "2021-03-01T00:00", "2021-03-22T00:00", "2021-03-22T11:00", "2021-03-22T00:00", None, None,
    ]  # fmt: skip
    ends = [
        ["2021-01-01", "1y"],
        ["2021-12-01", "1mo"],
        ["2021-10-01", "1q"],
        ["2021-03-22", "1w"],
        ["2021-03-22", "15m"],
    ]
    assert modules("windows", "new Date(m.windowEnd(Date.parse(v[0]), v[1])).toISOString().slice(0, 16)", ends) == [
        "2022-01-01T00:00", "2022-01-01T00:00", "2022-01-01T00:00", "2021-03-29T00:00", "2021-03-22T00:15",
    ]  # fmt: skip
    assert modules("windows", "m.windowWords(v)", ["1mo", "15m", "2w"]) == ["By month", "By 15 minutes", "By 2 weeks"]


def test_cells_are_safe_for_spreadsheets_as_those_of_the_server_are(modules):
    texts = ["=SUM(A1)", "+1", "-1", "@x", "\tx", "plain", 'a"b,c', "", "two\nlines", " edge"]
    rows = [[text, "-1.50"] for text in texts]
    columns = '[{ name: "label", isText: true }, { name: "value" }]'
    (found,) = modules("csv", f"m.csvText({columns}, v)", [rows])
    assert list(csv.reader(io.StringIO(found))) == [
        ["label", "value"],
        *([f"'{text}" if text[:1] in {"=", "+", "-", "@", "\t"} and text else text, "-1.50"] for text in texts),
    ]

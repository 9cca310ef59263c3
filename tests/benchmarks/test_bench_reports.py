"""Reports of results: all charts and doubts are included, texts are escaped, and pages fit the screen."""

from __future__ import annotations

import asyncio
import dataclasses
import itertools
import math
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from fastsam_bench.errors import MarkersError
from fastsam_bench.report import bar_charts, line_charts
from fastsam_bench.report.formatting import significant
from fastsam_bench.report.html import make_page
from fastsam_bench.report.markdown import BEGIN, END, make_report, table_for_readme, update_readme
from fastsam_bench.report.svg import axes
from fastsam_bench.report.svg.palette import COLOURS, GROUNDS
from fastsam_bench.results.records import Ceiling, Cell, Cold, End, Peer, Rate, Record, Run, StageLimit, Sweep
from fastsam_bench.results.results_file import read_results
from fastsam_bench.results.runs import BenchRun, Results, by_machine
from support import made_bench
from support.html_page import ParsedPage

EVIL = '<script>alert("1")</script> | `x` \\ *y*'


def _results(*runs: list[Record]) -> Results:
    made = []
    for i, (head, *rest) in enumerate(runs):
        assert isinstance(head, Run)
        end = next((record for record in rest if isinstance(record, End)), None)
        made.append(BenchRun(f"run{i}", "made.jsonl", head, tuple(rest), end))
    return Results(tuple(made))


@pytest.fixture(scope="module")
def two() -> Results:
    """A complete run on a CPU, and one on a GPU that was stopped before its end."""
    return _results(made_bench.whole_run(1), made_bench.whole_run(2, made_bench.GPU_HOST, end=False)[:-20])


def _tables(text: str) -> dict[str, list[list[str]]]:
    """Rows of the tables under each heading of a Markdown text; they are as wide as their header."""
    tables: dict[str, list[list[str]]] = {}
    heading = ""
    for line in text.splitlines():
        if line.startswith("#"):
            heading = line.lstrip("# ")
        elif line.startswith("|"):
            tables.setdefault(heading, []).append([cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]])
    for rows in tables.values():
        assert {len(row) for row in rows} == {len(rows[0])}
    return tables


def test_the_markdown_report_has_every_number() -> None:
    records = made_bench.whole_run(1)
    tables = _tables(make_report(_results(records)))
    cells = [record for record in records if isinstance(record, Cell)]
    speed = tables["Speed"][2:]
    assert len(speed) == len(cells)
    header = tables["Speed"][0]
    for row, cell in zip(speed, cells, strict=True):
        found = dict(zip(header, row, strict=True))
        assert found["FPS (95 %)"].startswith(significant(cell.fps.median))
        assert found["p99"] == significant(cell.latency_ms.p99)
        limit = cell.limits["engine"]
        assert found["of the limit"] == f"engine {limit.percent:.0f} % ({limit.binds})"
        assert found["host MB"] == "612"
    assert "W" not in header  # a machine that can't tell has no column for it
    stages = tables["Stages, p50 / p99 ms"]
    assert stages[0] == ["model", "case", "preprocess", "engine", "select", "clip", "decode", "whole call"]
    engine = cells[0].stages["engine"]
    assert stages[2][3] == f"{significant(engine.p50)} / {significant(engine.p99)}"
    assert len(tables["Cost against segments"]) - 2 == sum(isinstance(r, Sweep) for r in records) / 2
    assert len(tables["Peers"]) - 2 == sum(isinstance(r, Peer) for r in records)
    assert len(tables["Ceilings"]) - 2 == sum(isinstance(r, Ceiling) for r in records)
    assert len(tables["Cold starts"]) - 2 == 2
    assert tables["Live"][2][-1] == "12"


def test_cells_stand_as_planned_however_they_end() -> None:
    (head, *rest) = made_bench.whole_run(1)
    cells = [record for record in rest if isinstance(record, Cell)]
    others = [record for record in rest if not isinstance(record, Cell)]
    as_planned = make_report(_results([head, *rest]))
    for ended in (cells[::-1], cells[3:] + cells[:3]):
        assert make_report(_results([head, *ended, *others])) == as_planned


def test_a_machine_with_a_gpu_tells_power_and_memory(two: Results) -> None:
    text = make_report(two)
    assert text.index("## Intel") < text.index("## NVIDIA L4")
    gpu = _tables(text[text.index("## NVIDIA L4") :])
    row = dict(zip(gpu["Speed"][0], gpu["Speed"][2], strict=True))
    assert (row["device MB"], row["W"], row["MHz"]) == ("1480", "61.0", "1920")
    assert "- GPU: NVIDIA L4, 24 GB, driver 590.12" in text


@pytest.mark.parametrize("report", [make_report, table_for_readme, make_page])
def test_doubts_failures_and_stops_are_reported(two: Results, report: Callable[[Results], str]) -> None:
    text = report(dataclasses.replace(two, notes=("made.jsonl: the last line is cut off",)))
    unsteady = ", unsteady" if report is table_for_readme else "; times were not steady"
    assert f"another process took 12 % of the processor{unsteady}" in text
    assert "ran out of memory" in text
    assert "run run1 was stopped before its end" in text
    assert "the last line is cut off" in text
    planned = two.runs[1].missing
    assert not planned
    (head, *rest) = made_bench.whole_run(3)
    lacking = _results([head, *(r for r in rest if not (isinstance(r, Cell) and r.scenario == "live"))])
    assert "1 planned cells were not measured: live/yolov8n-seg" in report(lacking).replace("\\", "")


def test_a_stage_over_its_ceiling_and_a_coarse_figure_are_doubtful() -> None:
    head, *rest = made_bench.whole_run(1)
    cell = next(record for record in rest if isinstance(record, Cell))
    over = dataclasses.replace(cell, limits={"engine": StageLimit(7.2, 0.1, 12.0, 1.0, 131.0, "compute")})
    assert "engine exceeds its ceiling" in table_for_readme(_results([head, over]))
    latency = dataclasses.replace(cell.latency_ms, low=cell.latency_ms.p50 * 0.8, high=cell.latency_ms.p50 * 1.1)
    assert "coarse" in table_for_readme(_results([head, dataclasses.replace(cell, latency_ms=latency)]))


def test_the_readme_table_has_short_doubts_and_their_meanings() -> None:
    head, *rest = made_bench.whole_run(1)
    cell = next(record for record in rest if isinstance(record, Cell))
    noisy = "noisy machine: the host took 9% of the processors' time"
    shaky = dataclasses.replace(cell, warnings=("times still changed after 9 calls", noisy, "odd"), steady=False)
    text = table_for_readme(_results([head, shaky]))
    assert "| unsteady, noisy, odd |" in text
    assert "- Note: noisy: something else" in text
    assert "- Note: unsteady: times still changed after the warm-up" in text
    assert "coarse" not in text
    assert "9%" not in text
    assert "Note: noisy" not in table_for_readme(_results([head, cell]))


def test_texts_from_outside_are_escaped_in_markdown() -> None:
    head, *rest = made_bench.whole_run(1)
    cell = dataclasses.replace(next(r for r in rest if isinstance(r, Cell)), model=EVIL, warnings=("a\n# b",))
    text = make_report(_results([head, cell]))
    assert "<script" not in text
    assert "\n# b" not in text
    row = _tables(text)["Speed"][2]
    assert row[0] == '&lt;script&gt;alert("1")&lt;/script&gt; \\| \\`x\\` \\\\ \\*y\\*'


def test_the_readme_is_changed_between_its_markers_only(two: Results) -> None:
    text = f"# Title\n\n{BEGIN}\nold\n{END}\n\nrest\n"
    made = update_readme(text, two)
    assert made.startswith(f"# Title\n\n{BEGIN}\n**Intel(R) Xeon(R) Processor, 2 cores**")
    assert made.endswith(f"{END}\n\nrest\n")
    assert "old" not in made
    assert update_readme(made, two) == made
    rows = _tables(made)[""] if "" in _tables(made) else _tables(made)["Title"]
    assert max(map(len, rows)) == 6


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", "0 and 0"),
        (BEGIN, "1 and 0"),
        (f"{END}{BEGIN}", "them in the wrong order"),
        (f"{BEGIN}{END}{BEGIN}", "2 and 1"),
    ],
)
def test_a_readme_without_markers_is_refused(text: str, found: str, two: Results) -> None:
    with pytest.raises(MarkersError, match=found):
        update_readme(text, two)


@pytest.mark.parametrize("report", [make_report, table_for_readme, make_page])
def test_nothing_and_little_make_reports(report: Callable[[Results], str]) -> None:
    assert report(Results(()))
    head, *rest = made_bench.whole_run(1)
    for kind in {type(record) for record in rest}:
        one = next(record for record in rest if type(record) is kind)
        assert report(_results([head, one]))


def _parsed(html: str) -> ParsedPage:
    return ParsedPage(html, void=frozenset({"meta"}), self_closing=True)


def test_the_page_is_whole_self_contained_and_accessible(two: Results) -> None:
    html = make_page(two)
    page = _parsed(html)
    names = [tag for tag, _ in page.tags]
    assert not {"script", "link", "img", "iframe"} & set(names)
    assert not re.search(r"https?:|//|url\(|@import|\bsrc=|\bstyle=", html)
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    drawings = [attributes for tag, attributes in page.tags if tag == "svg"]
    folded = html.count("cells are doubtful</summary>")
    assert len(drawings) > names.count("figure") == names.count("details") - folded > 15
    assert folded > 0
    for attributes in drawings:
        assert attributes["role"] == "img"
        assert set(str(attributes["aria-labelledby"]).split()) <= set(ids)
    titles = " ".join(page.texts)
    for told in ("Where the time goes", "How steady it is", "Cost against segments", "Cost against crops",
                 "How far from what the chip could do", "Cold starts", "Compared with other projects"):  # fmt: skip
        assert told in titles
    assert "nan" not in re.findall(r'[xy12]+="([^"]*)"', html)


def test_texts_from_outside_are_escaped_on_the_page(tmp_path: Path) -> None:
    head, *rest = made_bench.whole_run(1)
    assert isinstance(head, Run)
    host = dataclasses.replace(made_bench.HOST, processor=EVIL, versions={EVIL: EVIL})
    cells = [r for r in rest if isinstance(r, Cell)]
    strange = [
        dataclasses.replace(c, model=EVIL, backend=EVIL, warnings=(EVIL,), stages={EVIL: c.stages["engine"]})
        for c in cells
    ]
    others = [
        dataclasses.replace(r, model=EVIL) if isinstance(r, Sweep | Cold) else r
        for r in rest
        if not isinstance(r, Cell)
    ]
    others = [dataclasses.replace(r, peer=EVIL, note=EVIL) if isinstance(r, Peer) else r for r in others]
    others = [dataclasses.replace(r, backend=EVIL) if isinstance(r, Ceiling) else r for r in others]
    html = make_page(_results([dataclasses.replace(head, machine=host, command=(EVIL,)), *strange, *others]))
    assert "<script" not in html
    page = _parsed(html)
    assert any(EVIL in text for text in page.texts)


def _bars(svg: str, colour: str) -> list[tuple[float, float]]:
    found = re.findall(rf'<rect x="([\d.]+)%" y="[\d.]+" width="([\d.]+)%" height="[\d.]+" class="bar c-{colour}"', svg)
    return [(float(x), float(width)) for x, width in found]


def test_bars_are_as_long_as_their_rates() -> None:
    cells = [record for record in made_bench.whole_run(1) if isinstance(record, Cell) and record.model == "fastsam-s"]
    (chart,) = bar_charts.speed("x", [("", cells)])
    bars = _bars(chart.svg, "blue")
    widths = np.array([width for _, width in bars])
    rates = np.array([cell.fps.median for cell in cells])
    np.testing.assert_allclose(widths / widths.max(), rates / rates.max(), atol=2e-3)
    assert all(x == 0 for x, _ in bars)


def test_stages_fill_their_bar() -> None:
    cell = next(record for record in made_bench.whole_run(1) if isinstance(record, Cell) and record.crops)
    chart = bar_charts.stages("x", [cell])
    assert chart is not None
    rects = re.findall(r'<rect x="([\d.]+)%" y="[\d.]+" width="([\d.]+)%"', chart.svg)
    ends = np.array(rects, float)
    np.testing.assert_allclose(ends[1:, 0], (ends[:, 0] + ends[:, 1])[:-1], atol=0.02)
    assert ends[-1].sum() == pytest.approx(100, abs=0.05)
    (engine,) = _bars(chart.svg, "blue")
    assert engine[1] == pytest.approx(100 * cell.stages["engine"].p50 / cell.latency_ms.p50, rel=0.02)


def test_a_point_under_the_roof_lies_under_its_line() -> None:
    records = made_bench.whole_run(1)
    cells, ceilings = [r for r in records if isinstance(r, Cell)], [r for r in records if isinstance(r, Ceiling)]
    chart = line_charts.roofline("x", cells, ceilings)
    assert chart is not None
    flat = [
        float(y)
        for y in re.findall(r'<line x1="[\d.]+%" y1="[\d.]+" x2="95.00%" y2="([\d.]+)" class="series', chart.svg)
    ]
    assert len(flat) == 2
    for colour, roof in zip(("blue", "orange"), flat, strict=True):
        heights = [float(y) for y in re.findall(rf'cy="([\d.]+)" r="5.0" class="dot c-{colour}"', chart.svg)]
        assert heights
        assert min(heights) > roof
    assert len(chart.points) == 9  # crops do not change the engine's stage


def test_caches_have_a_roof_of_their_own() -> None:
    records = made_bench.whole_run(1)
    cells, ceilings = [r for r in records if isinstance(r, Cell)], [r for r in records if isinstance(r, Ceiling)]
    plain, cached = (
        line_charts.roofline("x", cells, [dataclasses.replace(each, copy_gbytes=speed) for each in ceilings])
        for speed in (9.0, 4.5)  # the cells were held against 9
    )
    assert plain is not None
    assert cached is not None
    assert (plain.svg.count("dashed"), cached.svg.count("dashed")) == (0, 2 * len(ceilings))


def test_peers_that_are_not_slower_are_coloured_otherwise() -> None:
    peers = [record for record in made_bench.whole_run(1) if isinstance(record, Peer)]
    (chart,) = bar_charts.peers("x", peers)
    assert re.findall(r'class="dot c-(\w+)"', chart.svg) == ["blue", "blue", "orange"]
    assert "0.95x our time" in chart.svg
    assert bar_charts.peers("x", []) == []


def test_peers_have_one_chart_per_engine_of_ours() -> None:
    peers = [record for record in made_bench.whole_run(1) if isinstance(record, Peer)]
    slower = [
        dataclasses.replace(each, ours="onnxruntime cpu fp32", ratio=dataclasses.replace(each.ratio, median=0.5))
        for each in peers
    ]
    found = bar_charts.peers("x", [*peers, *slower])
    assert [each.title for each in found] == [
        f"Compared with other projects: ours on {each[0].ours}" for each in (peers, slower)
    ]
    assert [each.svg.count("0.50x our time") for each in found] == [0, len(slower)]
    assert [len(each.table.rows) for each in found] == [len(peers), len(slower)]


def test_of_ceilings_the_highest_of_all_runs_are_shown() -> None:
    (head, *rest) = made_bench.whole_run(1)
    lower = [
        dataclasses.replace(each, matmul_gflops=each.matmul_gflops / 2, copy_gbytes=each.copy_gbytes * 2, samples={})
        for each in rest
        if isinstance(each, Ceiling)
    ]
    first, both = (
        by_machine(_results(*runs).runs)[0].ceilings for runs in ([[head, *rest]], [[head, *rest], [head, *lower]])
    )
    assert [each.matmul_gflops for each in both] == [each.matmul_gflops for each in first]
    assert [each.copy_gbytes for each in both] == [each.copy_gbytes * 2 for each in first]
    assert {each.samples["copy"] for each in both} == {()}  # not those of the lower chart


def test_sweeps_and_crops_have_a_line_each() -> None:
    records = made_bench.whole_run(1)
    (segments,) = line_charts.segments("x", [r for r in records if isinstance(r, Sweep)])
    assert [name for _, name in segments.legend] == [
        "usual way, CLIP",
        "usual way, labels",
        "ours, CLIP",
        "ours, labels",
    ]
    assert segments.svg.count("<circle") == 4 * 7
    assert segments.svg.count("dashed") == 2 * 6
    bf16, fp32 = line_charts.crops("x", [r for r in records if isinstance(r, Cell)])
    assert (bf16.svg.count("<circle"), fp32.svg.count("<circle")) == (4 * 3, 4 * 3)
    assert line_charts.crops("x", [r for r in records if isinstance(r, Cell) and r.crops == 10]) == []


@pytest.mark.parametrize("values", [[1.0], [0.0], [], [0.037, 0.2], [3.0, 4.1, 999.0], [1e-4, 1e6], [5e7]])
@pytest.mark.parametrize("make", [axes.linear, axes.logarithmic])
def test_scales_hold_their_values_and_few_ticks(make: Callable[..., axes.Scale], values: list[float]) -> None:
    scale = make(values)
    assert 2 <= len(scale.ticks) <= 12
    places = [scale.position(at) for at, _ in scale.ticks]
    assert places == sorted(places)
    assert len({name for _, name in scale.ticks}) == len(scale.ticks)
    for value in values:
        assert scale.low * (1 - 1e-9) <= value <= scale.high * (1 + 1e-9) or (make is axes.logarithmic and value == 0)
        assert 0 <= scale.position(value) <= 1


def test_counts_include_zero() -> None:
    scale = axes.counts([0, 1, 300])
    assert [name for _, name in scale.ticks] == ["0", "1", "10", "100"]
    assert scale.position(0) == 0 < scale.position(1) < scale.position(10)
    assert scale.position(300) == 1
    assert axes.counts([0]).position(0) == 0


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0.00"),
        (0.01234, "0.012"),
        (0.5, "0.50"),
        (12.34, "12.3"),
        (123.4, "123"),
        (12345.6, "12346"),
        (-3.2, "-3.20"),
    ],
)
def test_numbers_have_three_digits(value: float, text: str) -> None:
    assert significant(value) == text


def _linear_rgb(colour: str) -> np.ndarray:
    values = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


def _lab(rgb: np.ndarray) -> np.ndarray:
    to_xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
    xyz = to_xyz @ np.clip(rgb, 0, 1) / [0.9505, 1, 1.089]
    f = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


SIGHTS = {  # Machado, Oliveira and Fernandes, 2009, severity 1, on linear RGB
    "usual": (1, 0, 0, 0, 1, 0, 0, 0, 1),
    "protan": (0.152286, 1.052583, -0.204868, 0.114503, 0.786281, 0.099216, -0.003882, -0.048116, 1.051998),
    "deutan": (0.367322, 0.860646, -0.227968, 0.280085, 0.672501, 0.047413, -0.01182, 0.04294, 0.968881),
    "tritan": (1.255528, -0.076749, -0.178779, -0.078411, 0.930809, 0.147602, 0.004733, 0.691367, 0.3039),
}


@pytest.mark.parametrize("mode", [0, 1], ids=["light", "dark"])
def test_colours_have_contrast_and_are_distinct(mode: int) -> None:
    weights = np.array([0.2126, 0.7152, 0.0722])
    ground = _linear_rgb(GROUNDS[mode]) @ weights
    colours = {name: _linear_rgb(pair[mode]) for name, pair in COLOURS.items()}
    for name, colour in colours.items():
        low, high = sorted((colour @ weights, ground))
        assert (high + 0.05) / (low + 0.05) >= 3, name
    for sight, numbers in SIGHTS.items():
        matrix = np.reshape(numbers, (3, 3))
        for one, other in itertools.combinations(colours, 2):
            apart = math.dist(_lab(matrix @ colours[one]), _lab(matrix @ colours[other]))
            assert apart >= 14, (sight, one, other)


OVERLAPS = """[...document.querySelectorAll('svg')].flatMap(svg => {
  const frame = svg.getBoundingClientRect(), texts = [...svg.querySelectorAll('text')].filter(t => t.textContent);
  const boxes = texts.map(t => [t, t.getBoundingClientRect()]);
  const outside = boxes.filter(([, b]) => b.left < frame.left - 1 || b.right > frame.right + 1);
  const meet = (a, b) => a.left < b.right && b.left < a.right && a.top < b.bottom - 2 && b.top < a.bottom - 2;
  const over = boxes.filter(([t, a], i) => boxes.some(([u, b], j) => i < j && meet(a, b)));
  return [...outside, ...over].map(([t]) => svg.querySelector('title').textContent + ': ' + t.textContent);
})"""
SCROLLS = "document.documentElement.scrollWidth > document.documentElement.clientWidth"


def test_the_page_in_a_browser(two: Results, tmp_path: Path) -> None:
    pytest.importorskip("aiohttp")
    from support import headless_chromium

    if headless_chromium.find_chromium() is None:
        pytest.skip(f"no browser: none of {', '.join(headless_chromium.NAMES)} is installed")
    path = tmp_path / "report.html"
    path.write_text(make_page(two), encoding="utf-8")

    async def look() -> None:
        async with headless_chromium.open_tab(tmp_path / "profile", path.as_uri()) as tab:
            grounds = {}
            for width, dark in itertools.product((1280, 390), (False, True)):
                await tab.look(width, 900, dark=dark, mobile=width < 500)
                assert not await tab.evaluate(SCROLLS), width
                assert await tab.evaluate(OVERLAPS) == [], width
                grounds[dark] = await tab.evaluate("getComputedStyle(document.body).backgroundColor")
                drawn = tmp_path / f"{width}{dark}.png"
                await tab.screenshot(drawn)
                assert drawn.stat().st_size > 10_000
            assert grounds == {False: "rgb(255, 255, 255)", True: "rgb(13, 17, 23)"}
            await tab.evaluate("document.querySelectorAll('details').forEach(each => each.open = true)")
            assert not await tab.evaluate(SCROLLS)
            assert tab.faults == []

    asyncio.run(look())


def test_old_results_beside_new_ones_make_one_page(tmp_path: Path) -> None:
    old = tmp_path / "old.jsonl"
    old.write_text('{"script": "whole_call", "kind": "row"}\n' * 3)
    files = [made_bench.write(tmp_path / "cpu.jsonl", made_bench.whole_run(1), "a"), old]
    files.append(made_bench.write(tmp_path / "gpu.jsonl", made_bench.whole_run(2, made_bench.GPU_HOST), "b"))
    page = _parsed(make_page(read_results(files)))
    assert "old.jsonl: 3 lines of other scripts left out" in page.texts
    assert [attributes["href"] for tag, attributes in page.tags if tag == "a"] == ["#m0", "#m1"]


def test_a_rate_of_nothing_is_drawn() -> None:
    head, *rest = made_bench.whole_run(1)
    cell = dataclasses.replace(
        next(r for r in rest if isinstance(r, Cell)), fps=Rate(0.0, 0.0, 0.0), samples_ms=(), limits={}
    )
    page = make_page(_results([head, cell]))
    assert "0.00 FPS" in page

"""Comparisons of results: changes are reported, noise is not, and no change is reported twice."""

from __future__ import annotations

import dataclasses
import itertools
import math
import random
from collections.abc import Iterable

import numpy as np
import pytest

from fastsam_bench.report.comparison_text import describe
from fastsam_bench.results.compared_time import ComparedTime, student_t
from fastsam_bench.results.comparison import WHOLE, Comparison, compare
from fastsam_bench.results.records import Cell, End, Failed, Interval, Run, Sweep
from fastsam_bench.results.runs import BenchRun, Results
from support import made_bench

NAMES = made_bench.ids()[:8]
NOISE = {
    "quiet": {},
    "blocks drift": {"drift": 0.03},
    "calls scatter": {"each": 0.15},
    "processes differ": {"between": 0.01},
}
RUNS = 24  # whose 276 pairs are compared


def _named(compared: Comparison) -> set[tuple[str, str]]:
    return {(change.case, change.stage) for change in compared.changes}


@pytest.mark.parametrize("noise", NOISE)
def test_noise_is_not_named_and_a_slower_stage_is(noise: str) -> None:
    target = (NAMES[4], "preprocess")
    plain = [made_bench.results(seed, names=NAMES, **NOISE[noise]) for seed in range(RUNS)]
    slow = [made_bench.results(1000 + seed, {target: 1.2}, NAMES, **NOISE[noise]) for seed in range(RUNS // 2)]
    equal = [_named(compare(*pair)) for pair in itertools.combinations(plain, 2)]
    unequal = [_named(compare(*pair)) for pair in itertools.product(plain, slow)]
    assert sum(not named for named in equal) >= 0.95 * len(equal)
    assert sum(target in named for named in unequal) >= 0.99 * len(unequal)
    assert sum(named <= {target} for named in unequal) >= 0.95 * len(unequal)


def test_processes_that_differ_more_widen_the_bound() -> None:
    runs = [made_bench.results(seed, names=NAMES, between=0.04) for seed in range(RUNS)]
    compared = [compare(*pair) for pair in itertools.combinations(runs, 2)]
    assert sum(not each.changes for each in compared) >= 0.95 * len(compared)
    quiet = compare(*(made_bench.results(seed, names=NAMES) for seed in (1, 2)))
    assert min(each.visible for each in compared) > quiet.visible


def test_intervals_alone_would_name_noise() -> None:
    """With the plain rule, equal runs that differ as processes do would be reported; the stricter rule prevents it."""
    runs = [made_bench.results(seed, names=NAMES, between=0.03) for seed in range(12)]
    plain = [_apart(a, b) for a, b in itertools.combinations(runs, 2)]
    strict = [bool(compare(a, b).changes) for a, b in itertools.combinations(runs, 2)]
    assert sum(plain) > 0.5 * len(plain)
    assert sum(strict) <= 0.05 * len(strict)


def _apart(before: Results, after: Results) -> bool:
    pairs = zip(before.runs[0].of(Cell), after.runs[0].of(Cell), strict=True)
    for old, new in pairs:
        for stage, a in old.stages.items():
            b = new.stages[stage]
            if (a.high < b.low or b.high < a.low) and not 1 / 1.05 < b.p50 / a.p50 < 1.05:
                return True
    return False


def test_the_whole_follows_from_its_stage() -> None:
    target = (NAMES[3], "engine")
    before, after = made_bench.results(1, names=NAMES), made_bench.results(2, {target: 1.5}, NAMES)
    (change,) = compare(before, after).changes
    assert (change.case, change.stage, change.slower) == (*target, True)
    assert change.ratio == pytest.approx(1.5, rel=0.05)
    assert change.whole is not None
    assert (change.whole.case, change.whole.stage) == (NAMES[3], WHOLE)
    assert 1.2 < change.whole.ratio < 1.5
    (back,) = compare(after, before).changes
    assert not back.slower
    assert back.ratio == pytest.approx(1 / change.ratio)


def test_a_whole_that_its_stages_do_not_explain_stands_for_itself() -> None:
    before = made_bench.results(1, names=NAMES)
    (run,) = before.runs
    cells = list(run.of(Cell))
    latency = cells[0].latency_ms
    slower = dataclasses.replace(latency, p50=latency.p50 * 1.4, low=latency.low * 1.4, high=latency.high * 1.4)
    cells[0] = dataclasses.replace(cells[0], latency_ms=slower)
    (change,) = compare(before, Results((dataclasses.replace(run, records=tuple(cells)),))).changes
    assert (change.case, change.stage, change.whole) == (NAMES[0], WHOLE, None)


def test_the_largest_change_comes_first_and_slower_before_faster() -> None:
    slow = {(NAMES[0], "engine"): 1.3, (NAMES[1], "decode"): 2.0, (NAMES[2], "preprocess"): 0.4}
    changes = compare(made_bench.results(1, names=NAMES), made_bench.results(2, slow, NAMES)).changes
    assert [(change.case, change.stage) for change in changes] == [
        (NAMES[1], "decode"),
        (NAMES[0], "engine"),
        (NAMES[2], "preprocess"),
    ]


def test_equal_files_and_empty_ones() -> None:
    made = made_bench.results(1, names=NAMES)
    same = compare(made, made)
    assert (same.changes, same.together, same.only_before, same.only_after) == ((), 1.0, (), ())
    assert same.agreeing == same.whole_calls == len(NAMES)
    empty = compare(Results(()), Results(()))
    assert (empty.changes, empty.times_compared) == ((), 0)
    assert "nothing changed beyond the noise" in describe(empty)


def test_cells_of_one_side_are_listed_with_their_failure() -> None:
    before = made_bench.results(1, names=NAMES[:3])
    after = made_bench.results(2, names=NAMES[1:4])
    (run,) = after.runs
    after = Results((dataclasses.replace(run, records=(*run.records, Failed(id=NAMES[0], error="no memory"))),))
    compared = compare(before, after)
    assert compared.only_before == (f"{NAMES[0]} (failed there: no memory)",)
    assert compared.only_after == (NAMES[3],)
    text = describe(compared)
    assert f"only before:\n  {NAMES[0]} (failed there: no memory)\nonly after:\n  {NAMES[3]}" in text


def test_a_stage_of_one_side_is_listed() -> None:
    before = made_bench.results(1, names=NAMES)
    (run,) = before.runs
    first, *rest = run.of(Cell)
    less = dataclasses.replace(first, stages={name: time for name, time in first.stages.items() if name != "select"})
    after = Results((dataclasses.replace(run, records=(less, *rest)),))
    assert compare(before, after).only_before == (f"{first.id}: select",)


def test_notes_name_machines_versions_and_partial_runs_first() -> None:
    before = made_bench.results(1, names=NAMES)
    host = dataclasses.replace(made_bench.HOST, cores=4, versions={"fastsam-trt": "0.1.0", "openvino": "2027.1"})
    (run,) = made_bench.results(2, names=NAMES, host=host).runs
    records = (dataclasses.replace(run.of(Cell)[0], steady=False), *run.of(Cell)[1:])
    compared = compare(before, Results((dataclasses.replace(run, end=None, records=records),), ("a line was cut",)))
    assert compared.notes == (
        "a line was cut",
        "cores differs: 2 before, 4 after",
        "openvino differs: 2026.4.1 before, 2027.1 after",
        "after: run run-2 was stopped before its end",
        f"after: 1 cells of run run-2 were not steady: {NAMES[0]}",
    )
    assert describe(compared).splitlines()[1] == "note: cores differs: 2 before, 4 after"


def test_a_note_says_that_times_are_few() -> None:
    compared = compare(*(made_bench.results(seed, names=NAMES[:1]) for seed in (1, 2)))
    assert compared.times_compared == 5
    assert compared.notes[0].startswith("5 times are too few")


def test_tiny_and_coarse_times_are_not_named() -> None:
    target = (NAMES[1], "select")
    before, after = made_bench.results(1, names=NAMES), made_bench.results(2, {target: 1.1}, NAMES)
    assert compare(before, after).changes == ()  # 0.006 ms: less than the least time
    assert _named(compare(before, made_bench.results(2, {target: 1.5}, NAMES))) == {target}


@pytest.mark.parametrize(("runs", "between"), [(4, 0.03), (8, 0.05), (12, 0.08)])
def test_several_runs_per_side_measure_their_noise(runs: int, between: float) -> None:
    target = (NAMES[1], "engine")
    sides = [
        [_side(range(first, first + runs), slower, between) for first in range(start, start + 1000, 25)]
        for start, slower in ((0, {}), (1000, {}), (2000, {target: 1.2}))
    ]
    equal, unequal = [], []
    for plain, again, slow in zip(*sides, strict=True):  # each pair of its own: those that share a side are alike
        equal.append(_named(compare(plain, again)))
        unequal.append(_named(compare(plain, slow)))
    assert sum(not named for named in equal) >= 0.95 * len(equal)
    assert sum(target in named for named in unequal) >= 0.9 * len(unequal)
    assert sum(named <= {target} for named in unequal) >= 0.95 * len(unequal)


def _side(seeds: range, slow: dict[tuple[str, str], float], between: float) -> Results:
    return Results(tuple(made_bench.results(seed, slow, NAMES[:2], between=between).runs[0] for seed in seeds))


def test_one_disturbed_run_of_several_decides_nothing() -> None:
    target = (NAMES[1], "engine")
    everything = {(name, stage): 3.0 for name in NAMES[:2] for stage in made_bench.stage_ms(name)}
    before, after = _side(range(8), {}, 0.02), _side(range(20, 27), {target: 1.2}, 0.02)
    disturbed = Results((*after.runs, *_side(range(27, 28), everything, 0.02).runs))
    assert _named(compare(before, disturbed)) == {target}


def test_a_note_says_that_runs_were_not_made_in_turn() -> None:
    def side(hours: range) -> Results:
        runs = _side(range(hours.start, hours.start + len(hours)), {}, 0.0).runs
        times = (f"2026-11-23T{hour:02}:00:00+00:00" for hour in hours)
        return Results(
            tuple(
                dataclasses.replace(run, run=dataclasses.replace(run.run, time=time))
                for run, time in zip(runs, times, strict=True)
            )
        )

    told = "the runs of the two sides were not made in turn, so changes of the machine are included"
    assert compare(side(range(0, 8, 2)), side(range(1, 9, 2))).notes == ()
    assert compare(side(range(4)), side(range(4, 8))).notes == (told,)
    assert compare(side(range(4, 8)), side(range(4))).notes == (told,)
    assert told not in compare(side(range(3)), side(range(4, 8))).notes


def test_intervals_of_several_runs_contain_the_true_value() -> None:
    drawn = np.random.default_rng(0)
    for runs in (4, 7, 8, 12, 24):
        times = [ComparedTime.of(_times(np.exp(0.1 * drawn.standard_normal(runs)))) for _ in range(2000)]
        held = np.mean([each.time.low <= 1 <= each.time.high for each in times])
        assert held == pytest.approx(0.95, abs=0.02)
        assert {each.freedom for each in times} == {runs - 2 * (runs // 8) - 1}
        assert np.mean([each.error for each in times]) == pytest.approx(0.1 / math.sqrt(runs), rel=0.15)


def test_the_slowest_of_eight_runs_may_be_as_slow_as_it_likes() -> None:
    runs = [1.0, 1.1, 0.9, 1.05, 0.95, 1.02, 0.98]
    slow, wild = (ComparedTime.of(_times([*runs, each])) for each in (1.2, 50.0))
    assert slow == wild
    assert slow.time.p50 == pytest.approx(1.0, abs=0.03)


def test_three_runs_count_by_their_median_and_widest_interval() -> None:
    times = [Interval(2.0, 1.9, 2.2), Interval(1.0, 0.5, 1.1), Interval(3.0, 2.5, 3.1)]
    assert ComparedTime.of(times).time == Interval(2.0, 0.5, 3.1)


def _times(values: Iterable[float]) -> list[Interval]:
    return [Interval(value, 0.99 * value, 1.01 * value) for value in values]


def test_a_few_runs_of_a_cell_count_by_their_median_and_widest_interval() -> None:
    target = (NAMES[1], "engine")
    slow = made_bench.results(3, {target: 1.3}, NAMES)
    before = [made_bench.results(seed, names=NAMES).runs[0] for seed in (1, 2)]
    both = Results((*before, slow.runs[0]))
    assert compare(Results(tuple(before)), both).changes == ()
    assert _named(compare(Results(tuple(before)), slow)) == {target}


def test_sweeps_count_on_our_side_only() -> None:
    def results(ours: float, usual: float) -> Results:
        records = tuple(
            Sweep(
                side=side, selector="labels", segments=n, frame=(720, 1280), model="m", backend="openvino",
                precision="bf16", latency_ms=Interval(ms * n, ms * n * 0.98, ms * n * 1.02),
            )
            for side, ms in (("ours", ours), ("usual", usual))
            for n in (10, 20)
        )  # fmt: skip
        head = Run(time="2026-11-23T08:00:00+00:00", machine=made_bench.HOST)
        return Results((BenchRun("r", "r.jsonl", head, records, End(cells=0, failed=0, seconds=1.0)),))

    assert compare(results(1.0, 5.0), results(1.0, 9.0)).changes == ()
    changed = compare(results(1.0, 5.0), results(1.4, 5.0)).changes
    assert [change.case for change in changed] == [f"sweep/m/openvino/bf16/720/1280/labels/ours/{n}" for n in (10, 20)]


def test_the_text_names_the_stage_and_the_whole_call_under_it() -> None:
    target = (NAMES[3], "engine")
    compared = compare(made_bench.results(1, names=NAMES), made_bench.results(2, {target: 1.5}, NAMES))
    lines = describe(compared).splitlines()
    place = lines.index("slower:")
    assert lines[place + 1].startswith(f"  {NAMES[3]}  engine  x1.")
    assert lines[place + 2].startswith("    and with it the whole call  x1.")
    (change,) = compared.changes
    assert (change.case, change.stage) == target
    assert change.whole is not None
    assert change.whole.stage == WHOLE
    assert f"x{change.ratio:.2f}" in lines[place + 1]
    assert lines[0].startswith(f"{compared.times_compared} times compared")


def test_whole_calls_with_separate_intervals_do_not_agree() -> None:
    slower = {(name, "engine"): 3.0 for name in NAMES[:2]}
    compared = compare(made_bench.results(1, names=NAMES), made_bench.results(2, slower, NAMES))
    assert (compared.whole_calls, compared.agreeing) == (len(NAMES), len(NAMES) - 2)
    assert f"the intervals of {len(NAMES) - 2} of {len(NAMES)} whole calls overlap" in describe(compared)


def test_students_quantiles() -> None:
    table = {(0.975, 18): 2.1009, (0.995, 18): 2.8784, (0.9995, 18): 3.9216, (0.99995, 18): 4.9648, (0.975, 10): 2.2281,
             (0.975, 3): 3.1824, (0.995, 6): 3.7074, (0.9995, 6): 5.9588}  # fmt: skip
    for (probability, freedom), value in table.items():
        assert student_t(probability, freedom) == pytest.approx(value, rel=3e-3)


def test_order_of_cells_does_not_matter() -> None:
    before, after = made_bench.results(1, names=NAMES), made_bench.results(2, {(NAMES[3], "engine"): 1.5}, NAMES)
    (run,) = after.runs
    mixed = random.Random(0).sample(run.records, len(run.records))
    shuffled = Results((dataclasses.replace(run, records=tuple(mixed)),))
    assert compare(before, shuffled).changes == compare(before, after).changes

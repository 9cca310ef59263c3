"""Ceilings of the machine, the probe graphs that measure them, and the limits of stages."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

onnx = pytest.importorskip("onnx")

from fastsam_bench.results.records import Ceiling  # noqa: E402
from fastsam_bench.roofline import ceilings as measuring  # noqa: E402
from fastsam_bench.roofline import cell_limits  # noqa: E402
from fastsam_bench.roofline.ceilings import Ceilings, MemorySpeed, measure_ceilings  # noqa: E402
from fastsam_bench.roofline.limits import graph_limit, stage_limit  # noqa: E402
from fastsam_bench.roofline.memory_bandwidth import HostMemory, free_memory, last_level_cache  # noqa: E402
from fastsam_bench.roofline.operations import GraphCosts, NodeCost, count  # noqa: E402
from fastsam_bench.roofline.probe_graphs import Probe, draw_input, write_probe  # noqa: E402
from fastsam_engine import open_session, read_spec  # noqa: E402
from fastsam_engine.errors import BackendUnavailableError  # noqa: E402
from fastsam_trt.errors import OptionError  # noqa: E402

MB = 1 << 20
PROBES = (
    Probe("square", 48, depth=3), Probe("convolution", 8, 12, depth=2), Probe("vector", 256, depth=2),
    Probe("vector", 64, depth=2),
)  # fmt: skip


def ceilings(gflops: float = 100, *speeds: tuple[int, float]) -> Ceilings:
    """Made-up ceilings; a speed is a working set in bytes, and 1e9 bytes per second."""
    speeds = speeds or ((MB, 10.0),)
    record = Ceiling(
        backend="b", device="cpu", precision="fp32", matmul_gflops=gflops, copy_gbytes=speeds[-1][1], samples={}
    )
    return Ceilings(record, tuple(MemorySpeed(*each) for each in speeds))


@pytest.mark.parametrize("precision", ["fp32", "fp16", "int8"])
@pytest.mark.parametrize("probe", PROBES, ids=lambda probe: probe.kind)
def test_a_probe_has_its_stated_operations_and_keeps_numbers_in_range(
    probe: Probe, precision: str, tmp_path: Path, backend: str
) -> None:
    path = write_probe(tmp_path, probe, precision)
    assert count(path, {}).operations == probe.operations
    assert read_spec(path).precision == precision
    session = open_session(path, backend, "cpu", "auto" if precision == "int8" else "fp32")
    (found,) = session.run({"x": draw_input(probe)}).values()
    assert found.size == 1
    assert 0.5 < float(found.item()) < 8


def test_a_probe_is_the_stated_chain_of_products(tmp_path: Path) -> None:
    probe = Probe("square", 24, depth=3)
    path = write_probe(tmp_path, probe, "fp32")
    (stored,) = onnx.load(str(path)).graph.initializer
    weights = onnx.numpy_helper.to_array(stored)
    given = draw_input(probe)
    (found,) = open_session(path, "onnxruntime", "cpu").run({"x": given}).values()
    assert float(found.item()) == pytest.approx((given @ weights @ weights @ weights).max(), rel=1e-4)
    quantised = open_session(write_probe(tmp_path, probe, "int8"), "onnxruntime", "cpu").run({"x": given})["y"]
    assert float(quantised.item()) == pytest.approx(float(found.item()), rel=0.1)


@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_ceilings_are_those_of_the_best_probe(backend: str, precision: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measuring, "_host_sets", lambda: [MB, 3 * MB])
    found = measure_ceilings(backend, "cpu", precision, PROBES, samples=3)
    record = found.record
    assert (record.backend, record.device, record.precision) == (backend, "cpu", precision)
    assert {len(each) for each in record.samples.values()} == {3}
    assert record.samples.keys() == {
        "matmul", "copy", *(probe.name for probe in PROBES), *(f"{what} of {mb} MB" for what in ("copy", "read")
                                                              for mb in (1, 3))
    }  # fmt: skip
    best = {name: max(each) for name, each in record.samples.items()}
    assert min(best.values()) > 0
    assert record.matmul_gflops == best["matmul"] == max(best[probe.name] for probe in PROBES[:2])
    width = 4 if precision == "fp32" else 1
    assert [each.working_set for each in found.speeds] == [64**2 * width, 256**2 * width, MB, 3 * MB]
    assert found.speeds[-1].gbytes == record.copy_gbytes == best["copy"]
    assert record.copy_gbytes == max(best["copy of 3 MB"], best["read of 3 MB"])


def test_a_precision_that_is_not_computed_in_has_no_ceiling(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(BackendUnavailableError, match=r"computes fp16 graphs in fp32 on cpu, not in fp16"):
        measure_ceilings("onnxruntime", "cpu", "fp16", PROBES)
    with pytest.raises(BackendUnavailableError, match="bf16"):
        measure_ceilings("onnxruntime", "cpu", "bf16", PROBES)


def test_a_sample_is_the_fastest_of_its_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    spent_s = iter([9.0, 0.5, 0.02, 3.0])  # the first is not counted; two more, and no more once the time is over
    monkeypatch.setattr(measuring.time, "perf_counter", lambda: now[0])
    runs = []

    def run() -> None:
        runs.append(next(spent_s))
        now[0] += runs[-1]

    assert measuring._rate(run, 4_000_000_000)() == pytest.approx(4 / 0.02)
    assert runs == [9.0, 0.5, 0.02]


def test_the_host_has_memory_and_a_cache_and_moves_bytes() -> None:
    assert last_level_cache() >= 1 << 18
    assert free_memory() > 0
    memory = HostMemory(4 * MB)
    assert all(not other.any() for _, other in memory._parts)
    assert memory.read_gbytes() > 0
    assert memory.copy_gbytes() > 0
    assert all((other == each).all() for each, other in memory._parts)
    assert sum(each.nbytes + other.nbytes for each, other in memory._parts) == pytest.approx(4 * MB, rel=0.01)


def test_memory_is_as_fast_as_the_working_set_lets_it_be() -> None:
    found = ceilings(100, (4, 50.0), (16, 20.0), (64, 30.0), (256, 10.0))
    assert [found.copy_gbytes(nbytes) for nbytes in (1, 4, 15)] == [50] * 3
    # a larger set that was measured faster than a smaller one: noise, and the smaller is no slower in truth
    assert [found.copy_gbytes(nbytes) for nbytes in (16, 63, 64, 255)] == [30] * 4
    assert [found.copy_gbytes(nbytes) for nbytes in (256, 10_000)] == [10] * 2


def test_of_two_measurements_the_higher_figure_holds() -> None:
    def made(gflops: float, gbytes: float, *speeds: MemorySpeed) -> Ceilings:
        samples = {"matmul": (gflops,), "copy": (gbytes,)}
        record = Ceiling(
            backend="b", device="cpu", precision="fp32", matmul_gflops=gflops, copy_gbytes=gbytes, samples=samples
        )
        return Ceilings(record, speeds)

    first = made(50, 9, MemorySpeed(1, 40), MemorySpeed(4, 9))
    second = made(70, 8, MemorySpeed(1, 60), MemorySpeed(2, 30), MemorySpeed(4, 8))
    for found in (measuring.higher_ceilings(first, second), measuring.higher_ceilings(second, first)):
        assert (found.matmul_gflops, found.record.copy_gbytes) == (70, 9)
        assert found.record.samples == {"matmul": (70,), "copy": (9,)}
        assert found.speeds == (MemorySpeed(1, 60), MemorySpeed(2, 30), MemorySpeed(4, 9))


def test_ceilings_measured_again_count_where_they_are_higher(monkeypatch: pytest.MonkeyPatch) -> None:
    sessions = [SimpleNamespace(backend=name, device="cpu", precision="fp32") for name in ("a", "b", "a", "fails")]
    made = {"a": iter([50.0, 40.0]), "b": iter([70.0, 90.0])}

    def measure(backend: str, device: str, precision: str, samples: int) -> Ceilings:
        if backend == "fails":
            raise BackendUnavailableError(backend, "it does not compute in fp32", "none")
        found = ceilings(next(made[backend]))
        return replace(found, record=replace(found.record, backend=backend, samples={"matmul": (), "copy": ()}))

    monkeypatch.setattr(cell_limits, "measure_ceilings", measure)
    limits, shown = cell_limits.Limits(samples=1), list[str]()
    first = [each.matmul_gflops for each in limits.measure(sessions, shown.append)]  # type: ignore[arg-type]
    assert first == [50, 70]
    assert [(each.backend, each.matmul_gflops) for each in limits.measure_again(shown.append)] == [("a", 50), ("b", 90)]
    assert shown[-2:] == ["ceilings of a cpu fp32 again", "ceilings of b cpu fp32 again"]


@pytest.mark.parametrize(
    ("operations", "nbytes", "binds", "percent"),
    [(8e9, 1e6, "compute", 40), (1e9, 1.5e9, "memory", 75), (0, 1e9, "memory", 50), (20e9, 0, "compute", 100)],
)
def test_the_limit_is_the_longer_of_the_two_times(operations: float, nbytes: float, binds: str, percent: float) -> None:
    found = stage_limit(operations, nbytes, 200, ceilings(100, (MB, 10.0)))
    assert found.binds == binds
    assert found.percent == pytest.approx(percent)
    assert found.compute_ms == pytest.approx(operations / 100e6)
    assert found.memory_ms == pytest.approx(nbytes / 10e6)
    assert (found.gflop, found.gbytes) == (operations / 1e9, nbytes / 1e9)


@pytest.mark.parametrize(
    ("operations", "nbytes", "measured_ms"), [(1, 1, 0), (1, 1, -1), (1, 1, float("nan")), (0, 0, 1), (-1, 5, 1)]
)
def test_a_stage_without_a_limit_is_refused(operations: float, nbytes: float, measured_ms: float) -> None:
    with pytest.raises(OptionError, match="expected"):
        stage_limit(operations, nbytes, measured_ms, ceilings())


def test_the_limit_uses_minimal_bytes_and_adds_up_over_runs() -> None:
    costs = GraphCosts((NodeCost("n", "MatMul", 2_000_000_000, 2_000_000_000, 900_000_000),), 30_000_000, 0, 20_000_000)
    once = graph_limit(costs, 40, ceilings(100, (MB, 10.0)))
    assert (once.compute_ms, once.memory_ms, once.percent) == pytest.approx((20, 5, 50))
    thrice = graph_limit(costs, 120, ceilings(100, (MB, 10.0)), runs=3)
    assert (thrice.compute_ms, thrice.memory_ms, thrice.percent) == pytest.approx((60, 15, 50))
    assert thrice.gflop == pytest.approx(6)


def test_the_working_sets_of_the_host_go_beyond_its_caches_and_fit_its_memory() -> None:
    sets = list(measuring._host_sets())
    assert sets == sorted(set(sets))
    assert 0 < sets[-1] <= free_memory() // 2
    assert sets[-1] >= min(2 * last_level_cache(), free_memory() // 8)


def test_a_run_of_the_best_probe_is_near_its_limit(
    tmp_path: Path, time_ms: Callable[..., float], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Counting, timing and ceilings fit together: the probe itself reaches about 100 percent of its limit."""
    monkeypatch.setattr(measuring, "_host_sets", lambda: [MB])
    probe = Probe("square", 256, depth=8)
    found = measure_ceilings("onnxruntime", "cpu", "fp32", (probe, Probe("vector", 256)), samples=3)
    path = write_probe(tmp_path, probe, "fp32")
    session = open_session(path, "onnxruntime", "cpu", "fp32")
    given = {"x": draw_input(probe)}
    limit = graph_limit(count(path, {}, "fp32"), time_ms(lambda: session.run(given)), found)
    assert limit.binds == "compute"
    assert 20 < limit.percent < 200


@pytest.fixture
def time_ms() -> Callable[[Callable[[], object]], float]:
    """Time of the fastest of several runs, ms, since tests share their machine."""
    import time

    def fastest(call: Callable[[], object]) -> float:
        times = []
        for _ in range(30):
            start = time.perf_counter()
            call()
            times.append(time.perf_counter() - start)
        return min(times) * 1e3

    return fastest

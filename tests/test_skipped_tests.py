"""The plugin that notes what one environment skips and runs it in another, in one process and in several."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest_plugins = "pytester"

_FILES = {
    "test_one": """
        import pytest

        @pytest.mark.parametrize("name", ["here", "absent_for_sure"])
        def test_library(name, pytestconfig):
            if name == "absent_for_sure" and not pytestconfig.getoption("--only-skipped"):
                pytest.skip("it is absent")

        def test_always():
            pass
    """,
    "test_module": """
        import os
        import pytest

        if "RICHER" not in os.environ:
            pytest.importorskip("absent_for_sure")

        def test_first():
            pass

        def test_second():
            pass
    """,
    "test_plain": """
        def test_plain():
            pass

        def test_other():
            pass
    """,
}


@pytest.mark.parametrize("processes", ["0", "2"])
def test_what_is_skipped_here_runs_there_and_nothing_else(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, processes: str
) -> None:
    for name in ("PYTEST_ADDOPTS", "PYTEST_XDIST_WORKER", "PYTEST_XDIST_WORKER_COUNT", "PYTEST_XDIST_AUTO_NUM_WORKERS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent))
    pytester.makepyfile(**_FILES)
    plugin = ("-p", "support.skipped_tests", "-n", processes)
    poor = pytester.runpytest_subprocess(*plugin, "--skipped-to", "noted")
    poor.assert_outcomes(passed=4, skipped=2)
    noted = (pytester.path / "noted").read_text().splitlines()
    assert sorted(noted) == ["test_module.py", "test_one.py::test_library[absent_for_sure]"]
    monkeypatch.setenv("RICHER", "1")
    rich = pytester.runpytest_subprocess(*plugin, "-v", "--only-skipped", "noted")
    rich.assert_outcomes(passed=3, deselected=None if processes == "2" else 4)
    whole = pytester.runpytest_subprocess(*plugin, "--only-skipped", "noted", "--whole", "test_plain.py")
    whole.assert_outcomes(passed=5, deselected=None if processes == "2" else 2)

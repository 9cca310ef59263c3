"""A plugin of pytest for a second run in a richer environment: what the first one skipped, and no more.

pytest -p support.skipped_tests --skipped-to FILE      notes the tests, and modules, that are skipped
pytest -p support.skipped_tests --only-skipped FILE    runs these alone, beside whole files that are named with --whole

Of several processes of pytest-xdist the first one notes for all.
"""

from __future__ import annotations

from pathlib import Path

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("skipped tests")
    group.addoption("--skipped-to", type=Path, metavar="FILE", help="note here what is skipped")
    group.addoption("--only-skipped", type=Path, metavar="FILE", help="run what was noted here")
    group.addoption("--whole", action="append", default=[], metavar="PATH", help="run all of this file, too")


def pytest_configure(config: pytest.Config) -> None:
    to = config.getoption("--skipped-to")
    if to is not None and not hasattr(config, "workerinput"):
        to.write_text("", encoding="utf-8")
        config.pluginmanager.register(_Notes(to))


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    file = config.getoption("--only-skipped")
    if file is None:
        return
    noted = set(file.read_text(encoding="utf-8").splitlines()) | set(config.getoption("--whole"))
    kept = [item for item in items if item.nodeid in noted or item.nodeid.partition("::")[0] in noted]
    config.hook.pytest_deselected(items=[item for item in items if item not in set(kept)])
    items[:] = kept


class _Notes:
    """Writes the ids of what is skipped into a file."""

    def __init__(self, to: Path) -> None:
        self._to = to

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self._note(report)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        self._note(report)

    def _note(self, report: pytest.TestReport | pytest.CollectReport) -> None:
        if report.skipped:
            with self._to.open("a", encoding="utf-8") as file:
                file.write(f"{report.nodeid}\n")

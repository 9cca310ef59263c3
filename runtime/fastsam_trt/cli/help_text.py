"""Lay out `--help`: the default of each option, and lists of names."""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from typing import NoReturn

_DEFAULT = "(default: "


class HelpFormatter(argparse.RawDescriptionHelpFormatter):
    """Keeps the lines of descriptions and examples, and adds `(default: ...)` to every option that has a default.

    A help text that already names its default keeps it: some defaults depend on the model or the source.
    """

    def _get_help_string(self, action: argparse.Action) -> str | None:
        text = action.help
        if text is None or _DEFAULT in text or not action.option_strings:
            return text
        if action.default is None or action.default is argparse.SUPPRESS or action.default in (True, False, []):
            return text
        shown = f"{action.default:g}" if isinstance(action.default, float) else "%(default)s"
        return f"{text} {_DEFAULT}{shown})"


class Parser(argparse.ArgumentParser):
    """A parser whose errors are one line."""

    def error(self, message: str) -> NoReturn:
        """Print the error on stderr and exit with 2."""
        self.exit(2, f"{self.prog}: error: {message}; see {self.prog} --help\n")


def one_of(names: Iterable[object]) -> str:
    """Names as a sentence lists them: `auto, labels or clip`."""
    *first, last = map(str, names)
    return f"{', '.join(first)} or {last}" if first else last

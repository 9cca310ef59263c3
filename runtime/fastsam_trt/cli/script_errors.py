"""Print the errors of your own scripts as one line, and exit with a code, like the command."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def one_line_errors() -> Iterator[None]:
    """Turn a `FastsamError` of the block into one line on stderr and its exit code: 1 or 2, see the command.

    Other errors keep their traceback.

    Raises:
        SystemExit: The block raised a `FastsamError`.
    """
    try:
        yield
    except Exception as error:
        from fastsam_engine.errors import FastsamError

        if not isinstance(error, FastsamError):
            raise
        print(f"{Path(sys.argv[0]).name}: error: {error}", file=sys.stderr)
        raise SystemExit(error.exit_code) from None

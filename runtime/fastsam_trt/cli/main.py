"""Entry of the command: options, subcommands, and errors as one line with an exit code.

What takes a while to import is imported when signals are handled.
"""

from __future__ import annotations

import argparse
import errno
import logging
import os
import sys
import threading
import traceback
import warnings
from collections.abc import Sequence
from contextlib import suppress
from typing import NoReturn

from fastsam_trt import __version__
from fastsam_trt.cli.interrupts import INTERRUPTED, Interrupts, install, leave_at_once
from fastsam_trt.cli.standard_streams import harden, tell

_UNUSABLE = frozenset({errno.EACCES, errno.ELOOP, errno.ENAMETOOLONG})  # what a path that was asked for may be
_CUT_OFF = 141  # 128 + SIGPIPE: who read our output stopped reading


class _Parser(argparse.ArgumentParser):
    """A parser whose errors are one line."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: error: {message}; see {self.prog} --help\n")


def entry() -> NoReturn:
    """Console entry: run and exit."""
    harden()
    install(leave_at_once)  # and never taken back: main's own handlers come and go
    _exit(main())


def _exit(code: int) -> NoReturn:
    """End the process, whatever a thread is still doing.

    A thread of ours may be compiling a model for a prompt, or waiting for a camera. One that came back to an
    interpreter that is being taken down would abort it. Nor is an interrupt to wait for libraries that tidy up.
    """
    from tqdm import TMonitor

    try:
        sys.stdout.flush()
    except BrokenPipeError:
        _drop_broken()
        code = _CUT_OFF
    others = set(threading.enumerate()) - {threading.main_thread()}
    if code == INTERRUPTED or any(not isinstance(thread, TMonitor) for thread in others):  # which tqdm ends itself
        os._exit(code)
    sys.exit(code)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command.

    Args:
        argv: Arguments without the program's name; None: the process's.

    Returns:
        Exit code: 0 done, 1 the work failed, 2 the request was wrong, 130 interrupted.
    """
    from fastsam_engine.errors import FastsamError
    from fastsam_trt.cli import bench, build, compare, doctor, export, info, run

    parser = _Parser(prog="fastsam-trt", description="A text prompt selects segments in images and live video.")
    parser.add_argument("--version", action="version", version=f"fastsam-trt {__version__}")
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--debug", action="store_true", help="show the traceback of an error, and the libraries' logs")
    subcommands = parser.add_subparsers(required=True, metavar="COMMAND")
    for module in (run, compare, export, build, bench, info, doctor):
        module.add_parser(subcommands, common)
    args = parser.parse_args(argv)
    _quieten(debug=args.debug)
    try:
        with Interrupts() as args.interrupts:
            return int(args.execute(args))
    except FastsamError as error:
        if args.debug:
            traceback.print_exc()
        tell(f"fastsam-trt: error: {error}")
        return error.exit_code
    except KeyboardInterrupt as interrupted:
        if str(interrupted):
            tell(f"fastsam-trt: {interrupted}")
        return INTERRUPTED
    except BrokenPipeError:
        _drop_broken()
        return _CUT_OFF
    except OSError as error:
        if error.errno not in _UNUSABLE or error.filename is None:
            return _fail_unexpectedly(error, debug=args.debug)
        tell(f"fastsam-trt: error: expected a path that can be used, found {error.filename!r} ({error.strerror})")
        return 2
    except Exception as error:  # noqa: BLE001 - the command's last resort: one line, never a bare traceback
        return _fail_unexpectedly(error, debug=args.debug)


class _LogLines(logging.Handler):
    """Prints log lines on stderr, above a progress bar if one is shown there."""

    def emit(self, record: logging.LogRecord) -> None:
        from tqdm import tqdm

        with tqdm.external_write_mode(file=sys.stderr):
            tell(self.format(record))


def _fail_unexpectedly(error: Exception, *, debug: bool) -> int:
    from fastsam_engine.errors import one_line

    if debug:
        traceback.print_exc()
    tell(f"fastsam-trt: error: unexpected {type(error).__name__}: {one_line(error)}; see --debug")
    return 1


def _drop_broken() -> None:
    """Let standard streams whose reader is gone lead nowhere, so that what they hold back is no error at exit."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except BrokenPipeError:
            with suppress(OSError):
                os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _quieten(*, debug: bool) -> None:
    """Show our warnings as plain lines, and silence OpenCV's, FFmpeg's and Pillow's chatter unless debugging."""
    logging.basicConfig(
        level=logging.DEBUG if debug else logging.WARNING,
        format="fastsam-trt: %(levelname)s: %(message)s",
        handlers=[_LogLines()],
    )
    if not debug:
        os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
        loaded = sys.modules.get("cv2")  # which reads the variable when it is imported
        if os.environ.setdefault("OPENCV_LOG_LEVEL", "OFF") == "OFF" and loaded is not None:
            loaded.utils.logging.setLogLevel(0)
        warnings.filterwarnings("ignore", module=r"PIL\.")  # on broken files, which have an error of ours

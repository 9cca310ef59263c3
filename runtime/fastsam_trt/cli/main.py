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
from fastsam_trt.cli.interrupts import INTERRUPTED, Interrupts, exit_at_once, install
from fastsam_trt.cli.standard_streams import harden, print_stderr

_UNUSABLE = frozenset({errno.EACCES, errno.ELOOP, errno.ENAMETOOLONG})  # errors of a path in the request
_READER_GONE = 141  # 128 + SIGPIPE: the reader of our output has closed the pipe


class _Parser(argparse.ArgumentParser):
    """A parser whose errors are one line."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: error: {message}; see {self.prog} --help\n")


def entry() -> NoReturn:
    """Console entry: run and exit."""
    harden()
    install(exit_at_once)  # stays installed: main's handlers come and go
    _exit(main())


def _exit(code: int) -> NoReturn:
    """End the process without waiting for threads.

    A thread of ours may be compiling a model for a prompt or waiting for a camera, and would abort the process if it
    returned to a finalised interpreter. Nor should an interrupt wait for the cleanup of libraries.
    """
    from tqdm import TMonitor

    try:
        sys.stdout.flush()
    except BrokenPipeError:
        _detach_closed_streams()
        code = _READER_GONE
    others = set(threading.enumerate()) - {threading.main_thread()}
    if code == INTERRUPTED or any(not isinstance(thread, TMonitor) for thread in others):  # tqdm ends its own
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
    _set_up_logging(debug=args.debug)
    try:
        with Interrupts() as args.interrupts:
            return int(args.execute(args))
    except FastsamError as error:
        if args.debug:
            traceback.print_exc()
        print_stderr(f"fastsam-trt: error: {error}")
        return error.exit_code
    except KeyboardInterrupt as interrupted:
        if str(interrupted):
            print_stderr(f"fastsam-trt: {interrupted}")
        return INTERRUPTED
    except BrokenPipeError:
        _detach_closed_streams()
        return _READER_GONE
    except OSError as error:
        if error.errno not in _UNUSABLE or error.filename is None:
            return _fail_unexpectedly(error, debug=args.debug)
        print_stderr(
            f"fastsam-trt: error: expected a path that can be used, found {error.filename!r} ({error.strerror})"
        )
        return 2
    except Exception as error:  # noqa: BLE001 - the command's last resort: one line, never a bare traceback
        return _fail_unexpectedly(error, debug=args.debug)


class _LogLines(logging.Handler):
    """Prints log lines on stderr, above a progress bar if one is shown there."""

    def emit(self, record: logging.LogRecord) -> None:
        from tqdm import tqdm

        with tqdm.external_write_mode(file=sys.stderr):
            print_stderr(self.format(record))


def _fail_unexpectedly(error: Exception, *, debug: bool) -> int:
    from fastsam_engine.errors import one_line

    if debug:
        traceback.print_exc()
    print_stderr(f"fastsam-trt: error: unexpected {type(error).__name__}: {one_line(error)}; see --debug")
    return 1


def _detach_closed_streams() -> None:
    """Point standard streams whose reader is gone at the null device, so that flushing them at exit does not fail."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except BrokenPipeError:
            with suppress(OSError):
                os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _set_up_logging(*, debug: bool) -> None:
    """Show our warnings as plain lines, and silence OpenCV, FFmpeg and Pillow unless debugging."""
    logging.basicConfig(
        level=logging.DEBUG if debug else logging.WARNING,
        format="fastsam-trt: %(levelname)s: %(message)s",
        handlers=[_LogLines()],
    )
    if not debug:
        os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
        cv2 = sys.modules.get("cv2")  # it reads the variable at import
        if os.environ.setdefault("OPENCV_LOG_LEVEL", "OFF") == "OFF" and cv2 is not None:
            cv2.utils.logging.setLogLevel(0)
        warnings.filterwarnings("ignore", module=r"PIL\.")  # about broken files, for which we raise an error

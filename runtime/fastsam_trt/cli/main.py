"""Entry of the command: options, subcommands, and errors as one line with an exit code."""

from __future__ import annotations

import argparse
import errno
import logging
import os
import sys
import traceback
import warnings
from collections.abc import Sequence
from contextlib import suppress
from typing import NoReturn

from fastsam_engine.errors import FastsamError, one_line
from fastsam_engine.interruption import is_left_running
from fastsam_trt import __version__
from fastsam_trt.cli import bench, build, compare, doctor, export, info, run
from fastsam_trt.cli.interrupts import handled, interrupt
from fastsam_trt.cli.standard_streams import harden, tell

_INTERRUPTED = 130
_UNUSABLE = frozenset({errno.EACCES, errno.ELOOP, errno.ENAMETOOLONG})  # what a path that was asked for may be
_CUT_OFF = 141  # 128 + SIGPIPE: who read our output stopped reading


class _Parser(argparse.ArgumentParser):
    """A parser whose errors are one line."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: error: {message}; see {self.prog} --help\n")


def entry() -> None:
    """Console entry: run and exit."""
    harden()
    code = main()
    if is_left_running():  # interrupted twice: a builder is in the middle of something, and nobody waits for it
        sys.stdout.flush()
        os._exit(code)
    sys.exit(code)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command.

    Args:
        argv: Arguments without the program's name; None: the process's.

    Returns:
        Exit code: 0 done, 1 the work failed, 2 the request was wrong, 130 interrupted.
    """
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
        with handled(interrupt):
            return int(args.execute(args))
    except FastsamError as error:
        if args.debug:
            traceback.print_exc()
        tell(f"fastsam-trt: error: {error}")
        return error.exit_code
    except KeyboardInterrupt as interrupted:
        if str(interrupted):
            tell(f"fastsam-trt: {interrupted}")
        return _INTERRUPTED
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


def _fail_unexpectedly(error: Exception, *, debug: bool) -> int:
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
        level=logging.DEBUG if debug else logging.WARNING, format="fastsam-trt: %(levelname)s: %(message)s"
    )
    if not debug:
        os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
        loaded = sys.modules.get("cv2")  # which reads the variable when it is imported
        if os.environ.setdefault("OPENCV_LOG_LEVEL", "OFF") == "OFF" and loaded is not None:
            loaded.utils.logging.setLogLevel(0)
        warnings.filterwarnings("ignore", module=r"PIL\.")  # on broken files, which have an error of ours

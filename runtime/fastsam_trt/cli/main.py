"""Run the command `fastsam-trt`: find the subcommand, and print an error as one line with an exit code.

Slow imports happen after the signal handlers are installed, and a subcommand is imported when it is used.
"""

from __future__ import annotations

import argparse
import errno
import importlib
import logging
import os
import sys
import threading
import traceback
import warnings
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, NoReturn

from fastsam_trt import __version__
from fastsam_trt.cli.first_argument import with_command
from fastsam_trt.cli.help_text import HelpFormatter, Parser
from fastsam_trt.cli.interrupts import Interrupts, exit_at_once, install
from fastsam_trt.cli.standard_streams import harden, print_stderr

_UNUSABLE = frozenset({errno.EACCES, errno.ELOOP, errno.ENAMETOOLONG})  # errors of a path in the request
_SIGNALLED = 128  # higher exit codes: a signal ended the command
_READER_GONE = 141  # 128 + SIGPIPE: the reader of our output has closed the pipe


_COMMANDS = {
    "run": "select segments in a video, camera, image or folder",
    "compare": "show several segmentation models side by side on one image",
    "pull": "download a ready ONNX model from a public hub and prove it",
    "serve": "answer requests over HTTP, with a page to drop a photo on",
    "export": "export a PyTorch model to ONNX and compare the two",
    "build": "build a model's engines ahead of time, for this GPU or another",
    "bench": "measure the speed of this machine and how far it is from its limit",
    "info": "show the metadata of an exported model or a plan",
    "doctor": "show what is installed on this machine and what is wrong with it",
}
"""The subcommands, each a module of this package, and their descriptions."""

_EXAMPLES = """\
examples:
  # try it: two small models come with the package
  fastsam-trt run --video demo --prompt "red circle" --save out.mp4
  # get models for any text prompt: this needs pip install 'fastsam-trt[cpu,hub]'
  fastsam-trt pull fastsam-s
  fastsam-trt pull clip-vit-base-patch32
  # select in a photo; this is short for run --video photo.jpg
  fastsam-trt photo.jpg --model fastsam-s --prompt "a red bus" --save bus.png
  # see what this machine can run
  fastsam-trt doctor
"""


class _Command(Parser):
    """The parser of the command, for which a source may stand in place of a subcommand."""

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Complete `SOURCE` to `run --video SOURCE`, then parse as any parser does."""
        given = sys.argv[1:] if args is None else list(args)
        try:
            completed = with_command(given, _COMMANDS) if given else given
        except argparse.ArgumentError as error:
            self.error(str(error))
        return super().parse_known_args(completed, namespace)


class _Subcommand(Parser):
    """The parser of a subcommand. It adds its options when it is used, since `fastsam-trt --help` needs none."""

    module = ""

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Add the options, then parse as any parser does."""
        if self.module:
            module, self.module = self.module, ""
            importlib.import_module(module).add_options(self)
        return super().parse_known_args(args, namespace)


def make_parser() -> argparse.ArgumentParser:
    """The parser of the whole command."""
    parser = _Command(
        prog="fastsam-trt",
        description="Select segments in images and live video with a text prompt.",
        epilog=_EXAMPLES + "\n\nEvery command has its options and examples: fastsam-trt run --help",
        formatter_class=HelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"fastsam-trt {__version__}")
    common = _Subcommand(add_help=False)
    said = common.add_mutually_exclusive_group()
    said.add_argument("--debug", action="store_true", help="show tracebacks of errors and the logs of libraries")
    said.add_argument(
        "-q", "--quiet", action="store_true",
        help="print errors only: no progress, warnings, summaries or names of saved files",
    )  # fmt: skip
    subcommands = parser.add_subparsers(required=True, title="commands", metavar="COMMAND", parser_class=_Subcommand)
    for name, line in _COMMANDS.items():
        sub = subcommands.add_parser(
            name,
            parents=[common],
            help=line,
            description=f"{line[0].upper()}{line[1:]}.",
            formatter_class=HelpFormatter,
        )
        sub.module = f"fastsam_trt.cli.{name}"
    return parser


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
    if code > _SIGNALLED or any(not isinstance(thread, TMonitor) for thread in others):  # tqdm ends its own
        os._exit(code)
    sys.exit(code)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command.

    Args:
        argv: Arguments without the program's name; None: the process's.

    Returns:
        Exit code: 0 done, 1 the work failed, 2 the request was wrong, 130 Ctrl-C, 143 SIGTERM.
    """
    parser = make_parser()
    argv = sys.argv[1:] if argv is None else argv
    debug = "--debug" in argv  # until the options are known
    interrupts = Interrupts()
    try:
        if not argv:
            parser.print_help()
            return 0
        args = parser.parse_args(argv)
        debug = args.debug
        _set_up_logging(debug=debug, quiet=args.quiet)
        with interrupts as args.interrupts:
            return int(args.execute(args))
    except KeyboardInterrupt as interrupted:
        if str(interrupted):
            print_stderr(f"fastsam-trt: {interrupted}")
        return interrupts.code
    except BrokenPipeError:
        _detach_closed_streams()
        return _READER_GONE
    except Exception as error:  # noqa: BLE001 - the command's last resort: one line, never a bare traceback
        return _fail(error, debug=debug)


class _LogLines(logging.Handler):
    """Prints log lines on stderr, above a progress bar if one is shown there."""

    def emit(self, record: logging.LogRecord) -> None:
        from tqdm import tqdm

        with tqdm.external_write_mode(file=sys.stderr):
            print_stderr(self.format(record))


def _fail(error: Exception, *, debug: bool) -> int:
    """Print an error as one line; its exit code."""
    from fastsam_engine.errors import FastsamError, one_line

    if debug:
        traceback.print_exc()
    if isinstance(error, FastsamError):
        print_stderr(f"fastsam-trt: error: {error}")
        return error.exit_code
    if isinstance(error, OSError) and error.errno in _UNUSABLE and error.filename is not None:
        print_stderr(
            f"fastsam-trt: error: expected a path that can be used, found {error.filename!r} ({error.strerror})"
        )
        return 2
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


def _set_up_logging(*, debug: bool, quiet: bool) -> None:
    """Show our warnings as plain lines, and silence OpenCV, FFmpeg and Pillow unless debugging."""
    lines = _LogLines(logging.ERROR if quiet else logging.NOTSET)
    logging.basicConfig(
        level=logging.DEBUG if debug else logging.WARNING,
        format="fastsam-trt: %(levelname)s: %(message)s",
        handlers=[lines],
    )
    if not debug:
        os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
        cv2 = sys.modules.get("cv2")  # it reads the variable at import
        if os.environ.setdefault("OPENCV_LOG_LEVEL", "OFF") == "OFF" and cv2 is not None:
            cv2.utils.logging.setLogLevel(0)
        warnings.filterwarnings("ignore", module=r"PIL\.")  # about broken files, for which we raise an error

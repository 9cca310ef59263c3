"""Run the pipeline over a source, from opening its files to the summary."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from contextlib import ExitStack, nullcontext, suppress
from typing import TYPE_CHECKING, Any

from tqdm import tqdm

from fastsam_trt.cli import options
from fastsam_trt.cli.file_lines import FileLines
from fastsam_trt.cli.file_paths import resolve_video_path
from fastsam_trt.cli.progress import RunProgress, activity
from fastsam_trt.cli.run_outputs import open_sinks, output_paths
from fastsam_trt.cli.standard_streams import stdout_for

if TYPE_CHECKING:
    from fastsam_trt.cli.interrupts import Interrupts
    from fastsam_trt.pipeline.pipeline import Pipeline
    from fastsam_trt.preview import PreviewServer
    from fastsam_trt.sinks import Sink
    from fastsam_trt.sources import Source
    from fastsam_trt.streaming import Flow

_STOP_WITHIN_S = 3.0  # after an interrupt, for frames that the segmenter has begun


class SourceRun:
    """Runs the pipeline over a source as the options say, and ends in order.

    How a run ends:

    - The source is over: the files are finished, then the summary is printed. The exit code is 0.
    - Ctrl-C, SIGTERM or SIGHUP, or the window was closed: the flow begins no new frame, and frames that had begun have
      three seconds to come out; then as above. The exit code is that of the signal, such as 143 for SIGTERM, or 0 for a
      live source that was sending, since such a source ends no other way.
    - A second Ctrl-C: a KeyboardInterrupt ends the loop; the files are finished up to their last whole frame.
    - A stage, the source or an output fails (a full disk, say): the files are finished, the summary and the statistics
      are written, and the error is raised.

    In each case a stage that is still busy is not waited for.
    """

    _source: Source
    _sinks: list[Sink]
    _pipeline: Pipeline
    _flow: Flow

    def __init__(self, args: argparse.Namespace) -> None:
        """Create a run; it opens nothing yet.

        Args:
            args: The options of `fastsam-trt run`, and the command's `interrupts`.
        """
        self._args = args
        self._interrupts: Interrupts = args.interrupts
        self._resources = ExitStack()  # all that is open; it holds the next two
        self._inputs = ExitStack()  # the source and the pipeline, which the flow's threads use
        self._outputs = ExitStack()  # the sinks
        self._error: BaseException | None = None

    def execute(self) -> int:
        """Run until the end, and return the exit code.

        Raises:
            Exception: What an option, the source, the pipeline or an output failed with.
        """
        with self._resources:
            with activity("opening the source", quiet=self._args.quiet) as status:
                self._open(status)
            try:
                self._process()
            except KeyboardInterrupt:
                self._interrupts.received = True
            except BaseException as error:
                self._error = error
                raise
            finally:
                self._finish()
        return self._exit_code()

    def _open(self, status: tqdm[Any]) -> None:
        """Open everything, models last, so that a wrong option fails early.

        Args:
            status: Shows what is being opened.
        """
        args = self._args
        self._resources.enter_context(stdout_for(output_paths(args)))
        self._resources.enter_context(self._inputs)
        self._open_source()
        track = self._should_track()
        self._resources.enter_context(self._outputs)
        self._sinks = [self._outputs.enter_context(sink) for sink in open_sinks(args, self._source)]
        server = None if args.preview is None else self._open_preview()
        status.set_description_str("opening the models")
        self._pipeline = self._inputs.enter_context(options.open_pipeline(args, track=track))
        self._open_flow()
        if server is not None:
            server.start()
            if not args.quiet:
                tqdm.write(f"preview at {server.url}", file=sys.stderr)
        self._resources.enter_context(self._interrupts.stopping(self._flow.stop, finishing=True))

    def _open_source(self) -> None:
        from fastsam_trt.sources import open_source
        from fastsam_trt.streaming import resolve_policy

        args = self._args
        source = open_source(args.source, vid_stride=args.vid_stride, reconnect_s=args.reconnect, stall_s=args.stall)
        self._source = self._inputs.enter_context(source)
        if args.save is not None and self._source.kind != "images":
            args.save = resolve_video_path(args.save, args.source)
        resolve_policy(args.policy, self._source)

    def _should_track(self) -> bool:
        """Whether to track objects.

        Raises:
            OptionError: The budget is not positive, or needs tracks.
        """
        from fastsam_trt.errors import OptionError

        args = self._args
        track = self._source.continuous if args.track is None else bool(args.track)
        if args.budget is not None:
            if not 0 < args.budget < float("inf"):
                raise OptionError("budget", "milliseconds, more than 0", args.budget)
            if not track:
                raise OptionError("budget", "tracks, which it needs (--track)", f"{args.budget:g} without tracks")
        return track

    def _open_preview(self) -> PreviewServer:
        """Take the preview's port, and add its sink. It answers once the pipeline is open."""
        from fastsam_trt.cli.draw_options import draw_style
        from fastsam_trt.preview import PipelineControls, PreviewServer, PreviewSink, parse_address

        address = parse_address(self._args.preview)
        server = PreviewServer(
            address, self._prompts, self._set_prompts, self._stats_record, draw_style(self._args),
            controls=PipelineControls(lambda: self._pipeline),
        )  # fmt: skip
        self._resources.callback(server.close)  # after the files, which clients must not hold up
        self._sinks.append(self._outputs.enter_context(PreviewSink(server)))
        return server

    def _open_flow(self) -> None:
        from fastsam_trt.streaming import Flow

        self._flow = Flow(self._source, self._pipeline, self._args.policy)

    def _process(self) -> None:
        """Write the results of all frames, then end the flow and finish the files."""
        with self._outputs, self._interrupts.stopping(self._stop_soon), self._flow:
            self._write_results()

    def _write_results(self) -> None:
        quiet, has_files = self._args.quiet, self._source.kind == "images"
        with RunProgress(self._source, self._flow, quiet=quiet) as progress, FileLines(quiet=quiet) as lines:
            for frame, result in self._flow:
                for sink in self._sinks:
                    sink.write(frame, result)
                if any(sink.wants_end for sink in self._sinks):  # after the frame was written everywhere
                    self._interrupts.received = True
                    self._stop_soon()
                if has_files:
                    lines.add(frame, result)
                progress.count(frame)

    def _stop_soon(self) -> None:
        self._flow.stop(_STOP_WITHIN_S)

    def _finish(self) -> None:
        """Write the statistics and the summary, once the files are whole."""
        if not self._flow.ended:
            self._inputs.pop_all()  # closing them would wait for a stage that is still busy
        self._write_stats()
        self._print_summary()

    def _write_stats(self) -> None:
        from fastsam_engine.errors import OutputError
        from fastsam_trt.cli.stats import write_stats

        if self._args.stats is None:
            return
        with nullcontext() if self._error is None else suppress(OutputError):  # the first error is the one to report
            write_stats(
                self._args, self._flow, self._pipeline, interrupted=self._interrupts.received, error=self._error
            )

    def _print_summary(self) -> None:
        from fastsam_trt.cli import summary
        from fastsam_trt.sources.names import printable

        snapshot = self._flow.stats.snapshot()
        if self._args.quiet or not snapshot.frames:
            return
        print(summary.ending(snapshot, aged=self._source.kind != "images"))
        for path in output_paths(self._args):
            if path.exists():
                print(f"saved {printable(path)}")

    def _exit_code(self) -> int:
        interrupts, snapshot = self._interrupts, self._flow.stats.snapshot()
        was_sending = self._source.kind == "live" and snapshot.captured > 0 and not snapshot.health.is_lost
        return interrupts.code if interrupts.hurried or (interrupts.received and not was_sending) else 0

    def _prompts(self) -> tuple[str, ...]:
        return self._pipeline.prompts

    def _set_prompts(self, prompts: Sequence[str]) -> None:
        self._pipeline.prompts = tuple(prompts)

    def _stats_record(self) -> dict[str, Any]:
        return self._flow.stats.snapshot().as_record()

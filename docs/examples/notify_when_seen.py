"""Watch a stream and call a function when a prompt appears and when it is gone.

python notify_when_seen.py [SOURCE] [PROMPT] [MODEL]
"""

import sys
from collections.abc import Callable

from fastsam_trt import Pipeline
from fastsam_trt.cli import one_line_errors

GONE_AFTER = 5  # frames without a match


def watch(pipe: Pipeline, source: str, notify: Callable[[str], None]) -> None:
    missing = GONE_AFTER  # frames in a row
    for index, result in enumerate(pipe.stream(source)):
        if len(result) and missing >= GONE_AFTER:
            notify(f"result {index}: {pipe.prompts[0]} appeared at {result.boxes[0].round().tolist()}")
        missing = 0 if len(result) else missing + 1
        if missing == GONE_AFTER:
            notify(f"result {index}: {pipe.prompts[0]} is gone")


def main(source: str = "demo", prompt: str = "red circle", model: str = "demo-seg") -> None:
    with Pipeline(model, prompts=[prompt]) as pipe:
        watch(pipe, source, notify=print)


if __name__ == "__main__":
    with one_line_errors():
        main(*sys.argv[1:])

"""Write a node as for ROS: a callback keeps the newest image, and a worker selects in it and publishes the result.

python latest_frame_node.py [SOURCE] [PROMPT] [MODEL]
"""

import sys
from collections.abc import Callable
from contextlib import suppress
from queue import Empty, Queue
from threading import Thread

from fastsam_trt import Pipeline, Result, open_source
from fastsam_trt.cli import one_line_errors
from fastsam_trt.sources import Frame


class SelectorNode:
    def __init__(self, pipe: Pipeline, publish: Callable[[Result], None]) -> None:
        self._pipe, self._publish, self.images = pipe, publish, 0
        self._newest: Queue[Frame | None] = Queue()  # at most one image, and None at the end

    def on_image(self, frame: Frame) -> None:  # the callback of the subscription: it returns at once
        with suppress(Empty):
            self._newest.get_nowait()  # drop the image that the worker has not taken
        self._newest.put(frame)
        self.images += 1

    def spin(self) -> None:
        while (frame := self._newest.get()) is not None:
            self._publish(self._pipe(frame.image, captured_s=frame.captured_s))

    def end(self) -> None:
        self._newest.put(None)


def main(source: str = "demo", prompt: str = "red circle", model: str = "demo-seg") -> None:
    results: list[Result] = []
    with Pipeline(model, prompts=[prompt], track=True) as pipe, open_source(source) as frames:
        node = SelectorNode(pipe, results.append)
        worker = Thread(target=node.spin, daemon=True)  # an error of the source ends the script
        worker.start()
        for frame in frames:
            node.on_image(frame)
        node.end()
        worker.join()
    print(f"{node.images} images, {len(results)} results, the last with {len(results[-1]) if results else 0} segments")


if __name__ == "__main__":
    with one_line_errors():
        main(*sys.argv[1:])

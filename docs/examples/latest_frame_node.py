"""A node as in ROS: a callback keeps the newest image, a worker selects in it and publishes what it found.

    python latest_frame_node.py [SOURCE] [PROMPT] [MODEL]
"""

import sys
import threading
from collections import deque
from collections.abc import Callable

from fastsam_trt import Pipeline, Result, open_source
from fastsam_trt.cli import one_line_errors
from fastsam_trt.sources import Frame


class SelectorNode:
    def __init__(self, pipe: Pipeline, publish: Callable[[float, Result], None]) -> None:
        self._pipe, self._publish = pipe, publish
        self._newest: deque[Frame] = deque(maxlen=1)  # a newer image replaces one that nobody has taken
        self._arrived, self._ended = threading.Event(), False

    def on_image(self, frame: Frame) -> None:  # the subscription's callback, which returns at once
        self._newest.append(frame)
        self._arrived.set()

    def end(self) -> None:
        self._ended = True
        self._arrived.set()

    def spin(self) -> None:
        while self._arrived.wait() and not (self._ended and not self._newest):
            self._arrived.clear() if not self._ended else None
            if self._newest:
                frame = self._newest.pop()
                self._publish(frame.captured_s, self._pipe(frame.picture, captured_s=frame.captured_s))


def main(source: str = "demo", prompt: str = "red circle", model: str = "demo-seg") -> None:
    published: list[Result] = []
    with Pipeline(model, prompts=[prompt], track=True) as pipe, open_source(source) as frames:
        node = SelectorNode(pipe, lambda _, result: published.append(result))
        worker = threading.Thread(target=node.spin)
        worker.start()
        for images, frame in enumerate(frames, 1):
            node.on_image(frame)
        node.end()
        worker.join()
    print(f"{images} images arrived, {len(published)} results, the last with {len(published[-1])} segments")


if __name__ == "__main__":
    with one_line_errors():
        main(*sys.argv[1:])

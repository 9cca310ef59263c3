"""Change the prompts while a stream runs, from another thread: nothing is exported or built again.

python change_prompts.py [SOURCE] [FIRST] [SECOND] [MODEL]
"""

import sys
import threading

from fastsam_trt import Pipeline
from fastsam_trt.cli import one_line_errors


def main(
    source: str = "demo", first: str = "red circle", second: str = "green square", model: str = "demo-seg"
) -> None:
    with Pipeline(model, prompts=[first]) as pipe:

        def change() -> None:
            pipe.prompts = [second]  # frames answer the old prompts until the new ones are ready

        frames = dict.fromkeys((first, second), 0)
        for index, result in enumerate(pipe.stream(source, policy="every")):
            if index == 2:
                threading.Thread(target=change).start()
            frames[result.prompts[0]] += 1
    print(", ".join(f"{count} frames with {prompt!r}" for prompt, count in frames.items()))


if __name__ == "__main__":
    with one_line_errors():
        main(*sys.argv[1:])

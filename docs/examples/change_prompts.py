"""Change the prompts while a stream runs, from another thread: nothing is exported or built again.

python change_prompts.py [SOURCE] [FIRST] [SECOND] [MODEL]
"""

import sys
from concurrent.futures import Future, ThreadPoolExecutor

from fastsam_trt import Pipeline
from fastsam_trt.cli import one_line_errors


def main(
    source: str = "demo", first: str = "red circle", second: str = "green square", model: str = "demo-seg"
) -> None:
    with Pipeline(model, prompts=[first]) as pipe, ThreadPoolExecutor(1) as pool:
        change: Future[None] | None = None
        frames = dict.fromkeys((first, second), 0)
        for index, result in enumerate(pipe.stream(source, policy="every")):
            if index == 2:
                # frames answer the old prompts until the new ones are ready
                change = pool.submit(setattr, pipe, "prompts", [second])
            frames[result.prompts[0]] += 1
        if change:
            change.result()
    print(", ".join(f"{count} frames with {prompt!r}" for prompt, count in frames.items()))


if __name__ == "__main__":
    with one_line_errors():
        main(*sys.argv[1:])

"""`python -m marlsmith.marl.external.renderer`: recordings as JSON on stdin, their pictures as JSON on stdout.

Beside the code of others, and far from candidate code.
"""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
from PIL import Image

from marlsmith.marl.external.adapt import Adapter, Unfit, in_one_line
from marlsmith.marl.external.filming import Reel
from marlsmith.marl.external.source import Source
from marlsmith.marl.external.wire import Layout
from marlsmith.marl.recording import Recording, Series
from marlsmith.marl.rendering.launch import PICTURES
from marlsmith.marl.rendering.pictures import MOST_PIXELS, encoded

MODE = "rgb_array"
REMEDY = f'construct it with render_mode="{MODE}"'
CREDIT = "drawn by the environment's own renderer"


def adapter(source: Source, layout: Layout) -> Adapter:
    """With pictures where the environment can make some, even if nobody has asked for them in its options."""
    wanted = source.model_copy(update={"options": {"render_mode": MODE, **source.options}})
    try:
        return Adapter(wanted, layout.extras)
    except Exception:  # it takes no such option, and its own are what is left
        return Adapter(source, layout.extras)


def frames(recording: Recording, source: Source, layout: Layout) -> Iterator[Image.Image]:
    """One picture for each state. Raises Unfit where there are none, or the episode goes another way."""
    replay = recording.replay
    if replay is None:
        raise Unfit("it was not told what to do")
    environment, row = adapter(source, layout), np.zeros(1, np.dtype(layout.record))[0]
    row["available"] = 1
    environment.reset(replay.seed, row)
    yield _picture(environment)
    kind, _ = layout.action
    for actions, rewards in zip(_rows(replay.actions), _rows(replay.rewards), strict=True):
        environment.step(actions.astype(kind), row)
        if not np.allclose(row["reward"], rewards, rtol=1e-4, atol=1e-4):
            raise Unfit("it does not repeat an episode from its seed and actions")
        yield _picture(environment)


def _rows(series: Series) -> Any:
    return np.asarray(series.values, np.float64).reshape(-1, *series.shape)


def _picture(adapter: Adapter) -> Image.Image:
    """Raises Unfit where an environment renders nothing, or something else."""
    try:
        array = np.asarray(adapter.environment.render())
    except NotImplementedError:
        raise Unfit("it has no render() that gives pictures") from None
    except Exception as error:
        raise Unfit(f"its render() fails: {in_one_line(error)}") from None
    if array.ndim != 3 or array.shape[-1] != 3 or 0 in array.shape or not np.issubdtype(array.dtype, np.number):
        raise Unfit(f"its render() gives no picture: {REMEDY}")
    image = Image.fromarray(array.clip(0, 255).astype(np.uint8))
    image.thumbnail((MOST_PIXELS, MOST_PIXELS), Image.Resampling.LANCZOS)
    return image


def main() -> None:
    answer = os.fdopen(os.dup(1), "wb")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # environments print
    warnings.simplefilter("ignore")
    reel = Reel.model_validate_json(sys.stdin.read())
    layout = Layout.parse(reel.found.layout)
    try:
        made = [encoded(list(frames(recording, reel.source, layout)), CREDIT) for recording in reel.recordings]
    except Exception as error:
        print(str(error) if isinstance(error, Unfit) else in_one_line(error), file=sys.stderr, flush=True)
        os._exit(1)
    answer.write(PICTURES.dump_json(made))
    answer.flush()
    os._exit(0)  # without the farewells of what the environment has loaded


if __name__ == "__main__":
    main()

"""Still images of figures, for places where no script runs: HTML made by nbconvert, previews, GitHub.

Kaleido draws them in a Chrome or Chromium of this machine, which is started once, asks nothing of a network,
and ends with the process. Without one there are no stills. In a live JupyterLab its Plotly extension makes
them.
"""

import asyncio
import atexit
import io
import logging
from collections.abc import Coroutine
from contextlib import suppress
from functools import cache
from threading import Thread
from typing import Any

import plotly.graph_objects as go
from PIL import Image

from tpsnet.viz.thumbnails import png

PATIENCE = 60  # s for a figure; the first one waits for the browser too
log = logging.getLogger("tpsnet")


def still(figure: go.Figure) -> bytes | None:
    """A figure as PNG of 64 colours, at its own size; ``None`` where no browser can draw it."""
    camera = _camera()
    if camera is None:
        return None
    size = {"width": figure.layout.width or 700, "height": figure.layout.height or 450}
    try:
        drawn = camera.wait(
            camera.kaleido.calc_fig(figure.to_dict(), opts={"format": "png", "scale": 1, **size})
        )
    except Exception as error:  # a browser that dies must not take a notebook with it
        log.warning("no still image of a figure (%s)", " ".join(f"{error!r}".split())[:200])
        return None
    return png(Image.open(io.BytesIO(drawn)).convert("RGB"), colours=64)


class _Camera:
    """Kaleido and its browser, in a thread of their own: a notebook's own event loop is busy."""

    def __init__(self) -> None:
        from kaleido import Kaleido  # here, since most figures of a script are never shown

        self.loop = asyncio.new_event_loop()
        Thread(target=self.loop.run_forever, daemon=True).start()

        async def begin() -> Kaleido:
            found = Kaleido(mathjax=False)
            await found.open()
            return found

        self.kaleido = self.wait(begin())
        atexit.register(self.close)

    def wait(self, work: Coroutine) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(PATIENCE)

    def close(self) -> None:
        with suppress(Exception):
            asyncio.run_coroutine_threadsafe(self.kaleido.close(), self.loop).result(5)


@cache
def _camera() -> _Camera | None:
    try:
        return _Camera()
    except Exception as error:  # no browser, or one that does not start
        log.info("figures have no still image: %s", " ".join(f"{error!r}".split())[:200])
        return None

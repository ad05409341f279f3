"""The figure that all others are made of: our look, nothing that sends data anywhere, a still image."""

import base64
import html
import json
import os
import re
from typing import Any

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from tpsnet.progress import PLAIN
from tpsnet.viz.stills import still
from tpsnet.viz.theme import TEMPLATE

MIME = "application/vnd.plotly.v1+json"
# Plotly would offer to upload the figure, images and all, to its cloud.
CONFIG = {"displaylogo": False, "modeBarButtonsToRemove": ["sendChartToCloud"], "plotlyServerURL": ""}


class Figure(go.Figure):
    """A Plotly figure that draws in a reopened, untrusted notebook, and shows as PNG where no script runs.

    JupyterLab shows the PNG of an executed notebook too, until the pointer enters it.
    """

    _ipython_display_ = _repr_html_ = None  # Plotly's own would pass by what follows

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.update_layout(template=TEMPLATE)

    def _repr_mimebundle_(self, *args: object, **kwargs: object) -> dict[str, Any]:
        title = html.unescape(re.sub(r"<[^>]*>", " ", self.layout.title.text or "Figure"))
        bundle = {MIME: json.loads(self.to_json()) | {"config": dict(CONFIG)}, "text/plain": title}
        # An executed notebook has never been in a browser, where Plotly would add the image itself.
        if PLAIN in os.environ and (image := still(self)) is not None:
            bundle["image/png"] = base64.b64encode(image).decode()
        return bundle


def subplots(rows: int, columns: int, **options: Any) -> Figure:
    """A figure of several panels; see Plotly's ``make_subplots`` for the options."""
    return make_subplots(rows, columns, figure=Figure(), **options)

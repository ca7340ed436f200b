"""Text that changes."""

from __future__ import annotations

import panel as pn

from dashboard.style import Theme


class Words:
    """HTML in a box, a new pane for each text: in a notebook, one that is updated asks the internet for its styles."""

    def __init__(self, theme: Theme):
        self._css, self._text = theme.css, ""
        self.box = pn.Column(sizing_mode="stretch_width", margin=0)

    @property
    def object(self) -> str:
        """What is shown."""
        return self._text

    @object.setter
    def object(self, text: str) -> None:
        if text != self._text:
            self._text = text
            pane = pn.pane.HTML(text, stylesheets=[self._css], sizing_mode="stretch_width", margin=(2, 8))
            self.box[:] = [pane] if text else []

"""One state: the plane of its principal components and its particles, each showing what is selected in the other."""

from __future__ import annotations

import html
import io
from typing import Any

import numpy as np
import pandas as pd
import panel as pn
import param
from bokeh.events import SelectionGeometry
from bokeh.models import (
    BoxSelectTool,
    CategoricalColorMapper,
    ColorBar,
    ColumnDataSource,
    HoverTool,
    LinearColorMapper,
    TapTool,
)
from bokeh.plotting import figure
from matplotlib import colormaps
from matplotlib.colors import to_hex

from dashboard.figures import plain_figure
from dashboard.particles import MOST_DISCS, MOST_SPHERES, SPECIES, Snapshot, values_of, variables
from dashboard.plane import density, extent, inside
from dashboard.store import SweepStore
from dashboard.style import Theme, nothing
from dashboard.words import Words
from glassdask import plotting
from glassdask.errors import GlassdaskError

FLAT, DEEP = "discs", "in 3-D"
HEIGHT = 430
VIRIDIS = tuple(to_hex(colormaps["viridis"](k / 255)) for k in range(256))
MAGMA = tuple(to_hex(colormaps["magma_r"](k / 255)) for k in range(256))
MAGMA_DARK = tuple(to_hex(colormaps["magma"](0.15 + 0.85 * k / 255)) for k in range(256))


class Explorer(param.Parameterized):
    """Plane and particles of the frame of a state; what is selected in one is highlighted in the other.

    `show` chooses the state. `box` (X1, X2, X1', X2') selects in the plane and stays when the frame changes; particles
    that are selected in their picture stay the same particles.
    """

    frame: Any = param.Integer(default=0, bounds=(0, 1))
    height: Any = param.Number(default=0.0, bounds=(0.0, 1.0), label="slice at z")
    colour: Any = param.Selector(objects=[SPECIES], default=SPECIES, label="coloured by")
    shape: Any = param.Selector(objects=[FLAT, DEEP], default=FLAT, label="particles")
    box: Any = param.Parameter(default=None)
    selected: Any = param.Parameter(default=())  # numbers of particles

    def __init__(self, store: SweepStore, theme: Theme, within: Any = None):
        super().__init__()
        self.store, self.theme, self.within = store, theme, within
        self.state: str | None = None
        self.descriptor: str | None = None
        self.version: int | None = None
        self.snapshot: Snapshot | None = None
        self._extent = np.full((2, 2), np.nan)
        self._points = ColumnDataSource({"x": [], "y": []})
        self._outline = ColumnDataSource({"left": [], "bottom": [], "right": [], "top": []})
        self._discs = ColumnDataSource()
        self._quiet = False
        style = {"flex": "1 1 340px", "min-width": "0"}
        self._plane = pn.Column(sizing_mode="stretch_width", styles=style)
        self._particles = pn.Column(sizing_mode="stretch_width", styles=style)
        self.told = Words(theme)
        widgets = pn.widgets
        self.sliders = pn.FlexBox(
            widgets.Select.from_param(self.param.colour, width=190),
            widgets.RadioButtonGroup.from_param(self.param.shape, width=150, margin=(23, 10, 5, 10)),
            widgets.IntSlider.from_param(self.param.frame, width=190),
            widgets.FloatSlider.from_param(self.param.height, width=190, step=0.1),
        )
        self.view = pn.Column(
            self.sliders,
            self.told.box,
            pn.FlexBox(self._plane, self._particles, sizing_mode="stretch_width"),
            sizing_mode="stretch_width",
        )
        self.param.watch(self._again, ["frame", "height", "shape", "colour"])
        self.param.watch(self._choose_box, ["box"])
        self.param.watch(self._highlight, ["selected"])

    # ---- which state

    def show(self, state: str | None, descriptor: str | None) -> bool:
        """Show a state with the principal components of a descriptor; whether anything has changed."""
        version = None
        if state is not None and descriptor is not None:
            version = self.store.version(state, descriptor)
        if (state, descriptor, version) == (self.state, self.descriptor, self.version):
            return False
        self.state, self.descriptor, self.version = state, descriptor, version
        with param.parameterized.discard_events(self):
            self.box, self.selected = None, ()
        self.sliders.visible = version is not None
        if version is not None:
            self._prepare()
        self._draw_plane()
        self._again()
        return True

    def _prepare(self) -> None:
        """Limits of the sliders and names of the variables."""
        trajectory = self.store.trajectory(self.state, self.descriptor)
        last = trajectory.sizes["frame"] - 1
        deep = float(trajectory["box"][0, -1, -1]) if trajectory.sizes["space"] == 3 else 0.0
        names = variables(self.store, self.state, self.descriptor)
        frame, height = min(self.frame, last), self.height if 0 < self.height < deep else 0.5 * deep
        self._quiet = True
        try:
            self.param.frame.bounds, self.param.height.bounds = (0, max(last, 1)), (0.0, deep or 1.0)
            self.param.colour.objects = names
            self.param.update(frame=frame, height=height, colour=self.colour if self.colour in names else names[0])
        finally:
            self._quiet = False
        self.sliders[1].visible = self.sliders[3].visible = trajectory.sizes["space"] == 3
        self.sliders[2].disabled = last == 0

    # ---- the plane

    def _draw_plane(self) -> None:
        drawn: Any = None
        try:
            drawn = self._figure_of_plane()
        except (GlassdaskError, OSError) as error:
            drawn = nothing(str(error))
        if isinstance(drawn, str):
            self._plane[:] = [self._words(drawn)]
        else:
            self._plane[:] = [pn.pane.Bokeh(drawn, sizing_mode="stretch_width")]

    def _figure_of_plane(self) -> figure | str:
        if self.version is None:
            return nothing(f"No principal components of {self.state} yet.")
        projection = self.store.projection(self.state, self.descriptor)
        if projection.sizes["component"] < 2:
            return nothing(f"{self.descriptor} of {self.state} has one component: no plane.")
        self._extent = extent(projection)
        if not np.isfinite(self._extent).all():
            return nothing(f"{self.state} has no particle with a defined {self.descriptor}.")
        n = projection.sizes["frame"] * projection.sizes["particle"]
        within = self.within(self) if self.within is not None else self._extent
        _, _, p = density(projection, within, bins=int(np.clip(2 * n ** (1 / 3), 32, 256)))
        dark = self.theme.name == "dark"
        drawn = plain_figure(
            self.theme,
            title=f"p(X₁, X₂) of {n:,} particles",
            x_axis_label="X₁",
            y_axis_label="X₂",
            height=HEIGHT,
            tools="pan,wheel_zoom,reset,save",
            x_range=tuple(within[:, 0]),
            y_range=tuple(within[:, 1]),
        )
        mapper = LinearColorMapper(palette=MAGMA_DARK if dark else MAGMA, low=0.0, high=float(p.max()) or 1.0)
        mapper.nan_color = "rgba(0,0,0,0)"
        (x0, y0), (x1, y1) = within
        image = np.where(p > 0, p, np.nan)
        drawn.image([image], x=x0, y=y0, dw=x1 - x0, dh=y1 - y0, color_mapper=mapper)
        drawn.add_layout(self._bar(mapper, "p"), "right")
        drawn.quad(
            "left",
            "right",
            "bottom",
            "top",
            source=self._outline,
            fill_alpha=0,
            line_color=self.theme.bad,
            line_width=2,
        )
        drawn.scatter("x", "y", source=self._points, size=7, fill_color=self.theme.bad, line_color=self.theme.card)
        tool = BoxSelectTool(persistent=False)
        drawn.add_tools(tool)
        drawn.toolbar.active_drag = tool
        drawn.on_event(SelectionGeometry, self._on_geometry)
        return drawn

    def _on_geometry(self, event: Any) -> None:
        found = event.geometry
        if event.final and found.get("type") == "rect":
            self.box = (found["x0"], found["y0"], found["x1"], found["y1"])

    def _choose_box(self, *_: Any) -> None:
        if self.snapshot is not None and self.box is not None:
            x1, x2 = self.snapshot.plane
            self.selected = tuple(np.flatnonzero(inside(x1, x2, self.box)).tolist())
        elif self.box is None:
            self.selected = ()

    # ---- the particles

    def _again(self, *_: Any) -> None:
        """Read the frame and draw its particles."""
        if self._quiet:
            return
        self.snapshot = None
        if self.version is None:
            self._particles[:] = []
            self._highlight()
            return
        try:
            self.snapshot = Snapshot.read(self.store, self.state, self.descriptor, self.frame, self.colour)
            if self.box is not None:
                x1, x2 = self.snapshot.plane
                with param.parameterized.discard_events(self):
                    self.selected = tuple(np.flatnonzero(inside(x1, x2, self.box)).tolist())
            drawn = self._spheres() if self._deep() else self._discs_of()
        except (GlassdaskError, OSError, KeyError) as error:
            self._particles[:] = [self._words(nothing(str(error)))]
            return
        self._particles[:] = [drawn]
        self._highlight()

    def _deep(self) -> bool:
        return bool(self.shape == DEEP and self.snapshot is not None and self.snapshot.position.shape[1] == 3)

    def _discs_of(self) -> pn.pane.Bokeh:
        """Discs of the particles' own sizes: all in two dimensions, a slice in three."""
        shot = self.snapshot
        assert shot is not None
        order, told = shot.slice(self.height, MOST_DISCS)
        data = shot.columns(order)
        self._discs = ColumnDataSource(data)
        drawn = plain_figure(
            self.theme,
            title=told,
            height=HEIGHT,
            match_aspect=True,
            tools="pan,wheel_zoom,reset,save",
            x_axis_label="x",
            y_axis_label="y",
        )
        drawn.x_range.range_padding = drawn.y_range.range_padding = 0.01
        if not shot.cropped:
            corners = np.array([[0, 0], [1, 0], [1, 1], [0, 1], [0, 0]]) @ shot.box[:2, :2]
            drawn.line(*corners.T, line_color=self.theme.ink, line_width=1)
        mapper: Any
        if shot.names:
            shades = plotting.SPECIES_COLOURS[: len(shot.names)] if len(shot.names) <= 6 else VIRIDIS[: len(shot.names)]
            mapper = CategoricalColorMapper(factors=shot.names, palette=shades, nan_color=self.theme.nothing)
        else:
            mapper = LinearColorMapper(
                palette=VIRIDIS, low=shot.range[0], high=shot.range[1], nan_color=self.theme.nothing
            )
            drawn.add_layout(self._bar(mapper, self.colour), "right")
        circles = drawn.circle(
            "x",
            "y",
            radius="radius",
            source=self._discs,
            fill_color={"field": "value", "transform": mapper},
            line_color=self.theme.soft,
            line_width=0.5,
            nonselection_fill_alpha=0.15,
            nonselection_line_alpha=0.2,
            selection_line_color=self.theme.bad,
            selection_line_width=2.5,
            **({"legend_field": "value"} if shot.names else {}),
        )
        if shot.names:
            drawn.legend.label_text_color, drawn.legend.border_line_color = self.theme.ink, None
            drawn.legend.background_fill_color, drawn.legend.background_fill_alpha = self.theme.card, 0.7
        tips = [("particle", "@particle"), ("species", "@species"), (self.colour, "@value"), ("X₁, X₂", "@X1, @X2")]
        drawn.add_tools(HoverTool(renderers=[circles], tooltips=tips), TapTool())
        tool = BoxSelectTool()
        drawn.add_tools(tool)
        drawn.toolbar.active_drag = tool
        self._discs.selected.on_change("indices", self._on_discs)
        return pn.pane.Bokeh(drawn, sizing_mode="stretch_width")

    def _on_discs(self, _: str, __: Any, indices: list[int]) -> None:
        if self._quiet:
            return
        numbers = self._discs.data["particle"]
        with param.parameterized.discard_events(self):
            self.box = None
        self.selected = tuple(int(numbers[k]) for k in indices)

    def _spheres(self) -> pn.pane.Plotly:
        """Spheres to be turned with the mouse, those that are selected in red; a click selects one."""
        shot = self.snapshot
        assert shot is not None
        drawn, order = shot.spheres(MOST_SPHERES, np.array(self.selected, int), self.theme.bad)
        drawn.update_layout(
            paper_bgcolor="rgba(0,0,0,0)",
            font_color=self.theme.ink,
            height=HEIGHT,
            autosize=True,
            scene={
                f"{axis}axis": {
                    "backgroundcolor": self.theme.card,
                    "gridcolor": self.theme.line,
                    "color": self.theme.soft,
                }
                for axis in "xyz"
            },
        )
        pane = pn.pane.Plotly(drawn, height=HEIGHT, sizing_mode="stretch_width", config={"displaylogo": False})

        def clicked(event: Any) -> None:
            for point in (event.new or {}).get("points", []):
                numbers = order.get(point.get("curveNumber"))
                if numbers is not None:
                    with param.parameterized.discard_events(self):
                        self.box = None
                    self.selected = (int(numbers[point["pointNumber"]]),)

        pane.param.watch(clicked, "click_data")
        return pane

    # ---- what is selected

    def _highlight(self, *_: Any) -> None:
        """Show the selected particles in both pictures, and say how many they are."""
        shot = self.snapshot
        left, bottom, right, top = ([v] for v in self.box) if self.box is not None else ([], [], [], [])
        self._outline.data = {"left": left, "bottom": bottom, "right": right, "top": top}
        if shot is None:
            self._points.data = {"x": [], "y": []}
            self.told.object = ""
            return
        chosen = np.array(self.selected, int)
        chosen = chosen[chosen < len(shot.plane[0])]
        x1, x2 = shot.plane
        few = chosen[:: -(-len(chosen) // 2000)] if len(chosen) else chosen
        self._points.data = {"x": x1[few], "y": x2[few]}
        if self._deep():
            if len(self._particles) and isinstance(self._particles[0], pn.pane.Plotly):
                trace, _ = shot.spheres(MOST_SPHERES, chosen, self.theme.bad)
                self._particles[0].object.data[-1].update(x=trace.data[-1].x, y=trace.data[-1].y, z=trace.data[-1].z)
                self._particles[0].param.trigger("object")
        elif "particle" in self._discs.data:
            self._quiet = True
            try:
                here = np.flatnonzero(np.isin(self._discs.data["particle"], chosen))
                self._discs.selected.indices = here.tolist()
            finally:
                self._quiet = False
        described = int(np.isfinite(x1).sum())
        text = f"{len(chosen)} of {described} described particles selected"
        hint = "" if len(chosen) else ": draw a box in the plane or among the particles, or click one"
        self.told.object = f"<p class=soft>{html.escape(text + hint)}</p>"

    # ---- files

    def table(self) -> io.StringIO:
        """The particles of the frame as CSV."""
        if self.snapshot is None:
            return io.StringIO("")
        found = pd.DataFrame(self.snapshot.columns(np.arange(len(self.snapshot.plane[0])), all_axes=True))
        found["selected"] = found["particle"].isin(self.selected)
        return io.StringIO(found.to_csv(index=False))

    def picture(self, kind: str) -> io.BytesIO:
        """Plane and particles as a figure for paper."""
        stream = io.BytesIO()
        if self.version is None:
            return stream
        drawn, axes = plotting.figure(1, 2, size=(4.2, 3.4))
        projection = self.store.projection(self.state, self.descriptor)
        x, y, p = density(projection, self._extent, bins=96)
        mesh = axes[0, 0].pcolormesh(
            x, y, np.where(p > 0, p, np.nan), cmap="magma_r", shading="nearest", rasterized=True
        )
        drawn.colorbar(mesh, ax=axes[0, 0], label="$p$")
        axes[0, 0].set(xlabel="$X_1$", ylabel="$X_2$", title=f"{self.state}, {self.descriptor}")
        trajectory = self.store.trajectory(self.state, self.descriptor)
        plotting.snapshot(
            axes[0, 1], trajectory, values_of(self.store, self.state, self.descriptor, self.colour), frame=self.frame
        )
        drawn.savefig(stream, format=kind, dpi=200)
        stream.seek(0)
        return stream

    def _words(self, text: str) -> pn.pane.HTML:
        return pn.pane.HTML(text, stylesheets=[self.theme.css], sizing_mode="stretch_width", min_height=120)

    def _bar(self, mapper: LinearColorMapper, title: str) -> ColorBar:
        return ColorBar(
            color_mapper=mapper,
            title=title,
            width=10,
            background_fill_color=None,
            title_text_color=self.theme.ink,
            major_label_text_color=self.theme.ink,
            major_tick_line_color=self.theme.ink,
            title_text_font_style="normal",
        )

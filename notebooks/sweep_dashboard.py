"""Watch a sweep and look at what it has found: in Jupyter, or as a page of its own.

    panel serve notebooks/sweep_dashboard.py --address 127.0.0.1 --args sweep.zarr [tcp://SCHEDULER:8786]

The store is only read. While the sweep runs, its progress is read again every few seconds.
"""

from __future__ import annotations

import asyncio
import html
import sys
import time
from itertools import cycle
from typing import Any

import holoviews as hv
import numpy as np
import pandas as pd
import panel as pn
import param
import psutil
import sweep_style as style
from bokeh.core.validation import silence
from bokeh.core.validation.warnings import FIXED_SIZING_MODE
from sweep_data import SweepStore, cells, density, extent, failures, inside, particles
from sweep_workers import workers

from glassdask.errors import GlassdaskError
from glassdask.plotting import LIGHT_BLUE, RED

pn.extension()
hv.extension("bokeh")
silence(FIXED_SIZING_MODE, True)  # panes that take the size of what is in them, as they should

THICKNESS = 2.0  # of the slice: about two shells of neighbours
KINDS = {"not described": "#e8e8e8", "outside the box": LIGHT_BLUE, "in the box": RED}


class Dashboard(pn.viewable.Viewer):
    """A sweep in a page: progress, relaxation times, explained variance, densities, and particles.

    Parameters
    ----------
    store : of the sweep
    scheduler : address of a running dask scheduler whose workers are to be shown
    refresh : seconds between two readings of the store
    """

    model: Any = param.Selector(objects=[])
    temperature: Any = param.Selector(objects=[])
    state: Any = param.Selector(objects=[])
    descriptor: Any = param.Selector(objects=[])
    frame: Any = param.Integer(default=0, bounds=(0, 1))
    height: Any = param.Number(default=0.0, bounds=(0.0, 1.0), label="z")
    # the selection (X1, X2, X1', X2') in the plane of principal components
    box: Any = param.Parameter(default=None)
    # what was read: status of all states, their numbers, and which components there are of the chosen state
    table: Any = param.Parameter(default=None)
    numbers: Any = param.Parameter(default=None)
    shown: Any = param.Parameter(default=None)

    def __init__(self, store: str, scheduler: str | None = None, refresh: float = 5.0):
        super().__init__()
        self.store, self.scheduler, self.seconds = SweepStore(store), scheduler, refresh
        self._extents: dict[Any, np.ndarray] = {}
        self._head, self._failures, self._workers = (
            pn.pane.HTML(width=style.WIDTH, stylesheets=[style.CSS]) for _ in range(3)
        )
        self._grids = pn.Column(width=style.LEFT, height=style.CURVE["height"], scroll="y-auto")
        self._curves, self._body = pn.Row(), pn.Column()
        self._page = pn.Column(
            self._head, pn.Row(self._grids, self._curves), self._failures, self._body, self._workers, width=style.WIDTH
        )
        self._show(self._read())

    def __panel__(self) -> Any:
        pn.state.onload(self._watch)
        return self._page

    def _watch(self) -> None:
        pn.state.add_periodic_callback(self.refresh, period=int(1000 * self.seconds))  # type: ignore[arg-type]

    async def refresh(self) -> None:
        """Read the store again, without holding up the page, and show what has changed."""
        self._show(await asyncio.to_thread(self._read))

    def _read(self) -> dict[str, Any]:
        found: dict[str, Any] = {"workers": workers(self.scheduler) if self.scheduler else ""}
        try:
            table = self.store.status()
            return {**found, "table": table, "numbers": self.store.numbers(table, self.seconds)}
        except (GlassdaskError, OSError) as error:
            return {**found, "problem": str(error)}

    def _show(self, read: dict[str, Any]) -> None:
        self._workers.object = read["workers"]
        if "problem" in read:
            again = f"This page looks again every {self.seconds:g} s."
            self._head.object = style.heading(self.store.path, style.problem(f"{read['problem']}. {again}"))
            return
        table, numbers = read["table"], read["numbers"]
        self._head.object = style.heading(self.store.path, style.stage_bars(table), time.strftime("%H:%M:%S"))
        self._failures.object = style.table_of(failures(table))
        if self.table is None or not table.equals(self.table):
            self.table = table
            self._choose()
        if self.numbers is None or not numbers.equals(self.numbers):
            self.numbers = numbers
        self._look()

    # ---- what can be chosen, from the outside to the inside

    def _choose(self) -> None:
        models = list(dict.fromkeys(self.table["model"]))
        descriptors = self.store.descriptors(self.table)
        _offer(self, "descriptor", descriptors)
        if models != list(self.param.model.objects):
            _offer(self, "model", models)
            self._grids[:] = [self._grid(model) for model in models]
            self._curves[:] = [self.relaxation, self.variance]
            self._body[:] = self._explorer()
        self._temperatures()

    @param.depends("model", watch=True)
    def _temperatures(self) -> None:
        _offer(self, "temperature", sorted(self.table.loc[self.table["model"] == self.model, "temperature"].unique()))
        self._states()

    @param.depends("temperature", watch=True)
    def _states(self) -> None:
        rows = (self.table["model"] == self.model) & (self.table["temperature"] == self.temperature)
        _offer(self, "state", list(self.table.index[rows]))

    @param.depends("state", "descriptor", watch=True)
    def _look(self) -> None:
        """Find out whether the chosen state has components, and in which version."""
        version = None
        if self.state in self.table.index and self.descriptor and self.table.loc[self.state, "reduce"] == "complete":
            try:
                version = self.store.version(self.state, self.descriptor)
            except (KeyError, OSError):
                version = None
        shown = (self.state, self.descriptor, version)
        if shown == self.shown:
            return
        if version is not None:
            trajectory = self.store.trajectory(self.state, self.descriptor)
            last = trajectory.sizes["frame"] - 1
            deep = float(trajectory["box"][0, -1, -1]) if trajectory.sizes["space"] == 3 else 0.0
            self.frame = min(self.frame, last)
            self.param.frame.bounds, self.param.height.bounds = (0, max(last, 1)), (0.0, deep or 1.0)
            self.height = 0.5 * deep
        self.shown = shown

    def _what(self) -> tuple[Any, Any, Any]:
        return self.shown or (None, None, None)

    # ---- views

    def _explorer(self) -> list[Any]:
        chosen = [self.param[name] for name in ("model", "temperature", "state", "descriptor")]
        selects = [pn.widgets.Select.from_param(p, width=style.CHOOSER) for p in chosen]
        frame = pn.widgets.IntSlider.from_param(self.param.frame, width=style.CHOOSER - 20)
        height = pn.widgets.FloatSlider.from_param(self.param.height, width=style.CHOOSER - 20, step=0.1)
        plane = pn.panel(self.plane, loading_indicator=True)
        return [pn.Row(*selects), pn.Row(plane, pn.Column(self.slice, pn.Row(frame, height)))]

    def _grid(self, model: str) -> Any:
        """Temperatures and stages of a model, as a map in which a click chooses the temperature."""

        def draw(table: pd.DataFrame) -> Any:
            found = cells(table, model)
            heat = hv.HeatMap(found, ["temperature", "stage"], ["value", "text", "status", "error"]).opts(**style.GRID)
            labels = hv.Labels(found, ["temperature", "stage"], "text").opts(text_font_size="7pt", text_color="black")
            n = found["temperature"].nunique()
            width = 80 + int(n * np.clip((style.LEFT - 130) / n, 22, 46))
            rows = found["stage"].nunique()
            return (heat * labels).opts(
                width=width, height=46 + 20 * rows + (20 if n > 10 else 0), xrotation=60 if n > 10 else 0,
                title=model, invert_yaxis=True,
            )  # fmt: skip

        drawn = hv.DynamicMap(draw, streams=[hv.streams.Params(self, ["table"])])
        hv.streams.Tap(source=drawn).add_subscriber(lambda x, y: self._go(model, x))
        return _own_axes(drawn)

    def _go(self, model: str, temperature: Any) -> None:
        self.model = model
        wanted = [t for t in self.param.temperature.objects if f"{t:g}" == str(temperature)]
        self.temperature = wanted[0] if wanted else self.temperature

    @param.depends("numbers", "model", "temperature")
    def relaxation(self) -> Any:
        """tau_alpha of all states against 1/T."""
        if self.numbers is None or "tau" not in self.numbers or not self.numbers["tau"].notna().any():
            return _nothing("No relaxation time yet: F_s(k*, t) of no state has fallen to 1/e.", style.CURVE)
        numbers = self.numbers.assign(x=1 / self.numbers["temperature"])
        return self._curve(
            numbers, {"tau": "solid"}, 1 / self.temperature,
            logy=True, xlabel="1/T", ylabel="τ_α", title="relaxation time", legend_position="top_left",
        )  # fmt: skip

    @param.depends("numbers", "model", "temperature", "descriptor")
    def variance(self) -> Any:
        """Explained variance ratios of the first two components of all states against T."""
        names = {f"{self.descriptor} EVR1": "solid", f"{self.descriptor} EVR2": "dashed"}
        if self.numbers is None or not set(names) <= set(self.numbers):
            return _nothing("No principal components yet.", style.CURVE)
        numbers = self.numbers.assign(x=self.numbers["temperature"])
        return self._curve(
            numbers, names, self.temperature, xlabel="T", ylabel="EVR", ylim=(0, None), show_legend=False,
            title=f"explained variance of {self.descriptor} (PC2 dashed)",
        )  # fmt: skip

    def _curve(self, numbers: pd.DataFrame, names: dict[str, str], chosen: float, **options: Any) -> Any:
        """A line for each model through the means of the states at one x, and every state as a point."""
        drawn = []
        for color, (model, states) in zip(cycle(style.COLORS), numbers.groupby("model", sort=False)):
            for name, dash in names.items():
                found = states[["x", name]].dropna().sort_values("x")
                mean = found.groupby("x", as_index=False).mean()
                drawn.append(hv.Curve(mean, "x", name, label=model).opts(color=color, line_dash=dash))
                drawn.append(hv.Scatter(found, "x", name).opts(color=color, size=6, tools=["hover"]))
        here = hv.VLine(chosen).opts(color="#999999", line_dash="dotted", line_width=1)
        return _own_axes(hv.Overlay([*drawn, here]).opts(**style.CURVE, **options))

    @param.depends("shown")
    def plane(self) -> Any:
        """p(X1, X2) of all particles of a state."""
        state, descriptor, version = self._what()
        if version is None:
            return _nothing(f"No principal components of {state} yet.", style.PLOT)
        projection = self.store.projection(state, descriptor)
        n = projection.sizes["frame"] * projection.sizes["particle"]
        try:
            if self.shown not in self._extents:
                self._extents[self.shown] = extent(projection)
            within = self._extents[self.shown]
            if not np.isfinite(within).all():
                return _nothing(f"{state} has no particle with a defined {descriptor}.", style.PLOT)
            x, y, p = density(projection, within, bins=int(np.clip(2 * n ** (1 / 3), 32, 256)))
        except (GlassdaskError, OSError) as error:
            return _nothing(str(error), style.PLOT)
        image = hv.Image((x, y, np.where(p > 0, p, np.nan)), ["X1", "X2"], "p").opts(
            **style.PLOT, cmap="magma_r", colorbar=True, tools=["box_select"], active_tools=["box_select"],
            title="p(X₁, X₂): draw a box to see its particles", xlabel="X₁", ylabel="X₂",
        )  # fmt: skip
        hv.streams.BoundsXY(source=image).add_subscriber(lambda bounds: self.param.update(box=bounds))
        return _own_axes(image * hv.DynamicMap(_outline, streams=[hv.streams.Params(self, ["box"])]))

    @param.depends("shown")
    def slice(self) -> Any:
        """Particles of one configuration, those in the selected box in red."""
        state, descriptor, version = self._what()
        if version is None:
            return _nothing("", style.PLOT)
        projection = self.store.projection(state, descriptor)
        trajectory = self.store.trajectory(state, descriptor)
        (x, y, *_) = trajectory["box"][0].values.diagonal()

        def draw(frame: int, height: float, box: Any) -> Any:
            found = particles(trajectory, projection, min(frame, trajectory.sizes["frame"] - 1), height, THICKNESS)
            chosen, described = inside(found, box), found["X1"].notna()
            found["kind"] = np.select([chosen, described], ["in the box", "outside the box"], "not described")
            return hv.Points(found, ["x", "y"], ["kind", "species", "X1", "X2"]).opts(
                frame_height=style.PLOT["height"] - 80, data_aspect=1, xlim=(0, x), ylim=(0, y), fontsize=style.FONTS,
                color="kind", cmap=KINDS, size=9, line_color="#777777", line_width=0.5, legend_position="right",
                tools=["hover"], toolbar="above", active_tools=[],
                title=f"slice |Δz| < {THICKNESS / 2:g}: {chosen.sum()} of {described.sum()} particles in the box",
            )  # fmt: skip

        return _own_axes(hv.DynamicMap(draw, streams=[hv.streams.Params(self, ["frame", "height", "box"])]))


def _own_axes(drawn: Any) -> Any:
    """A pane whose axes are not linked with those of plots that happen to have a dimension of the same name."""
    return pn.pane.HoloViews(drawn, linked_axes=False)


def _outline(box: Any) -> Any:
    return hv.Rectangles([box] if box else []).opts(fill_alpha=0, line_color=RED, line_width=2)


def _nothing(text: str, like: dict[str, Any]) -> Any:
    """Words where there is no plot yet, of the same size."""
    said = f"<p class=nothing>{html.escape(text)}</p>"
    return pn.pane.HTML(said, stylesheets=[style.CSS], width=like["width"], height=like["height"])


def _offer(chooser: param.Parameterized, name: str, objects: list[Any]) -> None:
    """New objects of a selector; what was chosen stays where it can."""
    if list(chooser.param[name].objects) != objects:
        chooser.param[name].objects = objects
    if getattr(chooser, name) not in objects:
        setattr(chooser, name, objects[0] if objects else None)


def _listens_everywhere() -> bool:
    """Whether a server in this process accepts connections from any network."""
    listening = (c.laddr.ip for c in psutil.Process().net_connections("inet") if c.status == psutil.CONN_LISTEN)
    return any(ip in ("0.0.0.0", "::") for ip in listening)


def _page(arguments: list[str]) -> Any:
    """What `panel serve` shows."""
    if not 1 <= len(arguments) <= 2:
        return pn.pane.HTML(
            style.problem(f"expected --args STORE [SCHEDULER], found {arguments}"), stylesheets=[style.CSS]
        )
    if _listens_everywhere():
        text = "this server listens on all network interfaces: start it with --address 127.0.0.1, or name another one"
        return pn.pane.HTML(style.problem(text), stylesheets=[style.CSS])
    return Dashboard(arguments[0], arguments[1] if len(arguments) > 1 else None)


if __name__.startswith("bokeh_app"):
    _page(sys.argv[1:]).servable(title="glassdask sweep")

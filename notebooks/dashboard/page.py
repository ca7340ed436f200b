"""The dashboard: what is on its tabs, what can be chosen, and how it follows the store."""

from __future__ import annotations

import asyncio
import io
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import panel as pn
import param

from dashboard import charts, progress, style
from dashboard.explorer import Explorer
from dashboard.figures import in_file, on_screen
from dashboard.grid import grid
from dashboard.store import SweepStore
from dashboard.words import Words
from dashboard.workers import logs, workers
from glassdask.errors import GlassdaskError

TABS = ("overview", "structure", "dynamics", "temperature", "particles", "compare", "log")
TURN = """const u = new URL(window.location);
u.searchParams.set('theme', u.searchParams.get('theme') === 'dark' ? 'default' : 'dark'); window.location = u;"""
DARK_PAGE = "<style>body {{ background: {}; }}</style>"


class Dashboard(pn.viewable.Viewer):
    """A sweep in a page: its progress, its curves at all temperatures, its particles, two states compared, its log.

    Parameters
    ----------
    store : of the sweep
    scheduler : address of a running dask scheduler whose workers are to be shown
    refresh : seconds between two readings of the store
    theme : "light" or "dark"; by default that of the page around it
    """

    model: Any = param.Selector(objects=[])
    temperature: Any = param.Selector(objects=[])
    state: Any = param.Selector(objects=[])
    descriptor: Any = param.Selector(objects=[])
    other: Any = param.Selector(objects=[], label="compared with")
    tab: Any = param.Selector(objects=list(TABS), default=TABS[0])
    only: Any = param.String(default="", label="show only lines with")
    # what was read: status of all states, and their numbers
    table: Any = param.Parameter(default=None)
    numbers: Any = param.Parameter(default=None)

    def __init__(self, store: str, scheduler: str | None = None, refresh: float = 5.0, theme: str | None = None):
        super().__init__()
        dark = (theme or pn.config.theme) == "dark"
        self.theme = style.DARK if dark else style.LIGHT
        self.store, self.scheduler, self.seconds = SweepStore(store), scheduler, refresh
        self.explorer = Explorer(self.store, self.theme)
        self._pair = tuple(Explorer(self.store, self.theme, within=self._common) for _ in range(2))
        self._drawn: dict[str, Any] = {}  # of each tab, what it shows: is drawn again only when that changes
        self._charts: dict[str, list[charts.Chart]] = {}
        self._events = pd.DataFrame()
        self._head, self._problem, self._stages, self._failures, self._workers, self._log, self._facts = (
            Words(self.theme) for _ in range(7)
        )
        self._grids = pn.FlexBox(sizing_mode="stretch_width")
        self._plots = {name: pn.FlexBox(sizing_mode="stretch_width") for name in TABS[1:4]}
        self._body = pn.Column(sizing_mode="stretch_width")
        self._page = pn.Column(
            self._top(),
            self._problem.box,
            self._body,
            sizing_mode="stretch_width",
            margin=0,
            styles={
                "background": self.theme.page,
                "color": self.theme.ink,
                "padding": "10px 14px",
                "min-height": "100vh",
            },
        )
        self.param.watch(self._on_tab, ["tab"])
        self.param.watch(self._on_state, ["state", "descriptor"])
        self.param.watch(self._on_other, ["other"])
        self.param.watch(self._show_log, ["only"])
        self._show(self._read())

    def __panel__(self) -> Any:
        pn.state.onload(self._watch)
        return self._page

    def _watch(self) -> None:
        pn.state.add_periodic_callback(self.refresh, period=int(1000 * self.seconds))

    # ---- reading

    async def refresh(self) -> None:
        """Read the store again, without holding up the page, and show what has changed."""
        self._show(await asyncio.to_thread(self._read))

    def _read(self) -> dict[str, Any]:
        found: dict[str, Any] = {"workers": workers(self.scheduler) if self.scheduler else ""}
        try:
            table = self.store.status()
            records = self.store.records()
            return {**found, "table": table, "numbers": self.store.numbers(table, self.seconds), "records": records}
        except (GlassdaskError, OSError) as error:
            return {**found, "problem": str(error)}

    def _show(self, read: dict[str, Any]) -> None:
        self._workers.object = read["workers"]
        if "problem" in read:
            again = f"This page looks again every {self.seconds:g} s."
            self._head.object = style.heading(self.store.title, "", "")
            if self.store.begun:
                self._problem.object = style.problem(f"{read['problem']}. {again}")
            else:
                self._problem.object = style.note(f"Nothing has been run here yet. {again}")
            return
        self._problem.object = ""
        table, numbers, records = read["table"], read["numbers"], read["records"]
        paces = progress.pace(table, records)
        self._events = progress.events(records)
        self._head.object = style.heading(self.store.title, *_standing(table, paces), _more(table, paces))
        self._stages.object = style.stage_cards(paces, table.attrs["runs"])
        traces = {(e.state, e.stage): e.traceback for e in self._events.itertuples() if e.traceback}
        self._failures.object = style.failures_of(progress.failures(table), traces)
        self._show_log()
        if self.table is None or not table.equals(self.table):
            self.table = table
            self._choose()
        if self.numbers is None or not numbers.equals(self.numbers):
            self.numbers = numbers
        self._draw()

    # ---- what can be chosen, from the outside to the inside

    def _choose(self) -> None:
        models = list(dict.fromkeys(self.table["model"]))
        _offer(self, "descriptor", self.store.descriptors(self.table))
        labels = list(self.table.index)
        if labels != list(self.param.other.objects):
            _offer(self, "other", labels)
            same = [label for label in labels if self.table.loc[label, "model"] == models[0]]
            self.other = same[-1] if len(same) > 1 else labels[-1]
        if models != list(self.param.model.objects):
            _offer(self, "model", models)
        self._temperatures()
        if not len(self._body):
            self._body[:] = self._layout()
        self._grids[:] = [self._pane(grid(self.table, model, self.theme, self.go)) for model in models]

    @param.depends("model", watch=True)
    def _temperatures(self) -> None:
        if self.table is not None:
            rows = self.table["model"] == self.model
            _offer(self, "temperature", sorted(self.table.loc[rows, "temperature"].unique()))
            self._states()
            self._draw()

    @param.depends("temperature", watch=True)
    def _states(self) -> None:
        rows = (self.table["model"] == self.model) & (self.table["temperature"] == self.temperature)
        _offer(self, "state", list(self.table.index[rows]))

    def go(self, model: str, temperature: float) -> None:
        """Choose a temperature of a model and show its particles."""
        self.model = model
        wanted = [t for t in self.param.temperature.objects if t == temperature]
        self.temperature = wanted[0] if wanted else self.temperature
        self.tab = "particles"

    def _on_state(self, *_: Any) -> None:
        self._draw()

    def _on_other(self, *_: Any) -> None:
        self._draw()

    def _on_tab(self, *_: Any) -> None:
        if len(self._body):
            self._tabs.active = TABS.index(self.tab)
        self._draw()

    # ---- drawing: only the tab that is seen

    def _draw(self) -> None:
        if self.table is None:
            return
        if self.tab == "particles":
            self.explorer.show(self.state, self.descriptor)
        elif self.tab == "compare":
            self._compare()
        elif self.tab in self._plots:
            self._draw_charts(self.tab)

    def _draw_charts(self, name: str) -> None:
        done = self.table[[stage for stage in ("correlate", "dynamics") if stage in self.table]]
        seen = (self.model, self.descriptor, done, self.numbers if name == "temperature" else None)
        before = self._drawn.get(name)
        if before is not None and all(_same(a, b) for a, b in zip(before, seen)):
            return
        self._drawn[name] = seen
        if name == "structure":
            found = charts.structure(self.store, self.table, self.model)
        elif name == "dynamics":
            found = charts.dynamics(self.store, self.table, self.model)
        else:
            found = charts.against_temperature(self.numbers, self.descriptor)
        self._charts[name] = found
        self._plots[name][:] = [self._chart(chart) for chart in found]

    def _chart(self, chart: charts.Chart) -> Any:
        if chart.lines:
            return self._pane(on_screen(chart, self.theme))
        text = style.nothing(f"{chart.title}: {chart.nothing[:1].lower()}{chart.nothing[1:]}")
        return self._html(text, styles={"flex": "1 1 300px", "background": self.theme.card, "border-radius": "8px"})

    def _compare(self) -> None:
        seen = (self.state, self.other, self.descriptor, *(self._version(s) for s in (self.state, self.other)))
        if self._drawn.get("compare") != seen:
            self._drawn["compare"] = seen
            for explorer, state in zip(self._pair, (self.state, self.other)):
                explorer.version = None if explorer.state is None else -1  # the extents of both have to be the same
                explorer.show(state, self.descriptor)
        if self.numbers is not None and self.state in self.numbers.index and self.other in self.numbers.index:
            told = [charts.facts(self.store, self.numbers, str(state)) for state in (self.state, self.other)]
            self._facts.object = style.facts_of(*told, (str(self.state), str(self.other)))

    def _version(self, state: Any) -> int | None:
        return None if state is None or self.descriptor is None else self.store.version(state, self.descriptor)

    def _common(self, _: Explorer) -> np.ndarray:
        """The extent of both planes that are compared."""
        from dashboard.plane import extent

        found = []
        for state in (self.state, self.other):
            if self._version(state) is not None:
                found.append(extent(self.store.projection(state, self.descriptor)))
        low = np.nanmin([f[0] for f in found], axis=0)
        return np.stack([low, np.nanmax([f[1] for f in found], axis=0)])

    def _show_log(self, *_: Any) -> None:
        found = self._events
        if self.only and len(found):
            text = found[["state", "stage", "status", "host", "error"]].astype(str).agg(" ".join, axis=1)
            found = found[text.str.contains(self.only, case=False, regex=False)]
        self._log.object = style.log_of(found)

    # ---- the page

    def _top(self) -> Any:
        turn = pn.widgets.Button(label="☀" if self.theme is style.DARK else "☾", width=36, margin=(4, 0))
        turn.description = "light or dark"
        turn.js_on_click(code=TURN)
        turn.visible = pn.state.curdoc is not None and pn.state.curdoc.session_context is not None
        return pn.Row(self._head.box, turn, sizing_mode="stretch_width", margin=0)

    def _layout(self) -> list[Any]:
        selects = [
            pn.widgets.Select.from_param(self.param[name], width=width, margin=(2, 8))
            for name, width in (("model", 150), ("temperature", 110), ("state", 300), ("descriptor", 160))
        ]
        other = pn.widgets.Select.from_param(self.param.other, width=300)
        only = pn.widgets.TextInput.from_param(self.param.only, width=260, placeholder="failed, T=0.4500, describe ...")
        card = {"background": self.theme.card, "border-radius": "8px", "padding": "6px"}
        wide = {"sizing_mode": "stretch_width"}
        log = [only, self._log.box]
        if self.scheduler:
            asked = Words(self.theme)
            button = pn.widgets.Button(label="ask the workers for their logs", width=230)
            button.on_click(lambda _: setattr(asked, "object", logs(str(self.scheduler))))
            log += [button, asked.box]
        names = ("Overview", "Structure", "Dynamics", "Against T", "Particles", "Compare", "Log")
        halves = [pn.Column(e.view, styles={"flex": "1 1 420px", "min-width": "0"}) for e in self._pair]
        contents = [
            pn.Column(
                self._stages.box, self._grids, self._headed("Failures", self._failures.box), self._workers.box, **wide
            ),
            *(pn.Column(self._files(name), box, **wide) for name, box in self._plots.items()),
            pn.Column(self._files_of_state(), self.explorer.view, **wide),
            pn.Column(other, self._facts.box, pn.FlexBox(*halves, **wide), **wide),
            pn.Column(*log, **wide),
        ]
        self._tabs = pn.Tabs(
            *zip(names, contents),
            dynamic=True,
            active=TABS.index(self.tab),
            styles=card,
            stylesheets=[self.theme.css, style.TABS],
            **wide,
        )
        self._tabs.param.watch(lambda event: setattr(self, "tab", TABS[event.new]), "active")
        return [pn.FlexBox(*selects, sizing_mode="stretch_width"), self._tabs]

    def _headed(self, title: str, pane: Any) -> Any:
        return pn.Column(self._html(f"<h3>{title}</h3>"), pane, sizing_mode="stretch_width")

    def _files(self, name: str) -> Any:
        """Buttons that give the numbers and the figures of a tab."""

        def table() -> io.StringIO:
            return io.StringIO(charts.csv(self._charts.get(name, [])))

        makers = {"csv": table, **{k: _picture(self._charts, name, k) for k in ("png", "svg")}}
        return self._downloads(makers, lambda: f"{self.store.title}_{self.model}_{name}")

    def _files_of_state(self) -> Any:
        makers: dict[str, Callable[[], Any]] = {
            "csv": self.explorer.table,
            "png": lambda: self.explorer.picture("png"),
            "svg": lambda: self.explorer.picture("svg"),
        }
        return self._downloads(makers, lambda: f"{str(self.state).replace('/', '_')}_{self.descriptor}")

    def _downloads(self, makers: dict[str, Callable[[], Any]], name: Callable[[], str]) -> Any:
        buttons = []
        for kind, make in makers.items():
            button = pn.widgets.FileDownload(
                label=kind.upper(),
                filename=f"sweep.{kind}",
                width=70,
                margin=(4, 4),
            )

            def give(button: Any = button, kind: str = kind, make: Callable[[], Any] = make) -> Any:
                button.filename = f"{name()}.{kind}"
                return make()

            button.callback = give
            buttons.append(button)
        return pn.Row(*buttons, align="end", margin=(0, 4))

    def view(self) -> dict[str, Any]:
        """What is seen now; ``dashboard.param.update(**view)`` shows it again, and so does the address of the page."""
        return {name: getattr(self, name) for name in VIEW}

    def _html(self, text: str = "", **options: Any) -> Any:
        return pn.pane.HTML(text, stylesheets=[self.theme.css], sizing_mode="stretch_width", **options)

    def _pane(self, drawn: Any) -> Any:
        """A plot that shares a row with others where the page is wide enough."""
        styles = {"flex": "1 1 330px", "min-width": "0", "max-width": f"{drawn.max_width or 640}px"}
        return pn.Column(pn.pane.Bokeh(drawn, sizing_mode="stretch_width"), styles=styles, sizing_mode="stretch_width")


VIEW = ("model", "temperature", "state", "descriptor", "other", "tab")


def _picture(found: dict[str, list[charts.Chart]], name: str, kind: str) -> Callable[[], io.BytesIO]:
    return lambda: in_file(found.get(name, []), kind, style.LIGHT)  # on paper, whatever the page looks like


def _standing(table: pd.DataFrame, paces: pd.DataFrame) -> tuple[str, str]:
    """How a sweep stands in a word or two, and which colour that has."""
    failed = int(paces["failed"].sum())
    told = f", {failed} failed" if failed else ""
    if table.attrs["runs"]:
        return f"running{told}", "failed" if failed else "running"
    if (table[table.attrs["stages"]] == progress.COMPLETE).all(axis=None):
        return "done", "done"
    return (f"{failed} failed", "failed") if failed else ("not running", "")


def _more(table: pd.DataFrame, paces: pd.DataFrame) -> str:
    left = progress.time_left(paces)
    soon = f" · about {progress.duration(left)} left" if left > 0 else ""
    return f"{len(table)} states{soon} · read {time.strftime('%H:%M:%S')}"


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, pd.DataFrame):
        return isinstance(other, pd.DataFrame) and one.equals(other)
    return bool(one is other or one == other)


def _offer(chooser: param.Parameterized, name: str, objects: list[Any]) -> None:
    """New objects of a selector; what was chosen stays where it can."""
    if list(chooser.param[name].objects) != objects:
        chooser.param[name].objects = objects
    if getattr(chooser, name) not in objects:
        setattr(chooser, name, objects[0] if objects else None)

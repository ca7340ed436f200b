"""The stages that there are, in order: a new one is a module of its own, and a line here."""

from __future__ import annotations

from glassdask.sweep.correlating import Correlate
from glassdask.sweep.describing import Describe
from glassdask.sweep.reducing import Reduce
from glassdask.sweep.simulating import Simulate
from glassdask.sweep.stage import Stage

STAGES: dict[str, Stage] = {stage.name: stage for stage in (Simulate(), Describe(), Reduce(), Correlate())}

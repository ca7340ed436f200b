"""The modules beside the pipelines, which find them as the pipelines do."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "pipelines"))

"""Training by the paper's recipe. The registry names the trainer as a string, as for exporters."""

from __future__ import annotations

from collections.abc import Mapping

TRAINERS: Mapping[str, str] = {"keras": "vggexport.training.trainer:train"}

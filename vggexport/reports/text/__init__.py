"""Results as text for a person at a terminal."""

from vggexport.reports.text.benchmark import latency
from vggexport.reports.text.building import build, calibration, export
from vggexport.reports.text.bundles import bundle, bundle_check
from vggexport.reports.text.difference import difference
from vggexport.reports.text.evaluation import evaluation
from vggexport.reports.text.machine import doctor
from vggexport.reports.text.network import inspection, summary
from vggexport.reports.text.pruning import pruning
from vggexport.reports.text.training import training
from vggexport.reports.text.verification import verification

__all__ = [
    "build",
    "bundle",
    "bundle_check",
    "calibration",
    "difference",
    "doctor",
    "evaluation",
    "export",
    "inspection",
    "latency",
    "pruning",
    "summary",
    "training",
    "verification",
]

"""Results as text for a person at a terminal."""

from vggexport.reports.text.benchmark import latency as latency
from vggexport.reports.text.building import build as build
from vggexport.reports.text.building import calibration as calibration
from vggexport.reports.text.building import export as export
from vggexport.reports.text.bundles import bundle as bundle
from vggexport.reports.text.bundles import bundle_check as bundle_check
from vggexport.reports.text.difference import difference as difference
from vggexport.reports.text.evaluation import evaluation as evaluation
from vggexport.reports.text.machine import doctor as doctor
from vggexport.reports.text.network import inspection as inspection
from vggexport.reports.text.network import summary as summary
from vggexport.reports.text.pruning import pruning as pruning
from vggexport.reports.text.training import training as training
from vggexport.reports.text.verification import verification as verification

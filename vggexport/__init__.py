"""Export and edge deployment of VGG networks.

Only light names are re-exported here; importing this package imports no TensorFlow, ONNX Runtime
or LiteRT.
"""

from vggexport.errors import VggExportError
from vggexport.spec import MEAN_RGB, Precision, VGGSpec

__version__ = "0.1.0"

__all__ = ["MEAN_RGB", "Precision", "VGGSpec", "VggExportError", "__version__"]

"""Weights from every source and layout, as one lazy mapping in the native layout.

:func:`open_weights` is the way in. Importing this package imports none of the libraries that read
files; each is imported when a file of its kind is opened.
"""

from vggexport.weights.mapping import Weights
from vggexport.weights.open_options import DownloadProgress
from vggexport.weights.request import SpecRequest
from vggexport.weights.sources import is_word, open_weights

__all__ = ["DownloadProgress", "SpecRequest", "Weights", "is_word", "open_weights"]

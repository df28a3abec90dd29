"""Calibration images and activation range observers for the int8 quantization of VGG networks.

:func:`open_source` finds the images, :class:`CalibrationImages` picks and delivers them as uint8
RGB, and :func:`make_observer` gives an observer for each activation. NumPy and Pillow are all that
is needed.
"""

from calibration.array_notes import array_notes
from calibration.decoding import decode
from calibration.errors import (
    CalibrationDataError,
    NoClassFolderError,
    SplitFolderError,
    TooManyUnreadableError,
    UnreadableImageError,
)
from calibration.fingerprint import array_digest, fingerprint
from calibration.folders import FolderContents
from calibration.labelled import LabelledImages, open_labelled, open_unlabelled, write_table
from calibration.observers import DEFAULT_METHOD, OBSERVERS, RangeObserver, make_observer
from calibration.pictures import PictureOptions, Size, height_and_width
from calibration.preprocessing import prepare
from calibration.reading import read_ahead
from calibration.sampling import CalibrationImages, UnreadableImage
from calibration.sources import (
    SYNTHETIC,
    ArrayImages,
    FolderImages,
    ImageSource,
    SourceImage,
    open_source,
    sized,
)
from calibration.spread import Spread
from calibration.synthetic import synthetic_image, varied_image

__all__ = [
    "DEFAULT_METHOD",
    "OBSERVERS",
    "SYNTHETIC",
    "ArrayImages",
    "CalibrationDataError",
    "CalibrationImages",
    "FolderContents",
    "FolderImages",
    "ImageSource",
    "LabelledImages",
    "NoClassFolderError",
    "PictureOptions",
    "RangeObserver",
    "Size",
    "SourceImage",
    "SplitFolderError",
    "Spread",
    "TooManyUnreadableError",
    "UnreadableImage",
    "UnreadableImageError",
    "array_digest",
    "array_notes",
    "decode",
    "fingerprint",
    "height_and_width",
    "make_observer",
    "open_labelled",
    "open_source",
    "open_unlabelled",
    "prepare",
    "read_ahead",
    "sized",
    "synthetic_image",
    "varied_image",
    "write_table",
]

"""What this machine can do at most: one room a library that measures it, in a process of its own.

Each is a class whose ``compute(precision)`` gives GFLOP/s of a matrix product and whose
``read()`` gives GB/s of a matrix times a vector, which reads each value once: the two sides of a
roofline (Williams, Waterman and Patterson, "Roofline", CACM 52(4), 2009). A ceiling is the best of
several runs: nothing makes a machine faster than it is.
"""

from __future__ import annotations

from collections.abc import Mapping

CEILINGS: Mapping[str, str] = {
    "blas": "vggexport.ceilings.blas:BlasCeiling",
    "onnx": "vggexport.ceilings.onnx:OnnxCeiling",
}

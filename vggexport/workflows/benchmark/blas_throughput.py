"""What numpy's BLAS reaches in float32."""

from __future__ import annotations

import numpy as np

from vggexport.metrics.best_time import best_seconds

SIDE = 1024
"""Of the matrices: 2 GFLOP, 20 ms on a fast core and half a second on a small board's."""

ROWS, COLUMNS = 4096, 16384
"""256 MiB, more than caches hold."""

_GIGA = 1e9


class BlasThroughput:
    """numpy's matrix product. Its threads are set by the environment that it starts in."""

    def compute(self, dtype: str) -> float | None:
        """GFLOP/s; None for what numpy has no fast product of."""
        if dtype != "float32":
            return None
        left, right = np.random.default_rng(0).standard_normal((2, SIDE, SIDE), dtype=np.float32)
        result = np.empty_like(left)
        return 2 * SIDE**3 / best_seconds(lambda: np.matmul(left, right, out=result)) / _GIGA

    def read(self) -> float:
        """GB/s."""
        matrix = np.ones((ROWS, COLUMNS), np.float32)
        vector = np.ones(COLUMNS, np.float32)
        return matrix.nbytes / best_seconds(lambda: matrix @ vector) / _GIGA

"""Model files built: weights, ranges, export, check."""

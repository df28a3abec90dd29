"""Figures from arrays and times: parity, accuracy, latency, placement. NumPy alone."""

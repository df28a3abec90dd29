"""Narrower networks from images alone: which channels go, and what the others make up for.

NumPy and nothing else. Sources: B. Hassibi, D. Stork, "Second order derivatives for network
pruning: Optimal Brain Surgeon", 1993, here by blocks of rows; Y. He et al., "Channel Pruning for
Accelerating Very Deep Neural Networks", arXiv 1707.06168; J. Luo et al., "ThiNet", arXiv
1707.06342.
"""

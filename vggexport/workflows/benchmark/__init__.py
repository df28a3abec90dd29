"""Latency: artifacts measured in turn, each in a process of its own, one running at a time."""

"""The hand-off package put together."""

"""One room a format: writing it, running it, reading its weights back, inspecting it."""

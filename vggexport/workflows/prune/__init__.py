"""Narrower networks from images alone."""

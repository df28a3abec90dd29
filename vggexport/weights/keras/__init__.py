"""Keras files: the network that a file describes, read as data, and where its weights lie."""

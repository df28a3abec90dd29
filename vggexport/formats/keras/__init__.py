"""The Keras network: the one definition that is traced, and the runner that is the reference."""

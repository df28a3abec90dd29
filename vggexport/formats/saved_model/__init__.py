"""TensorFlow SavedModel: directories written, run, read back and inspected."""

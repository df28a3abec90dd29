"""ONNX: a mapped file, its graph parsed without the weights, each weight read where it lies."""

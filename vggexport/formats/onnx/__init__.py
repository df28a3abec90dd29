"""ONNX: files written, run in ONNX Runtime, read back and inspected.

``architecture`` traces the Keras model and gives a clean graph whose weights are symbols,
``variants`` rewrites that graph, ``bound_weights`` says what each symbol becomes and
``file_writer`` streams the result to disk. ``mapped_file`` reads a file whose weights stay where
they lie.
"""

"""ONNX: the traced architecture, its weights bound while the file is written.

``architecture`` traces the Keras model and gives a clean graph whose weights are symbols,
``variants`` rewrites that graph, ``binding`` says what each symbol becomes and
``model_file`` streams the result to disk.
"""

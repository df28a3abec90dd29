"""TFLite: files written, run in LiteRT, read back and inspected.

``architecture`` builds the graph from the spec, with a function for each kind of layer
(``layer_kinds``); ``bound_weights`` gives each weight its values, ``file_writer`` streams both into
one file, ``metadata`` describes it, ``exporter`` joins them.
"""

"""The TFLite exporter, room by room.

``architecture`` builds the graph from the spec, ``binding`` gives each weight its values,
``model_file`` streams both into one file, ``metadata`` describes it, ``exporter`` joins them.
"""

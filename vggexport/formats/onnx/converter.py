"""tf2onnx on the traced Keras model, whose weights are inputs: a graph of kilobytes."""

from __future__ import annotations

import logging

import keras
import onnx
import tensorflow as tf
from tf2onnx import optimizer, tfonnx

from vggexport.formats.keras.model import build_architecture
from vggexport.formats.onnx.converted_graphs import symbol
from vggexport.network.layers import INPUT_NAME
from vggexport.network.spec import VGGSpec


def convert(spec: VGGSpec, opset: int) -> onnx.ModelProto:
    """tf2onnx on the traced function, without TensorFlow's grappler; once for files of all kinds.

    Grappler allocates a tensor for every input (553 MB for VGG-D), and there is nothing for it
    to fold.
    """
    architecture = build_architecture(spec)
    seeds = [tf.zeros(v.shape, v.dtype) for v in architecture.non_trainable_variables]  # dropout's

    def network(images: tf.Tensor, *weights: tf.Tensor) -> tf.Tensor:
        with keras.StatelessScope(initialize_variables=False):
            outputs, _ = architecture.stateless_call(list(weights), seeds, images, training=False)
        return outputs

    shape = (None, *spec.image_shape)  # a fixed batch is set afterwards
    function = tf.function(network, autograph=False).get_concrete_function(
        tf.TensorSpec(shape, tf.float32, name=INPUT_NAME),
        *(tf.TensorSpec(t.shape, tf.float32, name=symbol(t.name)) for t in spec.tensors.values()),
    )
    logging.getLogger("tf2onnx").setLevel(logging.ERROR)
    graph = tfonnx.process_tf_graph(
        function.graph,
        opset=opset,
        input_names=[tensor.name for tensor in function.inputs],
        output_names=[tensor.name for tensor in function.outputs],
        continue_on_error=False,
    )
    return optimizer.optimize_graph(graph).make_model("vgg")

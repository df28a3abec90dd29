// A .tflite file in LiteRT: implementation("com.google.ai.edge.litert:litert:1.4.2")
package com.example.vgg

import java.nio.ByteBuffer
import java.nio.ByteOrder
import kotlin.math.roundToInt
import org.tensorflow.lite.Interpreter

/**
 * With XNNPACK, whatever the default: without it int8-w4 answers wrongly, and says nothing. Behind a
 * delegate hold answers to the tolerance of "accelerator"; NNAPI is deprecated from Android 15 on.
 */
class LiteRtClassifier(
    model: ByteBuffer,
    private val description: ModelDescription,
    options: Interpreter.Options = Interpreter.Options().setUseXNNPACK(true),
) : Classifier {
    private val interpreter = Interpreter(model, options)

    override fun probabilities(image: Pixels): FloatArray {
        val isFloat = description.output.dtype == "float32"
        val classes = description.output.size
        val output = buffer(if (isFloat) 4 * classes else classes)
        interpreter.run(input(image), output)
        output.rewind()
        val scale = description.output.scale ?: 1f
        return FloatArray(classes) {
            if (isFloat) output.getFloat() else scale * (integer(output) - description.output.zeroPoint)
        }
    }

    override fun close() = interpreter.close()

    /** Raw pixels 0...255: the mean is subtracted inside the model. */
    private fun input(image: Pixels): ByteBuffer {
        val source = description.input
        if (source.dtype == "float32") {
            val floats = buffer(4 * image.rgb.size)
            image.rgb.forEach { floats.putFloat((it.toInt() and 0xFF).toFloat()) }
            return floats.apply { rewind() }
        }
        val bytes = buffer(image.rgb.size)
        val scale = source.scale ?: 1f
        image.rgb.forEach { bytes.put((((it.toInt() and 0xFF) / scale).roundToInt() + source.zeroPoint).toByte()) }
        return bytes.apply { rewind() }
    }

    private fun integer(output: ByteBuffer): Int {
        val value = output.get().toInt()
        return if (description.output.dtype == "uint8") value and 0xFF else value
    }

    private fun buffer(size: Int) = ByteBuffer.allocateDirect(size).order(ByteOrder.nativeOrder())
}

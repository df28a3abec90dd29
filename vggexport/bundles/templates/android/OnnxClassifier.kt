// An .onnx or .ort file in ONNX Runtime:
// implementation("com.microsoft.onnxruntime:onnxruntime-android:1.24.3")
package com.example.vgg

import ai.onnxruntime.OnnxJavaType
import ai.onnxruntime.OnnxTensor
import ai.onnxruntime.OrtEnvironment
import ai.onnxruntime.OrtSession
import java.nio.ByteBuffer
import java.nio.FloatBuffer

/** Sets the option without which int8 files answer wrongly on x86-64 CPUs that lack VNNI. */
class OnnxClassifier(
    modelPath: String,
    private val description: ModelDescription,
    options: OrtSession.SessionOptions = OrtSession.SessionOptions(),
) : Classifier {
    private val environment = OrtEnvironment.getEnvironment()
    private val session = environment.createSession(
        modelPath, options.apply { addConfigEntry("session.x64quantprecision", "1") }
    )

    override fun probabilities(image: Pixels): FloatArray =
        input(image).use { tensor ->
            session.run(mapOf(description.input.name to tensor)).use { outputs ->
                val output = outputs.get(description.output.name).get() as OnnxTensor
                val values = output.floatBuffer
                FloatArray(values.remaining()).also { values.get(it) }
            }
        }

    override fun close() = session.close()

    /** Raw pixels 0...255: the mean is subtracted inside the model. */
    private fun input(image: Pixels): OnnxTensor {
        val shape = longArrayOf(1, image.height.toLong(), image.width.toLong(), 3)
        if (description.input.dtype == "uint8") {
            val bytes = ByteBuffer.allocateDirect(image.rgb.size).put(image.rgb).apply { rewind() }
            return OnnxTensor.createTensor(environment, bytes, shape, OnnxJavaType.UINT8)
        }
        val floats = FloatArray(image.rgb.size) { (image.rgb[it].toInt() and 0xFF).toFloat() }
        return OnnxTensor.createTensor(environment, FloatBuffer.wrap(floats), shape)
    }
}

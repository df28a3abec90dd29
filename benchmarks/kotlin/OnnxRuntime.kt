// Declarations of what the examples use of ONNX Runtime's Java package; nothing of it runs.
package ai.onnxruntime

import java.nio.ByteBuffer
import java.nio.FloatBuffer
import java.util.Optional

enum class OnnxJavaType { FLOAT, UINT8 }

interface OnnxValue : AutoCloseable {
    override fun close()
}

abstract class OnnxTensorLike : OnnxValue

class OnnxTensor : OnnxTensorLike() {
    val floatBuffer: FloatBuffer get() = TODO()

    override fun close(): Unit = TODO()

    companion object {
        fun createTensor(env: OrtEnvironment, data: FloatBuffer, shape: LongArray): OnnxTensor = TODO()

        fun createTensor(
            env: OrtEnvironment, data: ByteBuffer, shape: LongArray, type: OnnxJavaType,
        ): OnnxTensor = TODO()
    }
}

class OrtEnvironment {
    fun createSession(path: String, options: OrtSession.SessionOptions): OrtSession = TODO()

    companion object {
        fun getEnvironment(): OrtEnvironment = TODO()
    }
}

class OrtSession : AutoCloseable {
    class SessionOptions {
        fun addConfigEntry(configKey: String, configValue: String): Unit = TODO()
    }

    class Result : AutoCloseable {
        fun get(name: String): Optional<OnnxValue> = TODO()

        override fun close(): Unit = TODO()
    }

    fun run(inputs: Map<String, OnnxTensorLike>): Result = TODO()

    override fun close(): Unit = TODO()
}

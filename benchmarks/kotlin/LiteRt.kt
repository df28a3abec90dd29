// A declaration of what the examples use of LiteRT; nothing of it runs.
package org.tensorflow.lite

class Interpreter(model: java.nio.ByteBuffer, options: Options) : AutoCloseable {
    class Options {
        fun setUseXNNPACK(use: Boolean): Options = TODO()
    }

    fun run(input: Any, output: Any): Unit = TODO()

    override fun close(): Unit = TODO()
}

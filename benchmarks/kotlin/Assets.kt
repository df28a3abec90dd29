// Declarations of what the examples use of Android's assets; nothing of it runs.
package android.content.res

class AssetManager {
    fun open(name: String): java.io.InputStream = TODO()

    fun openFd(name: String): AssetFileDescriptor = TODO()
}

class AssetFileDescriptor : java.io.Closeable {
    val startOffset: Long get() = TODO()
    val declaredLength: Long get() = TODO()

    fun createInputStream(): java.io.FileInputStream = TODO()

    override fun close(): Unit = TODO()
}

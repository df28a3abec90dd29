// Declarations of what the examples use of CameraX; nothing of it runs.
package androidx.camera.core

import android.graphics.Rect
import java.nio.ByteBuffer

interface ImageInfo {
    val rotationDegrees: Int
}

interface ImageProxy : AutoCloseable {
    interface PlaneProxy {
        val buffer: ByteBuffer
        val rowStride: Int
        val pixelStride: Int
    }

    val format: Int
    val width: Int
    val height: Int
    val cropRect: Rect
    val imageInfo: ImageInfo
    val planes: Array<PlaneProxy>

    override fun close()
}

class ImageAnalysis {
    fun interface Analyzer {
        fun analyze(image: ImageProxy)
    }
}

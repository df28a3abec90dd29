// Classifies frames of CameraX: imageAnalysis.setAnalyzer(worker.executor, FrameAnalyzer(...))
package com.example.vgg

import android.graphics.ImageFormat
import android.graphics.PixelFormat
import androidx.camera.core.ImageAnalysis
import androidx.camera.core.ImageProxy

/**
 * Takes YUV_420_888, which is the default, whose [colours] are the camera's to state, and RGBA_8888;
 * [show] is called on the same thread. The [classifier] stays its owner's to close.
 */
class FrameAnalyzer(
    private val preprocessing: Preprocessing,
    private val classifier: Classifier,
    private val labels: List<String>,
    private val colours: YuvColours,
    private val show: (List<Ranked>) -> Unit,
) : ImageAnalysis.Analyzer {
    override fun analyze(image: ImageProxy) = image.use {
        val prepared = preprocessing.apply(rows(it, colours))
        show(best(classifier.probabilities(prepared), labels))
    }
}

/** A frame's crop rectangle, upright. */
fun rows(image: ImageProxy, colours: YuvColours): Rows {
    val orientation = Orientation.ofDegrees(image.imageInfo.rotationDegrees)
    val planes = image.planes.map { Plane(it.buffer, it.rowStride, it.pixelStride) }
    val part = image.cropRect.let { Part(it.left, it.top, it.width(), it.height()) }
    return when (image.format) {
        ImageFormat.YUV_420_888 ->
            YuvFrame(planes[0], planes[1], planes[2], part, orientation, colours)
        PixelFormat.RGBA_8888 -> RgbaFrame(planes[0], part, orientation)
        else -> throw IllegalArgumentException(
            "a frame of format ${image.format}: ask CameraX for YUV_420_888 (35) or RGBA_8888 (1)"
        )
    }
}

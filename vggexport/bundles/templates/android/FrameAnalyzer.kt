// Classifies frames of CameraX: imageAnalysis.setAnalyzer(worker.executor, FrameAnalyzer(...))
package com.example.vgg

import android.graphics.ImageFormat
import androidx.camera.core.ImageAnalysis
import androidx.camera.core.ImageProxy

/** Takes YUV_420_888, which is the default, and RGBA_8888; [show] is called on the same thread. */
class FrameAnalyzer(
    private val preprocessing: Preprocessing,
    private val classifier: Classifier,
    private val labels: List<String>,
    private val show: (List<Ranked>) -> Unit,
) : ImageAnalysis.Analyzer {
    override fun analyze(image: ImageProxy) = image.use {
        val prepared = preprocessing.apply(rows(it))
        show(best(classifier.probabilities(prepared), labels))
    }

    private fun rows(image: ImageProxy): Rows {
        val orientation = Orientation.ofDegrees(image.imageInfo.rotationDegrees)
        val planes = image.planes.map { Plane(it.buffer, it.rowStride, it.pixelStride) }
        return if (image.format == ImageFormat.YUV_420_888) {
            YuvFrame(planes[0], planes[1], planes[2], image.width, image.height, orientation)
        } else {
            RgbaFrame(planes[0], image.width, image.height, orientation)
        }
    }
}

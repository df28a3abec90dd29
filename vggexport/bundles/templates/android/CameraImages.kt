// Frames of CameraX made of golden ones, for tests.
package com.example.vgg

import android.graphics.ImageFormat
import android.graphics.Rect
import androidx.camera.core.ImageInfo
import androidx.camera.core.ImageProxy
import java.lang.reflect.Proxy

fun imageOf(frame: GoldenFrame): ImageProxy = standIn { asked ->
    when (asked) {
        "getFormat" -> ImageFormat.YUV_420_888
        "getCropRect" -> Rect(0, 0, frame.width, frame.height)
        "getImageInfo" -> standIn<ImageInfo> { frame.rotationDegrees }
        "getPlanes" -> frame.planes.map(::planeOf).toTypedArray()
        else -> null
    }
}

private fun planeOf(plane: Plane): ImageProxy.PlaneProxy = standIn { asked ->
    when (asked) {
        "getBuffer" -> plane.bytes
        "getRowStride" -> plane.rowStride
        else -> plane.pixelStride
    }
}

/** Of an interface, answering by the method's name: newer CameraX adds methods that nobody calls here. */
private inline fun <reified Kind> standIn(crossinline answer: (String) -> Any?): Kind =
    Proxy.newProxyInstance(Kind::class.java.classLoader, arrayOf(Kind::class.java)) { _, method, _ ->
        answer(method.name)
    } as Kind

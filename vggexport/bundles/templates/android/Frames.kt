// Frames of a camera as rows of pixels. Plain Kotlin, without Android: it can be tested anywhere.
package com.example.vgg

import java.nio.ByteBuffer

/** An image that lies otherwise than it is to be seen, one colour read at a time. */
abstract class Turned(
    private val storedWidth: Int,
    private val storedHeight: Int,
    private val orientation: Orientation,
) : Rows {
    override val width get() = if (orientation.swaps) storedHeight else storedWidth
    override val height get() = if (orientation.swaps) storedWidth else storedHeight

    /** 0xRRGGBB of a stored pixel. */
    protected abstract fun colour(x: Int, y: Int): Int

    override fun read(y: Int, into: ByteArray) {
        val line = if (orientation.fromEnd) height - 1 - y else y
        for (x in 0 until width) {
            val along = if (orientation.mirrors) width - 1 - x else x
            val found = if (orientation.swaps) colour(line, along) else colour(along, line)
            for (channel in 0 until 3) into[3 * x + channel] = (found shr (16 - 8 * channel)).toByte()
        }
    }
}

/** One plane of a frame: bytes [pixelStride] apart in rows [rowStride] apart. */
class Plane(private val bytes: ByteBuffer, private val rowStride: Int, private val pixelStride: Int) {
    fun at(x: Int, y: Int, offset: Int = 0): Int =
        bytes.get(y * rowStride + x * pixelStride + offset).toInt() and 0xFF
}

/** A frame in RGBA_8888: CameraX converts to it where it is asked to. */
class RgbaFrame(private val plane: Plane, width: Int, height: Int, orientation: Orientation) :
    Turned(width, height, orientation) {
    override fun colour(x: Int, y: Int): Int =
        (plane.at(x, y) shl 16) or (plane.at(x, y, 1) shl 8) or plane.at(x, y, 2)
}

/** A frame in YUV_420_888, of full range by ITU-R BT.601 as JFIF has it, colours half as fine. */
class YuvFrame(
    private val luma: Plane,
    private val blue: Plane,
    private val red: Plane,
    width: Int,
    height: Int,
    orientation: Orientation,
) : Turned(width, height, orientation) {
    override fun colour(x: Int, y: Int): Int {
        val level = luma.at(x, y)
        val cb = blue.at(x / 2, y / 2) - 128
        val cr = red.at(x / 2, y / 2) - 128
        val rgb = doubleArrayOf(
            level + 1.402 * cr, level - 0.344136 * cb - 0.714136 * cr, level + 1.772 * cb
        )
        return rgb.fold(0) { found, value -> (found shl 8) or Math.round(value).toInt().coerceIn(0, 255) }
    }
}

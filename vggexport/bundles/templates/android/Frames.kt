// Frames of a camera as rows of pixels. Plain Kotlin, without Android: it can be tested anywhere.
package com.example.vgg

import java.nio.ByteBuffer

/** What of a stored frame is to be seen, in its pixels. */
class Part(val left: Int, val top: Int, val width: Int, val height: Int)

/** An image that lies otherwise than it is to be seen, one colour read at a time. */
abstract class Turned(private val part: Part, private val orientation: Orientation) : Rows {
    override val width get() = if (orientation.swaps) part.height else part.width
    override val height get() = if (orientation.swaps) part.width else part.height

    /** 0xRRGGBB of a stored pixel. */
    protected abstract fun colour(x: Int, y: Int): Int

    override fun read(y: Int, into: ByteArray) {
        val line = if (orientation.fromEnd) height - 1 - y else y
        for (x in 0 until width) {
            val along = if (orientation.mirrors) width - 1 - x else x
            val column = if (orientation.swaps) line else along
            val row = if (orientation.swaps) along else line
            val found = colour(part.left + column, part.top + row)
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
class RgbaFrame(private val plane: Plane, part: Part, orientation: Orientation) :
    Turned(part, orientation) {
    override fun colour(x: Int, y: Int): Int =
        (plane.at(x, y) shl 16) or (plane.at(x, y, 1) shl 8) or plane.at(x, y, 2)
}

/** A frame in YUV_420_888, of full range by ITU-R BT.601 as JFIF has it, colours half as fine. */
class YuvFrame(
    private val luma: Plane,
    private val blue: Plane,
    private val red: Plane,
    part: Part,
    orientation: Orientation,
) : Turned(part, orientation) {
    override fun colour(x: Int, y: Int): Int {
        val level = luma.at(x, y)
        val cb = blue.at(x / 2, y / 2) - 128
        val cr = red.at(x / 2, y / 2) - 128
        return (rounded(level + 1.402 * cr) shl 16) or
            (rounded(level - 0.344136 * cb - 0.714136 * cr) shl 8) or
            rounded(level + 1.772 * cb)
    }

    private fun rounded(value: Double): Int = Math.round(value).toInt().coerceIn(0, 255)
}

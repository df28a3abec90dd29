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
class Plane(val bytes: ByteBuffer, val rowStride: Int, val pixelStride: Int) {
    fun at(x: Int, y: Int, offset: Int = 0): Int =
        bytes.get(y * rowStride + x * pixelStride + offset).toInt() and 0xFF
}

/** A frame in RGBA_8888: CameraX converts to it where it is asked to. */
class RgbaFrame(private val plane: Plane, part: Part, orientation: Orientation) :
    Turned(part, orientation) {
    override fun colour(x: Int, y: Int): Int =
        (plane.at(x, y) shl 16) or (plane.at(x, y, 1) shl 8) or plane.at(x, y, 2)
}

/**
 * How the bytes of a YUV frame are to be read, which nothing in them shows: [range] is "full" (0 to 255)
 * or "limited" (luma 16 to 235, chroma 16 to 240), [matrix] "bt601" or "bt709".
 */
class YuvColours(range: String, matrix: String) {
    private val isLimited = when (range) {
        "full" -> false
        "limited" -> true
        else -> throw IllegalArgumentException("range $range: expected full or limited")
    }
    private val ofRed = shares(matrix).first
    private val ofBlue = shares(matrix).second

    /** 0xRRGGBB. */
    fun rgb(y: Int, u: Int, v: Int): Int {
        val level = if (isLimited) (y - 16) * 255.0 / 219 else y.toDouble()
        val chroma = if (isLimited) 255.0 / 224 else 1.0
        val red = 2 * (1 - ofRed) * chroma * (v - 128)
        val blue = 2 * (1 - ofBlue) * chroma * (u - 128)
        val less = (ofRed * red + ofBlue * blue) / (1 - ofRed - ofBlue)
        return (rounded(level + red) shl 16) or (rounded(level - less) shl 8) or rounded(level + blue)
    }

    private fun rounded(value: Double): Int = Math.round(value).toInt().coerceIn(0, 255)

    companion object {
        /** What Camera2 fills YUV_420_888 with, unless a device says otherwise (Image.getDataSpace). */
        val JFIF = YuvColours("full", "bt601")

        /** Of red and of blue in luma. */
        private fun shares(matrix: String) = when (matrix) {
            "bt601" -> 0.299 to 0.114
            "bt709" -> 0.2126 to 0.0722
            else -> throw IllegalArgumentException("matrix $matrix: expected bt601 or bt709")
        }
    }
}

/** A frame in YUV_420_888, colours half as fine. */
class YuvFrame(
    private val luma: Plane,
    private val blue: Plane,
    private val red: Plane,
    part: Part,
    orientation: Orientation,
    private val colours: YuvColours,
) : Turned(part, orientation) {
    override fun colour(x: Int, y: Int): Int =
        colours.rgb(luma.at(x, y), blue.at(x / 2, y / 2), red.at(x / 2, y / 2))
}

/** A frame of the bundle's golden data: [planes] of luma, blue and red, and what they must become. */
class GoldenFrame(
    val width: Int,
    val height: Int,
    val planes: List<Plane>,
    val colours: YuvColours,
    val rotationDegrees: Int,
    val expected: Pixels,
    val toleranceLevels: Int,
)

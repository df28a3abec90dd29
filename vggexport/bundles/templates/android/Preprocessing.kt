// From an image to what the models take, pixel by pixel as preprocessing.json describes it.
// Plain Kotlin, without Android: it can be tested on any machine.
package com.example.vgg

import kotlin.math.abs
import kotlin.math.ceil
import kotlin.math.max
import kotlin.math.min
import kotlin.math.round

/** An image: RGB, 8 bits a channel, row by row. */
class Pixels(val width: Int, val height: Int, val rgb: ByteArray) {
    init {
        require(rgb.size == 3 * width * height) { "${rgb.size} bytes for ${width}x$height pixels" }
    }
}

/** Scales until a size is covered, bilinear with antialiasing, and crops the centre. */
class Preprocessing(
    private val coverHeight: Int,
    private val coverWidth: Int,
    private val height: Int,
    private val width: Int,
) {
    fun apply(image: Pixels): Pixels {
        val scale = max(coverHeight.toDouble() / image.height, coverWidth.toDouble() / image.width)
        val horizontal = span(image.width, scale, width)
        val vertical = span(image.height, scale, height)
        return resizeRows(resizeColumns(image, horizontal), vertical)
    }

    /** The part of one side that the crop keeps, in pixels of the image. */
    private fun span(side: Int, scale: Double, size: Int): Weights {
        val scaled = round(side * scale).toInt() // halves to even
        val begin = Math.floorDiv(scaled - size, 2)
        val perPixel = side.toDouble() / scaled
        // Pillow keeps the part's ends in 32 bits.
        val end = ((begin + size) * perPixel).toFloat()
        return Weights(side, (begin * perPixel).toFloat(), end, size)
    }

    private fun resizeColumns(image: Pixels, weights: Weights): Pixels {
        val out = ByteArray(3 * width * image.height)
        for (y in 0 until image.height) for (x in 0 until width) for (channel in 0 until 3) {
            out[3 * (y * width + x) + channel] = weights.sum(x) { source ->
                image.rgb[3 * (y * image.width + source) + channel]
            }
        }
        return Pixels(width, image.height, out)
    }

    private fun resizeRows(image: Pixels, weights: Weights): Pixels {
        val out = ByteArray(3 * width * height)
        for (y in 0 until height) for (x in 0 until width) for (channel in 0 until 3) {
            out[3 * (y * width + x) + channel] = weights.sum(y) { source ->
                image.rgb[3 * (source * width + x) + channel]
            }
        }
        return Pixels(width, height, out)
    }
}

private const val BITS = 22
private const val ONE = 1 shl BITS

/** Triangle filters for one axis, in whole numbers of 1/2^22 as Pillow has them. */
private class Weights(side: Int, begin: Float, end: Float, size: Int) {
    private val firsts = IntArray(size)
    private val weights: Array<IntArray>

    init {
        val perPixel = (end - begin).toDouble() / size
        val reach = max(perPixel, 1.0)
        weights = Array(size) { target ->
            val centre = begin + (target + 0.5) * perPixel
            val first = max((centre - reach + 0.5).toInt(), 0)
            val last = min((centre + reach + 0.5).toInt(), side)
            firsts[target] = first
            val real = DoubleArray(last - first) { i ->
                max(0.0, 1.0 - abs((first + i - centre + 0.5) * (1.0 / reach)))
            }
            val total = real.sum()
            IntArray(real.size) { i -> (real[i] / total * ONE + 0.5).toInt() }
        }
    }

    inline fun sum(target: Int, value: (Int) -> Byte): Byte {
        var sum = ONE / 2 // rounds
        val own = weights[target]
        for (i in own.indices) sum += own[i] * (value(firsts[target] + i).toInt() and 0xFF)
        return (sum shr BITS).coerceIn(0, 255).toByte()
    }
}

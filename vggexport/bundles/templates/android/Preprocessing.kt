// From an image to what the models take, pixel by pixel as preprocessing.json describes it.
// Plain Kotlin, without Android: it can be tested on any machine.
package com.example.vgg

import kotlin.math.PI
import kotlin.math.abs
import kotlin.math.max
import kotlin.math.min
import kotlin.math.round
import kotlin.math.sin

/** An image that is read a row at a time: no more of a large photograph is copied. */
interface Rows {
    val width: Int
    val height: Int

    /** Writes one row from the left, RGB, 8 bits a channel, into 3 * [width] bytes. */
    fun read(y: Int, into: ByteArray)

    /** All of it. */
    fun pixels(): Pixels {
        val rgb = ByteArray(3 * width * height)
        val row = ByteArray(3 * width)
        for (y in 0 until height) {
            read(y, row)
            row.copyInto(rgb, 3 * width * y)
        }
        return Pixels(width, height, rgb)
    }
}

/** An image: RGB, 8 bits a channel, row by row. */
class Pixels(override val width: Int, override val height: Int, val rgb: ByteArray) : Rows {
    init {
        require(rgb.size == 3 * width * height) { "${rgb.size} bytes for ${width}x$height pixels" }
    }

    override fun read(y: Int, into: ByteArray) {
        rgb.copyInto(into, 0, 3 * width * y, 3 * width * (y + 1))
    }
}

/**
 * What preprocessing.json says of its step "resize". [mode] is "crop": scales until [coverHeight] and
 * [coverWidth] are covered, and cuts out the centre; "part": scales the largest part of the right
 * shape; "stretch": scales all of it; "pad": scales until it fits, on [background] (RGB).
 */
class Preprocessing(
    private val mode: String,
    private val coverHeight: Int,
    private val coverWidth: Int,
    private val height: Int,
    private val width: Int,
    private val interpolation: String,
    private val background: IntArray,
) {
    fun apply(image: Rows): Pixels = when (mode) {
        "crop" -> {
            val scale =
                max(coverHeight.toDouble() / image.height, coverWidth.toDouble() / image.width)
            resize(image, centre(image.width, scale, width), centre(image.height, scale, height))
        }
        "part" -> {
            val partWidth = min(image.width.toLong(), image.height.toLong() * width / height)
            val partHeight = min(image.height.toLong(), image.width.toLong() * height / width)
            val horizontal = part(image.width, max(1, partWidth.toInt()), width)
            resize(image, horizontal, part(image.height, max(1, partHeight.toInt()), height))
        }
        "pad" -> padded(image)
        else -> resize(image, part(image.width, image.width, width), part(image.height, image.height, height))
    }

    /** The centre of one side that is scaled, in pixels of the image. */
    private fun centre(side: Int, scale: Double, size: Int): Weights {
        val scaled = round(side * scale).toInt() // halves to even
        val begin = Math.floorDiv(scaled - size, 2)
        val perPixel = side.toDouble() / scaled
        // Pillow keeps the part's ends in 32 bits.
        val end = min((begin + size) * perPixel, side.toDouble()).toFloat()
        return Weights(interpolation, side, (begin * perPixel).toFloat(), end, size)
    }

    /** So many pixels in the middle of one side. */
    private fun part(side: Int, length: Int, size: Int): Weights {
        val begin = (side - length) / 2
        return Weights(interpolation, side, begin.toFloat(), (begin + length).toFloat(), size)
    }

    private fun padded(image: Rows): Pixels {
        val scale = min(height.toDouble() / image.height, width.toDouble() / image.width)
        val inWidth = max(1, round(image.width * scale).toInt())
        val inHeight = max(1, round(image.height * scale).toInt())
        val horizontal = part(image.width, image.width, inWidth)
        val inner = resize(image, horizontal, part(image.height, image.height, inHeight))
        val rgb = ByteArray(3 * width * height) { background[it % 3].toByte() }
        val left = (width - inWidth) / 2
        val top = (height - inHeight) / 2
        for (y in 0 until inHeight) {
            inner.rgb.copyInto(rgb, 3 * ((top + y) * width + left), 3 * y * inWidth, 3 * (y + 1) * inWidth)
        }
        return Pixels(width, height, rgb)
    }

    /** Rows are scaled as they are read, and kept as long as a row of the result needs them. */
    private fun resize(image: Rows, horizontal: Weights, vertical: Weights): Pixels {
        val length = 3 * horizontal.size
        val out = ByteArray(length * vertical.size)
        val row = ByteArray(3 * image.width)
        val window = Array(vertical.longest) { ByteArray(length) }
        var next = 0
        for (y in 0 until vertical.size) {
            next = max(next, vertical.first(y))
            while (next < vertical.end(y)) {
                image.read(next, row)
                scale(row, horizontal, window[next % window.size])
                next++
            }
            for (at in 0 until length) {
                out[length * y + at] = vertical.sum(y) { window[it % window.size][at] }
            }
        }
        return Pixels(horizontal.size, vertical.size, out)
    }

    private fun scale(row: ByteArray, weights: Weights, into: ByteArray) {
        for (x in 0 until weights.size) for (channel in 0 until 3) {
            into[3 * x + channel] = weights.sum(x) { row[3 * it + channel] }
        }
    }
}

private const val BITS = 22
private const val ONE = 1 shl BITS

/** What one axis is filtered with, in whole numbers of 1/2^22 as Pillow has them. */
private class Weights(interpolation: String, side: Int, begin: Float, end: Float, val size: Int) {
    private val firsts = IntArray(size)
    private val weights: Array<IntArray>

    init {
        val perPixel = (end - begin).toDouble() / size
        if (interpolation == "nearest") {
            var at = begin + perPixel * 0.5
            for (target in 0 until size) {
                firsts[target] = min(at.toInt(), side - 1)
                at += perPixel
            }
            weights = Array(size) { intArrayOf(ONE) }
        } else {
            val stretch = max(perPixel, 1.0)
            val reach = radius(interpolation) * stretch
            weights = Array(size) { target ->
                val centre = begin + (target + 0.5) * perPixel
                val first = max((centre - reach + 0.5).toInt(), 0)
                val last = min((centre + reach + 0.5).toInt(), side)
                firsts[target] = first
                val real = DoubleArray(last - first) { i ->
                    filter(interpolation, (first + i - centre + 0.5) * (1.0 / stretch))
                }
                val total = real.sum()
                IntArray(real.size) { i ->
                    val weight = real[i] / total * ONE
                    (if (weight < 0) weight - 0.5 else weight + 0.5).toInt()
                }
            }
        }
    }

    /** The most pixels that one is made of. */
    val longest: Int
        get() = weights.maxOf { it.size }

    fun first(target: Int): Int = firsts[target]

    fun end(target: Int): Int = firsts[target] + weights[target].size

    inline fun sum(target: Int, value: (Int) -> Byte): Byte {
        var sum = ONE / 2 // rounds
        val own = weights[target]
        for (i in own.indices) sum += own[i] * (value(firsts[target] + i).toInt() and 0xFF)
        return (sum shr BITS).coerceIn(0, 255).toByte()
    }
}

private fun radius(interpolation: String) = when (interpolation) {
    "area" -> 0.5
    "bicubic" -> 2.0
    "lanczos" -> 3.0
    else -> 1.0
}

private fun filter(interpolation: String, x: Double): Double {
    val away = abs(x)
    return when (interpolation) {
        "area" -> if (x > -0.5 && x <= 0.5) 1.0 else 0.0
        "bicubic" -> when {
            away < 1 -> (1.5 * away - 2.5) * away * away + 1
            away < 2 -> (((away - 5) * away + 8) * away - 4) * -0.5
            else -> 0.0
        }
        "lanczos" -> if (-3 <= x && x < 3) sinc(x) * sinc(x / 3) else 0.0
        else -> max(0.0, 1.0 - away)
    }
}

private fun sinc(x: Double) = if (x == 0.0) 1.0 else sin(PI * x) / (PI * x)

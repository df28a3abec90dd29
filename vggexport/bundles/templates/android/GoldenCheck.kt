// Holds a model's answers on this device to those that it gave where the bundle was packed.
package com.example.vgg

import kotlin.math.abs
import kotlin.math.ln
import kotlin.math.log10
import kotlin.math.max

/** What runs a model: one image, prepared, gives one probability an output. To be closed after use. */
interface Classifier : AutoCloseable {
    fun probabilities(image: Pixels): FloatArray
}

/** How far answers may be; null where nothing is demanded. */
class Tolerance(
    val maxAbs: Double?,
    val minLogitSqnrDb: Double?,
    val minSqnrDb: Double?,
    val minCoarseLogitSqnrDb: Double?,
    val minHalfLogitSqnrDb: Double?,
)

/** The class that an image was taken for where the bundle was packed, and its name. */
class BestClass(val index: Int, val label: String)

object GoldenCheck {
    /** What is out of tolerance, a sentence each; empty for a pass. */
    fun problems(
        expected: List<FloatArray>,
        actual: List<FloatArray>,
        tolerance: Tolerance,
        endsInSigmoid: Boolean,
    ): List<String> {
        require(expected.size == actual.size) { "${actual.size} answers for ${expected.size}" }
        if (expected.map { it.size } != actual.map { it.size }) {
            return listOf("other numbers of classes")
        }
        if (actual.any { row -> row.any { !it.isFinite() } }) return listOf("NaN in the output")
        val found = mutableListOf<String>()
        val largest = expected.indices.maxOf { i ->
            expected[i].indices.maxOf { j -> abs(expected[i][j] - actual[i][j]).toDouble() }
        }
        if (tolerance.maxAbs != null && largest > tolerance.maxAbs) {
            found += "probabilities differ by $largest"
        }
        val sqnr = decibels(expected.map(::doubles), actual.map(::doubles))
        if (tolerance.minSqnrDb != null && sqnr < tolerance.minSqnrDb) {
            found += "SQNR of the probabilities is $sqnr dB"
        }
        fun logitSqnr(smallest: Double): Double {
            val logits = if (endsInSigmoid) ::sigmoidLogits else ::softmaxLogits
            return decibels(expected.map { logits(it, smallest) }, actual.map { logits(it, smallest) })
        }
        val fine = logitSqnr(if (endsInSigmoid) CERTAIN else SMALLEST)
        if (tolerance.minLogitSqnrDb != null && fine < tolerance.minLogitSqnrDb) {
            found += "SQNR of the logits is $fine dB"
        }
        val coarse = logitSqnr(HALF_STEP)
        if (tolerance.minCoarseLogitSqnrDb != null && coarse < tolerance.minCoarseLogitSqnrDb) {
            found += "SQNR of the logits in 256ths is $coarse dB"
        }
        val half = logitSqnr(if (endsInSigmoid) SIGMOID_END else SOFTMAX_END)
        if (tolerance.minHalfLogitSqnrDb != null && half < tolerance.minHalfLogitSqnrDb) {
            found += "SQNR of the logits in half precision is $half dB"
        }
        return found
    }

    /** What an app that has these [labels] calls otherwise, of images whose best class is the golden one. */
    fun labelProblems(
        actual: List<FloatArray>,
        golden: List<BestClass>,
        labels: List<String>,
    ): List<String> = actual.zip(golden).mapNotNull { (row, expected) ->
        val values = ofClasses(row)
        val shown = best(row, labels, 1).single().label
        val isGolden = values.indices.maxByOrNull { values[it] } == expected.index
        val said = "class ${expected.index} is shown as $shown, and is ${expected.label}"
        if (isGolden && shown != expected.label) said else null
    }.distinct()

    /** Probability that smaller ones count as, before their logarithm is taken. */
    private const val SMALLEST = 1e-30

    /** The same where they may be in whole 256ths. */
    private const val HALF_STEP = 1.0 / 512

    /** The same where they may have 16 bits. */
    private const val SOFTMAX_END = 1.0 / 16384
    private const val SIGMOID_END = 1.0 / 512

    /** A sigmoid's nearer to 0 or 1 are all one: runtimes stop at other ends. */
    private const val CERTAIN = 1e-4

    /** Largest difference of two images, in levels of 255. */
    fun levels(expected: Pixels, actual: Pixels): Int {
        require(expected.width == actual.width && expected.height == actual.height)
        return expected.rgb.indices.maxOf { i ->
            abs((expected.rgb[i].toInt() and 0xFF) - (actual.rgb[i].toInt() and 0xFF))
        }
    }

    private fun doubles(row: FloatArray) = DoubleArray(row.size) { row[it].toDouble() }

    /** Logits up to a constant: log-probabilities less their mean. */
    private fun softmaxLogits(row: FloatArray, smallest: Double): DoubleArray {
        val logarithms = DoubleArray(row.size) { ln(max(row[it].toDouble(), smallest)) }
        val mean = logarithms.average()
        return DoubleArray(row.size) { logarithms[it] - mean }
    }

    /** ln(p / (1 - p)), each output by itself. */
    private fun sigmoidLogits(row: FloatArray, smallest: Double) = DoubleArray(row.size) {
        val within = row[it].toDouble().coerceIn(smallest, 1 - smallest)
        ln(within) - ln(1 - within)
    }

    private fun decibels(expected: List<DoubleArray>, actual: List<DoubleArray>): Double {
        var signal = 0.0
        var noise = 0.0
        for (i in expected.indices) for (j in expected[i].indices) {
            signal += expected[i][j] * expected[i][j]
            noise += (expected[i][j] - actual[i][j]) * (expected[i][j] - actual[i][j])
        }
        return if (noise == 0.0) Double.POSITIVE_INFINITY else 10 * log10(signal / noise)
    }
}

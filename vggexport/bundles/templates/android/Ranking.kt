// The best classes by name. Plain Kotlin.
package com.example.vgg

class Ranked(val label: String, val probability: Float)

/** The [count] most probable classes, the best first. */
fun best(probabilities: FloatArray, labels: List<String>, count: Int = 5): List<Ranked> {
    val values = ofClasses(probabilities)
    require(values.size == labels.size) { "${labels.size} labels, ${values.size} classes" }
    return values.indices
        .sortedByDescending { values[it] }
        .take(count)
        .map { Ranked(labels[it], values[it]) }
}

/** A probability a class: one output p stands for two, 1 - p and p. */
fun ofClasses(probabilities: FloatArray): FloatArray =
    probabilities.singleOrNull()?.let { floatArrayOf(1 - it, it) } ?: probabilities

// The best classes by name. Plain Kotlin.
package com.example.vgg

class Ranked(val label: String, val probability: Float)

/** The [count] most probable classes, the best first. */
fun best(probabilities: FloatArray, labels: List<String>, count: Int = 5): List<Ranked> {
    require(probabilities.size == labels.size) { "${labels.size} labels, ${probabilities.size} classes" }
    return probabilities.indices
        .sortedByDescending { probabilities[it] }
        .take(count)
        .map { Ranked(labels[it], probabilities[it]) }
}

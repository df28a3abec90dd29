// The best classes by name. Plain Swift.

public struct Ranked: Sendable {
    public let label: String
    public let probability: Float
}

/// The most probable classes, the best first.
public func best(_ probabilities: [Float], labels: [String], count: Int = 5) -> [Ranked] {
    let values = ofClasses(probabilities)
    precondition(values.count == labels.count, "labels do not fit the classes")
    let order = values.indices.sorted { values[$0] > values[$1] }
    return order.prefix(count).map { Ranked(label: labels[$0], probability: values[$0]) }
}

/// A probability a class: one output p stands for two, 1 - p and p.
func ofClasses(_ probabilities: [Float]) -> [Float] {
    probabilities.count == 1 ? [1 - probabilities[0], probabilities[0]] : probabilities
}

// The best classes by name. Plain Swift.

public struct Ranked: Sendable {
    public let label: String
    public let probability: Float
}

/// The most probable classes, the best first.
public func best(_ probabilities: [Float], labels: [String], count: Int = 5) -> [Ranked] {
    precondition(probabilities.count == labels.count, "labels do not fit the classes")
    let order = probabilities.indices.sorted { probabilities[$0] > probabilities[$1] }
    return order.prefix(count).map { Ranked(label: labels[$0], probability: probabilities[$0]) }
}

// Holds a model's answers on this device to those that it gave where the bundle was packed.
import Foundation

/// What runs a model: one image, prepared, gives one probability an output.
public protocol Classifier {
    func probabilities(_ image: Pixels) throws -> [Float]
}

/// How far answers may be; nil where nothing is demanded.
struct Tolerance: Decodable {
    let device: String
    let maxAbs: Double?
    let minLogitSqnrDb: Double?
    let minSqnrDb: Double?
    let minCoarseLogitSqnrDb: Double?
    let minHalfLogitSqnrDb: Double?

    enum CodingKeys: String, CodingKey {
        case device
        case maxAbs = "max_abs"
        case minLogitSqnrDb = "min_logit_sqnr_db"
        case minSqnrDb = "min_sqnr_db"
        case minCoarseLogitSqnrDb = "min_coarse_logit_sqnr_db"
        case minHalfLogitSqnrDb = "min_half_logit_sqnr_db"
    }
}

/// The class that an image was taken for where the bundle was packed, and its name.
struct BestClass: Decodable {
    let index: Int
    let label: String
}

enum GoldenCheck {
    /// What is out of tolerance, a sentence each; empty for a pass.
    static func problems(
        expected: [[Float]], actual: [[Float]], tolerance: Tolerance, endsInSigmoid: Bool
    ) -> [String] {
        precondition(expected.count == actual.count, "as many answers as images")
        if expected.map(\.count) != actual.map(\.count) { return ["other numbers of classes"] }
        if actual.contains(where: { row in row.contains { !$0.isFinite } }) {
            return ["NaN in the output"]
        }
        var found: [String] = []
        let pairs = zip(expected.joined(), actual.joined())
        let largest = pairs.map { Double(abs($0 - $1)) }.max() ?? 0
        if let limit = tolerance.maxAbs, largest > limit {
            found.append("probabilities differ by \(largest)")
        }
        let sqnr = decibels(expected.map { $0.map(Double.init) }, actual.map { $0.map(Double.init) })
        if let limit = tolerance.minSqnrDb, sqnr < limit {
            found.append("SQNR of the probabilities is \(sqnr) dB")
        }
        func logitSqnr(_ smallest: Double) -> Double {
            let logits = endsInSigmoid ? sigmoidLogits : softmaxLogits
            return decibels(
                expected.map { logits($0, smallest) }, actual.map { logits($0, smallest) })
        }
        let fine = logitSqnr(endsInSigmoid ? certain : smallest)
        if let limit = tolerance.minLogitSqnrDb, fine < limit {
            found.append("SQNR of the logits is \(fine) dB")
        }
        let coarse = logitSqnr(halfStep)
        if let limit = tolerance.minCoarseLogitSqnrDb, coarse < limit {
            found.append("SQNR of the logits in 256ths is \(coarse) dB")
        }
        let half = logitSqnr(endsInSigmoid ? sigmoidEnd : softmaxEnd)
        if let limit = tolerance.minHalfLogitSqnrDb, half < limit {
            found.append("SQNR of the logits in half precision is \(half) dB")
        }
        return found
    }

    /// What an app that has these labels calls otherwise, of images whose best class is the golden one.
    static func labelProblems(
        actual: [[Float]], golden: [BestClass], labels: [String]
    ) -> [String] {
        zip(actual, golden).compactMap { row, expected in
            let values = ofClasses(row)
            let shown = best(row, labels: labels, count: 1)[0].label
            let isGolden = values.indices.max { values[$0] < values[$1] } == expected.index
            let said = "class \(expected.index) is shown as \(shown), and is \(expected.label)"
            return isGolden && shown != expected.label ? said : nil
        }
    }

    /// Probability that smaller ones count as, before their logarithm is taken.
    private static let smallest = 1e-30

    /// The same where they may be in whole 256ths.
    private static let halfStep = 1.0 / 512

    /// The same where they may have 16 bits.
    private static let softmaxEnd = 1.0 / 16384
    private static let sigmoidEnd = 1.0 / 512

    /// A sigmoid's nearer to 0 or 1 are all one: runtimes stop at other ends.
    private static let certain = 1e-4

    /// Largest difference of two images, in levels of 255.
    static func levels(_ expected: Pixels, _ actual: Pixels) -> Int {
        precondition(expected.width == actual.width && expected.height == actual.height, "sizes")
        return zip(expected.rgb, actual.rgb).map { abs(Int($0) - Int($1)) }.max() ?? 0
    }

    /// Logits up to a constant: log-probabilities less their mean.
    private static func softmaxLogits(_ row: [Float], _ smallest: Double) -> [Double] {
        let logarithms = row.map { log(max(Double($0), smallest)) }
        let mean = logarithms.reduce(0, +) / Double(logarithms.count)
        return logarithms.map { $0 - mean }
    }

    /// ln(p / (1 - p)), each output by itself.
    private static func sigmoidLogits(_ row: [Float], _ smallest: Double) -> [Double] {
        row.map { probability in
            let within = min(max(Double(probability), smallest), 1 - smallest)
            return log(within) - log(1 - within)
        }
    }

    private static func decibels(_ expected: [[Double]], _ actual: [[Double]]) -> Double {
        var signal = 0.0
        var noise = 0.0
        for (mine, theirs) in zip(expected.joined(), actual.joined()) {
            signal += mine * mine
            noise += (mine - theirs) * (mine - theirs)
        }
        return noise == 0 ? .infinity : 10 * log10(signal / noise)
    }
}

// Loads models and runs them in turn, away from the main thread.
import Foundation

public actor Worker {
    private let bundle: ModelBundle
    private let open: @Sendable (_ path: String, _ description: ModelDescription) throws -> Classifier
    private var classifiers: [String: Classifier] = [:]

    /// `open` makes a classifier: `OnnxClassifier.init` of this package, or a `LiteRtClassifier`.
    public init(
        _ bundle: ModelBundle,
        open: @escaping @Sendable (String, ModelDescription) throws -> Classifier
    ) {
        self.bundle = bundle
        self.open = open
    }

    /// The five best classes of a picture.
    public func classify(_ data: Data, model name: String) throws -> [Ranked] {
        let prepared = try bundle.preprocessing().apply(bundle.decode(data))
        return best(try classifier(name).probabilities(prepared), labels: try bundle.labels())
    }

    private func classifier(_ name: String) throws -> Classifier {
        if let found = classifiers[name] { return found }
        let path = bundle.folder.appendingPathComponent(name).path
        let made = try open(path, bundle.model(name))
        classifiers[name] = made
        return made
    }
}

// The bundle in a folder of an app: its images, its descriptions, its golden answers.
import Foundation

public enum BundleError: Error {
    case unreadable(String)
    case unknown(String)
}

/// Real value = scale * (integer - zero point).
public struct Quantization: Decodable {
    public let scale: Float
    public let zeroPoint: Int

    enum CodingKeys: String, CodingKey {
        case scale
        case zeroPoint = "zero_point"
    }
}

/// An input or output of a model.
public struct TensorDescription: Decodable {
    public let name: String
    public let dtype: String
    public let quantization: Quantization?
}

public struct ModelDescription: Decodable {
    public let input: TensorDescription
    public let output: TensorDescription
}

struct PreprocessingDescription: Decodable {
    struct Step: Decodable {
        let step: String
        let mode: String?
        let orientation: String?
        let interpolation: String?
        let background: [UInt8]?
        let shortSide: Int?
        let coverHeight: Int?
        let coverWidth: Int?
        let height: Int?
        let width: Int?

        enum CodingKeys: String, CodingKey {
            case step, mode, orientation, interpolation, background, height, width
            case shortSide = "short_side"
            case coverHeight = "cover_height"
            case coverWidth = "cover_width"
        }
    }

    let steps: [Step]
    let toleranceLevels: Int
    let models: [String: ModelDescription]

    enum CodingKeys: String, CodingKey {
        case steps, models
        case toleranceLevels = "tolerance_levels"
    }
}

struct GoldenAnswers: Decodable {
    struct Image: Decodable {
        let file: String
    }

    struct Pair: Decodable {
        let file: String
        let prepared: String
        let toleranceLevels: Int?

        enum CodingKeys: String, CodingKey {
            case file, prepared
            case toleranceLevels = "tolerance_levels"
        }
    }

    struct Given: Decodable {
        let name: String
        let probabilities: [[Float]]
        let best: [BestClass]
        let pictureProbabilities: [[Float]]
        let pictureBest: [BestClass]
        let tolerances: [Tolerance]

        func tolerance(on device: String) -> Tolerance? {
            let own = tolerances.first { $0.device == device }
            return own == nil && device == "cpu-xnnpack" ? tolerance(on: "cpu") : own
        }

        enum CodingKeys: String, CodingKey {
            case name, probabilities, best, tolerances
            case pictureProbabilities = "picture_probabilities"
            case pictureBest = "picture_best"
        }
    }

    /// A camera's frame as it is stored, and the upright pixels that it must become.
    struct Frame: Decodable {
        struct Plane: Decodable {
            let offset: Int
            let rowStride: Int
            let pixelStride: Int

            enum CodingKeys: String, CodingKey {
                case offset
                case rowStride = "row_stride"
                case pixelStride = "pixel_stride"
            }
        }

        let file: String
        let rgb: String
        let width: Int
        let height: Int
        let y: Plane
        let u: Plane
        let v: Plane
        let range: String
        let matrix: String
        let rotationDegrees: Int
        let toleranceLevels: Int

        enum CodingKeys: String, CodingKey {
            case file, rgb, width, height, y, u, v, range, matrix
            case rotationDegrees = "rotation_degrees"
            case toleranceLevels = "tolerance_levels"
        }
    }

    let images: [Image]
    let pictures: [Image]
    let frames: [Frame]
    let preprocessing: [Pair]
    let artifacts: [Given]
}

struct Manifest: Decodable {
    struct Bundled: Decodable {
        let artifact: Artifact
    }

    struct Artifact: Decodable {
        let path: String
        let spec: Spec
    }

    struct Spec: Decodable {
        let headActivation: String?

        enum CodingKeys: String, CodingKey {
            case headActivation = "head_activation"
        }
    }

    let artifacts: [Bundled]
}

/// A bundle that was unpacked into a folder.
public struct ModelBundle {
    let folder: URL
    let description: PreprocessingDescription
    let golden: GoldenAnswers
    let manifest: Manifest

    public init(folder: URL) throws {
        func json<Content: Decodable>(_ name: String) throws -> Content {
            let data = try Data(contentsOf: folder.appendingPathComponent(name))
            return try JSONDecoder().decode(Content.self, from: data)
        }
        self.folder = folder
        description = try json("preprocessing.json")
        golden = try json("golden/golden.json")
        manifest = try json("MANIFEST.json")
    }

    public func preprocessing() throws -> Preprocessing {
        let resize = description.steps.first { $0.step == "resize" }
        let target = description.steps.first { $0.step == "crop" } ?? resize
        guard let resize, let interpolation = resize.interpolation,
            let height = target?.height, let width = target?.width
        else { throw BundleError.unreadable("preprocessing.json") }
        // Of a square, the length of the shorter side stands for both.
        return Preprocessing(
            mode: resize.mode ?? "crop",
            coverHeight: resize.shortSide ?? resize.coverHeight ?? 0,
            coverWidth: resize.shortSide ?? resize.coverWidth ?? 0,
            height: height, width: width, interpolation: interpolation,
            background: resize.background ?? [255, 255, 255])
    }

    public func model(_ name: String) throws -> ModelDescription {
        guard let found = description.models[name] else { throw BundleError.unknown(name) }
        return found
    }

    /// What is wrong with the preprocessing and with one model. `device` is "cpu", "cpu-xnnpack" where
    /// XNNPACK runs the model (models without tolerances of their own there keep those of "cpu"), or
    /// "accelerator" behind Core ML or a delegate.
    public func problems(_ name: String, classifier: Classifier, device: String) throws -> [String] {
        try preprocessingProblems() + answerProblems(name, classifier, device)
    }

    private func preprocessingProblems() throws -> [String] {
        let steps = try preprocessing()
        return try golden.preprocessing.compactMap { pair in
            let picture = try decode(Data(contentsOf: folder.appendingPathComponent(pair.file)))
            let levels = GoldenCheck.levels(try image(pair.prepared), steps.apply(picture))
            let allowed = pair.toleranceLevels ?? description.toleranceLevels
            return levels > allowed ? "\(pair.file): \(levels) levels off" : nil
        }
    }

    private func answerProblems(
        _ name: String, _ classifier: Classifier, _ device: String
    ) throws -> [String] {
        guard let given = golden.artifacts.first(where: { $0.name == name }),
            let tolerance = given.tolerance(on: device),
            let model = manifest.artifacts.first(where: { $0.artifact.path == name })
        else { throw BundleError.unknown(name) }
        // Each by itself: the colours of the pictures are vivid, whatever the images are.
        let parts = [
            (golden.images, given.probabilities, given.best),
            (golden.pictures, given.pictureProbabilities, given.pictureBest),
        ]
        return try parts.flatMap { images, expected, classes in
            let actual = try images.map { try classifier.probabilities(try image($0.file)) }
            let found = GoldenCheck.problems(
                expected: expected, actual: actual, tolerance: tolerance,
                endsInSigmoid: model.artifact.spec.headActivation == "sigmoid")
            let misnamed = GoldenCheck.labelProblems(
                actual: actual, golden: classes, labels: try labels())
            return (found + misnamed).map { "\(name): \($0)" }
        }
    }

    /// A picture as the bundle's preprocessing begins: upright, in sRGB, on a background.
    public func decode(_ data: Data) throws -> Picture {
        let step = description.steps.first { $0.step == "decode" }
        return try Picture(
            data, isUpright: step?.orientation != "as it lies",
            background: step?.background ?? [255, 255, 255])
    }

    /// Models that these examples run.
    public var modelNames: [String] {
        manifest.artifacts.map(\.artifact.path).filter { name in
            [".tflite", ".onnx", ".ort"].contains { name.hasSuffix($0) }
        }
    }

    public func labels() throws -> [String] {
        let text = try String(contentsOf: folder.appendingPathComponent("labels.txt"), encoding: .utf8)
        return text.split(separator: "\n").map(String.init)
    }

    /// A golden image, which is prepared already.
    func image(_ name: String) throws -> Pixels {
        try decode(Data(contentsOf: folder.appendingPathComponent(name))).pixels()
    }
}

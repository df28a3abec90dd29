// The bundle in a folder of an app: its images, its descriptions, its golden answers.
import CoreGraphics
import Foundation
import ImageIO

enum BundleError: Error {
    case unreadable(String)
    case unknown(String)
}

/// Real value = scale * (integer - zero point).
struct Quantization: Decodable {
    let scale: Float
    let zeroPoint: Int

    enum CodingKeys: String, CodingKey {
        case scale
        case zeroPoint = "zero_point"
    }
}

/// An input or output of a model.
struct TensorDescription: Decodable {
    let name: String
    let dtype: String
    let quantization: Quantization?
}

struct ModelDescription: Decodable {
    let input: TensorDescription
    let output: TensorDescription
}

struct PreprocessingDescription: Decodable {
    struct Step: Decodable {
        let step: String
        let mode: String?
        let interpolation: String?
        let background: [UInt8]?
        let shortSide: Int?
        let coverHeight: Int?
        let coverWidth: Int?
        let height: Int?
        let width: Int?

        enum CodingKeys: String, CodingKey {
            case step, mode, interpolation, background, height, width
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
    }

    struct Given: Decodable {
        let name: String
        let probabilities: [[Float]]
        let tolerances: [Tolerance]
    }

    let images: [Image]
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
struct ModelBundle {
    let folder: URL
    let description: PreprocessingDescription
    let golden: GoldenAnswers
    let manifest: Manifest

    init(folder: URL) throws {
        func json<Content: Decodable>(_ name: String) throws -> Content {
            let data = try Data(contentsOf: folder.appendingPathComponent(name))
            return try JSONDecoder().decode(Content.self, from: data)
        }
        self.folder = folder
        description = try json("preprocessing.json")
        golden = try json("golden/golden.json")
        manifest = try json("MANIFEST.json")
    }

    func preprocessing() throws -> Preprocessing {
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

    func model(_ name: String) throws -> ModelDescription {
        guard let found = description.models[name] else { throw BundleError.unknown(name) }
        return found
    }

    /// What is wrong with the preprocessing and with one model on this device, which is "cpu", or
    /// "accelerator" behind Core ML or a delegate.
    func problems(_ name: String, classifier: Classifier, device: String) throws -> [String] {
        try preprocessingProblems() + answerProblems(name, classifier, device)
    }

    private func preprocessingProblems() throws -> [String] {
        let steps = try preprocessing()
        return try golden.preprocessing.compactMap { pair in
            let actual = steps.apply(try image(pair.file))
            let levels = GoldenCheck.levels(try image(pair.prepared), actual)
            return levels > description.toleranceLevels ? "\(pair.file): \(levels) levels off" : nil
        }
    }

    private func answerProblems(
        _ name: String, _ classifier: Classifier, _ device: String
    ) throws -> [String] {
        guard let given = golden.artifacts.first(where: { $0.name == name }),
            let tolerance = given.tolerances.first(where: { $0.device == device }),
            let model = manifest.artifacts.first(where: { $0.artifact.path == name })
        else { throw BundleError.unknown(name) }
        let actual = try golden.images.map { try classifier.probabilities(try image($0.file)) }
        let found = GoldenCheck.problems(
            expected: given.probabilities, actual: actual, tolerance: tolerance,
            endsInSigmoid: model.artifact.spec.headActivation == "sigmoid")
        return found.map { "\(name): \($0)" }
    }

    private func image(_ name: String) throws -> Pixels {
        let url = folder.appendingPathComponent(name) as CFURL
        guard let source = CGImageSourceCreateWithURL(url, nil),
            let image = CGImageSourceCreateImageAtIndex(source, 0, nil)
        else { throw BundleError.unreadable(name) }
        return try image.pixels()
    }
}

extension CGImage {
    /// The pixels; turn the image as EXIF says before, which this does not do.
    func pixels() throws -> Pixels {
        var rgba = [UInt8](repeating: 0, count: 4 * width * height)
        let isDrawn = rgba.withUnsafeMutableBytes { bytes -> Bool in
            guard let space = CGColorSpace(name: CGColorSpace.sRGB),
                let context = CGContext(
                    data: bytes.baseAddress, width: width, height: height, bitsPerComponent: 8,
                    bytesPerRow: 4 * width, space: space,
                    bitmapInfo: CGImageAlphaInfo.noneSkipLast.rawValue)
            else { return false }
            context.draw(self, in: CGRect(x: 0, y: 0, width: width, height: height))
            return true
        }
        guard isDrawn else { throw BundleError.unreadable("an image") }
        var rgb: [UInt8] = []
        rgb.reserveCapacity(3 * width * height)
        for pixel in stride(from: 0, to: rgba.count, by: 4) {
            rgb.append(contentsOf: rgba[pixel..<pixel + 3])
        }
        return Pixels(width: width, height: height, rgb: rgb)
    }
}

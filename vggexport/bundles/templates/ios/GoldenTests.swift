// Frames of a camera and every ONNX model of the bundle on this device, held to golden pixels and answers.
import XCTest

@testable import VGG

final class GoldenTests: XCTestCase {
    private func unpacked() throws -> ModelBundle {
        let folder = try XCTUnwrap(Bundle.module.url(forResource: "bundle", withExtension: nil))
        return try ModelBundle(folder: folder)
    }

    func testEveryModelAnswersAsWhereItWasPacked() throws {
        let bundle = try unpacked()
        for name in bundle.modelNames where !name.hasSuffix(".tflite") {
            let path = bundle.folder.appendingPathComponent(name).path
            let classifier = try OnnxClassifier(modelPath: path, description: bundle.model(name))
            XCTAssertEqual(try bundle.problems(name, classifier: classifier, device: "cpu"), [])
        }
    }

    func testFramesBecomeTheGoldenPixels() throws {
        let bundle = try unpacked()
        for frame in bundle.golden.frames {
            let data = try Data(contentsOf: bundle.folder.appendingPathComponent(frame.file))
            let actual = try upright(frame.pixelBuffer(data), frame.orientation) { $0.pixels() }
            let levels = GoldenCheck.levels(try bundle.image(frame.rgb), actual)
            XCTAssertLessThanOrEqual(levels, frame.toleranceLevels, frame.file)
        }
    }
}

// Every ONNX model of the bundle on this device, held to its answers.
import XCTest

@testable import VGG

final class GoldenTests: XCTestCase {
    func testEveryModelAnswersAsWhereItWasPacked() throws {
        let folder = try XCTUnwrap(Bundle.module.url(forResource: "bundle", withExtension: nil))
        let bundle = try ModelBundle(folder: folder)
        for name in bundle.modelNames where !name.hasSuffix(".tflite") {
            let path = folder.appendingPathComponent(name).path
            let classifier = try OnnxClassifier(modelPath: path, description: bundle.model(name))
            XCTAssertEqual(try bundle.problems(name, classifier: classifier, device: "cpu"), [])
        }
    }
}

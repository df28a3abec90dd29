// Frames of a camera and every ONNX model of the bundle on this device, held to golden pixels and answers.
import CoreVideo
import ImageIO
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
        let turned: [Int: CGImagePropertyOrientation] = [0: .up, 90: .right, 180: .down, 270: .left]
        for frame in bundle.golden.frames {
            let data = try Data(contentsOf: bundle.folder.appendingPathComponent(frame.file))
            let orientation = try XCTUnwrap(turned[frame.rotationDegrees])
            let actual = try upright(pixelBuffer(frame, data), orientation) { $0.pixels() }
            let levels = GoldenCheck.levels(try bundle.image(frame.rgb), actual)
            XCTAssertLessThanOrEqual(levels, frame.toleranceLevels, frame.file)
        }
    }

    /// The frame as a camera would hand it over.
    private func pixelBuffer(_ frame: GoldenAnswers.Frame, _ data: Data) throws -> CVPixelBuffer {
        let format =
            frame.range == "full"
            ? kCVPixelFormatType_420YpCbCr8BiPlanarFullRange
            : kCVPixelFormatType_420YpCbCr8BiPlanarVideoRange
        let matrix =
            frame.matrix == "bt601"
            ? kCVImageBufferYCbCrMatrix_ITU_R_601_4 : kCVImageBufferYCbCrMatrix_ITU_R_709_2
        var made: CVPixelBuffer?
        CVPixelBufferCreate(nil, frame.width, frame.height, format, nil, &made)
        let buffer = try XCTUnwrap(made)
        CVBufferSetAttachment(buffer, kCVImageBufferYCbCrMatrixKey, matrix, .shouldPropagate)
        CVPixelBufferLockBaseAddress(buffer, [])
        defer { CVPixelBufferUnlockBaseAddress(buffer, []) }
        for (plane, samples) in [[frame.y], [frame.u, frame.v]].enumerated() {
            let base = try XCTUnwrap(CVPixelBufferGetBaseAddressOfPlane(buffer, plane))
            let stride = CVPixelBufferGetBytesPerRowOfPlane(buffer, plane)
            for row in 0..<frame.height / (plane + 1) {
                for column in 0..<frame.width / (plane + 1) {
                    for (place, source) in samples.enumerated() {
                        let at = source.offset + row * source.rowStride + column * source.pixelStride
                        base.storeBytes(
                            of: data[at], toByteOffset: row * stride + samples.count * column + place,
                            as: UInt8.self)
                    }
                }
            }
        }
        return buffer
    }
}

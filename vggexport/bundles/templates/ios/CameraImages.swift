// Frames of a camera made of golden ones, for tests.
import CoreVideo
import Foundation
import ImageIO

@testable import VGG

extension GoldenAnswers.Frame {
    var orientation: CGImagePropertyOrientation {
        [90: .right, 180: .down, 270: .left][rotationDegrees] ?? .up
    }

    /// As a camera would hand it over: its format states the range, its attachment the matrix.
    func pixelBuffer(_ data: Data) throws -> CVPixelBuffer {
        let isFull = range == "full"
        let format =
            isFull
            ? kCVPixelFormatType_420YpCbCr8BiPlanarFullRange
            : kCVPixelFormatType_420YpCbCr8BiPlanarVideoRange
        let is601 = matrix == "bt601"
        let stated =
            is601 ? kCVImageBufferYCbCrMatrix_ITU_R_601_4 : kCVImageBufferYCbCrMatrix_ITU_R_709_2
        var made: CVPixelBuffer?
        CVPixelBufferCreate(nil, width, height, format, nil, &made)
        guard let buffer = made else { throw BundleError.unreadable(file) }
        CVBufferSetAttachment(buffer, kCVImageBufferYCbCrMatrixKey, stated, .shouldPropagate)
        CVPixelBufferLockBaseAddress(buffer, [])
        defer { CVPixelBufferUnlockBaseAddress(buffer, []) }
        for (plane, samples) in [[y], [u, v]].enumerated() {
            for row in 0..<height / (plane + 1) {
                for column in 0..<width / (plane + 1) {
                    for (place, source) in samples.enumerated() {
                        let at = source.offset + row * source.rowStride + column * source.pixelStride
                        let to =
                            row * CVPixelBufferGetBytesPerRowOfPlane(buffer, plane)
                            + samples.count * column + place
                        CVPixelBufferGetBaseAddressOfPlane(buffer, plane)?
                            .storeBytes(of: data[at], toByteOffset: to, as: UInt8.self)
                    }
                }
            }
        }
        return buffer
    }
}

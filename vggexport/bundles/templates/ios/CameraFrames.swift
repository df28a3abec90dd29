// Frames of AVCaptureVideoDataOutput as rows of pixels.
import CoreVideo
import Foundation
import ImageIO

extension Preprocessing {
    /// A frame in 32BGRA or in bi-planar 4:2:0; its orientation as CGImagePropertyOrientation has it.
    public func apply(_ frame: CVPixelBuffer, orientation: CGImagePropertyOrientation) throws -> Pixels {
        try upright(frame, orientation) { apply($0) }
    }
}

/// What `body` makes of a frame, which is locked meanwhile.
func upright(
    _ frame: CVPixelBuffer, _ orientation: CGImagePropertyOrientation, _ body: (any Rows) -> Pixels
) throws -> Pixels {
    CVPixelBufferLockBaseAddress(frame, .readOnly)
    defer { CVPixelBufferUnlockBaseAddress(frame, .readOnly) }
    let turned = Orientation.ofExif(Int(orientation.rawValue))
    switch CVPixelBufferGetPixelFormatType(frame) {
    case kCVPixelFormatType_32BGRA:
        return body(bgra(frame, turned))
    case kCVPixelFormatType_420YpCbCr8BiPlanarFullRange:
        return body(try yuv(frame, turned, range: "full"))
    case kCVPixelFormatType_420YpCbCr8BiPlanarVideoRange:
        return body(try yuv(frame, turned, range: "limited"))
    default:
        throw BundleError.unreadable("a frame that is neither in 32BGRA nor in bi-planar 4:2:0 of 8 bits")
    }
}

private func bgra(_ frame: CVPixelBuffer, _ orientation: Orientation) -> TurnedRows {
    let bytesPerRow = CVPixelBufferGetBytesPerRow(frame)
    let height = CVPixelBufferGetHeight(frame)
    return TurnedRows(
        bytes: UnsafeRawBufferPointer(
            start: CVPixelBufferGetBaseAddress(frame), count: bytesPerRow * height),
        bytesPerRow: bytesPerRow, storedWidth: CVPixelBufferGetWidth(frame), storedHeight: height,
        orientation: orientation, places: (red: 2, green: 1, blue: 0, alpha: nil),
        background: [255, 255, 255])
}

private func yuv(
    _ frame: CVPixelBuffer, _ orientation: Orientation, range: String
) throws -> YuvRows {
    YuvRows(
        luma: plane(frame, 0, offset: 0, pixelStride: 1),
        blue: plane(frame, 1, offset: 0, pixelStride: 2),
        red: plane(frame, 1, offset: 1, pixelStride: 2),
        storedWidth: CVPixelBufferGetWidth(frame), storedHeight: CVPixelBufferGetHeight(frame),
        orientation: orientation, colours: try YuvColours(range: range, matrix: matrix(of: frame)))
}

private func plane(_ frame: CVPixelBuffer, _ index: Int, offset: Int, pixelStride: Int) -> Plane {
    let rowStride = CVPixelBufferGetBytesPerRowOfPlane(frame, index)
    let all = UnsafeRawBufferPointer(
        start: CVPixelBufferGetBaseAddressOfPlane(frame, index),
        count: rowStride * CVPixelBufferGetHeightOfPlane(frame, index))
    let own = UnsafeRawBufferPointer(rebasing: all.dropFirst(offset))
    return Plane(bytes: own, rowStride: rowStride, pixelStride: pixelStride)
}

/// What the camera states with the frame; what is not stated is not assumed.
private func matrix(of frame: CVPixelBuffer) throws -> String {
    let known = [
        kCVImageBufferYCbCrMatrix_ITU_R_601_4 as String: "bt601",
        kCVImageBufferYCbCrMatrix_ITU_R_709_2 as String: "bt709",
    ]
    let stated = CVBufferCopyAttachment(frame, kCVImageBufferYCbCrMatrixKey, nil) as? String
    guard let stated, let matrix = known[stated] else {
        throw BundleError.unknown("YCbCr matrix \(stated ?? "that no attachment states")")
    }
    return matrix
}

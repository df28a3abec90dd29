// From an image file or a camera's frame to rows of pixels, as the step "decode" of
// preprocessing.json describes it: upright, in sRGB, on a background. A photograph of 12 megapixels
// takes 48 MB. Core Graphics may take a gray picture without a profile for Gray Gamma 2.2, which it then
// converts, up to 9 levels off in the shadows: the golden check, which has one, tells whether yours does.
import CoreGraphics
import CoreVideo
import Foundation
import ImageIO

/// A decoded picture; colours are converted to sRGB as it is drawn.
public final class Picture: Rows {
    private let storage: UnsafeMutableRawBufferPointer
    private let rows: TurnedRows

    public var width: Int { rows.width }
    public var height: Int { rows.height }

    public init(_ data: Data, isUpright: Bool, background: [UInt8]) throws {
        guard let source = CGImageSourceCreateWithData(data as CFData, nil),
            let image = CGImageSourceCreateImageAtIndex(source, 0, nil),
            let space = CGColorSpace(name: CGColorSpace.sRGB)
        else { throw BundleError.unreadable("an image") }
        let properties = CGImageSourceCopyPropertiesAtIndex(source, 0, nil) as? [CFString: Any]
        let stated = properties?[kCGImagePropertyOrientation] as? Int ?? 1
        let bytesPerRow = 4 * image.width
        let bytes = UnsafeMutableRawBufferPointer.allocate(
            byteCount: bytesPerRow * image.height, alignment: 16)
        bytes.initializeMemory(as: UInt8.self, repeating: 0)
        guard
            let context = CGContext(
                data: bytes.baseAddress, width: image.width, height: image.height,
                bitsPerComponent: 8, bytesPerRow: bytesPerRow, space: space,
                bitmapInfo: CGImageAlphaInfo.premultipliedLast.rawValue)
        else {
            bytes.deallocate()
            throw BundleError.unreadable("an image")
        }
        context.draw(image, in: CGRect(x: 0, y: 0, width: image.width, height: image.height))
        storage = bytes
        rows = TurnedRows(
            bytes: UnsafeRawBufferPointer(bytes), bytesPerRow: bytesPerRow,
            storedWidth: image.width, storedHeight: image.height,
            orientation: Orientation.ofExif(isUpright ? stated : 1),
            places: (red: 0, green: 1, blue: 2, alpha: 3), background: background)
    }

    deinit { storage.deallocate() }

    public func row(_ y: Int) -> [UInt8] { rows.row(y) }

    public func pixels() -> Pixels {
        Pixels(width: width, height: height, rgb: (0..<height).flatMap(row))
    }
}

extension Preprocessing {
    /// A frame in kCVPixelFormatType_32BGRA, which AVCaptureVideoDataOutput gives where it is asked
    /// to; its orientation as CGImagePropertyOrientation has it.
    public func apply(_ frame: CVPixelBuffer, orientation: CGImagePropertyOrientation) throws -> Pixels {
        guard CVPixelBufferGetPixelFormatType(frame) == kCVPixelFormatType_32BGRA else {
            throw BundleError.unreadable("a frame that is not in 32BGRA")
        }
        CVPixelBufferLockBaseAddress(frame, .readOnly)
        defer { CVPixelBufferUnlockBaseAddress(frame, .readOnly) }
        let bytesPerRow = CVPixelBufferGetBytesPerRow(frame)
        let height = CVPixelBufferGetHeight(frame)
        let rows = TurnedRows(
            bytes: UnsafeRawBufferPointer(
                start: CVPixelBufferGetBaseAddress(frame), count: bytesPerRow * height),
            bytesPerRow: bytesPerRow, storedWidth: CVPixelBufferGetWidth(frame), storedHeight: height,
            orientation: Orientation.ofExif(Int(orientation.rawValue)),
            places: (red: 2, green: 1, blue: 0, alpha: nil), background: [255, 255, 255])
        return apply(rows)
    }
}

// From an image file to rows of pixels, as the step "decode" of preprocessing.json describes it:
// upright, in sRGB, on a background. A photograph of 12 megapixels takes 48 MB, and what Image I/O needs
// to decode it. Core Graphics may take a gray picture without a profile for Gray Gamma 2.2, which it then
// converts, up to 9 levels off in the shadows: the golden check, which has one, tells whether yours does.
import CoreGraphics
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
            // It is drawn once: a decoded copy that is kept would take 48 MB more.
            let image = CGImageSourceCreateImageAtIndex(
                source, 0, [kCGImageSourceShouldCache: false] as CFDictionary),
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
}

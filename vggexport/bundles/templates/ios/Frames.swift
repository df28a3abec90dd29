// Frames of a camera in YUV as rows of pixels. Plain Swift, without Core Video.
import Foundation

/// How the bytes of a YUV frame are to be read, which nothing in them shows: `range` is "full" (0 to 255)
/// or "limited" (luma 16 to 235, chroma 16 to 240), `matrix` "bt601" or "bt709".
public struct YuvColours: Sendable {
    private let isLimited: Bool
    /// Of red and of blue in luma.
    private let ofRed: Double
    private let ofBlue: Double

    public init(range: String, matrix: String) throws {
        let shares = ["bt601": (0.299, 0.114), "bt709": (0.2126, 0.0722)]
        guard range == "full" || range == "limited" else { throw BundleError.unknown("range \(range)") }
        guard let (red, blue) = shares[matrix] else { throw BundleError.unknown("matrix \(matrix)") }
        isLimited = range == "limited"
        ofRed = red
        ofBlue = blue
    }

    /// RGB.
    func rgb(_ y: Int, _ u: Int, _ v: Int) -> (UInt8, UInt8, UInt8) {
        let level = isLimited ? Double(y - 16) * 255 / 219 : Double(y)
        let chroma = isLimited ? 255.0 / 224 : 1
        let red = 2 * (1 - ofRed) * chroma * Double(v - 128)
        let blue = 2 * (1 - ofBlue) * chroma * Double(u - 128)
        let less = (ofRed * red + ofBlue * blue) / (1 - ofRed - ofBlue)
        return (rounded(level + red), rounded(level - less), rounded(level + blue))
    }

    private func rounded(_ value: Double) -> UInt8 { UInt8(min(max(value.rounded(), 0), 255)) }
}

/// One plane of a frame: bytes `pixelStride` apart in rows `rowStride` apart.
public struct Plane {
    let bytes: UnsafeRawBufferPointer
    let rowStride: Int
    let pixelStride: Int

    func at(_ x: Int, _ y: Int) -> Int { Int(bytes[y * rowStride + x * pixelStride]) }
}

/// A frame whose colours are half as fine, upright.
public struct YuvRows: Rows {
    let luma: Plane
    let blue: Plane
    let red: Plane
    let storedWidth: Int
    let storedHeight: Int
    let orientation: Orientation
    let colours: YuvColours

    public var width: Int { orientation.swaps ? storedHeight : storedWidth }
    public var height: Int { orientation.swaps ? storedWidth : storedHeight }

    public func row(_ y: Int) -> [UInt8] {
        var out = [UInt8](repeating: 0, count: 3 * width)
        for x in 0..<width {
            let (column, row) = orientation.stored(x, y, width: width, height: height)
            let (u, v) = (blue.at(column / 2, row / 2), red.at(column / 2, row / 2))
            (out[3 * x], out[3 * x + 1], out[3 * x + 2]) = colours.rgb(luma.at(column, row), u, v)
        }
        return out
    }
}

// How a picture lies in its file. Plain Swift, without UIKit.

/// The rows of the upright picture are the stored one's columns if it swaps both, counted from the
/// end, each read backwards if it mirrors.
public struct Orientation: Sendable {
    public let swaps: Bool
    public let fromEnd: Bool
    public let mirrors: Bool

    /// By EXIF's tag 0x0112, 1 to 8, whose values are those of CGImagePropertyOrientation.
    public static func ofExif(_ value: Int) -> Orientation {
        let all = [
            Orientation(swaps: false, fromEnd: false, mirrors: false),
            Orientation(swaps: false, fromEnd: false, mirrors: true),
            Orientation(swaps: false, fromEnd: true, mirrors: true),
            Orientation(swaps: false, fromEnd: true, mirrors: false),
            Orientation(swaps: true, fromEnd: false, mirrors: false),
            Orientation(swaps: true, fromEnd: false, mirrors: true),
            Orientation(swaps: true, fromEnd: true, mirrors: true),
            Orientation(swaps: true, fromEnd: true, mirrors: false),
        ]
        return all.indices.contains(value - 1) ? all[value - 1] : all[0]
    }

    /// Where a pixel of the upright picture, which has that size, is stored.
    @inline(__always)
    func stored(_ x: Int, _ y: Int, width: Int, height: Int) -> (column: Int, row: Int) {
        let line = fromEnd ? height - 1 - y : y
        let along = mirrors ? width - 1 - x : x
        return swaps ? (line, along) : (along, line)
    }
}

/// Four bytes a pixel, red first, as they are stored, read a row at a time as they are to be seen.
public struct TurnedRows: Rows {
    let bytes: UnsafeRawBufferPointer
    let bytesPerRow: Int
    let storedWidth: Int
    let storedHeight: Int
    let orientation: Orientation
    /// Places of red, green, blue and alpha in a pixel; nil where all is opaque.
    let places: (red: Int, green: Int, blue: Int, alpha: Int?)
    let background: [UInt8]

    public var width: Int { orientation.swaps ? storedHeight : storedWidth }
    public var height: Int { orientation.swaps ? storedWidth : storedHeight }

    public func row(_ y: Int) -> [UInt8] {
        var out = [UInt8](repeating: 0, count: 3 * width)
        let colours = [places.red, places.green, places.blue]
        for x in 0..<width {
            let (column, row) = orientation.stored(x, y, width: width, height: height)
            let at = row * bytesPerRow + 4 * column
            let alpha = places.alpha.map { Int(bytes[at + $0]) } ?? 255
            for (channel, place) in colours.enumerated() {
                // Core Graphics has multiplied the colours by alpha.
                let level = Int(bytes[at + place]) + (Int(background[channel]) * (255 - alpha) + 127) / 255
                out[3 * x + channel] = UInt8(min(level, 255))
            }
        }
        return out
    }
}

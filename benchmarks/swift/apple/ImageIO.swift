// Declarations of what the examples use of Image I/O; nothing of it runs.
@_exported import CoreGraphics
import Foundation

public class CGImageSource {}

public enum CGImagePropertyOrientation: UInt32 {
    case up = 1
    case upMirrored, down, downMirrored, leftMirrored, right, rightMirrored, left
}

public var kCGImagePropertyOrientation: CFString { fatalError() }
public var kCGImageSourceShouldCache: CFString { fatalError() }

public func CGImageSourceCreateWithData(_ data: CFData, _ options: CFDictionary?) -> CGImageSource? {
    fatalError()
}
public func CGImageSourceCreateImageAtIndex(
    _ isrc: CGImageSource, _ index: Int, _ options: CFDictionary?
) -> CGImage? { fatalError() }
public func CGImageSourceCopyPropertiesAtIndex(
    _ isrc: CGImageSource, _ index: Int, _ options: CFDictionary?
) -> CFDictionary? { fatalError() }

// Declarations of what the examples use of Core Foundation and Core Graphics; nothing of it runs.
import Foundation

public typealias CFData = NSData
public typealias CFDictionary = NSDictionary
public typealias CFString = NSString
public typealias CFTypeRef = AnyObject

public class CGImage {
    public var width: Int { fatalError() }
    public var height: Int { fatalError() }
}

public class CGColorSpace {
    public static let sRGB: CFString = ""

    public init?(name: CFString) { fatalError() }
}

public enum CGImageAlphaInfo: UInt32 {
    case none = 0
    case premultipliedLast = 1
}

public class CGContext {
    public init?(
        data: UnsafeMutableRawPointer?, width: Int, height: Int, bitsPerComponent: Int,
        bytesPerRow: Int, space: CGColorSpace, bitmapInfo: UInt32
    ) { fatalError() }

    public func draw(_ image: CGImage, in rect: CGRect) { fatalError() }
}

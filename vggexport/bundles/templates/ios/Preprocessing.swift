// From an image to what the models take, pixel by pixel as preprocessing.json describes it.
// Plain Swift, without UIKit.
import Foundation

/// An image that is read a row at a time: no more of a large photograph is copied.
public protocol Rows {
    var width: Int { get }
    var height: Int { get }

    /// One row from the left: RGB, 8 bits a channel, 3 * width bytes.
    func row(_ y: Int) -> [UInt8]
}

extension Rows {
    /// All of it.
    public func pixels() -> Pixels {
        Pixels(width: width, height: height, rgb: (0..<height).flatMap(row))
    }
}

/// An image: RGB, 8 bits a channel, row by row.
public struct Pixels: Rows {
    public let width: Int
    public let height: Int
    public let rgb: [UInt8]

    public init(width: Int, height: Int, rgb: [UInt8]) {
        precondition(rgb.count == 3 * width * height, "bytes do not fit the size")
        self.width = width
        self.height = height
        self.rgb = rgb
    }

    public func row(_ y: Int) -> [UInt8] {
        Array(rgb[3 * width * y..<3 * width * (y + 1)])
    }
}

/// What preprocessing.json says of its step "resize". `mode` is "crop": scales until `coverHeight` and
/// `coverWidth` are covered, and cuts out the centre; "part": scales the largest part of the right
/// shape; "stretch": scales all of it; "pad": scales until it fits, on `background` (RGB).
public struct Preprocessing {
    let mode: String
    let coverHeight: Int
    let coverWidth: Int
    let height: Int
    let width: Int
    let interpolation: String
    let background: [UInt8]

    public func apply(_ image: any Rows) -> Pixels {
        switch mode {
        case "crop":
            let scale = max(
                Double(coverHeight) / Double(image.height), Double(coverWidth) / Double(image.width))
            let horizontal = centre(image.width, scale, width)
            return resize(image, horizontal, centre(image.height, scale, height))
        case "part":
            let partWidth = max(1, min(image.width, image.height * width / height))
            let partHeight = max(1, min(image.height, image.width * height / width))
            let horizontal = part(image.width, partWidth, width)
            return resize(image, horizontal, part(image.height, partHeight, height))
        case "pad":
            return padded(image)
        default:
            let horizontal = part(image.width, image.width, width)
            return resize(image, horizontal, part(image.height, image.height, height))
        }
    }

    /// The centre of one side that is scaled, in pixels of the image.
    private func centre(_ side: Int, _ scale: Double, _ size: Int) -> Weights {
        let scaled = Int((Double(side) * scale).rounded(.toNearestOrEven))
        let begin = Int((Double(scaled - size) / 2).rounded(.down))
        let perPixel = Double(side) / Double(scaled)
        // Pillow keeps the part's ends in 32 bits.
        let end = Float(min(Double(begin + size) * perPixel, Double(side)))
        let first = Float(Double(begin) * perPixel)
        return Weights(interpolation, side: side, begin: first, end: end, size: size)
    }

    /// So many pixels in the middle of one side.
    private func part(_ side: Int, _ length: Int, _ size: Int) -> Weights {
        let begin = (side - length) / 2
        let end = Float(begin + length)
        return Weights(interpolation, side: side, begin: Float(begin), end: end, size: size)
    }

    private func padded(_ image: any Rows) -> Pixels {
        let scale = min(Double(height) / Double(image.height), Double(width) / Double(image.width))
        let inWidth = max(1, Int((Double(image.width) * scale).rounded(.toNearestOrEven)))
        let inHeight = max(1, Int((Double(image.height) * scale).rounded(.toNearestOrEven)))
        let horizontal = part(image.width, image.width, inWidth)
        let inner = resize(image, horizontal, part(image.height, image.height, inHeight))
        var rgb = (0..<3 * width * height).map { background[$0 % 3] }
        let left = (width - inWidth) / 2
        let top = (height - inHeight) / 2
        for y in 0..<inHeight {
            let begin = 3 * ((top + y) * width + left)
            let row = inner.rgb[3 * y * inWidth..<3 * (y + 1) * inWidth]
            rgb.replaceSubrange(begin..<begin + 3 * inWidth, with: row)
        }
        return Pixels(width: width, height: height, rgb: rgb)
    }

    /// Rows are scaled as they are read, and kept as long as a row of the result needs them.
    private func resize(_ image: any Rows, _ horizontal: Weights, _ vertical: Weights) -> Pixels {
        let length = 3 * horizontal.size
        var out = [UInt8](repeating: 0, count: length * vertical.size)
        var window = [[UInt8]](repeating: [], count: vertical.longest)
        var next = 0
        for y in 0..<vertical.size {
            let needed = vertical.range(y)
            next = max(next, needed.lowerBound)
            while next < needed.upperBound {
                window[next % window.count] = scaled(image.row(next), horizontal)
                next += 1
            }
            for at in 0..<length {
                out[length * y + at] = vertical.sum(y) { window[$0 % window.count][at] }
            }
        }
        return Pixels(width: horizontal.size, height: vertical.size, rgb: out)
    }

    private func scaled(_ row: [UInt8], _ weights: Weights) -> [UInt8] {
        (0..<3 * weights.size).map { at in weights.sum(at / 3) { row[3 * $0 + at % 3] } }
    }
}

/// What one axis is filtered with, in whole numbers of 1/2^22 as Pillow has them.
private struct Weights {
    private static let bits = 22
    private static let one = 1 << bits

    let size: Int
    private var firsts: [Int] = []
    private var weights: [[Int]] = []

    init(_ interpolation: String, side: Int, begin: Float, end: Float, size: Int) {
        self.size = size
        let perPixel = Double(end - begin) / Double(size)
        if interpolation == "nearest" {
            var at = Double(begin) + perPixel * 0.5
            for _ in 0..<size {
                firsts.append(min(Int(at), side - 1))
                weights.append([Self.one])
                at += perPixel
            }
            return
        }
        let stretch = max(perPixel, 1)
        let reach = Self.radius(interpolation) * stretch
        for target in 0..<size {
            let centre = Double(begin) + (Double(target) + 0.5) * perPixel
            let first = max(Int(centre - reach + 0.5), 0)
            let last = min(Int(centre + reach + 0.5), side)
            let real = (first..<last).map { source in
                Self.filter(interpolation, (Double(source) - centre + 0.5) * (1 / stretch))
            }
            let total = real.reduce(0, +)
            firsts.append(first)
            weights.append(
                real.map { value in
                    let weight = value / total * Double(Self.one)
                    return Int(weight < 0 ? weight - 0.5 : weight + 0.5)
                })
        }
    }

    /// The most pixels that one is made of.
    var longest: Int { weights.map(\.count).max() ?? 0 }

    func range(_ target: Int) -> Range<Int> {
        firsts[target]..<firsts[target] + weights[target].count
    }

    func sum(_ target: Int, _ value: (Int) -> UInt8) -> UInt8 {
        var sum = Self.one / 2  // rounds
        for (offset, weight) in weights[target].enumerated() {
            sum += weight * Int(value(firsts[target] + offset))
        }
        return UInt8(min(max(sum >> Self.bits, 0), 255))
    }

    private static func radius(_ interpolation: String) -> Double {
        switch interpolation {
        case "area": return 0.5
        case "bicubic": return 2
        case "lanczos": return 3
        default: return 1
        }
    }

    private static func filter(_ interpolation: String, _ x: Double) -> Double {
        let away = abs(x)
        switch interpolation {
        case "area":
            return x > -0.5 && x <= 0.5 ? 1 : 0
        case "bicubic":
            if away < 1 { return (1.5 * away - 2.5) * away * away + 1 }
            return away < 2 ? (((away - 5) * away + 8) * away - 4) * -0.5 : 0
        case "lanczos":
            return -3 <= x && x < 3 ? sinc(x) * sinc(x / 3) : 0
        default:
            return max(0, 1 - away)
        }
    }

    private static func sinc(_ x: Double) -> Double {
        x == 0 ? 1 : sin(Double.pi * x) / (Double.pi * x)
    }
}

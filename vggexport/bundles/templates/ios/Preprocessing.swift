// From an image to what the models take, pixel by pixel as preprocessing.json describes it.
// Plain Swift, without UIKit.

/// An image: RGB, 8 bits a channel, row by row.
struct Pixels {
    let width: Int
    let height: Int
    let rgb: [UInt8]

    init(width: Int, height: Int, rgb: [UInt8]) {
        precondition(rgb.count == 3 * width * height, "bytes do not fit the size")
        self.width = width
        self.height = height
        self.rgb = rgb
    }
}

/// Scales until a size is covered, bilinear with antialiasing, and crops the centre.
struct Preprocessing {
    let coverHeight: Int
    let coverWidth: Int
    let height: Int
    let width: Int

    func apply(_ image: Pixels) -> Pixels {
        let scale = max(
            Double(coverHeight) / Double(image.height), Double(coverWidth) / Double(image.width))
        let horizontal = span(image.width, scale, width)
        let vertical = span(image.height, scale, height)
        return resizeRows(resizeColumns(image, horizontal), vertical)
    }

    /// The part of one side that the crop keeps, in pixels of the image.
    private func span(_ side: Int, _ scale: Double, _ size: Int) -> Weights {
        let scaled = Int((Double(side) * scale).rounded(.toNearestOrEven))
        let begin = Int((Double(scaled - size) / 2).rounded(.down))
        let perPixel = Double(side) / Double(scaled)
        // Pillow keeps the part's ends in 32 bits.
        let end = Float(Double(begin + size) * perPixel)
        return Weights(side: side, begin: Float(Double(begin) * perPixel), end: end, size: size)
    }

    private func resizeColumns(_ image: Pixels, _ weights: Weights) -> Pixels {
        var out = [UInt8](repeating: 0, count: 3 * width * image.height)
        for y in 0..<image.height {
            for x in 0..<width {
                for channel in 0..<3 {
                    out[3 * (y * width + x) + channel] = weights.sum(x) { source in
                        image.rgb[3 * (y * image.width + source) + channel]
                    }
                }
            }
        }
        return Pixels(width: width, height: image.height, rgb: out)
    }

    private func resizeRows(_ image: Pixels, _ weights: Weights) -> Pixels {
        var out = [UInt8](repeating: 0, count: 3 * width * height)
        for y in 0..<height {
            for x in 0..<width {
                for channel in 0..<3 {
                    out[3 * (y * width + x) + channel] = weights.sum(y) { source in
                        image.rgb[3 * (source * width + x) + channel]
                    }
                }
            }
        }
        return Pixels(width: width, height: height, rgb: out)
    }
}

/// Triangle filters for one axis, in whole numbers of 1/2^22 as Pillow has them.
private struct Weights {
    private static let bits = 22
    private static let one = 1 << bits

    private var firsts: [Int] = []
    private var weights: [[Int]] = []

    init(side: Int, begin: Float, end: Float, size: Int) {
        let perPixel = Double(end - begin) / Double(size)
        let reach = max(perPixel, 1)
        for target in 0..<size {
            let centre = Double(begin) + (Double(target) + 0.5) * perPixel
            let first = max(Int(centre - reach + 0.5), 0)
            let last = min(Int(centre + reach + 0.5), side)
            let real = (first..<last).map { source in
                max(0, 1 - abs((Double(source) - centre + 0.5) * (1 / reach)))
            }
            let total = real.reduce(0, +)
            firsts.append(first)
            weights.append(real.map { Int($0 / total * Double(Self.one) + 0.5) })
        }
    }

    func sum(_ target: Int, _ value: (Int) -> UInt8) -> UInt8 {
        var sum = Self.one / 2  // rounds
        for (offset, weight) in weights[target].enumerated() {
            sum += weight * Int(value(firsts[target] + offset))
        }
        return UInt8(min(max(sum >> Self.bits, 0), 255))
    }
}

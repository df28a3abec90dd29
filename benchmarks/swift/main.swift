// Runs the examples' preprocessing and golden check: FOLDER MODE COVER_HEIGHT COVER_WIDTH HEIGHT WIDTH
// INTERPOLATION RED GREEN BLUE, and a NAME WIDTH HEIGHT for each pair, whose pixels are in FOLDER, as
// are what the examples read of a bundle, in "bundle", and the upright pixels of its frames.
import Foundation

@testable import VGG

let arguments = CommandLine.arguments
let folder = URL(fileURLWithPath: arguments[1])
let numbers = arguments[3...6].map { Int($0)! }

func read(_ name: String, _ width: Int, _ height: Int) throws -> Pixels {
    let data = try Data(contentsOf: folder.appendingPathComponent(name))
    return Pixels(width: width, height: height, rgb: [UInt8](data))
}

let steps = Preprocessing(
    mode: arguments[2], coverHeight: numbers[0], coverWidth: numbers[1], height: numbers[2],
    width: numbers[3], interpolation: arguments[7], background: arguments[8...10].map { UInt8($0)! })
for at in stride(from: 11, to: arguments.count, by: 3) {
    let name = arguments[at]
    let image = try read(name, Int(arguments[at + 1])!, Int(arguments[at + 2])!)
    let expected = try read(name + "_prepared", numbers[3], numbers[2])
    print("\(name): \(GoldenCheck.levels(expected, steps.apply(image))) levels off")
}

// A frame of 3x2 whose reds are 0 to 5, as each value of EXIF's orientation has it upright.
let frame = (0..<24).map { UInt8($0 / 4) }
for value in 1...8 {
    let rows = frame.withUnsafeBytes { bytes -> [[UInt8]] in
        let upright = TurnedRows(
            bytes: bytes, bytesPerRow: 12, storedWidth: 3, storedHeight: 2,
            orientation: Orientation.ofExif(value), places: (red: 0, green: 1, blue: 2, alpha: nil),
            background: [255, 255, 255])
        return (0..<upright.height).map { y in
            let row = upright.row(y)
            return (0..<upright.width).map { row[3 * $0] }
        }
    }
    print("orientation \(value): \(rows)")
}

let bundle = try ModelBundle(folder: folder.appendingPathComponent("bundle"))
for frame in bundle.golden.frames {
    let data = try Data(contentsOf: bundle.folder.appendingPathComponent(frame.file))
    let isOnSide = frame.rotationDegrees % 180 == 90
    let (width, height) = isOnSide ? (frame.height, frame.width) : (frame.width, frame.height)
    let name = (frame.rgb as NSString).lastPathComponent
    let expected = try read((name as NSString).deletingPathExtension, width, height)
    for (range, matrix) in [
        (frame.range, frame.matrix), (frame.range == "full" ? "limited" : "full", frame.matrix),
        (frame.range, frame.matrix == "bt601" ? "bt709" : "bt601"),
    ] {
        let stated = GoldenAnswers.Frame(
            file: frame.file, rgb: frame.rgb, width: frame.width, height: frame.height, y: frame.y,
            u: frame.u, v: frame.v, range: range, matrix: matrix,
            rotationDegrees: frame.rotationDegrees, toleranceLevels: frame.toleranceLevels)
        let actual = try upright(stated.pixelBuffer(data), stated.orientation) { $0.pixels() }
        print("frame \(frame.file) as \(range) \(matrix): \(GoldenCheck.levels(expected, actual))")
    }
}
let labels = try bundle.labels()
let shifted = Array(labels.dropFirst()) + [labels[0]]
for (said, own) in [("the same", labels), ("shifted", shifted)] {
    let found = bundle.golden.artifacts.flatMap { given in
        GoldenCheck.labelProblems(actual: given.probabilities, golden: given.best, labels: own)
    }
    print("\(said) labels: \(found.first ?? "no problem")")
}
print("best: \(best([0.1, 0.7, 0.2], labels: ["a", "b", "c"], count: 2).map(\.label))")

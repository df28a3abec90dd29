// A .tflite file in LiteRT: pod 'TensorFlowLiteSwift'. With XNNPACK, which is off by default there:
// without it int8-w4 answers wrongly, and says nothing. Hold it to the row "cpu-xnnpack".
import Foundation
import TensorFlowLite
import VGG

final class LiteRtClassifier: Classifier {
    private let interpreter: Interpreter
    private let description: ModelDescription

    init(modelPath: String, description: ModelDescription) throws {
        self.description = description
        var options = Interpreter.Options()
        options.isXNNPackEnabled = true
        interpreter = try Interpreter(modelPath: modelPath, options: options)
        try interpreter.allocateTensors()
    }

    func probabilities(_ image: Pixels) throws -> [Float] {
        try interpreter.copy(input(image), toInputAt: 0)
        try interpreter.invoke()
        let data = try interpreter.output(at: 0).data
        guard let quantization = description.output.quantization else {
            return data.withUnsafeBytes { Array($0.bindMemory(to: Float.self)) }
        }
        let isSigned = description.output.dtype == "int8"
        return data.map { byte in
            let integer = isSigned ? Int(Int8(bitPattern: byte)) : Int(byte)
            return quantization.scale * Float(integer - quantization.zeroPoint)
        }
    }

    /// Raw pixels 0...255: the mean is subtracted inside the model.
    private func input(_ image: Pixels) -> Data {
        let source = description.input
        if source.dtype == "float32" {
            return image.rgb.map(Float.init).withUnsafeBufferPointer { Data(buffer: $0) }
        }
        guard let quantization = source.quantization else { return Data(image.rgb) }
        return Data(
            image.rgb.map { value in
                let integer = Int((Float(value) / quantization.scale).rounded())
                return UInt8(truncatingIfNeeded: integer + quantization.zeroPoint)
            })
    }
}

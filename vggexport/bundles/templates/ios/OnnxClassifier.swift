// An .onnx or .ort file in ONNX Runtime, from its Swift package.
import Foundation
import OnnxRuntimeBindings

public final class OnnxClassifier: Classifier {
    private let environment: ORTEnv
    private let session: ORTSession
    private let description: ModelDescription

    public init(modelPath: String, description: ModelDescription) throws {
        self.description = description
        environment = try ORTEnv(loggingLevel: ORTLoggingLevel.warning)
        let options = try ORTSessionOptions()
        // Without it int8 answers are wrong on x86-64 CPUs that lack VNNI, a simulator's among them.
        try options.addConfigEntry(withKey: "session.x64quantprecision", value: "1")
        session = try ORTSession(env: environment, modelPath: modelPath, sessionOptions: options)
    }

    public func probabilities(_ image: Pixels) throws -> [Float] {
        let shape: [NSNumber] = [1, image.height as NSNumber, image.width as NSNumber, 3]
        let isByte = description.input.dtype == "uint8"
        let tensor = try ORTValue(
            tensorData: NSMutableData(data: input(image, isByte: isByte)),
            elementType: isByte ? ORTTensorElementDataType.uInt8 : ORTTensorElementDataType.float,
            shape: shape)
        let outputs = try session.run(
            withInputs: [description.input.name: tensor],
            outputNames: [description.output.name], runOptions: nil)
        guard let output = outputs[description.output.name] else {
            throw BundleError.unknown(description.output.name)
        }
        let data = try output.tensorData() as Data
        return data.withUnsafeBytes { Array($0.bindMemory(to: Float.self)) }
    }

    /// Raw pixels 0...255: the mean is subtracted inside the model.
    private func input(_ image: Pixels, isByte: Bool) -> Data {
        if isByte { return Data(image.rgb) }
        return image.rgb.map(Float.init).withUnsafeBufferPointer { Data(buffer: $0) }
    }
}

// Declarations of what the examples use of TensorFlowLiteSwift; nothing of it runs.
import Foundation

public struct Tensor {
    public let data: Data
}

public final class Interpreter {
    public struct Options {
        public var isXNNPackEnabled = false

        public init() {}
    }

    public init(modelPath: String, options: Options? = nil) throws {}

    public func allocateTensors() throws {}

    @discardableResult
    public func copy(_ data: Data, toInputAt index: Int) throws -> Tensor { fatalError() }

    public func invoke() throws {}

    public func output(at index: Int) throws -> Tensor { fatalError() }
}

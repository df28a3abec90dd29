// Declarations of what the examples use of ONNX Runtime's Swift package; nothing of it runs.
import Foundation

public enum ORTLoggingLevel { case warning }
public enum ORTTensorElementDataType { case float, uInt8 }
public class ORTRunOptions {}

public class ORTEnv {
    public init(loggingLevel: ORTLoggingLevel) throws {}
}

public class ORTSessionOptions {
    public init() throws {}

    public func addConfigEntry(withKey key: String, value: String) throws {}
}

public class ORTValue {
    public init(
        tensorData: NSMutableData, elementType: ORTTensorElementDataType, shape: [NSNumber]
    ) throws {}

    public func tensorData() throws -> NSMutableData { fatalError() }
}

public class ORTSession {
    public init(env: ORTEnv, modelPath: String, sessionOptions: ORTSessionOptions?) throws {}

    public func run(
        withInputs inputs: [String: ORTValue], outputNames: Set<String>, runOptions: ORTRunOptions?
    ) throws -> [String: ORTValue] { fatalError() }
}

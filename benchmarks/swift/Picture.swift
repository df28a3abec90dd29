// A declaration of what Pictures.swift has on Apple's systems; nothing of it runs.
import Foundation

public final class Picture: Rows {
    public var width: Int { fatalError("declared alone") }
    public var height: Int { fatalError("declared alone") }

    public init(_ data: Data, isUpright: Bool, background: [UInt8]) throws {}

    public func row(_ y: Int) -> [UInt8] { [] }

    public func pixels() -> Pixels { fatalError("declared alone") }
}

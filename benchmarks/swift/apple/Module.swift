// What Swift Package Manager writes for a package with resources; nothing of it runs.
import Foundation

extension Bundle {
    static var module: Bundle { fatalError() }
}

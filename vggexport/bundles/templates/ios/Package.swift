// swift-tools-version:5.9
// Open this folder in Xcode, or run "xcodebuild test -scheme VGG -destination ...".
// LiteRT has no Swift package: LiteRtClassifier.swift is beside this package's sources, for apps that
// bring TensorFlowLiteSwift with CocoaPods, which takes no new versions from December 2026 on.
import PackageDescription

let package = Package(
    name: "VGG",
    platforms: [.iOS("15.1"), .macOS(.v14)],
    products: [.library(name: "VGG", targets: ["VGG"])],
    dependencies: [
        .package(
            url: "https://github.com/microsoft/onnxruntime-swift-package-manager", exact: "1.24.2")
    ],
    targets: [
        .target(
            name: "VGG",
            dependencies: [
                .product(name: "onnxruntime", package: "onnxruntime-swift-package-manager")
            ]),
        // Copy the bundle's models, golden images and descriptions there: see examples/README.md.
        .testTarget(name: "VGGTests", dependencies: ["VGG"], resources: [.copy("bundle")]),
    ]
)

// swift-tools-version: 6.2
// The house: which targets there are and who may import whom (Docs/ARCHITECTURE.md). HouseTests reads the imports,
// and the explicit-import check of the build keeps undeclared ones from compiling.
import PackageDescription

let swift: [SwiftSetting] = [
    .swiftLanguageMode(.v6), .treatAllWarnings(as: .error), .strictMemorySafety(),
    // Returning a Span needs it until the feature is final.
    .enableExperimentalFeature("Lifetimes"),
]
let c: [CSetting] = [.treatAllWarnings(as: .error)]

let hummingbird = Target.Dependency.product(name: "Hummingbird", package: "hummingbird")
let httpClient = Target.Dependency.product(name: "AsyncHTTPClient", package: "async-http-client")
let nioCore = Target.Dependency.product(name: "NIOCore", package: "swift-nio")
let httpTypes = Target.Dependency.product(name: "HTTPTypes", package: "swift-http-types")
let lifecycle = Target.Dependency.product(name: "ServiceLifecycle", package: "swift-service-lifecycle")
let logging = Target.Dependency.product(name: "Logging", package: "swift-log")
let crypto = Target.Dependency.product(name: "Crypto", package: "swift-crypto")
let arguments = Target.Dependency.product(name: "ArgumentParser", package: "swift-argument-parser")
let yams = Target.Dependency.product(name: "Yams", package: "Yams")

let package = Package(
    name: "ringmaster",
    products: [.executable(name: "ringmaster", targets: ["ringmaster"])],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
        .package(url: "https://github.com/apple/swift-crypto", from: "4.5.2"),
        .package(url: "https://github.com/apple/swift-http-types", from: "1.8.0"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
        .package(url: "https://github.com/apple/swift-nio", from: "2.101.2"),
        .package(url: "https://github.com/hummingbird-project/hummingbird", from: "2.28.1"),
        .package(url: "https://github.com/jpsim/Yams", from: "6.2.2"),
        .package(url: "https://github.com/swift-server/async-http-client", from: "1.37.0"),
        .package(url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.13.0"),
    ],
    targets: [
        // 0: C and system libraries.
        .target(name: "CRingKernels", cSettings: c, linkerSettings: [.linkedLibrary("m")]),
        .target(name: "CRingSystem", cSettings: c),
        .systemLibrary(name: "COneDNN", providers: [.apt(["libdnnl-dev"])]),
        // 1: values.
        .target(name: "RingCore", swiftSettings: swift),
        // 2: one concern each.
        .target(name: "RingControl", dependencies: ["RingCore"], swiftSettings: swift),
        .target(name: "RingFormats", dependencies: ["RingCore", yams], swiftSettings: swift),
        .target(name: "RingKernels", dependencies: ["CRingKernels", "COneDNN", "RingCore"], swiftSettings: swift),
        .target(name: "RingTransport", dependencies: ["CRingSystem", "RingCore", crypto], swiftSettings: swift),
        // 3 and 4: where and what is computed.
        .target(name: "RingEngine", dependencies: ["RingCore", "RingKernels", "RingTransport"], swiftSettings: swift),
        .target(name: "RingModels", dependencies: ["RingCore", "RingEngine", "RingFormats", "RingKernels"], swiftSettings: swift),
        // 5: shells.
        .target(
            name: "RingCoordinator",
            dependencies: ["RingControl", "RingCore", "RingFormats", hummingbird, nioCore, httpTypes, lifecycle, logging],
            swiftSettings: swift
        ),
        .target(
            name: "RingWorker",
            dependencies: [
                "RingControl", "RingCore", "RingEngine", "RingFormats", "RingKernels", "RingModels", "RingTransport",
                httpClient, nioCore, lifecycle, logging,
            ],
            swiftSettings: swift
        ),
        // 6: the one executable.
        .executableTarget(
            name: "ringmaster",
            dependencies: [
                "RingControl", "RingCoordinator", "RingCore", "RingEngine", "RingFormats", "RingKernels", "RingModels",
                "RingTransport", "RingWorker", arguments,
            ],
            swiftSettings: swift
        ),
        // Tests mirror Sources; the last three look at the seam, at the house and at the whole.
        .testTarget(name: "RingCoreTests", dependencies: ["RingCore"], swiftSettings: swift),
        .testTarget(name: "RingControlTests", dependencies: ["RingControl", "RingCore"], swiftSettings: swift),
        .testTarget(name: "RingFormatsTests", dependencies: ["RingFormats"], swiftSettings: swift),
        .testTarget(
            name: "RingEngineTests", dependencies: ["RingCore", "RingEngine", "RingKernels", "RingTransport"], swiftSettings: swift
        ),
        .testTarget(name: "RingKernelsTests", dependencies: ["RingKernels", "CRingKernels"], swiftSettings: swift),
        .testTarget(
            name: "RingModelsTests", dependencies: ["RingCore", "RingEngine", "RingFormats", "RingKernels", "RingModels"],
            swiftSettings: swift
        ),
        .testTarget(
            name: "RingCoordinatorTests",
            dependencies: ["RingControl", "RingCoordinator", "RingCore", "RingTransport", "RingWorker", httpClient, nioCore],
            swiftSettings: swift
        ),
        .testTarget(name: "RingTransportTests", dependencies: ["RingCore", "RingTransport", "CRingSystem"], swiftSettings: swift),
        .testTarget(name: "TransportConformanceTests", dependencies: ["RingCore", "RingTransport"], swiftSettings: swift),
        .testTarget(name: "HouseTests", swiftSettings: swift),
        .testTarget(name: "EndToEndTests", dependencies: ["RingFormats"], swiftSettings: swift),
    ]
)

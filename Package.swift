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
let nioHTTPTypes = Target.Dependency.product(name: "NIOHTTPTypes", package: "swift-nio-extras")
let nioPosix = Target.Dependency.product(name: "NIOPosix", package: "swift-nio")
let nioCore = Target.Dependency.product(name: "NIOCore", package: "swift-nio")
let httpTypes = Target.Dependency.product(name: "HTTPTypes", package: "swift-http-types")
let lifecycle = Target.Dependency.product(name: "ServiceLifecycle", package: "swift-service-lifecycle")
let logging = Target.Dependency.product(name: "Logging", package: "swift-log")
let crypto = Target.Dependency.product(name: "Crypto", package: "swift-crypto")
let arguments = Target.Dependency.product(name: "ArgumentParser", package: "swift-argument-parser")
let hummingbirdTLS = Target.Dependency.product(name: "HummingbirdTLS", package: "hummingbird")
let nioSSL = Target.Dependency.product(name: "NIOSSL", package: "swift-nio-ssl")
let grdb = Target.Dependency.product(name: "GRDB", package: "GRDB.swift")
let x509 = Target.Dependency.product(name: "X509", package: "swift-certificates")
let asn1 = Target.Dependency.product(name: "SwiftASN1", package: "swift-asn1")
let yams = Target.Dependency.product(name: "Yams", package: "Yams")

let package = Package(
    name: "ringmaster",
    products: [.executable(name: "ringmaster", targets: ["ringmaster"])],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
        .package(url: "https://github.com/apple/swift-asn1", from: "1.7.0"),
        .package(url: "https://github.com/apple/swift-certificates", from: "1.21.1"),
        .package(url: "https://github.com/apple/swift-crypto", from: "4.5.2"),
        .package(url: "https://github.com/apple/swift-http-types", from: "1.8.0"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
        .package(url: "https://github.com/apple/swift-nio", from: "2.101.2"),
        .package(url: "https://github.com/apple/swift-nio-extras", from: "1.34.0"),
        .package(url: "https://github.com/apple/swift-nio-ssl", from: "2.37.6"),
        .package(url: "https://github.com/groue/GRDB.swift", from: "7.10.0"),
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
        .systemLibrary(name: "COpenSSL", providers: [.apt(["libssl-dev"])]),
        .systemLibrary(name: "CVerbs", providers: [.apt(["libibverbs-dev"])]),
        // 1: values.
        .target(name: "RingCore", swiftSettings: swift),
        .target(name: "RingPlacement", dependencies: ["RingCore"], swiftSettings: swift),
        .target(name: "RingTelemetry", dependencies: ["RingCore", logging], swiftSettings: swift),
        // 2: one concern each.
        .target(name: "RingControl", dependencies: ["RingCore"], swiftSettings: swift),
        .target(name: "RingFormats", dependencies: ["RingCore", "RingPlacement", yams], swiftSettings: swift),
        .target(name: "RingKernels", dependencies: ["CRingKernels", "COneDNN", "RingCore"], swiftSettings: swift),
        .target(name: "RingTransport", dependencies: ["COpenSSL", "CRingSystem", "CVerbs", "RingCore", crypto], swiftSettings: swift),
        // 3 and 4: where and what is computed.
        .target(name: "RingEngine", dependencies: ["RingCore", "RingKernels", "RingTransport"], swiftSettings: swift),
        .target(name: "RingModels", dependencies: ["RingCore", "RingEngine", "RingFormats", "RingKernels"], swiftSettings: swift),
        .target(name: "RingSimulator", dependencies: ["RingControl", "RingCore", "RingPlacement"], swiftSettings: swift),
        // 5: shells, and the client that the worker and the command line share.
        .target(
            name: "RingClient", dependencies: ["RingControl", "RingCore", httpClient, nioCore, nioPosix, nioSSL], swiftSettings: swift
        ),
        .target(
            name: "RingCoordinator",
            dependencies: [
                "RingControl", "RingCore", "RingFormats", "RingTelemetry", hummingbird, hummingbirdTLS, nioCore, nioPosix, nioSSL,
                nioHTTPTypes, httpTypes,
                lifecycle, logging, grdb, x509, asn1, crypto,
            ],
            swiftSettings: swift
        ),
        .target(
            name: "RingWorker",
            dependencies: [
                "RingClient", "RingControl", "RingCore", "RingEngine", "RingFormats", "RingKernels", "RingModels", "RingTelemetry",
                "RingTransport", httpClient, nioCore, nioSSL, lifecycle, logging, x509, asn1, crypto,
            ],
            swiftSettings: swift
        ),
        // 6: the one executable.
        .executableTarget(
            name: "ringmaster",
            dependencies: [
                "RingClient", "RingControl", "RingCoordinator", "RingCore", "RingEngine", "RingFormats", "RingKernels", "RingModels",
                "RingPlacement", "RingSimulator", "RingTelemetry", "RingTransport", "RingWorker", arguments, logging, nioSSL, crypto, x509,
            ],
            swiftSettings: swift
        ),
        // Tests mirror Sources; the last three look at the seam, at the house and at the whole.
        .testTarget(name: "RingCoreTests", dependencies: ["RingCore"], swiftSettings: swift),
        .testTarget(name: "RingPlacementTests", dependencies: ["RingCore", "RingPlacement"], swiftSettings: swift),
        .testTarget(name: "RingControlTests", dependencies: ["RingControl", "RingCore"], swiftSettings: swift),
        .testTarget(name: "RingFormatsTests", dependencies: ["RingFormats", "RingPlacement", crypto, yams], swiftSettings: swift),
        .testTarget(
            name: "RingEngineTests", dependencies: ["RingCore", "RingEngine", "RingKernels", "RingTransport"], swiftSettings: swift
        ),
        .testTarget(name: "RingKernelsTests", dependencies: ["RingKernels", "CRingKernels"], swiftSettings: swift),
        .testTarget(
            name: "RingModelsTests", dependencies: ["RingCore", "RingEngine", "RingFormats", "RingKernels", "RingModels", "RingTransport"],
            swiftSettings: swift
        ),
        .testTarget(
            name: "RingCoordinatorTests",
            dependencies: [
                "RingClient", "RingControl", "RingCoordinator", "RingCore", "RingTelemetry", "RingTransport", "RingWorker", httpClient,
                logging, nioCore, nioSSL, x509, asn1, crypto,
            ],
            swiftSettings: swift
        ),
        .testTarget(name: "RingTelemetryTests", dependencies: ["RingCore", "RingTelemetry", logging], swiftSettings: swift),
        .testTarget(
            name: "RingSimulatorTests", dependencies: ["RingControl", "RingCore", "RingPlacement", "RingSimulator"], swiftSettings: swift),
        .testTarget(name: "RingTransportTests", dependencies: ["RingCore", "RingTransport", "CRingSystem"], swiftSettings: swift),
        .testTarget(name: "TransportConformanceTests", dependencies: ["RingCore", "RingTransport"], swiftSettings: swift),
        .testTarget(name: "HouseTests", swiftSettings: swift),
        .testTarget(name: "EndToEndTests", dependencies: ["RingFormats"], swiftSettings: swift),
    ]
)

// `--transport`: what the data between two workers travels by. The workers choose pair by pair; this only narrows the choice.

import ArgumentParser
import Foundation
import RingTransport

/// A name of `--transport`.
enum TransportName: ExpressibleByArgument, Equatable {
    /// The best that both workers of a pair can have.
    case automatic
    case only(LaneKind)

    static let names = ["auto"] + LaneKind.allCases.map(\.description)

    init?(argument: String) {
        if argument == "auto" {
            self = .automatic
        } else if let kind = LaneKind(name: argument) {
            self = .only(kind)
        } else {
            return nil
        }
    }

    static var allValueStrings: [String] { names }

    /// The only lane that will do, if there is one.
    var lane: LaneKind? {
        switch self {
        case .automatic: nil
        case .only(let kind): kind
        }
    }
}

/// The option, and the variable behind it.
struct LaneOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "What data between two workers travels by: auto, tcp or shared-memory (default: RINGMASTER_TRANSPORT, else auto, the best "
                + "that each pair can have).", valueName: "name"))
    var transport: TransportName?

    static let variable = "RINGMASTER_TRANSPORT"

    /// What was chosen here or in the environment.
    func choice() throws(CommandError) -> TransportName {
        if let transport { return transport }
        guard let text = DaemonSettings.variable(Self.variable) else { return .automatic }
        guard let name = TransportName(argument: text) else {
            let known = TransportName.names.joined(separator: ", ")
            throw .configuration("\(Self.variable)=\(text) is no transport; use one of \(known), or unset it")
        }
        return name
    }

    /// The same for the workers that this command starts. A variable that is wrong is said here, once.
    func workerArguments() throws(CommandError) -> [String] {
        switch try choice() {
        case .automatic: ["--transport", "auto"]
        case .only(let kind): ["--transport", kind.description]
        }
    }
}

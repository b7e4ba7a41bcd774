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
            "What data between two workers travels by: auto, tcp, shared-memory or rdma (default: RINGMASTER_TRANSPORT, else auto, the best "
                + "that each pair can have).", valueName: "name"))
    var transport: TransportName?
    @Option(
        help: ArgumentHelp(
            "RDMA device to use, with a port after a colon where it is not the first (default: RINGMASTER_RDMA_DEVICE, else the first that is up).",
            valueName: "name"))
    var rdmaDevice: String?
    @Option(
        help: ArgumentHelp(
            "Place in the RDMA port's table of addresses (default: RINGMASTER_RDMA_GID_INDEX, else RoCE v2 with an IPv4 address first).",
            valueName: "n"))
    var rdmaGidIndex: Int?

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

    /// Device and address, where they were chosen here or in the environment.
    func rdma() throws(CommandError) -> RDMAOptions {
        var options = RDMAOptions()
        options.device = rdmaDevice ?? DaemonSettings.variable("RINGMASTER_RDMA_DEVICE")
        options.gidIndex = rdmaGidIndex
        if options.gidIndex == nil, let text = DaemonSettings.variable("RINGMASTER_RDMA_GID_INDEX") {
            guard let index = Int(text) else {
                throw .configuration("RINGMASTER_RDMA_GID_INDEX=\(text) is no number; 'ringmaster doctor' and show_gids list the addresses")
            }
            options.gidIndex = index
        }
        if let index = options.gidIndex, !(0...255).contains(index) {
            throw .configuration("an address table has places 0 to 255, got \(index)")
        }
        return options
    }

    /// The same for the workers that this command starts. A variable that is wrong is said here, once.
    func workerArguments() throws(CommandError) -> [String] {
        var arguments = ["--transport", "auto"]
        if case .only(let kind) = try choice() { arguments[1] = kind.description }
        let rdma = try rdma()
        if let device = rdma.device { arguments += ["--rdma-device", device] }
        if let index = rdma.gidIndex { arguments += ["--rdma-gid-index", String(index)] }
        return arguments
    }
}

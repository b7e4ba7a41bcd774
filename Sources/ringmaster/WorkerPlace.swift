// Where a worker belongs: its coordinator, its name, and the address at which the others reach it. Option, then RINGMASTER_* variable,
// then what a launcher left in the environment (torchrun, Slurm), then the default; the log says which of them it was.

import Foundation
import RingClient
import RingFormats

/// Where a worker belongs, and by what it was told so.
struct WorkerPlace: Sendable {
    /// Address of the coordinator.
    let address: String
    /// Its name.
    let name: String
    /// What told the address, and what the name.
    let addressSource: String, nameSource: String

    init(
        coordinator: String?, name: String?, hostName: String,
        environment: [String: String] = ProcessInfo.processInfo.environment
    ) throws(CommandError) {
        let launcher = LaunchEnvironment(environment)
        if let coordinator {
            (address, addressSource) = (coordinator, "--coordinator")
        } else if let set = environment["RINGMASTER_COORDINATOR"], !set.isEmpty {
            (address, addressSource) = (set, "RINGMASTER_COORDINATOR")
        } else if let told = try Self.told(launcher.coordinator) {
            // Only https leaves a machine, so there is nothing to choose.
            let scheme = ClusterAddress.isLoopback(told.value.host) ? "http" : "https"
            (address, addressSource) = ("\(scheme)://\(told.value)", told.source)
        } else {
            throw .usage("say which coordinator to work for: --coordinator http://127.0.0.1:7411")
        }
        if let name {
            (self.name, nameSource) = (name, "--name")
        } else if let told = try Self.told(launcher.workerName) {
            (self.name, nameSource) = (told.value, told.source)
        } else {
            (self.name, nameSource) = (hostName, "host name")
        }
    }

    /// What a launcher told; what it garbled is a matter of configuration.
    private static func told<Value>(_ read: () throws(FormatError) -> Value) throws(CommandError) -> Value {
        do { return try read() } catch { throw .configuration(error.message) }
    }

    /// Where other workers are to reach this one: what the option says; loopback for a coordinator on loopback; else the address from
    /// which this machine reaches the coordinator, since that is the network on which the cluster lives.
    func dataAddress(_ option: String?) async throws(CommandError) -> SocketAddress {
        if let option {
            guard let given = SocketAddress(option) else {
                throw .usage("--data-listen takes HOST:PORT, not \(option.debugDescription)")
            }
            return given
        }
        guard let url = URLComponents(string: address), let host = url.host, !ClusterAddress.isLoopback(host) else {
            return SocketAddress(host: "127.0.0.1", port: 0)
        }
        let bare = host.hasPrefix("[") ? String(host.dropFirst().dropLast()) : host
        guard url.scheme == "https" else {
            throw .usage("\(printable(address)) is not on this machine: only https leaves it (--coordinator https://\(host):PORT)")
        }
        guard let own = await LocalAddress.toward(bare, port: url.port ?? 443), !ClusterAddress.isLoopback(own) else {
            throw .usage(
                "say at which address of this machine the other workers reach it, which \(printable(address)) does not tell: --data-listen HOST:0"
            )
        }
        return SocketAddress(host: own, port: 0)
    }
}

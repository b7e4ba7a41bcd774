// Which cluster a command speaks to, and as whom. Option, then RINGMASTER_* variable, then the coordinator of this machine.

import ArgumentParser
import Foundation
import RingClient
import RingControl

/// A running cluster.
struct ConnectionOptions: ParsableArguments {
    /// Where a coordinator listens unless it is told otherwise.
    static let defaultAddress = "http://127.0.0.1:7411"

    @Option(
        help: ArgumentHelp("Address of the coordinator (default: RINGMASTER_COORDINATOR, else http://127.0.0.1:7411).", valueName: "url"))
    var coordinator: String?
    @Option(help: ArgumentHelp("File with your key, readable by you alone (default: RINGMASTER_KEY_FILE).", valueName: "file"))
    var keyFile: String?
    @Option(help: ArgumentHelp("PEM file of the cluster's authority, for https (default: RINGMASTER_AUTHORITY).", valueName: "file"))
    var authority: String?

    /// Calls `body` with a client of the cluster and turns what goes wrong into errors of a command.
    func use<Result>(_ body: (ClusterClient) async throws -> Result) async throws -> Result {
        let connection = try connect()
        do {
            let result = try await body(ClusterClient(connection))
            await connection.close()
            return result
        } catch {
            await connection.close()
            // Who asks and is interrupted says nothing: what was asked about goes on.
            if error is CancellationError || error as? ClientError == .cancelled { throw ExitCode(130) }
            throw (error as? ClientError).map { CommandError($0) } ?? error
        }
    }

    private func connect() throws(CommandError) -> ClusterConnection {
        let address = setting(coordinator, "--coordinator", "RINGMASTER_COORDINATOR")
        let keyFile = setting(keyFile, "--key-file", "RINGMASTER_KEY_FILE")
        let authority = setting(authority, "--authority", "RINGMASTER_AUTHORITY")
        var configuration = ClusterConnection.Configuration(address: address?.value ?? Self.defaultAddress)
        if let keyFile { configuration.key = try KeyFile.read(keyFile.value, named: keyFile.source) }
        do throws(ClientError) {
            if let authority {
                guard configuration.address.hasPrefix("https:") else {
                    throw .misconfigured("\(authority.source) is for https, but the coordinator is \(configuration.address)")
                }
                guard let bytes = FileManager.default.contents(atPath: authority.value), bytes.count <= ClientLimits.secretFileBytes else {
                    throw .misconfigured("cannot read \(authority.value), which \(authority.source) names")
                }
                configuration.tls = try ClusterTLS.configuration(authority: bytes)
            }
            return try ClusterConnection(configuration)
        } catch {
            // A value that was typed is a matter of usage, one that was set elsewhere a matter of configuration.
            if case .misconfigured(let sentence) = error, coordinator != nil { throw .usage(printable(sentence)) }
            throw CommandError(error)
        }
    }

    /// A setting's value and where it is from; an empty variable counts as unset.
    private func setting(_ option: String?, _ name: String, _ variable: String) -> (value: String, source: String)? {
        if let option { return (option, name) }
        guard let value = ProcessInfo.processInfo.environment[variable], !value.isEmpty else { return nil }
        return (value, variable)
    }
}

/// A key on disk. Keys are never arguments, which everybody can read.
enum KeyFile {
    /// The key in the first line of a file that nobody else can read.
    static func read(_ path: String, named source: String) throws(CommandError) -> String {
        // Secrets are often mounted as links; what counts is the file behind them.
        let file = URL(filePath: path).resolvingSymlinksInPath().path(percentEncoded: false)
        guard let mode = try? FileManager.default.attributesOfItem(atPath: file)[.posixPermissions] as? Int,
            let bytes = FileManager.default.contents(atPath: file), bytes.count <= ClientLimits.secretFileBytes
        else {
            throw .configuration("cannot read the key file \(path), which \(source) names")
        }
        guard mode & 0o077 == 0 else {
            throw .configuration("others may read the key file \(path): take that away with chmod 600, and make a new key if they did")
        }
        let line = bytes.prefix { $0 != UInt8(ascii: "\n") }
        let key = String(decoding: line, as: UTF8.self).trimmingCharacters(in: .whitespaces)
        guard !key.isEmpty, key.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F }) else {
            throw .configuration("the first line of the key file \(path) is not a key")
        }
        return key
    }
}

extension CommandError {
    /// An error of the client: by what a script can do about it.
    init(_ error: ClientError) {
        let message = printable(error.description)
        switch error {
        case .unreachable, .broken, .cancelled: self = .tryAgain(message)
        case .untrusted, .misconfigured: self = .configuration(message)
        case .garbled: self = .failed(message)
        case .refused(let refusal):
            switch refusal.status {
            case 401, 403: self = .notPermitted(message)
            case 429, 503:
                let wait = refusal.retryAfterSeconds.map { " (try again in \(Int($0.rounded(.up))) s)" } ?? ""
                self = .tryAgain(message + wait)
            default: self = .failed(message)
            }
        }
    }

    /// Is not allowed to whoever asks: exit code 77.
    static func notPermitted(_ message: String) -> CommandError { CommandError(message: message, exitCode: 77) }
}

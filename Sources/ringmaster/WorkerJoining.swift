// How a worker of a cluster with certificates comes by its own: from its state folder, or the first time with a join token; and
// how it gets the next one in time.

import Foundation
import Logging
import NIOSSL
import RingClient
import RingWorker

/// A worker's certificate and where it is renewed.
struct WorkerJoining: Sendable {
    let address: String
    let identity: WorkerIdentity

    /// The identity kept in `folder`, or a new one for the token in `tokenFile`.
    static func identity(
        at address: String, name: String, folder: String, tokenFile: String?, fingerprint: String?
    ) async throws -> WorkerJoining {
        do throws(ClientError) {
            if let kept = try WorkerIdentity.load(folder: folder) {
                guard kept.name == name else {
                    throw .misconfigured(
                        "\(folder) holds the certificate of worker \(kept.name), not of \(name): give each its own --state")
                }
                guard !kept.isExpired(at: Date()) else {
                    throw .misconfigured(
                        "the certificate in \(folder) has ended: delete \(folder)/worker-identity.pem and join again with a new token")
                }
                return WorkerJoining(address: address, identity: kept)
            }
            guard let tokenFile, let fingerprint else {
                throw .misconfigured(
                    "this worker has no certificate in \(folder): give --join-token-file and --authority-fingerprint once, as "
                        + "'ringmaster token create' prints them")
            }
            let token = try Self.token(tokenFile)
            return WorkerJoining(
                address: address,
                identity: try await WorkerIdentity.join(
                    address: address, token: token, fingerprint: fingerprint, name: name, folder: folder))
        } catch {
            throw CommandError(error)
        }
    }

    private static func token(_ file: String) throws(ClientError) -> String {
        if file == "-" { return ParentPipe.readLine().trimmingCharacters(in: .whitespacesAndNewlines) }
        guard let bytes = FileManager.default.contents(atPath: file), bytes.count <= 4096 else {
            throw .misconfigured("cannot read the join token in \(file)")
        }
        return String(decoding: bytes, as: UTF8.self).trimmingCharacters(in: .whitespacesAndNewlines)
    }

    /// Gets the next certificate when two thirds of the life of each are over, and again soon when that fails.
    func keepFresh(_ session: WorkerSession, _ logger: Logger) async {
        var current = identity
        while !Task.isCancelled {
            let wait = max(current.rotationDueAt.timeIntervalSinceNow, 0)
            guard (try? await Task.sleep(for: .seconds(wait))) != nil else { return }
            do throws(ClientError) {
                current = try await current.rotated(address: address)
                try await session.renew(try current.tlsConfiguration())
                logger.notice("certificate renewed", metadata: ["expires_at": .string(current.expiresAt.formatted(.iso8601))])
            } catch {
                // A third of its life is left to try in.
                let pause = max(1, min(60, current.expiresAt.timeIntervalSinceNow / 20))
                logger.warning(
                    "certificate not renewed",
                    metadata: [
                        "reason": .string(error.description), "retry_seconds": .stringConvertible(pause.rounded()),
                        "expires_at": .string(current.expiresAt.formatted(.iso8601)),
                    ])
                guard (try? await Task.sleep(for: .seconds(pause))) != nil else { return }
            }
        }
    }
}

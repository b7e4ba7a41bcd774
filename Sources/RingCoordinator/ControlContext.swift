// What is known about a request beside its bytes: the connection it came by and who asks.

import Hummingbird
import NIOCore

/// The context of a request.
public struct ControlContext: RequestContext {
    /// What the framework keeps.
    public var coreContext: CoreRequestContextStorage
    /// Who asks; nobody until `Authentication` has looked.
    public internal(set) var principal = Principal.nobody
    let channel: any Channel

    /// The context of a request that came by a connection.
    public init(source: ApplicationRequestContextSource) {
        coreContext = CoreRequestContextStorage(source: source)
        channel = source.channel
    }

    /// The address that the request came from, without its port.
    var remoteAddress: String { channel.remoteAddress?.ipAddress ?? "local" }

    /// Throws `forbidden` unless the principal has at least this role.
    public func require(_ role: Role) throws(APIError) { try principal.require(role) }
}

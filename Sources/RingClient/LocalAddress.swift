// Which of this machine's addresses a peer would see: asked of the routing table, without sending anything.

import NIOCore
import NIOPosix

/// This machine's own addresses.
public enum LocalAddress {
    /// The address from which this machine would send to `host`; `nil` if the name means nothing or no route leads there. A datagram
    /// socket that is connected has its own address chosen, and puts nothing on the wire.
    public static func toward(_ host: String, port: Int) async -> String? {
        let bootstrap = DatagramBootstrap(group: .singletonMultiThreadedEventLoopGroup)
        guard let channel = try? await bootstrap.connect(host: host, port: port).get() else { return nil }
        let address = channel.localAddress?.ipAddress
        try? await channel.close()
        return address
    }
}

// Tells systemd that a daemon is ready, or about to end: one datagram to the socket that NOTIFY_SOCKET names (sd_notify(3)).

import Foundation
import NIOCore
import NIOPosix

/// What a service tells its manager.
public enum ServiceNotice {
    /// Sends lines such as `READY=1`. Where there is no manager, or it does not listen, nothing happens.
    public static func send(_ lines: String) async {
        guard let path = ProcessInfo.processInfo.environment["NOTIFY_SOCKET"], path.hasPrefix("/") || path.hasPrefix("@") else { return }
        // A name in the abstract namespace begins with a zero byte.
        let name = path.hasPrefix("@") ? "\0" + path.dropFirst() : path
        guard
            let channel = try? await DatagramBootstrap(group: .singletonMultiThreadedEventLoopGroup).connect(unixDomainSocketPath: name)
                .get()
        else { return }
        let envelope = channel.remoteAddress.map { AddressedEnvelope(remoteAddress: $0, data: ByteBuffer(string: lines)) }
        if let envelope { try? await channel.writeAndFlush(envelope) }
        try? await channel.close()
    }
}

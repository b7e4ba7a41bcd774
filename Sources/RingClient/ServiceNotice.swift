// Tells systemd that a daemon is ready, about to end, or still alive: datagrams to the socket that NOTIFY_SOCKET names (sd_notify(3)).

import Foundation
import NIOCore
import NIOPosix

/// What a service tells its manager.
public enum ServiceNotice {
    /// Sends lines such as `READY=1`. Where there is no manager, or it does not listen, nothing happens.
    public static func send(_ lines: String) async {
        guard let path = variable("NOTIFY_SOCKET"), path.hasPrefix("/") || path.hasPrefix("@") else { return }
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

    /// How often the manager wants a sign of life, if it does: half of what `WatchdogSec=` gives (sd_watchdog_enabled(3)).
    public static var watchdogInterval: Duration? {
        if let process = variable("WATCHDOG_PID"), process != "\(ProcessInfo.processInfo.processIdentifier)" { return nil }
        guard let microseconds = variable("WATCHDOG_USEC").flatMap({ Int64($0) }), microseconds > 0 else { return nil }
        return .microseconds(max(microseconds / 2, 1))
    }

    /// Gives signs of life for as long as `isWell` returns, until the task is cancelled; returns at once where nobody wants them.
    /// `isWell` goes the way that all work of the daemon goes, so that a daemon that stands still is silent and is started again.
    public static func keepAlive(_ isWell: @Sendable () async -> Void) async {
        guard let interval = watchdogInterval else { return }
        while !Task.isCancelled {
            await isWell()
            await send("WATCHDOG=1")
            guard (try? await Task.sleep(for: interval)) != nil else { return }
        }
    }

    private static func variable(_ name: String) -> String? {
        ProcessInfo.processInfo.environment[name].flatMap { $0.isEmpty ? nil : $0 }
    }
}

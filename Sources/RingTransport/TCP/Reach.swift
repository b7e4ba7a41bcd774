// Looks whether another worker's data plane can be reached, by a connection that is closed again without a word; and over which interface
// one's own is.
import CRingSystem
import RingCore

/// Questions about the way to other workers.
public enum Reach {
    /// Why nobody answers at an address within `seconds`; `nil` if somebody does. Waits, so not for an async thread.
    public static func refusal(at address: PeerAddress, seconds: Double) -> String? {
        let descriptor = unsafe ring_socket_dial(address.host, address.port)
        if descriptor < 0 { return systemText(-descriptor) }
        defer { _ = ring_socket_close(descriptor) }
        guard let poll = try? PollSet() else { return "no poll set" }
        poll.watch(descriptor, key: 0, readable: false, writable: true)
        guard poll.wait(milliseconds: Int32(min(max(seconds, 0), 60) * 1000)) > 0 else { return "no answer within \(seconds) s" }
        let error = ring_socket_error(descriptor)
        return error == 0 ? nil : systemText(error)
    }

    /// The interface that has the address of `host`; `nil` if it is not this machine's.
    public static func interface(of host: String) -> String? {
        var name = [CChar](repeating: 0, count: 64)
        guard unsafe ring_interface_of(host, &name, name.count) == 0 else { return nil }
        return String(decoding: name.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
}

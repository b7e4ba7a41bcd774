// What may stand as a coordinator's address, and what may be sent to it: no key and no prompt leaves this machine in clear.

import Foundation

/// Checks addresses of coordinators.
public enum ClusterAddress {
    /// `text` without a slash at its end, if it is `http://HOST:PORT` on loopback or `https://HOST:PORT` anywhere.
    public static func checked(_ text: String) throws(ClientError) -> String {
        let address = text.hasSuffix("/") ? String(text.dropLast()) : text
        guard let parts = URLComponents(string: address), let scheme = parts.scheme, scheme == "http" || scheme == "https",
            let host = parts.host, !host.isEmpty, parts.path.isEmpty, parts.query == nil, parts.fragment == nil, parts.user == nil
        else {
            throw .misconfigured("\(text.debugDescription) is not an address like http://127.0.0.1:7411 or https://HOST:7411")
        }
        if scheme == "http" && !isLoopback(host) {
            throw .misconfigured(
                "\(text.debugDescription) is not on this machine: only https leaves it (--coordinator https://\(host):PORT --authority FILE)"
            )
        }
        return address
    }

    /// Whether `host` names this machine's loopback and nothing else.
    public static func isLoopback(_ host: String) -> Bool {
        let bare = host.hasPrefix("[") && host.hasSuffix("]") ? String(host.dropFirst().dropLast()) : host
        if bare == "localhost" || bare == "::1" { return true }
        let numbers = bare.split(separator: ".", omittingEmptySubsequences: false)
        return numbers.count == 4 && numbers[0] == "127" && numbers.allSatisfy { UInt8($0) != nil }
    }
}

// Who may ask for what, in one place: a route that is not in this table can be asked for by nobody. Handlers narrow it where it depends on
// what is asked for: a worker speaks for itself only, a job is cancelled by its owner.

import HTTPTypes

/// What a route needs.
package enum Access: Hashable, Sendable {
    /// Nothing: it tells no state.
    case open
    /// A client with at least this role.
    case role(Role)
    /// A worker.
    case worker
    /// A join token, which the handler checks.
    case joining
}

package enum AccessTable {
    /// Method and path of each route; `{}` stands for a part that varies.
    package static let routes: [(route: String, access: Access)] = [
        ("GET /healthz", .open), ("GET /readyz", .open), ("GET /version", .open), ("GET /v1/authority", .open),
        ("POST /v1/join", .joining),
        ("POST /v1/jobs", .role(.submit)), ("GET /v1/jobs", .role(.read)), ("GET /v1/jobs/{}", .role(.read)),
        ("DELETE /v1/jobs/{}", .role(.submit)), ("GET /v1/jobs/{}/events", .role(.read)),
        ("PUT /v1/jobs/{}/prompt", .role(.submit)), ("GET /v1/jobs/{}/prompt", .worker),
        ("POST /v1/workers", .worker), ("GET /v1/workers", .role(.read)), ("GET /v1/workers/{}/directives", .worker),
        ("POST /v1/workers/{}/reports", .worker), ("POST /v1/workers/{}/trace", .worker),
        ("POST /v1/workers/{}/facts", .worker),
        ("POST /v1/workers/{}/certificate", .worker),
        ("POST /v1/workers/{}/drain", .role(.admin)),
        ("GET /v1/cluster", .role(.read)), ("POST /v1/drain", .role(.admin)),
        ("GET /metrics", .role(.read)),
        // The page holds nothing of the cluster: it asks for what it shows with the key of its reader.
        ("GET /ui", .open),
    ]

    private static let byRoute = Dictionary(routes.map { ($0.route, $0.access) }, uniquingKeysWith: { first, _ in first })

    /// What a route needs; `nil` if it is not in the table. `path` is the router's pattern, with names in braces.
    package static func access(_ method: HTTPRequest.Method, _ path: String) -> Access? { byRoute[key(method, path)] }

    /// The name of a route in the table.
    package static func key(_ method: HTTPRequest.Method, _ path: String) -> String {
        let parts = path.split(separator: "/").map { $0.hasPrefix("{") && $0.hasSuffix("}") ? "{}" : String($0) }
        return method.rawValue + " /" + parts.joined(separator: "/")
    }
}

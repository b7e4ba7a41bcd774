// Every bound of the security code in one place, each with what raising it would cost.

import NIOCore

/// Bounds of tokens, keys, certificates and connections.
public enum SecurityLimits {
    /// Hours that a join token is good for, if its maker does not say otherwise. Longer: a lost token opens the door longer.
    public static let tokenHours = 24.0
    /// Most hours that a join token may be good for: 30 days.
    public static let tokenHoursMax = 720.0
    /// Days that a worker's certificate is good for. It is renewed after two thirds of them.
    public static let workerCertificateDays = 7.0
    /// Days that the server's certificate is good for. The server makes itself a new one after two thirds of them.
    public static let serverCertificateDays = 30.0
    /// Days that the authority's own certificate is good for: ten years. Replacing it means joining every worker anew.
    public static let authorityDays = 3650.0
    /// Seconds before now from which a new certificate is good, for clocks that are behind.
    public static let clockSkewSeconds = 300.0
    /// Most join tokens that are kept, used ones among them. A linear search each time one is shown.
    static let tokens = 1024
    /// Most client keys. A linear comparison each request: 32 bytes a key.
    static let keys = 1024
    /// Most workers that may have certificates; each takes some 200 bytes of `workers.json`.
    static let workers = 65_536
    /// Certificates of one worker that count at the same time: its own, the next one, and two whose answer was lost on the way.
    static let certificatesPerWorker = 4
    /// Seconds that a writer waits for another writer of the state folder. Each holds it for milliseconds.
    static let lockSeconds = 5.0
    /// Most bytes of a name of a worker or of a key's owner; a certificate and every log line carry it.
    static let nameBytes = 63
    /// Most bytes of a request to sign or of a join; ours have some 700.
    static let joinBytes = 16 << 10
    /// Failed joins that one address may make at once, and how many seconds bring one back.
    package static let joinAttempts = 10.0, joinAttemptSeconds = 6.0
    /// Refused requests that one address may make at once, and how many seconds bring one back; beyond, refusals cost nothing to make.
    package static let refusals = 200.0, refusalSeconds = 0.05
    /// Log lines about refused requests that one address may cause at once, and how many seconds bring one back; and the same for all
    /// addresses together. More: whoever knocks often enough fills the log's disk.
    static let refusalLines = 5.0, refusalLineSeconds = 10.0
    static let refusalLinesTogether = 50.0, refusalLineSecondsTogether = 1.0
    /// Requests that one client may make at once, and how many seconds bring one back.
    static let requests = 2000.0, requestSeconds = 0.001
    /// Most addresses or names whose attempts are counted: 100 bytes each.
    static let counted = 4096
    /// Most bytes of a header field, and of all of them. A bearer key has 68.
    package static let headerFieldBytes = 8 << 10, headerBytes = 32 << 10
    /// Most bytes of a request's path and query.
    static let targetBytes = 2 << 10
    /// Descriptors that the process needs beside its connections: store, journals, logs, listeners.
    static let descriptorsReserved = 128
}

/// How long the server waits for a client that does not get on.
public struct ClientPatience: Hashable, Sendable {
    /// For a new connection's handshake and first request, and for the head of any request, from its first byte.
    public var head = TimeAmount.seconds(10)
    /// For the body of a request, beside the time that its bytes may take at `bytesPerSecond`.
    public var body = TimeAmount.seconds(10)
    /// The least rate of a body. Lower: a slow attacker holds a connection cheaper.
    public var bytesPerSecond = 32 << 10
    /// Between two requests. Longer than clients keep idle connections (60 s are common), so that they close first.
    public var idle = TimeAmount.seconds(75)
    /// For a client that does not read what it is sent.
    public var unread = TimeAmount.seconds(30)
    /// For the rest of a body whose request is answered already.
    public var linger = TimeAmount.seconds(2)
    /// Most connections from one address, of all that the server takes. Workers have two each, followers one.
    public var connectionsPerAddress = 1024

    /// The times of a server in use.
    public init() {}
}

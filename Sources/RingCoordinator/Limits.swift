// Every bound of the server and of the processes it starts, each with what raising it would cost.

/// Bounds of the HTTP server and of the embedded cluster.
public enum CoordinatorLimits {
    /// Most bytes of a JSON body: 65,536 row ranges of a specification fit.
    public static let jsonBytes = 4 << 20
    /// Most bytes of one batch of reports: a job's summaries and thousands of tokens fit.
    public static let reportBytes = 1 << 20
    /// Most bytes of what a worker tells of its machine: far more than the bounds of its parts.
    public static let factsBytes = 64 << 10
    /// Most bytes of one rank's trace: 250,000 events.
    public static let traceBytes = 8 << 20
    /// Most bytes of traces that are held at a time; beyond it a rank's is refused, and its job goes on without.
    public static let traceStoreBytes = 1 << 30
    /// Most bytes of one piece of a prompt, either way: 4,194,304 tokens. Held in memory once a request.
    public static let promptBytes = 16 << 20
    /// Most bytes of prompts of all open jobs together: 4 bytes a token for 2^28 tokens.
    public static let promptStoreBytes = 1 << 30
    /// Most header fields of a request; the parser bounds their bytes to 80 KiB.
    public static let headerFields = 64
    /// Most connections at a time: a worker has two, a follower one.
    public static let connections = 4096
    /// Seconds between two blank lines on an idle stream. A reader that misses several knows that the server is gone.
    public static let keepAliveSeconds = 1.0
    /// Seconds between two blank lines on a worker's stream. Longer: a worker whose machine is gone is noticed later.
    public static let beatSeconds = 0.2
    /// Beats of workers' streams between two keep-alives of followers' streams.
    static let beatsPerKeepAlive = Int(keepAliveSeconds / beatSeconds)
    /// Most jobs in one answer.
    public static let jobsListed = 1000
    /// Most directives that wait for a worker which does not read; beyond it the worker is given up.
    public static let directivesQueued = 256
    /// The last bytes of a worker's stderr that are kept to explain its end.
    public static let stderrTailBytes = 8192
    /// Seconds for which the last words of a worker that has ended are waited for before its end is told.
    public static let lastWordsSeconds = 0.2
    /// Seconds that a worker gets to end after SIGTERM before it is killed.
    public static let stopGraceSeconds = 2.0
}

// Every bound of a client of the control plane in one place, each with what raising it would cost.

/// Bounds of a client.
public enum ClientLimits {
    /// Seconds that a connection may take to come up.
    public static let connectSeconds = 5.0
    /// Seconds that one request may take, its answer included. Longer: a coordinator that hangs is noticed later.
    public static let requestSeconds = 10.0
    /// Seconds that one piece of a prompt may take: 4 MiB over a link of 1 Mbit/s.
    public static let promptSeconds = 40.0
    /// Seconds of silence after which a stream counts as broken. Servers send a blank line each second.
    public static let silenceSeconds = 5.0
    /// Seconds for which a broken connection is tried again before the caller hears of it: a coordinator restarts in less.
    public static let patienceSeconds = 60.0
    /// The first pause between two attempts, in seconds; each is twice the one before.
    public static let pauseSecondsMin = 0.1
    /// The longest pause between two attempts. Longer: a coordinator that is back is noticed later.
    public static let pauseSecondsMax = 2.0
    /// Most connections to one coordinator at a time: requests beyond it wait for one that is free.
    public static let connections = 64
    /// Most bytes of an answer: a thousand jobs with the figures of their workers fit.
    public static let answerBytes = 16 << 20
    /// Most bytes of a refusal's body that are read for its sentence.
    public static let refusalBytes = 64 << 10
    /// Most bytes of one line of a stream: an assignment with 1024 peers and 65,536 row ranges fits.
    public static let lineBytes = 8 << 20
    /// Most tokens of a prompt in one request: 4 MiB.
    public static let promptTokensPerRequest = 1 << 20
    /// Most bytes of a key or of a certificate file.
    public static let secretFileBytes = 1 << 20
}

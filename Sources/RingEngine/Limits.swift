// Every bound of the engine in one place, each with what raising it would cost.
import RingCore

/// Bounds of the engine.
public enum EngineLimits {
    /// Most compute threads in one worker: one NUMA domain's cores, with room.
    public static let threads = 512
    /// Query rows that one compute task takes. More rows reuse a KV block more often, fewer balance better and let the
    /// engine thread look at the transport sooner (a task of 256 rows over 32k keys of 128 dims is 8 to 30 ms).
    public static let taskRows = Limits.taskRows
    /// Bytes in one piece of a ring message. Smaller pieces cost a header and an acknowledgement each, larger ones
    /// make a damaged piece dearer to send again.
    public static let pieceBytes = 8 << 20
    /// Floats of a partial up to which one thread normalises or merges it alone.
    static let mergeAloneFloats = 1 << 16
    /// Least seconds without any progress before a wait is given up; a rank that has worked longer waits longer. Peers that
    /// die or fall silent are noticed much sooner by the transport itself; this bounds what nobody foresaw.
    public static let stallSeconds = 120.0
    /// Most steps, waits and messages that a trace holds of one rank: a model of 61 layers on 16 ranks has some 30,000 when a shard
    /// of a layer is 64 MiB. Older ones make room.
    public static let traceSteps = 1 << 16
    /// Most tasks that a trace holds of one rank, shared out among its threads.
    public static let traceTasks = 1 << 17
    /// Bytes of a trace in a rank's memory, and nearly so on its way to the coordinator.
    public static let traceBytes = (traceSteps + traceTasks) * TraceEvent.recordBytes
    /// Keys that one decode task takes: enough to keep a thread streaming, few enough to share a shard over threads.
    public static let decodeTaskKeys = 4096
    /// Bytes of keys and values up to which one thread attends to a token's layer alone: it reads them in about the time that
    /// waking the others and waiting for them takes.
    public static let decodeAloneBytes = 512 << 10
}

// Every bound of the vocabulary in one place, each with what raising it would cost.

/// Bounds that the plans and the wire share.
public enum Limits {
    /// Most ranks in one ring. A rank keeps one connection to each other rank, so this bounds descriptors per worker.
    public static let ranks = 1024
    /// Most tokens in one context: positions stay exact in double precision and in the 40 bits that a tag spends on them.
    public static let tokens = 1 << 32
    /// Tokens in a KV block, and the grid on which chunk edges fall when the context is long enough. A larger tile
    /// costs balance (about tile / shard width), a smaller one costs kernel speed: 64 keys are four AVX-512 vectors.
    public static let tileTokens = 64
    /// Fewest and most tokens of a tile of a deterministic job: no fewer than the 256 keys of a kernel's own tiles, no more than pay.
    public static let (grainMin, grainMax) = (256, 4096)
    /// Tiles that a context has at least before they grow: with 16 ranks, four to each of a zigzag's runs.
    public static let grainCount = 128
    /// Query rows that one compute task takes; `EngineLimits.taskRows` says what other numbers would cost.
    public static let taskRows = 256
    /// Most layers a message tag can name.
    public static let layers = 1 << 12
    /// Most pieces into which one ring message can be cut.
    public static let pieces = 1 << 24
}

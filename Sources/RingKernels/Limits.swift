// What the kernels can do, as numbers. They are facts of the C code: raising one means changing a tile or a mask there.
import CRingKernels

/// Sizes that hold for every kernel.
public enum KernelLimits {
    /// Tokens of a KV block: the 64 key columns of the widest micro-kernel, four 512-bit registers.
    public static let blockTokens = Int(RING_BLOCK_TOKENS)
    /// Smallest head dimension: small test models have heads of 8 or 16. Fast from 32 on.
    public static let dimensionMin = 8
    /// Largest head dimension: packed queries of a tile (96 x 256 x 4 bytes) still fit beside the scores in L2.
    public static let dimensionMax = 256
    /// Head dimensions are multiples of this: half a 512-bit register, one masked load at most per row.
    public static let dimensionStep = 8
    /// Most query rows of one call whose rows see different keys: 16 KiB of spans beside the scratch of a thread.
    public static let spanRows = 1024
    /// Most query rows of one call of decoding: their packed queries, weights and sums stay in L1.
    public static let decodeRows = Int(RING_DECODE_ROWS)
    /// Bytes of scratch that one thread needs for attention.
    public static let attentionScratchBytes = Int(RING_ATTENTION_SCRATCH_BYTES)
    /// bf16 dot products must beat f32 multiply-adds by this factor to be chosen. Raising it prefers widening, which rounds
    /// less (weights stay f32); at 1 the noise of the measurement could decide.
    static let dotSpeedupMin = 1.25
    /// Largest rotary dimension: the angles of one row live on the stack.
    public static let rotaryDimensionMax = 256
}

// Every bound of the planner in one place, each with what raising it would cost.

/// Bounds that loads, hosts and plans keep.
public enum PlacementLimits {
    /// Most layers. A layer is planned by itself, so more cost time and memory in proportion.
    public static let layers = 4096
    /// Most experts of a layer. Sorting packs an expert's number into 16 bits of a key.
    public static let experts = 65_535
    /// Most hosts of a plan. The slot table is layers x slots: 92 layers of 100,000 slots take 110 MB.
    public static let hosts = 65_536
    /// Most slots of one host.
    public static let slotsOfHost = 65_536
    /// Most slots of all hosts in one layer: a copy's number takes 24 bits of a sorting key.
    public static let slotsOfLayer = 1 << 24
    /// Most slots in all, layers included: 12 bytes each.
    public static let slots = 1 << 27
    /// Rounding that a sum of shares or a load may carry, relative. Some 2^14 additions of doubles stay far below it.
    public static let tolerance = 1e-9
}

// The version of the program, which every worker must share with its coordinator.

/// What this program calls itself.
public enum RingmasterVersion {
    /// Major, minor, patch.
    public static let text = "0.1.0"
}

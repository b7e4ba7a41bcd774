// How much memory this process has taken, as the system counts it.
import Glibc

/// Figures of the process.
public enum ProcessMemory {
    /// Most bytes that were ever resident.
    public static var peakResidentBytes: Int {
        var usage = rusage()
        // Linux gives ru_maxrss in KiB.
        return unsafe getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage) == 0 ? usage.ru_maxrss * 1024 : 0
    }
}

// What a ring would need somewhere else: on more machines like this one, over links of another speed. For `attend --plan`, which computes
// nothing, and for `coordinator --link-gbits`.

import ArgumentParser
import RingControl
import RingFormats
import RingWorker

struct PlanOptions: ParsableArguments {
    @Flag(help: "Print what each schedule would need, as --explain does, and compute nothing.")
    var plan = false
    @Option(help: ArgumentHelp("With --plan: what each worker's link carries, each way, in Gbit/s (default: loopback).", valueName: "g"))
    var linkGbits: Double?
    @Option(help: ArgumentHelp("With --plan: machines like this one over which the workers are spread.", valueName: "n"))
    var nodes = 1

    mutating func validate() throws {
        try LinkSpeed.check(linkGbits)
        guard nodes >= 1, nodes <= 65_536 else { throw ValidationError("--nodes is 1 to 65536, got \(nodes)") }
        if !plan && (linkGbits != nil || nodes != 1) {
            throw ValidationError("--link-gbits and --nodes go with --plan: a job that runs here runs over loopback")
        }
    }

    /// Compute threads of each worker, unless somebody says so.
    func threadsEach(workers: Int) -> Int { max(1, MachineFacts().cpus / ((workers + nodes - 1) / nodes)) }
}

/// What somebody says of a link.
enum LinkSpeed {
    static func check(_ gigabits: Double?) throws {
        let range = ClusterConfig.DataPlane.linkGbitsRange
        guard let gigabits, !range.contains(gigabits) else { return }
        throw ValidationError("--link-gbits is \(range.lowerBound) to \(range.upperBound), got \(gigabits)")
    }
}

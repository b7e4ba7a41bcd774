// What the pairs of a run's ring chose to move their data by, for reports, status and logs.
import RingControl
import RingTransport
import Synchronization

/// The lane that a worker insists on, and what became of it in the run under way.
public final class RingLanes: Sendable {
    /// The only lane that will do, or `nil` for the best that each pair can have.
    let wanted: LaneKind?
    /// Which RDMA port, where it comes to that.
    let rdma: RDMAOptions
    private let chosen = Mutex<(transport: String?, remark: String?)>((nil, nil))

    init(wanted: LaneKind?, rdma: RDMAOptions = RDMAOptions()) { (self.wanted, self.rdma) = (wanted, rdma) }

    /// The ring is connected.
    func note(_ lanes: [LaneChoice?]) {
        let kinds = lanes.compactMap { $0?.kind }
        let counts = LaneKind.allCases.reversed().map { kind in (kind, kinds.count { $0 == kind }) }.filter { $0.1 > 0 }
        // One kind needs no count: it is what all peers of this rank are reached by.
        let text = counts.count == 1 ? counts[0].0.description : counts.map { "\($0.0) \($0.1)" }.joined(separator: ", ")
        let remark = lanes.indices.lazy.compactMap { rank in lanes[rank]?.remark.map { "rank \(rank): \($0)" } }.first
        chosen.withLock { $0 = (text.isEmpty ? nil : text, remark) }
    }

    /// `shared-memory`, or `shared-memory 1, tcp 2` where this rank's peers differ; `nil` before the ring is connected and where
    /// there is no peer.
    var transport: String? { chosen.withLock { $0.transport } }

    /// A report with what is known of it.
    func add(to report: WorkerReport) -> WorkerReport {
        guard case .progress(let run, var progress) = report else { return report }
        chosen.withLock { (progress.transport, progress.transportRemark) = ($0.transport, $0.remark) }
        return .progress(run, progress)
    }
}

// `ringmaster doctor --cluster`: what every worker of a running cluster tells of its machine, and what is wrong with it. The judgement is
// RingControl's; this asks and prints.

import Foundation
import RingClient
import RingControl
import RingWorker

/// A cluster under examination.
struct DoctorCluster {
    private let cluster: ClusterView
    private let workers: [WorkerView]
    private let findings: [ClusterFinding]

    init(of client: ClusterClient) async throws {
        cluster = try await client.cluster()
        workers = try await client.workers().sorted { $0.registration.name < $1.registration.name }
        findings = ClusterExamination(workers, version: cluster.version).findings
    }

    /// Whether anything is wrong; advice alone is not.
    var hasFaults: Bool { findings.contains(where: \.isFault) }

    private struct Page: Encodable {
        let ok: Bool
        let version: String
        let findings: [ClusterFinding]
        let workers: [WorkerView]
    }

    /// The examination as fields.
    func json() throws -> String {
        try ControlJSON.pretty(Page(ok: !hasFaults, version: cluster.version, findings: findings, workers: workers)) + "\n"
    }

    /// The examination as text: the machines, then what is wrong, then what could be better.
    var text: String {
        var lines = [Self.table(workers)]
        let faults = findings.filter(\.isFault)
        let advice = findings.filter { !$0.isFault }
        if !faults.isEmpty { lines += ["", Self.table(faults, "fault")] }
        if !advice.isEmpty { lines += ["", Self.table(advice, "advice")] }
        let machines = Set(workers.map(\.registration.machine)).count
        let size = "\(workers.count) worker\(workers.count == 1 ? "" : "s") on \(machines) machine\(machines == 1 ? "" : "s")"
        let verdict = faults.isEmpty ? "nothing is wrong" : "\(faults.count) fault\(faults.count == 1 ? "" : "s")"
        lines += ["", "\(size): \(workers.isEmpty ? "start some with ringmaster worker" : verdict)"]
        return lines.joined(separator: "\n") + "\n"
    }

    private static func table(_ workers: [WorkerView]) -> String {
        var table = Table(
            ["worker", "machine", "isa", "node", "local", "MTU", "clock", "memlock", "RDMA", "huge pages", "disk left", "reached"],
            textual: [0, 1, 2, 3, 8, 9])
        for worker in workers {
            let registration = worker.registration
            var row = [printable(registration.name), printable(registration.machine), printable(registration.isa)]
            let anywhere = registration.numaNodes > 1 ? "any" : "-"
            row.append(registration.homeNodes.map { NumberList.text($0.sorted()) } ?? anywhere)
            row.append(worker.locality.map { percent($0.share) } ?? "-")
            row += worker.facts.map(cells) ?? Array(repeating: "-", count: 7)
            table.add(row)
        }
        return table.text
    }

    /// What a worker has told, in the order of the table's columns.
    private static func cells(_ facts: WorkerFacts) -> [String] {
        let mtu: String = facts.mtu.map { "\($0)" } ?? "-"
        let clock: String = facts.clockAheadSeconds.map { ($0 < 0 ? "-" : "+") + fixed(abs($0), 3) + " s" } ?? "-"
        let locked: String = facts.lockedBytesMax.map(humanBytes) ?? "unlimited"
        let devices: String = facts.rdma.isEmpty ? "-" : printable(facts.rdma.map(\.device).joined(separator: " "))
        var pages = printable(facts.transparentHugePages)
        if facts.hugePageBytes > 0 { pages += " + " + humanBytes(facts.hugePageBytes) }
        let left: String = facts.disks.map(\.freeBytes).min().map(humanBytes) ?? "-"
        return [mtu, clock, locked, devices, pages, left, "\(facts.peersTried - facts.unreachable.count) of \(facts.peersTried)"]
    }

    private static func table(_ findings: [ClusterFinding], _ name: String) -> String {
        var table = Table(["machine", "worker", name, "what to do"], textual: [0, 1, 2, 3])
        for finding in findings {
            table.add([printable(finding.machine), printable(finding.worker), printable(finding.text), printable(finding.fix)])
        }
        return table.text
    }
}

// A cluster at one moment: what `status` prints and `top` draws. What looks wrong is said first and by name.

import Foundation
import RingClient
import RingControl

/// A cluster at one moment.
struct Snapshot: Sendable {
    let address: String
    let taken = ContinuousClock.now
    let cluster: ClusterView
    let workers: [WorkerView]
    /// Jobs that run or load, oldest first.
    let active: [JobView]
    /// Jobs that wait, oldest first.
    let queued: [JobView]
    /// The newest failures, newest last.
    let failed: [JobView]

    /// Most jobs of a state that are asked for: more than a page shows.
    private static let jobsShown = 100
    /// Seconds for which a failure is news.
    private static let failureNewsSeconds = 600.0

    init(of client: ClusterClient) async throws {
        async let cluster = client.cluster()
        async let workers = client.workers()
        async let running = client.jobs(state: .running, limit: Self.jobsShown)
        async let admitted = client.jobs(state: .admitted, limit: Self.jobsShown)
        async let queued = client.jobs(state: .queued, limit: Self.jobsShown)
        async let failed = client.jobs(state: .failed, limit: 3)
        address = client.connection.address
        self.cluster = try await cluster
        self.workers = try await workers.sorted { $0.registration.name < $1.registration.name }
        active = try await (running + admitted).sorted { $0.id.number < $1.id.number }
        self.queued = try await queued
        self.failed = try await failed
    }

    var openJobs: [JobView] { active + queued }

    /// What looks wrong, a sentence each.
    var findings: [String] {
        var found: [String] = []
        for worker in workers where worker.health == .suspected {
            let job = worker.job.map { ", holds job \($0)" + (worker.rank.map { " as rank \($0)" } ?? "") } ?? ""
            found.append(
                "worker \(printable(worker.registration.name)) on \(printable(worker.registration.machine)) is suspected: silent for "
                    + "\(fixed(worker.silentSeconds, 1)) s\(job)")
        }
        for worker in workers where worker.health == .slow {
            let job = openJobs.first { $0.straggler?.worker == worker.registration.name }.map { "; job \($0.id) waits for it" } ?? ""
            found.append(
                "worker \(printable(worker.registration.name)) on \(printable(worker.registration.machine)) is slow: its share takes "
                    + "\(fixed(worker.pace ?? 0, 2)) times as long as its ring's median\(job)")
        }
        for worker in workers {
            guard let locality = worker.locality, locality.pages >= ClusterExamination.localPages,
                locality.share < ClusterExamination.localShare
            else { continue }
            found.append(
                "worker \(printable(worker.registration.name)) on \(printable(worker.registration.machine)) has only "
                    + "\(percent(locality.share)) of its memory on its node")
        }
        for job in openJobs where job.attempt > 1 {
            let cause = job.failure.map { ": " + printable($0.message) } ?? ""
            found.append("job \(job.id) is in attempt \(job.attempt)\(cause)")
        }
        for job in queued where (job.wantedWorkers ?? 1) > cluster.workers.total {
            let wanted = job.wantedWorkers ?? 1
            found.append("job \(job.id) waits for \(wanted) worker\(wanted == 1 ? "" : "s"), and the cluster has \(cluster.workers.total)")
        }
        let open = cluster.jobs.queued + cluster.jobs.admitted + cluster.jobs.running
        if open >= cluster.queueLimit {
            found.append("the queue is full: \(open) jobs are open")
        } else if 10 * open >= 9 * cluster.queueLimit {
            found.append("the queue is nearly full: \(open) of \(cluster.queueLimit) jobs are open")
        }
        for worker in workers where worker.health == .draining { found.append("worker \(printable(worker.registration.name)) drains") }
        if cluster.isDraining { found.append("the cluster drains: it takes no further job") }
        let now = Date().timeIntervalSince1970
        for job in failed.reversed() {
            guard let settled = job.settledAt, now - settled < Self.failureNewsSeconds, let failure = job.failure else { continue }
            found.append("job \(job.id) failed \(span(max(0, now - settled))) ago: \(failure.code.rawValue): \(printable(failure.message))")
        }
        return found
    }

    /// `4 workers: 2 idle, 2 busy`.
    var workerLine: String {
        let counts = cluster.workers
        var parts = ["\(counts.idle) idle", "\(counts.busy) busy"]
        let slow = workers.count { $0.health == .slow }
        if slow > 0 { parts.append("\(slow) of them slow") }
        if counts.suspected > 0 { parts.append("\(counts.suspected) suspected") }
        if counts.draining > 0 { parts.append("\(counts.draining) draining") }
        return "\(counts.total) worker\(counts.total == 1 ? "" : "s"): " + parts.joined(separator: ", ")
    }

    /// `jobs: 1 running, 0 loading, 3 queued (limit 256), 12 succeeded, 1 failed, 0 cancelled`.
    var jobLine: String {
        let jobs = cluster.jobs
        return "jobs: \(jobs.running) running, \(jobs.admitted) loading, \(jobs.queued) queued (limit \(cluster.queueLimit)), "
            + "\(jobs.succeeded) succeeded, \(jobs.failed) failed, \(jobs.cancelled) cancelled"
    }

    /// `cluster http://127.0.0.1:7411, version 0.1.0, up 3 min, epoch 7`.
    var clusterLine: String {
        "cluster \(address), version \(printable(cluster.version)), up \(span(cluster.uptimeSeconds)), epoch \(cluster.epoch.number)"
            + (cluster.encryptsDataPlane ? ", data plane encrypted" : "")
    }

    /// The page that `status` prints.
    var page: String {
        var lines = findings.map { "! " + $0 }
        if !lines.isEmpty { lines.append("") }
        lines += [clusterLine, workerLine]
        if !workers.isEmpty { lines += ["", WorkerTable.text(workers), ""] }
        lines.append(jobLine)
        if !openJobs.isEmpty { lines += ["", JobTable.text(openJobs)] }
        return lines.joined(separator: "\n") + "\n"
    }
}

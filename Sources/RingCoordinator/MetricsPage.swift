// What /metrics says: the cluster as its views show it, this process as the kernel sees it, and the requests that were answered.
// Docs/METRICS.md says what each family means. Labels are bounded: states and outcomes are few, jobs are shown only while they
// run, workers up to a limit and routes by their template.

import RingControl
import RingTelemetry

/// Everything that one answer of /metrics is made of.
package struct MetricsSnapshot {
    private let cluster: ClusterView
    private let jobs: [JobView]
    private let workers: [WorkerView]
    private let process: ProcessFigures
    private let requests: [MetricFamily]

    package init(
        cluster: ClusterView, jobs: [JobView], workers: [WorkerView], process: ProcessFigures, requests: [MetricFamily]
    ) {
        self.cluster = cluster
        self.jobs = jobs
        self.workers = workers
        self.process = process
        self.requests = requests
    }

    /// The coordinator's clock, in seconds since 1970.
    private var now: Double { cluster.startedAt + cluster.uptimeSeconds }

    /// Every family, and one that says how many series did not find room.
    package var families: [MetricFamily] {
        var families = clusterFamilies + jobFamilies + ringFamilies + workerFamilies + process.families + requests
        var dropped = MetricFamily(
            .gauge, "ringmaster_metrics_dropped_series", help: "Series that this page leaves out because a metric has too many.")
        dropped.set(families.reduce(0) { $0 + $1.droppedCount })
        families.append(dropped)
        return families
    }

    private var clusterFamilies: [MetricFamily] {
        var build = MetricFamily(
            .gauge, "ringmaster_build_info", help: "Always 1; the label is the program's version.", labels: ["version"])
        build.set(1, cluster.version)
        var epoch = MetricFamily(
            .gauge, "ringmaster_epoch", help: "The newest membership version; each run of a job is placed under a newer one.")
        epoch.set(Double(cluster.epoch.number))
        return [
            build, epoch,
            gauge("ringmaster_draining", "1 while the coordinator takes no new job, else 0.", cluster.isDraining ? 1 : 0),
            gauge("ringmaster_queue_limit", "Most jobs that may be open (queued, admitted or running) at a time.", cluster.queueLimit),
            counter("ringmaster_tokens_generated_total", "Tokens of answers.", cluster.totals.tokensGenerated),
            counter("ringmaster_prompt_tokens_total", "Tokens dealt to the ranks of runs that were placed.", cluster.totals.promptTokens),
        ]
    }

    private var jobFamilies: [MetricFamily] {
        var states = MetricFamily(
            .gauge, "ringmaster_jobs", help: "Jobs that the coordinator knows, by state; settled ones are kept for a while.",
            labels: ["state"])
        let counts = cluster.jobs
        for (state, count) in [
            ("queued", counts.queued), ("admitted", counts.admitted), ("running", counts.running), ("succeeded", counts.succeeded),
            ("failed", counts.failed), ("cancelled", counts.cancelled),
        ] { states.set(count, state) }
        let totals = cluster.totals
        var settled = MetricFamily(
            .counter, "ringmaster_jobs_settled_total", help: "Jobs that have ended, by outcome.", labels: ["outcome"])
        settled.set(totals.jobsSucceeded, "succeeded")
        settled.set(totals.jobsFailed, "failed")
        settled.set(totals.jobsCancelled, "cancelled")
        var oldest = MetricFamily(
            .gauge, "ringmaster_queue_oldest_seconds", help: "For how long the longest-waiting queued job has waited; 0 without one.")
        oldest.set(jobs.filter { $0.state == .queued }.map { max(0, now - $0.submittedAt) }.max() ?? 0)
        var progress = MetricFamily(
            .gauge, "ringmaster_job_progress_ratio", help: "How much of its current phase a running job has done, 0 to 1.",
            labels: ["job_id"])
        for job in jobs where job.state == .running {
            guard let part = job.progress?.ratio else { continue }
            progress.set(part, job.id.description)
        }
        return [
            states, settled, oldest, progress, counter("ringmaster_jobs_submitted_total", "Jobs taken in.", totals.jobsSubmitted),
            counter("ringmaster_job_retries_total", "Runs that failed and were followed by another.", totals.retries),
        ]
    }

    private var ringFamilies: [MetricFamily] {
        let ring = cluster.totals.ring ?? RingTotals()
        var seconds = MetricFamily(
            .counter, "ringmaster_ring_seconds_total", help: "Seconds of ranks in ring steps: computing, or exposed to the wire.",
            labels: ["kind"])
        seconds.set(ring.computeSeconds, "compute")
        seconds.set(ring.exposedSeconds, "exposed")
        var flops = MetricFamily(.counter, "ringmaster_ring_flops_total", help: "Floating-point operations of attention in ring steps.")
        flops.set(ring.flops)
        return [
            seconds, flops, counter("ringmaster_ring_steps_total", "Ring steps that ranks took.", ring.steps),
            counter("ringmaster_ring_sent_bytes_total", "Bytes of keys and values that ranks sent on.", ring.bytesSent),
        ]
    }

    private var workerFamilies: [MetricFamily] {
        var states = MetricFamily(
            .gauge, "ringmaster_workers", help: "Workers, each under one state: suspected before draining before busy before idle.",
            labels: ["state"])
        for state in ["idle", "busy", "suspected", "draining"] { states.set(workers.count { $0.state == state }, state) }
        var pace = MetricFamily(
            .gauge, "ringmaster_worker_pace_ratio",
            help: "Time a worker needed for its share over that of its ring's median, in the newest run in which it was measured.",
            labels: ["worker"])
        var silent = MetricFamily(
            .gauge, "ringmaster_worker_silent_seconds", help: "Seconds since a worker was last heard.", labels: ["worker"])
        for worker in workers.sorted(by: { $0.registration.name < $1.registration.name }) {
            silent.set(worker.silentSeconds, worker.registration.name)
            if let ratio = worker.pace { pace.set(ratio, worker.registration.name) }
        }
        var most = MetricFamily(
            .gauge, "ringmaster_worker_silent_max_seconds", help: "Seconds since the most silent worker was last heard; 0 without one.")
        most.set(workers.map(\.silentSeconds).max() ?? 0)
        return [
            states, pace, silent, most, counter("ringmaster_workers_joined_total", "Workers let in.", cluster.totals.workersJoined),
            counter("ringmaster_workers_lost_total", "Workers that went without being told to.", cluster.totals.workersLost),
        ]
    }
}

/// A gauge of one series.
func gauge(_ name: String, _ help: String, _ value: Int) -> MetricFamily {
    var family = MetricFamily(.gauge, name, help: help)
    family.set(value)
    return family
}

/// A counter of one series.
func counter(_ name: String, _ help: String, _ value: Int) -> MetricFamily {
    var family = MetricFamily(.counter, name, help: help)
    family.set(value)
    return family
}

extension WorkerView {
    /// One word for how it is; the gravest that applies.
    var state: String {
        switch health {
        case .suspected: "suspected"
        case .draining: "draining"
        case .ok, .slow: job == nil ? "idle" : "busy"
        }
    }
}

extension JobProgress {
    /// What is done of the current phase: tokens of the answer in decode, of the context otherwise.
    var ratio: Double {
        let (done, total) = phase == .decode ? (step, steps) : (tokensDone, tokensTotal)
        return total > 0 ? min(1, max(0, Double(done) / Double(total))) : 0
    }
}

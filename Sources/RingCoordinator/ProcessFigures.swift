// This process as the kernel sees it, under the names that every Prometheus client uses, so that existing dashboards know them.

import Foundation
import RingTelemetry

/// Figures of a process from /proc.
package struct ProcessFigures: Equatable {
    /// Processor time used, user and system.
    package var cpuSeconds: Double?
    /// Resident memory.
    package var residentBytes: Int?
    /// Open descriptors.
    package var openDescriptors: Int?
    /// How many it may open.
    package var maxDescriptors: Int?
    /// When it started, in seconds since 1970.
    package var startedAt: Double?
    /// Its threads.
    package var threads: Int?

    /// The figures of this process now. Reading /proc is a copy out of the kernel's memory, so it is done where it is asked.
    package static func current() -> ProcessFigures {
        var figures = ProcessFigures(
            stat: read("self/stat"), status: read("self/status"), limits: read("self/limits"), system: read("stat"),
            ticksPerSecond: Double(sysconf(Int32(_SC_CLK_TCK))))
        // The descriptor through which the folder is read is among them.
        figures.openDescriptors = (try? FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd"))?.count
        return figures
    }

    /// Figures out of the files of proc(5); what cannot be read there stays unknown.
    package init(stat: String, status: String, limits: String, system: String, ticksPerSecond: Double) {
        // The program's name is in brackets and may hold anything; the third field follows the last bracket.
        let fields = stat.split(separator: ")").last.map { $0.split(separator: " ") } ?? []
        func ticks(_ number: Int) -> Double? { number - 3 < fields.count ? Double(fields[number - 3]) : nil }
        if let user = ticks(14), let kernel = ticks(15), ticksPerSecond > 0 { cpuSeconds = (user + kernel) / ticksPerSecond }
        let boot = Self.words(after: "btime", in: system).first.flatMap { Double($0) }
        if let boot, let start = ticks(22), ticksPerSecond > 0 { startedAt = boot + start / ticksPerSecond }
        residentBytes = Self.words(after: "VmRSS:", in: status).first.flatMap { Int($0) }.map { $0 * 1024 }
        threads = Self.words(after: "Threads:", in: status).first.flatMap { Int($0) }
        maxDescriptors = Self.words(after: "Max open files", in: limits).first.flatMap { Int($0) }
    }

    private static func read(_ path: String) -> String {
        FileManager.default.contents(atPath: "/proc/" + path).map { String(decoding: $0, as: UTF8.self) } ?? ""
    }

    /// The words behind `key` on the line that begins with it.
    private static func words(after key: String, in text: String) -> [Substring] {
        let line = text.split(separator: "\n").first { $0.hasPrefix(key) }
        return line.map { $0.dropFirst(key.count).split { $0 == " " || $0 == "\t" } } ?? []
    }

    /// The families of what is known.
    package var families: [MetricFamily] {
        var cpu = MetricFamily(.counter, "process_cpu_seconds_total", help: "Total user and system CPU time spent in seconds.")
        if let cpuSeconds { cpu.set(cpuSeconds) }
        var start = MetricFamily(
            .gauge, "process_start_time_seconds", help: "Start time of the process since unix epoch in seconds.")
        if let startedAt { start.set(startedAt) }
        var families = [cpu, start]
        for (name, help, value) in [
            ("process_resident_memory_bytes", "Resident memory size in bytes.", residentBytes),
            ("process_open_fds", "Number of open file descriptors.", openDescriptors),
            ("process_max_fds", "Maximum number of open file descriptors.", maxDescriptors),
            ("process_threads", "Number of OS threads.", threads),
        ] {
            var family = MetricFamily(.gauge, name, help: help)
            if let value { family.set(value) }
            families.append(family)
        }
        return families
    }
}

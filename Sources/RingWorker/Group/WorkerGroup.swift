// One worker process for each NUMA node, under one parent that starts them, passes signals on and counts who is left. What happens to whom
// is `GroupPolicy`'s decision; this carries it out.

import Foundation
import Logging
import Synchronization

/// Worker processes that live and end together with this one.
public final class WorkerGroup: Sendable {
    /// One of them.
    public struct Member: Hashable, Sendable {
        /// Its name, for the log.
        public var name: String
        /// Arguments of the program.
        public var arguments: [String]
        /// What it reads first on its stdin; the pipe stays open as long as this process lives.
        public var greeting: String

        /// A member of its parts.
        public init(name: String, arguments: [String], greeting: String = "") {
            (self.name, self.arguments, self.greeting) = (name, arguments, greeting)
        }
    }

    /// Seconds between two looks at the children.
    private static let lookSeconds = 0.1

    private let binary: String
    private let members: [Member]
    private let environment: [String: String]
    private let logger: Logger
    private let wanted = Mutex<[Int32]>([])

    /// Members that run `binary`, none started yet.
    public init(binary: String, members: [Member], environment: [String: String], logger: Logger) {
        (self.binary, self.members, self.environment, self.logger) = (binary, members, environment, logger)
    }

    /// Passes a signal on; nobody is started again after the first.
    public func signal(_ number: Int32) { wanted.withLock { $0.append(number) } }

    /// Starts all and stays until all are gone. Gives the exit code: 0, or that of the member that ended the group.
    public func run() async -> Int32 {
        let begun = ContinuousClock.now
        var policy = GroupPolicy(count: members.count)
        var children = [ChildProcess?](repeating: nil, count: members.count)
        while !policy.isOver {
            let age = ContinuousClock.now - begun
            let now = Double(age.components.seconds) + Double(age.components.attoseconds) / 1e18
            for number in wanted.withLock({ wanted in
                defer { wanted = [] }
                return wanted
            }) {
                policy.end()
                for child in children { child?.signal(number) }
            }
            for place in members.indices {
                guard let ending = children[place]?.ending() else { continue }
                children[place] = nil
                if tell(place, ending, policy.ended(place, ending, at: now)) { for child in children { child?.signal(SIGTERM) } }
            }
            for place in policy.due(at: now) {
                policy.started(place, at: now)
                children[place] = start(place)
                // A program that cannot be started is like one that ends at once.
                if children[place] == nil { _ = policy.ended(place, .exited(1), at: now) }
            }
            await Task { try? await Task.sleep(for: .seconds(Self.lookSeconds)) }.value
        }
        return policy.exitCode
    }

    private func start(_ place: Int) -> ChildProcess? {
        let member = members[place]
        do {
            let child = try ChildProcess(binary: binary, member, environment: environment)
            logger.info("node's worker started", metadata: ["worker": .string(member.name), "pid": .stringConvertible(child.identifier)])
            return child
        } catch {
            logger.error("node's worker cannot start", metadata: ["worker": .string(member.name), "reason": .string("\(error)")])
            return nil
        }
    }

    /// Logs an end; true when the others are to end too.
    private func tell(_ place: Int, _ ending: ChildEnding, _ verdict: GroupPolicy.Verdict) -> Bool {
        var metadata: Logger.Metadata = ["worker": .string(members[place].name), "reason": .string(ending.description)]
        switch verdict {
        case .settled: logger.info("node's worker is gone", metadata: metadata)
        case .restart(let seconds):
            metadata["retry_seconds"] = .stringConvertible(seconds)
            logger.warning("node's worker died", metadata: metadata)
        case .endAll: logger.error("node's worker ends all", metadata: metadata)
        }
        return verdict == .endAll
    }
}

/// One child.
private final class ChildProcess: Sendable {
    /// Foundation's object is not Sendable; it is only touched under the lock.
    private let process: Mutex<Process>
    private let stdin = Pipe()
    let identifier: Int32

    init(binary: String, _ member: WorkerGroup.Member, environment: [String: String]) throws {
        let child = Process()
        child.executableURL = URL(filePath: binary)
        child.arguments = member.arguments
        child.environment = environment
        child.standardInput = stdin
        try child.run()
        identifier = child.processIdentifier
        process = Mutex(child)
        try? stdin.fileHandleForWriting.write(contentsOf: Data((member.greeting + "\n").utf8))
    }

    func signal(_ number: Int32) { if ending() == nil { kill(identifier, number) } }

    /// How it ended; `nil` while it runs. The kernel is asked beside Foundation, whose announcement of a child's end can be late for ever
    /// when another child is started at the same moment.
    func ending() -> ChildEnding? {
        let fields =
            (try? String(contentsOfFile: "/proc/\(identifier)/stat", encoding: .utf8))?.split(separator: ")").last?
            .split(separator: " ") ?? []
        if let state = fields.first, state != "Z" && state != "X" { return nil }
        if let status = fields.last.flatMap({ Int32($0.trimmingCharacters(in: .whitespacesAndNewlines)) }), fields.count > 49 {
            return status & 0x7F == 0 ? .exited(status >> 8 & 0xFF) : .killed(status & 0x7F)
        }
        return process.withLock { process in
            if process.isRunning { return nil }
            return process.terminationReason == .uncaughtSignal ? .killed(process.terminationStatus) : .exited(process.terminationStatus)
        }
    }
}

// One child process: the same program with the verb `worker`. Its token comes through its stdin, and stdin stays open for as
// long as this process lives: when this process ends in whatever way, the kernel closes the pipe and the child ends
// itself. (A parent-death signal would do the same, but Linux sends it when the *thread* that started the child ends.)

import Foundation
import Synchronization

/// A worker's process.
final class WorkerProcess: Sendable {
    let name: String
    /// Foundation's object is not Sendable; it is only touched under the lock.
    private let process: Mutex<Process>
    private let stdin = Pipe()
    private let tail = Mutex(Data())
    private let drained = DispatchSemaphore(value: 0)
    /// One element when the process has ended: how, as the rest of a sentence.
    let ended: AsyncStream<String>

    /// Starts `binary worker ...`, in a process group of its own, so that a terminal's Ctrl-C reaches only us.
    init(
        name: String, binary: String, arguments: [String], token: JoinToken, environment: [String: String],
        mirror: (@Sendable (_ worker: String, _ line: String) -> Void)?
    ) throws {
        self.name = name
        let child = Process()
        child.executableURL = URL(filePath: binary)
        child.arguments = ["worker", "--name", name, "--token-stdin"] + arguments
        child.environment = environment
        child.standardInput = stdin
        child.standardOutput = FileHandle.nullDevice
        let stderr = Pipe()
        child.standardError = stderr
        let (ended, announce) = AsyncStream<String>.makeStream()
        self.ended = ended
        let tell: @Sendable (String) -> Void = { [drained] how in
            // What it wrote last is part of how it ended; a grandchild that holds the pipe open is not waited for.
            _ = drained.wait(timeout: .now() + CoordinatorLimits.lastWordsSeconds)
            announce.yield(how)
            announce.finish()
        }
        child.terminationHandler = { tell(Self.describe($0)) }
        process = Mutex(child)
        let identifier = try process.withLock {
            try $0.run()
            return $0.processIdentifier
        }
        watch(identifier, tell)
        keepTail(of: stderr.fileHandleForReading, mirror: mirror)
        // A child that is gone already is told by its exit, not by the broken pipe.
        try? stdin.fileHandleForWriting.write(contentsOf: Data((token.text + "\n").utf8))
    }

    private static func describe(_ process: Process) -> String {
        describe(process.terminationStatus, bySignal: process.terminationReason == .uncaughtSignal)
    }

    private static func describe(_ status: Int32, bySignal: Bool) -> String {
        bySignal ? "was killed by \(signalName(status))" : "ended with exit code \(status)"
    }

    /// Asks the kernel when the child has ended. Foundation learns it from a socket that closes with the child, and a process
    /// that is started at the same moment elsewhere in this program can inherit the other end and hold it open for as long
    /// as it lives. The child is left for Foundation to collect; where that was faster, its handler tells.
    private func watch(_ identifier: Int32, _ tell: @escaping @Sendable (String) -> Void) {
        let watcher = Thread {
            var info = unsafe siginfo_t()
            var result: Int32
            repeat { result = unsafe waitid(P_PID, id_t(identifier), &info, WEXITED | WNOWAIT) } while result != 0 && errno == EINTR
            guard result == 0 else { return }
            let status = unsafe info._sifields._sigchld.si_status
            tell(Self.describe(status, bySignal: unsafe info.si_code != Int32(CLD_EXITED)))
        }
        watcher.stackSize = 256 << 10
        watcher.name = "end-of-\(name)"
        watcher.start()
    }

    private static func signalName(_ number: Int32) -> String {
        switch number {
        case SIGKILL: "SIGKILL (if nobody did it on purpose, the kernel may have, for lack of memory: see dmesg)"
        case SIGTERM: "SIGTERM"
        case SIGINT: "SIGINT"
        case SIGSEGV: "SIGSEGV"
        case SIGILL: "SIGILL"
        case SIGABRT: "SIGABRT"
        case SIGBUS: "SIGBUS"
        case SIGTRAP: "SIGTRAP"
        case SIGHUP: "SIGHUP"
        default: "signal \(number)"
        }
    }

    /// Reads a pipe to its end on a thread of its own: Foundation's readability handlers can outlive the descriptor that they
    /// watch, and take libdispatch with them.
    private func keepTail(of pipe: FileHandle, mirror: (@Sendable (_ worker: String, _ line: String) -> Void)?) {
        let reader = Thread { [self] in
            var lines = LineCutter()
            while true {
                let bytes = pipe.availableData
                if bytes.isEmpty { break }
                keep(bytes)
                if let mirror { for line in lines.cut(bytes) { mirror(name, line) } }
            }
            if let mirror, let last = lines.end() { mirror(name, last) }
            drained.signal()
        }
        reader.stackSize = 256 << 10
        reader.name = "stderr-\(name)"
        reader.start()
    }

    private func keep(_ bytes: Data) {
        tail.withLock { tail in
            tail.append(bytes)
            if tail.count > CoordinatorLimits.stderrTailBytes { tail = Data(tail.suffix(CoordinatorLimits.stderrTailBytes)) }
        }
    }

    /// The last of what it wrote on its stderr.
    var stderrTail: String { tail.withLock { String(decoding: $0, as: UTF8.self) } }

    var identifier: Int32 { process.withLock { $0.processIdentifier } }
    var isRunning: Bool { process.withLock { $0.isRunning } }

    /// Sends a signal to its process group, if it is still there.
    func signal(_ number: Int32) {
        process.withLock { if $0.isRunning { kill(-$0.processIdentifier, number) } }
    }
}

/// Cuts what a process writes into lines, so that the lines of several processes do not run into each other.
package struct LineCutter {
    private var open = Data()

    package init() {}

    /// The lines that are whole now, without their ends. One that grows beyond its limit is cut there.
    package mutating func cut(_ bytes: Data) -> [String] {
        open += bytes
        var lines: [String] = []
        while let end = open.firstIndex(of: UInt8(ascii: "\n")) {
            lines.append(String(decoding: open[..<end], as: UTF8.self))
            open = Data(open[(end + 1)...])
        }
        if open.count > CoordinatorLimits.stderrTailBytes, let last = end() { lines.append(last) }
        return lines
    }

    /// What came behind the last end of a line.
    package mutating func end() -> String? {
        defer { open = Data() }
        return open.isEmpty ? nil : String(decoding: open, as: UTF8.self)
    }
}

// `ringmaster worker`: one worker process, started by an embedded cluster, or by hand to look at the protocol.

import ArgumentParser
import Foundation
import RingControl
import RingKernels
import RingTransport
import RingWorker

struct WorkerCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "worker",
        abstract: "Work for a coordinator until it says stop.",
        discussion: "The cluster's token comes from RINGMASTER_JOIN_TOKEN, or with --token-stdin from the first line of stdin.")

    @Option(help: ArgumentHelp("Address of the coordinator: http://127.0.0.1:PORT.", valueName: "url"))
    var coordinator: String
    @Option(help: ArgumentHelp("Name of this worker; ranks are given in the order of names.", valueName: "name"))
    var name: String
    @Flag(help: "Read the token from stdin, and end when stdin does.")
    var tokenStdin = false

    mutating func validate() throws {
        guard coordinator.hasPrefix("http://127.0.0.1:") || coordinator.hasPrefix("http://localhost:") else {
            throw ValidationError("--coordinator must be a loopback address in this version, http://127.0.0.1:PORT, not \(coordinator)")
        }
    }

    func run() async throws {
        let token: String
        if tokenStdin {
            token = ParentPipe.readLine()
            ParentPipe.endWithParent()
        } else {
            token = ProcessInfo.processInfo.environment["RINGMASTER_JOIN_TOKEN"] ?? ""
        }
        guard !token.isEmpty else {
            throw CommandError.configuration("no token: set RINGMASTER_JOIN_TOKEN, or give --token-stdin and a line on stdin")
        }
        let kernels: Kernels
        do {
            kernels = try Kernels.fromEnvironment()
        } catch {
            throw CommandError.configuration("\(error)")
        }
        let listener = try TCPListener(host: "127.0.0.1", port: 0)
        let facts = MachineFacts()
        let registration = WorkerRegistration(
            name: name, pid: Int(ProcessInfo.processInfo.processIdentifier), machine: facts.hostName, isa: kernels.instructionSet.rawValue,
            cpus: facts.cpus, numaNodes: max(1, facts.numaNodes.count), memoryBytes: facts.memoryBytes, dataHost: "127.0.0.1",
            dataPort: Int(listener.port), version: RingmasterVersion.text)
        let session = WorkerSession(coordinator: coordinator, token: token, registration: registration, listener: listener)
        do {
            try await session.run(EngineExecutor())
        } catch  where Task.isCancelled {
            // SIGTERM is how a cluster ends its workers: nothing to tell.
        } catch let error as SessionError {
            throw CommandError.tryAgain(error.description)
        }
        // Engine threads may still be in a kernel; ordinary exit would take its tables from under them.
        _exit(0)
    }
}

/// The pipe through which a parent passes the token, and whose end tells that the parent is gone.
enum ParentPipe {
    /// The first line of stdin, without its end; at most 4 KiB.
    static func readLine() -> String {
        var line: [UInt8] = []
        while line.count < 4096, let byte = try? FileHandle.standardInput.read(upToCount: 1)?.first, byte != UInt8(ascii: "\n") {
            line.append(byte)
        }
        return String(decoding: line, as: UTF8.self)
    }

    /// Ends this process as soon as stdin does, whatever it is doing.
    static func endWithParent() {
        let thread = Thread {
            while let bytes = try? FileHandle.standardInput.read(upToCount: 4096), !bytes.isEmpty {}
            _exit(3)
        }
        thread.stackSize = 64 << 10
        thread.name = "parent-watch"
        thread.start()
    }
}

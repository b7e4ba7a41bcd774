// `ringmaster worker`: one worker, a daemon that joins its coordinator and comes back to it, or the child of an embedded cluster.

import ArgumentParser
import Foundation
import RingClient
import RingControl
import RingCoordinator
import RingFormats
import RingKernels
import RingTransport
import RingWorker

struct WorkerCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "worker",
        abstract: "Work for a coordinator until told to stop.",
        discussion: """
            A worker joins, does the jobs it is given, and joins again when its coordinator was away. SIGTERM or Ctrl-C drains: the \
            job it holds may end within --grace and is handed back otherwise. Over https it shows a certificate, which it gets with \
            a join token (see 'ringmaster token create') and renews by itself.
            """)

    @Option(help: ArgumentHelp("Address of the coordinator (default: RINGMASTER_COORDINATOR).", valueName: "url"))
    var coordinator: String?
    @Option(
        help: ArgumentHelp(
            "Name of this worker, its own; ranks are given in the order of names (default: the host's name).", valueName: "name"))
    var name: String?
    @Option(help: ArgumentHelp("Folder in which jobs find models (default: RINGMASTER_MODELS, else here).", valueName: "dir"))
    var models: String?
    @Option(
        help: ArgumentHelp("Folder in which jobs find inputs and leave results (default: RINGMASTER_DATA, else here).", valueName: "dir"))
    var data: String?
    @Option(
        help: ArgumentHelp(
            "Where other workers reach this one (default: loopback, which only a coordinator on this machine allows).",
            valueName: "host:port"))
    var dataListen: String?
    @Option(help: ArgumentHelp("Folder of this worker's certificate and key, for https.", valueName: "dir"))
    var state: String?
    @Option(help: ArgumentHelp("File with a join token, - for stdin; needed once, for https.", valueName: "file"))
    var joinTokenFile: String?
    @Option(help: ArgumentHelp("Fingerprint of the cluster's authority, sha256:HEX; needed once, for https.", valueName: "text"))
    var authorityFingerprint: String?
    @Option(help: ArgumentHelp("Seconds that a job gets to end when the worker drains.", valueName: "seconds"))
    var grace: Double = 60
    @Flag(help: ArgumentHelp("Read a cluster's token from stdin, and end when stdin does.", visibility: .private))
    var tokenStdin = false

    mutating func validate() throws {
        guard grace >= 0, grace <= 86_400 else { throw ValidationError("--grace is 0 to 86400 seconds, got \(grace)") }
    }

    func run() async throws {
        guard let address = coordinator ?? DaemonSettings.variable("RINGMASTER_COORDINATOR") else {
            throw CommandError.usage("say which coordinator to work for: --coordinator http://127.0.0.1:7411")
        }
        var configuration = ClusterConnection.Configuration(address: address)
        if tokenStdin {
            configuration.key = ParentPipe.readLine()
            ParentPipe.endWithParent()
        }
        let listener = try listener(for: address)
        let registration = try registration(listener)
        let joining = try await joining(address, registration.name)
        configuration.tls = try joining?.identity.tlsConfiguration()
        let session = try session(configuration, registration, listener.listener)
        if !tokenStdin { takeSignals(session) }
        do {
            try await run(session, joining)
        } catch let error as SessionError {
            if case .misconfigured(let sentence) = error { throw CommandError.configuration(sentence) }
            throw CommandError.tryAgain(error.description)
        }
        // Engine threads may still be in a kernel; ordinary exit would take its tables from under them.
        _exit(0)
    }

    private func session(
        _ configuration: ClusterConnection.Configuration, _ registration: WorkerRegistration, _ listener: TCPListener
    ) throws -> WorkerSession {
        var policy = tokenStdin ? WorkerPolicy.embedded : WorkerPolicy.daemon
        policy.graceSeconds = grace
        let folders = WorkerFolders(models: models, data: data)
        // The worker of `run` serves one user on their own machine, who names any file they like.
        let isJailed = !tokenStdin || models != nil
        let roots = isJailed ? FolderRoots(models: folders.models, data: folders.data) : .anywhere
        let isChild = tokenStdin
        return try WorkerSession(
            configuration, registration: registration, listener: listener, executor: EngineExecutor(roots: roots), policy: policy
        ) { note in if !isChild { Console.message("\(registration.name): \(printable(note))") } }
    }

    private func takeSignals(_ session: WorkerSession) {
        let grace = Int(grace)
        Interrupts.daemon.withLock {
            $0 = { count in
                if count == 1 { Console.message("draining: the job that runs has \(grace) s (again to stop at once)") }
                Task { if count == 1 { await session.drain() } else { await session.stop() } }
            }
        }
    }

    private func joining(_ address: String, _ name: String) async throws -> WorkerJoining? {
        guard address.hasPrefix("https://") else { return nil }
        let folder = state ?? DaemonSettings.variable("RINGMASTER_STATE") ?? DaemonSettings.defaultState + "/worker-" + name
        return try await WorkerJoining.identity(
            at: address, name: name, folder: absolutePath(folder), tokenFile: joinTokenFile, fingerprint: authorityFingerprint)
    }

    private func run(_ session: WorkerSession, _ joining: WorkerJoining?) async throws {
        await ServiceNotice.send("READY=1")
        let renewal = joining.map { joining in Task { await joining.keepFresh(session) } }
        defer { renewal?.cancel() }
        try await session.run()
        await ServiceNotice.send("STOPPING=1")
    }

    private func listener(for address: String) throws -> (listener: TCPListener, host: String) {
        var wanted = SocketAddress(host: "127.0.0.1", port: 0)
        if let dataListen {
            guard let given = SocketAddress(dataListen) else {
                throw CommandError.usage("--data-listen takes HOST:PORT, not \(dataListen.debugDescription)")
            }
            wanted = given
        } else if let host = URLComponents(string: address)?.host, !ClusterAddress.isLoopback(host) {
            throw CommandError.usage("say at which address of this machine the other workers reach it: --data-listen HOST:0")
        }
        return (try TCPListener(host: wanted.host, port: UInt16(clamping: wanted.port)), wanted.host)
    }

    private func registration(_ listener: (listener: TCPListener, host: String)) throws -> WorkerRegistration {
        let kernels: Kernels
        do {
            kernels = try Kernels.fromEnvironment()
        } catch {
            throw CommandError.configuration("\(error)")
        }
        let facts = MachineFacts()
        return WorkerRegistration(
            name: name ?? facts.hostName, pid: Int(ProcessInfo.processInfo.processIdentifier), machine: facts.hostName,
            isa: kernels.instructionSet.rawValue, cpus: facts.cpus, numaNodes: max(1, facts.numaNodes.count),
            memoryBytes: facts.memoryBytes,
            dataHost: listener.host, dataPort: Int(listener.listener.port), version: RingmasterVersion.text,
            instance: UUID().uuidString)
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

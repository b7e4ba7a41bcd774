// How daemons are started by others: what launchers leave in the environment, what a service manager is told, and how a launcher makes sure
// that everybody is there.

import Foundation
import Testing

/// The socket of a service manager (sd_notify(3)) in a folder of its own.
private struct NotifySocket {
    let path: String
    private let descriptor: Int32

    init(in folder: String) throws {
        path = folder + "/notify"
        descriptor = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue), 0)
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        let bytes = Array(path.utf8)
        try #require(descriptor >= 0 && bytes.count < 107)
        unsafe withUnsafeMutableBytes(of: &address.sun_path) { unsafe $0.copyBytes(from: bytes) }
        let bound = unsafe withUnsafePointer(to: &address) { pointer in
            unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                unsafe bind(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        try #require(bound == 0)
    }

    /// Everything that has come.
    func received() -> [String] {
        var found: [String] = []
        var buffer = [UInt8](repeating: 0, count: 4096)
        while true {
            let count = unsafe recv(descriptor, &buffer, buffer.count, Int32(MSG_DONTWAIT))
            if count <= 0 { return found }
            found.append(String(decoding: buffer.prefix(count), as: UTF8.self))
        }
    }

    func end() { close(descriptor) }

    /// Waits until as many notices as `count` hold `text`; gives all that came.
    func waits(for text: String, count: Int = 1) async -> [String] {
        var all: [String] = []
        for _ in 0..<1000 {
            all += received()
            if all.count(where: { $0.contains(text) }) >= count { return all }
            try? await Task.sleep(for: .milliseconds(20))
        }
        return all
    }
}

extension EndToEnd {
    @Suite("Launching", .timeLimit(.minutes(3)))
    struct LaunchTests {
        @Test("a service manager hears when a daemon is ready, that it lives, and when it stops")
        func notices() async throws {
            try await withFolder { folder in
                let socket = try NotifySocket(in: folder)
                defer { socket.end() }
                let manager = ["NOTIFY_SOCKET": socket.path, "WATCHDOG_USEC": "200000"]
                let coordinator = try Running(
                    ["coordinator", "--listen", "127.0.0.1:0", "--state", folder + "/state"], environment: manager)
                let first = await socket.waits(for: "WATCHDOG=1", count: 3)
                #expect(first.first?.hasPrefix("READY=1\nSTATUS=serving at http://127.0.0.1:") == true, "\(first)")
                #expect(first.count { $0 == "WATCHDOG=1" } >= 3, "\(first) \(coordinator.errorText)")
                let address = await coordinator.readyAddress() ?? ""
                let worker = try Running(
                    ["worker", "--coordinator", address, "--speed", "1", "--name", "a"],
                    environment: manager.merging(["WATCHDOG_PID": "1"]) { $1 })
                #expect(await worker.says("joined the coordinator"), "\(worker.errorText)")
                #expect(await socket.waits(for: "READY=1").contains("READY=1"))
                worker.signal(SIGTERM)
                #expect(await worker.outcome().code == 0)
                #expect(await socket.waits(for: "STOPPING=1").contains("STOPPING=1"))
                coordinator.signal(SIGTERM)
                #expect(await coordinator.outcome().code == 0)
                #expect(await socket.waits(for: "STOPPING=1\nSTATUS=draining").contains { $0.hasPrefix("STOPPING=1") })
            }
        }

        @Test("a stopped daemon gives no sign of life")
        func silence() async throws {
            try await withFolder { folder in
                let socket = try NotifySocket(in: folder)
                defer { socket.end() }
                let coordinator = try Running(
                    ["coordinator", "--listen", "127.0.0.1:0", "--state", folder + "/state"],
                    environment: ["NOTIFY_SOCKET": socket.path, "WATCHDOG_USEC": "200000"])
                _ = await socket.waits(for: "WATCHDOG=1")
                coordinator.signal(SIGSTOP)
                try await Task.sleep(for: .milliseconds(300))
                _ = socket.received()
                try await Task.sleep(for: .milliseconds(600))
                #expect(socket.received() == [])
                coordinator.signal(SIGCONT)
                #expect(await !socket.waits(for: "WATCHDOG=1").isEmpty)
                coordinator.signal(SIGTERM)
                #expect(await coordinator.outcome().code == 0)
            }
        }

        @Test("workers find their coordinator and their names in torchrun's and in Slurm's variables, and an option goes before")
        func environments() async throws {
            try await Daemons.run { daemons in
                try await daemons.startCoordinator()
                let port = await daemons.address.split(separator: ":").last.map(String.init) ?? ""
                let master = ["MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "RANK": "2", "WORLD_SIZE": "16"]
                let task = ["SLURM_PROCID": "0", "SLURMD_NODENAME": "n1", "SLURM_STEP_TASKS_PER_NODE": "1(x3)"]
                var started: [Running] = []
                defer { for running in started { running.signal(SIGKILL) } }
                for (arguments, variables) in [
                    ([], master), ([], master.merging(task) { $1 }), (["--name", "mine"], master.merging(["RANK": "x"]) { $1 }),
                    (["--name", "told"], ["RINGMASTER_COORDINATOR": await daemons.address, "MASTER_ADDR": "no host"]),
                ] {
                    started.append(try Running(["worker", "--speed", "1"] + arguments, environment: variables))
                }
                let page = try await daemons.ask(["status", "--expect", "rank-02,n1,mine,told", "--within", "30s", "--json"])
                #expect(page.code == 0 && (page.json["missing"] as? [String]) == [], "\(page.err) \(started.map(\.errorText))")
                // The log says by what each of them went.
                let wanted = [
                    ["coordinator_from=\"MASTER_ADDR,MASTER_PORT\"", "name_from=RANK"], ["name_from=SLURMD_NODENAME"], ["name_from=--name"],
                    ["coordinator_from=RINGMASTER_COORDINATOR", "name_from=--name"],
                ]
                for (running, words) in zip(started, wanted) {
                    #expect(words.allSatisfy(running.errorText.contains), "\(words): \(running.errorText)")
                }
            }
        }

        @Test("a garbled environment ends a worker with 78 and the variable's name; who is missing is named with 75")
        func refusals() async throws {
            for (variables, word) in [
                (["MASTER_ADDR": "a b", "MASTER_PORT": "1"], "MASTER_ADDR"), (["MASTER_ADDR": "h", "MASTER_PORT": "0"], "MASTER_PORT"),
                (["MASTER_PORT": "9", "SLURM_JOB_NODELIST": "n[1-"], "n[1-"),
                (["MASTER_ADDR": "127.0.0.1", "RANK": "4", "WORLD_SIZE": "4"], "WORLD_SIZE"),
            ] {
                let outcome = try await Binary.run(["worker"], environment: variables)
                #expect(outcome.code == 78 && outcome.errors.count == 1 && outcome.err.contains(word), "\(variables): \(outcome)")
            }
            try await Daemons.run { daemons in
                try await daemons.startCoordinator()
                try await daemons.startWorker("n02")
                let page = try await daemons.ask(["status", "--expect", "n[01-03]", "--within", "1s"])
                #expect(page.code == 75 && page.out.isEmpty, "\(page)")
                #expect(page.errors == ["error: 2 of 3 workers have not joined within 1s: n01, n03"], "\(page)")
                let json = try await daemons.ask(["status", "--expect", "n[01-03]", "--within", "1s", "--json"])
                #expect(json.code == 75 && (json.json["missing"] as? [String]) == ["n01", "n03"], "\(json)")
                #expect(try await daemons.ask(["status", "--expect", "n[3-1]"]).code == 2)
            }
            let nobody = try await Binary.run(["status", "--coordinator", "http://127.0.0.1:1", "--expect", "a", "--within", "1s"])
            #expect(nobody.code == 75 && nobody.errors.count == 1, "\(nobody)")
        }
    }
}

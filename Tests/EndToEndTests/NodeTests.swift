// Workers on NUMA nodes, as whole processes: where their threads may run, where their memory comes from, who follows whom into death. Most
// test machines have one node: where two are needed, a folder stands for /sys and gives each half of the cores, which is all that can be
// had of a second node without one. Scripts/lab-numa does the same on a machine that has four.

import Foundation
import Testing

extension EndToEnd {
    @Suite("NUMA nodes", .serialized, .timeLimit(.minutes(3)))
    struct NodeTests {
        /// A folder that looks like /sys of a machine whose nodes are the first cores of this one, one each.
        private func fakeSystem(_ nodes: Int, in folder: String) throws -> String {
            let root = folder + "/sys"
            func put(_ path: String, _ text: String) throws {
                let file = URL(filePath: root + "/devices/system/node/" + path)
                try FileManager.default.createDirectory(at: file.deletingLastPathComponent(), withIntermediateDirectories: true)
                try Data((text + "\n").utf8).write(to: file)
            }
            try put("online", nodes == 1 ? "0" : "0-\(nodes - 1)")
            for (node, cpu) in cores.prefix(nodes).enumerated() {
                try put("node\(node)/cpulist", "\(cpu)")
                try put("node\(node)/distance", (0..<nodes).map { $0 == node ? "10" : "21" }.joined(separator: " "))
                try put("node\(node)/meminfo", "Node \(node) MemTotal: 4194304 kB\nNode \(node) MemFree: 4194304 kB")
            }
            return root
        }

        /// Cores that this process may use, as far as they stand alone or in pairs in the kernel's list.
        private var cores: [Int] {
            let list = field("Cpus_allowed_list", in: "/proc/self/status")
            return list.split(separator: ",").flatMap { part -> [Int] in
                let ends = part.split(separator: "-").compactMap { Int($0) }
                return Array((ends.first ?? 0)...(ends.last ?? 0))
            }
        }

        private func field(_ name: String, in file: String) -> String {
            let text = (try? String(contentsOfFile: file, encoding: .utf8)) ?? ""
            let line = text.split(separator: "\n").first { $0.hasPrefix(name + ":") }
            return String(line?.dropFirst(name.count + 1) ?? "").trimmingCharacters(in: .whitespaces)
        }

        /// The lists of cores of all threads of a process.
        private func threadCores(_ process: Int32) -> Set<String> {
            let threads = (try? FileManager.default.contentsOfDirectory(atPath: "/proc/\(process)/task")) ?? []
            return Set(threads.map { field("Cpus_allowed_list", in: "/proc/\(process)/task/\($0)/status") }.filter { !$0.isEmpty })
        }

        private func workers(_ daemons: Daemons) async throws -> [[String: Any]] {
            (try await daemons.ask(["status", "--json"])).json["workers"] as? [[String: Any]] ?? []
        }

        /// Waits until so many workers are members, and gives their process numbers by name.
        private func members(_ daemons: Daemons, _ count: Int, but gone: Int32? = nil) async throws -> [String: Int32] {
            for _ in 0..<600 {
                let found = try await workers(daemons).compactMap { $0["registration"] as? [String: Any] }
                let numbers = found.compactMap { facts -> (String, Int32)? in
                    guard let name = facts["name"] as? String, let pid = facts["pid"] as? Int else { return nil }
                    return (name, Int32(pid))
                }
                if numbers.count == count, !numbers.contains(where: { $0.1 == gone }) { return Dictionary(uniqueKeysWithValues: numbers) }
                try await Task.sleep(for: .milliseconds(50))
            }
            Issue.record("there were never \(count) workers")
            return [:]
        }

        private func isAlive(_ process: Int32) -> Bool {
            let state = field("State", in: "/proc/\(process)/status")
            return !state.isEmpty && !state.hasPrefix("Z")
        }

        @Test("a worker with a node has every thread there, takes its memory there, and says how much lay there")
        func bound() async throws {
            try await Daemons.run { daemons in
                try await daemons.startCoordinator()
                try await daemons.startWorker("w", ["--numa-node", "0"])
                let process = try #require(try await members(daemons, 1)["w"])
                let node = try String(contentsOfFile: "/sys/devices/system/node/node0/cpulist", encoding: .utf8)
                let policy = try String(contentsOfFile: "/proc/\(process)/numa_maps", encoding: .utf8)
                #expect(threadCores(process) == [node.trimmingCharacters(in: .whitespacesAndNewlines)])
                #expect(policy.contains("prefer:0") || policy.contains("prefer (many):0"), "\(policy.prefix(200))")
                let attend = ["submit", "attend", "--tokens", "4K", "--heads", "2", "--head-dim", "64", "--workers", "1", "--follow"]
                #expect(try await daemons.ask(attend).code == 0)
                let worker = try #require(try await workers(daemons).first)
                let locality = try #require(worker["locality"] as? [String: Any], "\(worker)")
                let pages = try #require(locality["pages"] as? Int)
                // 4,096 tokens of 2 heads of keys and values in f32, and the queries: 8 MiB at least, if on huge pages 2,048 small ones.
                #expect(pages > 1000 && locality["pages_local"] as? Int == pages && locality["nodes"] as? [Int] == [0])
                let page = try await daemons.ask(["status"])
                #expect(page.out.contains("100.0%") && page.out.contains(/node +local/), "\(page.out)")
            }
        }

        @Test(
            "a node that cannot be is said so before anything starts",
            arguments: [
                (["--numa-node", "x"], Int32(2)), (["--numa-node", "1023"], 78), (["--numa-node", "0", "--per-numa-node"], 2),
                (["--numa-node", "0", "--numa-memory", "maybe"], 2),
            ] as [([String], Int32)])
        func wrong(arguments: [String], code: Int32) async throws {
            let outcome = try await Binary.run(["worker", "--coordinator", "http://127.0.0.1:1"] + arguments)
            #expect(outcome.code == code && outcome.errors.count == 1 && outcome.out.isEmpty, "\(outcome.err)")
        }

        @Test("a worker for each node: each on its cores, one that is killed comes back, SIGTERM ends all with 0")
        func group() async throws {
            guard cores.count > 1 else { return print("SKIPPED: one core cannot stand for two nodes") }
            try await Daemons.run { daemons in
                try await daemons.startCoordinator()
                let group = try await startGroup(daemons)
                defer { group.signal(SIGKILL) }
                let first = try await members(daemons, 2)
                #expect(first.keys.sorted() == ["w-node0", "w-node1"])
                for (place, name) in first.keys.sorted().enumerated() {
                    #expect(threadCores(first[name] ?? 0) == ["\(cores[place])"], "\(name)")
                }
                let victim = try #require(first["w-node1"])
                kill(victim, SIGKILL)
                let second = try await members(daemons, 2, but: victim)
                #expect(second["w-node0"] == first["w-node0"], "the other one is left alone")
                #expect(group.errorText.contains("was killed by signal 9"), "\(group.errorText)")
                group.signal(SIGTERM)
                #expect(await group.outcome().code == 0)
                #expect(second.values.allSatisfy { !isAlive($0) })
            }
        }

        @Test("workers of a group do not outlive it when it is killed outright")
        func orphans() async throws {
            guard cores.count > 1 else { return print("SKIPPED: one core cannot stand for two nodes") }
            try await Daemons.run { daemons in
                try await daemons.startCoordinator()
                let group = try await startGroup(daemons)
                let there = try await members(daemons, 2)
                group.signal(SIGKILL)
                _ = await group.outcome()
                for _ in 0..<1000 where there.values.contains(where: isAlive) { try await Task.sleep(for: .milliseconds(10)) }
                #expect(there.values.allSatisfy { !isAlive($0) })
            }
        }

        @Test("settings that are wrong for one worker end the group with their code")
        func hopeless() async throws {
            try await withFolder { folder in
                let system = try fakeSystem(1, in: folder)
                let outcome = try await Binary.run(
                    [
                        "worker", "--per-numa-node", "--coordinator", "https://127.0.0.1:1", "--data-listen", "127.0.0.1:0", "--state",
                        folder,
                    ],
                    environment: ["RINGMASTER_SYS": system])
                #expect(outcome.code == 78, "\(outcome.err)")
                #expect(outcome.err.contains("has no certificate in \(folder)/node0"), "\(outcome.err)")
            }
        }

        private func startGroup(_ daemons: Daemons) async throws -> Running {
            let (folder, address) = (daemons.folder, await daemons.address)
            return try Running(
                [
                    "worker", "--coordinator", address, "--name", "w", "--data", folder, "--models", folder, "--speed", "1",
                    "--per-numa-node", "--grace", "0",
                ], environment: ["RINGMASTER_SYS": try fakeSystem(2, in: folder)])
        }

        @Test("workers of one command are dealt over the nodes, and pages that lie elsewhere are not called local")
        func dealt() async throws {
            guard cores.count > 1 else { return print("SKIPPED: one core cannot stand for two nodes") }
            try await withFolder { folder in
                let variables = ["RINGMASTER_SYS": try fakeSystem(2, in: folder)]
                let attend = ["attend", "--tokens", "4K", "--heads", "2", "--head-dim", "64", "--workers", "2", "--json"]
                let figures = try #require(try await Binary.run(attend, environment: variables).json["worker_figures"] as? [[String: Any]])
                let localities = figures.compactMap { $0["locality"] as? [String: Any] }
                #expect(localities.map { $0["nodes"] as? [Int] } == [[0], [1]])
                // All memory of a machine with one node lies on node 0, whatever the folder says.
                let shares = localities.map { ($0["pages_local"] as? Int ?? -1, $0["pages"] as? Int ?? -1) }
                try #require(shares.count == 2)
                #expect(shares[0].0 == shares[0].1 && shares[1].0 == 0 && shares[1].1 > 256, "\(shares)")
                let free = try await Binary.run(attend + ["--no-numa"], environment: variables)
                let unbound = try #require(free.json["worker_figures"] as? [[String: Any]])
                #expect(unbound.allSatisfy { $0["locality"] is NSNull })
            }
        }

        @Test("doctor tells of each node of a machine")
        func doctor() async throws {
            try await withFolder { folder in
                let variables = ["RINGMASTER_SYS": try fakeSystem(min(2, cores.count), in: folder)]
                let json = try await Binary.run(["doctor", "--json"], environment: variables).json
                let numa = try #require(json["numa"] as? [String: Any])
                let nodes = try #require(numa["nodes"] as? [[String: Any]])
                #expect(nodes.map { $0["cpus"] as? String } == cores.prefix(2).map { "\($0)" })
                #expect((numa["problems"] as? [String]) == [])
                let text = try await Binary.run(["doctor"], environment: variables).out
                #expect(cores.count == 1 || text.contains("node 1") && text.contains("--per-numa-node"), "\(text)")
            }
        }
    }
}

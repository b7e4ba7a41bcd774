// `ringmaster doctor`: is this machine ready, or with --cluster all of a running cluster's, and what to do where one is not.

import ArgumentParser
import Foundation
import RingFormats
import RingKernels
import RingTransport
import RingWorker

struct DoctorCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "doctor", abstract: "Say whether this machine, or a whole cluster, is ready, and what to do where it is not.",
        discussion: "With --cluster the exit code is 1 if anything is wrong with any worker's machine.")

    @Flag(help: "Look at the machines of a running cluster's workers.")
    var cluster = false
    @Flag(help: "Print it as JSON.")
    var json = false
    @OptionGroup(title: "Connection, with --cluster") var connection: ConnectionOptions

    /// One line of the examination.
    struct Finding {
        let name: String
        let isGood: Bool
        let text: String
        /// What to do about it; empty if nothing.
        let advice: String

        init(_ name: String, ok: Bool = true, _ text: String, advice: String = "") {
            (self.name, isGood, self.text, self.advice) = (name, ok, text, ok ? "" : advice)
        }
    }

    mutating func validate() throws {
        if !cluster, connection.coordinator != nil { throw ValidationError("--coordinator is for --cluster, which is missing") }
    }

    func run() async throws {
        guard cluster else { return examineMachine() }
        let examination = try await connection.use { try await DoctorCluster(of: $0) }
        Console.out(json ? try examination.json() : examination.text)
        if examination.hasFaults { throw ExitCode(1) }
    }

    private func examineMachine() {
        let facts = MachineFacts()
        var findings = [cpu(facts), isa()]
        findings += DoctorNodes.findings(facts)
        findings += [memory(facts), lockedMemory(facts), hugePages(facts), lentMemory(), rdma(facts), loopback()]
        if json {
            let list = findings.map { finding -> JSONValue in
                [
                    "name": .string(finding.name), "status": .string(finding.isGood ? "ok" : "warn"), "text": .string(finding.text),
                    "advice": .string(finding.advice),
                ]
            }
            let isa: JSONValue = (try? Kernels.fromEnvironment()).map { .string($0.instructionSet.rawValue) } ?? .null
            let nodes: [JSONValue] = facts.topology.nodes.map { .string(NumberList.text($0.cpus)) }
            let features: [JSONValue] = Self.features(facts).map { .string($0) }
            let devices: [JSONValue] = facts.rdmaDevices.map { .string($0) }
            let object: JSONValue = [
                "cpu": .string(facts.cpuModel), "features": .array(features), "isa": isa, "cpus": .integer(Int64(facts.cpus)),
                "numa_nodes": .array(nodes),
                "numa": DoctorNodes.json(facts.topology),
                "memory_bytes": .integer(Int64(facts.memoryBytes)), "memory_available_bytes": .integer(Int64(facts.memoryAvailableBytes)),
                "rdma_devices": .array(devices), "findings": .array(list),
            ]
            Console.out(object.text(pretty: true))
            return
        }
        let width = findings.map(\.name.count).max() ?? 0
        for finding in findings {
            let name = finding.name + String(repeating: " ", count: width - finding.name.count)
            Console.out("\(finding.isGood ? "ok  " : "warn")  \(name)  \(finding.text)\n")
            if !finding.advice.isEmpty { Console.out("      \(String(repeating: " ", count: width))  -> \(finding.advice)\n") }
        }
    }

    private static func features(_ facts: MachineFacts) -> [String] {
        ["avx2", "fma", "avx512f", "avx512bw", "avx512dq", "avx512vl", "avx512_bf16", "amx_bf16", "sse4_2"].filter(facts.cpuFlags.contains)
    }

    private func cpu(_ facts: MachineFacts) -> Finding {
        let features = Self.features(facts)
        return Finding("cpu", "\(facts.cpuModel): \(features.isEmpty ? "no vector features listed" : features.joined(separator: " "))")
    }

    private func isa() -> Finding {
        do {
            let chosen = try Kernels.fromEnvironment().instructionSet
            return Finding(
                "kernels", ok: chosen >= .avx2, "\(chosen.rawValue) of \(InstructionSet.supported.map(\.rawValue).joined(separator: ", "))",
                advice: "plain C is many times slower: use a machine with AVX2 or AVX-512, or unset RINGMASTER_ISA")
        } catch {
            return Finding("kernels", ok: false, "\(error)", advice: "unset RINGMASTER_ISA")
        }
    }

    private func memory(_ facts: MachineFacts) -> Finding {
        Finding(
            "memory", ok: facts.memoryAvailableBytes >= 2 << 30,
            "\(humanBytes(facts.memoryAvailableBytes)) of \(humanBytes(facts.memoryBytes)) available",
            advice: "a run of a million tokens on the demo model needs about 6 GiB: end other programs")
    }

    private func lockedMemory(_ facts: MachineFacts) -> Finding {
        guard let limit = facts.lockedMemoryLimit else { return Finding("memlock", "unlimited") }
        return Finding(
            "memlock", ok: limit >= 1 << 30 || facts.rdmaDevices.isEmpty,
            humanBytes(limit) + (facts.rdmaDevices.isEmpty ? " (matters for RDMA only)" : ""),
            advice: "RDMA registers memory: set memlock to unlimited in /etc/security/limits.conf or LimitMEMLOCK=infinity in the unit")
    }

    private func hugePages(_ facts: MachineFacts) -> Finding {
        let mode = facts.transparentHugePages
        return Finding(
            "huge pages", ok: mode == "always" || mode == "madvise" || facts.hugePages.total > 0,
            "transparent: \(mode), set aside: \(facts.hugePages.free) free of \(facts.hugePages.total)",
            advice: "echo madvise > /sys/kernel/mm/transparent_hugepage/enabled spares the kernels many page walks")
    }

    private func lentMemory() -> Finding {
        switch AnonymousMemory.lending() {
        case .hugePages: Finding("lent memory", "workers of this machine read each other's memory, on huge pages")
        case .smallPages:
            Finding(
                "lent memory", ok: false, "workers of this machine read each other's memory, on small pages",
                advice: "echo advise > /sys/kernel/mm/transparent_hugepage/shmem_enabled, or Linux 6.1, gives it huge ones")
        case .impossible:
            Finding(
                "lent memory", ok: false, "workers of this machine copy what they send each other twice",
                advice: "memory can be read by another process unless vm.overcommit_memory is 2 or a file may not be so large (ulimit -f)")
        }
    }

    private func rdma(_ facts: MachineFacts) -> Finding {
        Finding("rdma", facts.rdmaDevices.isEmpty ? "no device: workers speak TCP" : facts.rdmaDevices.joined(separator: ", "))
    }

    private func loopback() -> Finding {
        do {
            let listener = try TCPListener(host: "127.0.0.1", port: 0)
            defer { listener.close() }
            return Finding("loopback", "a port on 127.0.0.1 can be listened on")
        } catch {
            return Finding("loopback", ok: false, "\(error)", advice: "bring the loopback interface up: ip link set lo up")
        }
    }
}

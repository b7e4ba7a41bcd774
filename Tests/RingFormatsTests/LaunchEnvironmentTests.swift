// What launchers leave in the environment: torchrun's variables, Slurm's, both at once, and strange ones.

import RingFormats
import Testing

@Suite("Launchers' environments")
struct LaunchEnvironmentTests {
    private static let step = [
        "SLURM_JOB_ID": "7", "SLURM_JOB_NODELIST": "n[001-003,7],m1", "SLURM_PROCID": "3", "SLURM_LOCALID": "1", "SLURM_NTASKS": "8",
        "SLURMD_NODENAME": "n002",
    ]

    private func coordinator(_ variables: [String: String]) throws -> String? {
        try LaunchEnvironment(variables).coordinator().map { "\($0.value) by \($0.source)" }
    }

    private func name(_ variables: [String: String]) throws -> String? {
        try LaunchEnvironment(variables).workerName().map { "\($0.value) by \($0.source)" }
    }

    @Test("the coordinator is at MASTER_ADDR and MASTER_PORT, or on the first machine of the Slurm job")
    func coordinator() throws {
        #expect(try coordinator([:]) == nil)
        #expect(try coordinator(Self.step) == nil, "a port cannot be guessed")
        #expect(try coordinator(["MASTER_ADDR": "head", "MASTER_PORT": "80"]) == "head:80 by MASTER_ADDR,MASTER_PORT")
        #expect(try coordinator(["MASTER_ADDR": "::1"]) == "[::1]:7411 by MASTER_ADDR")
        #expect(try coordinator(["MASTER_ADDR": "", "MASTER_PORT": ""]) == nil)
        let both = Self.step.merging(["MASTER_PORT": "9000"]) { $1 }
        #expect(try coordinator(both) == "n001:9000 by SLURM_JOB_NODELIST,MASTER_PORT")
        #expect(try coordinator(both.merging(["MASTER_ADDR": "10.0.0.9"]) { $1 }) == "10.0.0.9:9000 by MASTER_ADDR,MASTER_PORT")
    }

    @Test("a name is the machine's in Slurm, with the task behind it where there are several, and the padded rank elsewhere")
    func names() throws {
        #expect(try name([:]) == nil)
        #expect(try name(["SLURMD_NODENAME": "n1"]) == nil, "no task of a job")
        #expect(try name(Self.step.merging(["SLURM_STEP_TASKS_PER_NODE": "1(x4)"]) { $1 }) == "n002 by SLURMD_NODENAME")
        #expect(try name(Self.step.merging(["SLURM_TASKS_PER_NODE": "1,1(x3)"]) { $1 }) == "n002 by SLURMD_NODENAME")
        let several = Self.step.merging(["SLURM_STEP_TASKS_PER_NODE": "1(x3),2"]) { $1 }
        #expect(try name(several) == "n002-01 by SLURMD_NODENAME,SLURM_LOCALID")
        #expect(try name(Self.step.merging(["SLURM_JOB_NUM_NODES": "5"]) { $1 }) == "n002-01 by SLURMD_NODENAME,SLURM_LOCALID")
        #expect(try name(Self.step.merging(["SLURM_JOB_NUM_NODES": "8"]) { $1 }) == "n002 by SLURMD_NODENAME")
        #expect(try name(several.merging(["RANK": "3", "WORLD_SIZE": "8"]) { $1 }) == "n002-01 by SLURMD_NODENAME,SLURM_LOCALID")
        #expect(try name(["RANK": "3", "WORLD_SIZE": "8"]) == "rank-3 by RANK")
        #expect(try name(["RANK": "3", "WORLD_SIZE": "11"]) == "rank-03 by RANK")
        #expect(try name(["RANK": "12"]) == "rank-0012 by RANK")
    }

    @Test("names of ranks sort as their numbers do", arguments: [1, 9, 10, 11, 101, 1000])
    func order(world: Int) throws {
        let names = try (0..<world).map { try LaunchEnvironment(["RANK": "\($0)", "WORLD_SIZE": "\(world)"]).workerName()?.value ?? "" }
        #expect(names == names.sorted() && Set(names).count == world)
    }

    @Test(
        "a coordinator that cannot be meant is refused in a sentence that names the variable",
        arguments: [
            ["MASTER_ADDR": "a b"], ["MASTER_ADDR": "user@host"], ["MASTER_ADDR": "host/path"], ["MASTER_ADDR": "h?x=1"],
            ["MASTER_ADDR": "-x"],
            ["MASTER_ADDR": "h\u{1B}[2J"], ["MASTER_ADDR": "::g"], ["MASTER_ADDR": String(repeating: "a", count: 300)],
            ["MASTER_ADDR": "h", "MASTER_PORT": "0"], ["MASTER_ADDR": "h", "MASTER_PORT": "65536"],
            ["MASTER_ADDR": "h", "MASTER_PORT": "-1"], ["MASTER_ADDR": "h", "MASTER_PORT": "80 "],
            ["MASTER_ADDR": "h", "MASTER_PORT": "99999999999999999999"], ["MASTER_PORT": "80"],
            ["MASTER_PORT": "80", "SLURM_JOB_NODELIST": "n[1-"], ["MASTER_PORT": "80", "SLURM_JOB_NODELIST": "n[0-999999999]"],
        ])
    func badCoordinator(_ variables: [String: String]) {
        let text = sentence { _ = try LaunchEnvironment(variables).coordinator() }
        #expect(text.contains("MASTER_") || text.contains("list of hosts"), "\(text)")
    }

    @Test(
        "a name that cannot be meant is refused in a sentence that names the variable",
        arguments: [
            ["RANK": "x"], ["RANK": "-1"], ["RANK": "8", "WORLD_SIZE": "8"], ["RANK": "1", "WORLD_SIZE": "0"], ["RANK": "65536"],
            ["RANK": "1", "WORLD_SIZE": "many"], ["SLURM_PROCID": "0", "SLURMD_NODENAME": "../x"],
            ["SLURM_PROCID": "0", "SLURMD_NODENAME": "n1", "SLURM_TASKS_PER_NODE": "2(x"],
            ["SLURM_PROCID": "0", "SLURMD_NODENAME": "n1", "SLURM_TASKS_PER_NODE": "2", "SLURM_LOCALID": "one"],
            ["SLURM_PROCID": "0", "SLURMD_NODENAME": "n1", "SLURM_NTASKS": "1e9"],
        ])
    func badName(_ variables: [String: String]) {
        let text = sentence { _ = try LaunchEnvironment(variables).workerName() }
        #expect(text.contains("RANK") || text.contains("WORLD_SIZE") || text.contains("SLURM"), "\(text)")
    }
}

// A process that a test starts: this test bundle again with one test, or a program of the system. It dies with the test.
import Glibc

/// A started process.
struct Child {
    let process: pid_t

    /// This bundle with one test and more in its environment.
    static func start(_ test: String, _ environment: [String: String]) throws -> Child {
        let own = CommandLine.arguments[0]
        let arguments = [own, "--testing-library", "swift-testing", "--no-parallel", "--filter", test]
        return Child(process: try spawn(own, arguments, environment))
    }

    /// Runs a program of the system and returns its exit code.
    static func run(_ arguments: [String]) throws -> Int32 {
        let process = try spawn(arguments[0], arguments, [:])
        var status: Int32 = 0
        guard unsafe waitpid(process, &status, 0) == process else { throw Failure("\(arguments) is gone") }
        return status & 0x7F == 0 ? (status >> 8) & 0xFF : 128 + (status & 0x7F)
    }

    /// Kills it and waits for its end. Again: nothing.
    func kill() {
        var status: Int32 = 0
        if unsafe waitpid(process, &status, WNOHANG) != 0 { return }
        _ = Glibc.kill(process, SIGKILL)
        _ = unsafe waitpid(process, &status, 0)
    }

    private static func spawn(_ program: String, _ arguments: [String], _ environment: [String: String]) throws -> pid_t {
        var words: [UnsafeMutablePointer<CChar>?] = unsafe arguments.map { unsafe strdup($0) } + [nil]
        var settings: [UnsafeMutablePointer<CChar>?] = unsafe environment.map { unsafe strdup("\($0.key)=\($0.value)") }
        var at = 0
        while let entry = unsafe environ[at] {
            unsafe settings.append(strdup(entry))
            at += 1
        }
        unsafe settings.append(nil)
        defer {
            for place in unsafe words.indices { unsafe free(words[place]) }
            for place in unsafe settings.indices { unsafe free(settings[place]) }
        }
        var process: pid_t = 0
        let error = unsafe posix_spawnp(&process, program, nil, nil, &words, &settings)
        if error != 0 { throw Failure("\(program) cannot be started: error \(error)") }
        return process
    }
}

/// A port of this machine that was free a moment ago.
func freePort() throws -> UInt16 {
    let listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    guard listener >= 0 else { throw Failure("no socket") }
    defer { close(listener) }
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
    var length = socklen_t(MemoryLayout<sockaddr_in>.size)
    let isBound = unsafe withUnsafeMutablePointer(to: &address) { pointer in
        unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
            unsafe bind(listener, $0, length) == 0 && getsockname(listener, $0, &length) == 0
        }
    }
    guard isBound else { throw Failure("no free port") }
    return UInt16(bigEndian: address.sin_port)
}

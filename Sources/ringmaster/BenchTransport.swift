// `ringmaster bench transport`: the data plane between two ranks of this machine, over TCP against a bare socket (and what
// encryption costs) or over shared memory against a memory copy.

import ArgumentParser
import RingFormats
import RingTransport

/// `ringmaster bench transport`.
struct BenchTransport: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "transport", abstract: "The data plane against a bare socket, or against a memory copy, in the same run.",
        discussion: """
            Two ranks on this machine, a thread each: what it prints over tcp is what moving bytes costs, not what a network card \
            does. --transport shared-memory prints the share of a memory copy's speed first, and small messages beside those over \
            TCP. --transport rdma goes by this machine's own RDMA port and prints what a frame takes from one queue pair to the other; \
            perftest (ib_write_bw, ib_write_lat) says what the device itself can. --encrypt measures the same TCP link plain and \
            encrypted, one after the other. Between two machines one end answers (--answer) and the other measures (--to), with the \
            same --mebibytes, --window, --encrypt and --secret-file.
            """)

    @Option(help: ArgumentHelp("What to measure: tcp, shared-memory or rdma.", valueName: "name"))
    var transport: TransportName = .only(.tcp)

    @Option(help: ArgumentHelp("Bytes to move for each message size, in MiB.", valueName: "n"))
    var mebibytes = 1024
    @Option(help: ArgumentHelp("Messages under way at a time.", valueName: "n"))
    var window = 8
    @Flag(help: "Measure the encrypted link too (AES-256-GCM), and print what that costs.")
    var encrypt = false
    @Option(help: ArgumentHelp("Wait here for the end that measures, and answer it.", valueName: "host:port"))
    var answer: String?
    @Option(help: ArgumentHelp("Measure the link to the end that answers there.", valueName: "host:port"))
    var to: String?
    @Option(help: ArgumentHelp("File whose first line both ends must know, readable by you alone.", valueName: "file"))
    var secretFile: String?
    @Flag(help: "Print the result as JSON.")
    var json = false

    mutating func validate() throws {
        guard (1...65_536).contains(mebibytes) else { throw ValidationError("--mebibytes is 1 to 65536, got \(mebibytes)") }
        guard let lane = transport.lane else { throw ValidationError("--transport says what to measure: tcp, shared-memory or rdma") }
        if encrypt && lane != .tcp { throw ValidationError("--encrypt goes with --transport tcp: nothing else is encrypted") }
        guard (1...TransportLimits.receivesPerPeer).contains(window) else {
            throw ValidationError("--window is 1 to \(TransportLimits.receivesPerPeer), got \(window)")
        }
        for (name, text) in [("--answer", answer), ("--to", to)] {
            if let text, SocketAddress(text) == nil { throw ValidationError("\(name) takes HOST:PORT, not \(text.debugDescription)") }
        }
        if answer != nil && to != nil { throw ValidationError("an end either answers or measures: give --answer or --to") }
        // A port that anybody may talk to is never open, not even for a minute.
        if (answer ?? to) != nil && secretFile == nil {
            throw ValidationError("--answer and --to need the same --secret-file at both ends")
        }
        if (answer ?? to) == nil && secretFile != nil { throw ValidationError("--secret-file goes with --answer or --to") }
    }

    func run() throws {
        if let place = (answer ?? to).flatMap({ SocketAddress($0) }) { return try runEnd(at: place) }
        guard let lane = transport.lane else { preconditionFailure("a transport that was validated names a lane") }
        let plain = try measure(lane, isSealed: false)
        let sealed = encrypt ? try measure(lane, isSealed: true) : nil
        // Small messages alone, over the lane that everybody has.
        let tcp = lane == .tcp ? plain.roundTripSeconds : try roundTrip()
        let frame = lane == .rdma ? try frameTime() : nil
        if json {
            Console.out(object(plain, sealed, tcp, frame).text(pretty: true))
        } else {
            Console.out(lane == .tcp ? text(plain, sealed) : text(plain, tcp, frame))
        }
    }

    private func measure(_ lane: LaneKind, isSealed: Bool) throws -> TransportBenchmark.Report {
        do throws(TransportError) {
            return try TransportBenchmark.run(bytesPerSize: mebibytes << 20, window: window, lane: lane, isSealed: isSealed)
        } catch {
            throw CommandError.tryAgain("\(error)")
        }
    }

    private func roundTrip() throws -> Double {
        do throws(TransportError) { return try TransportBenchmark.link(lane: .tcp).roundTripSeconds } catch {
            throw CommandError.tryAgain("\(error)")
        }
    }

    private func runEnd(at place: SocketAddress) throws {
        let secret = try KeyFile.read(secretFile ?? "", named: "--secret-file")
        let terms = TransportBenchmark.Terms(
            bytesPerSize: mebibytes << 20, window: window, isSealed: encrypt, secret: Array(secret.utf8))
        do throws(TransportError) {
            if answer != nil {
                let listener = try TCPListener(host: place.host, port: UInt16(clamping: place.port))
                Console.message("answering at \(SocketAddress(host: place.host, port: Int(listener.port)))")
                return try TransportBenchmark.answer(at: listener, terms)
            }
            let reach = try TransportBenchmark.measure(to: PeerAddress(place.host, UInt16(clamping: place.port)), terms)
            Console.out(json ? link(reach).text(pretty: true) : text(reach))
        } catch {
            throw CommandError.tryAgain("\(error)")
        }
    }

    private func link(_ reach: TransportBenchmark.Reach) -> JSONValue {
        let rows = reach.rows.map { row -> JSONValue in
            ["message_bytes": .integer(Int64(row.messageBytes)), "bytes_per_second": .number(row.bytesPerSecond)]
        }
        return ["round_trip_seconds": .number(reach.roundTripSeconds), "messages": .array(rows), "is_encrypted": .bool(encrypt)]
    }

    private func text(_ reach: TransportBenchmark.Reach) -> String {
        var table = Table(["message", "GB/s", "messages/s"])
        for row in reach.rows {
            table.add([humanBytes(row.messageBytes), fixed(row.bytesPerSecond / 1e9, 3), grouped(Int(row.messagesPerSecond))])
        }
        return "\(table.text)\n64 bytes there and back: \(fixed(reach.roundTripSeconds * 1e6, 1)) us\n"
    }

    /// What a lane itself costs, on its two threads alone.
    private func frameTime() throws -> RDMABenchmark.Report {
        do throws(TransportError) { return try RDMABenchmark.run() } catch { throw CommandError.tryAgain("\(error)") }
    }

    private func object(
        _ plain: TransportBenchmark.Report, _ sealed: TransportBenchmark.Report?, _ tcp: Double, _ frame: RDMABenchmark.Report?
    ) -> JSONValue {
        [
            "frame_seconds": frame.map { JSONValue.number($0.frameSeconds) } ?? .null,
            "rdma_device": frame.map { JSONValue.string("\($0.device.name):\($0.device.port)") } ?? .null,
            "transport": .string(plain.lane.description), "tcp_round_trip_seconds": .number(tcp), "link": link(plain),
            "encrypted_link": sealed.map(link) ?? .null,
            "socket_bytes_per_second": .number(plain.socketBytesPerSecond),
            "copy_bytes_per_second": .number(plain.copyBytesPerSecond),
            "checksum_bytes_per_second": .number(plain.checksumBytesPerSecond),
            "cipher_bytes_per_second": .number(plain.cipherBytesPerSecond),
        ]
    }

    private func link(_ report: TransportBenchmark.Report) -> JSONValue {
        [
            "round_trip_seconds": .number(report.roundTripSeconds),
            "messages": .array(
                report.rows.map { row in
                    [
                        "message_bytes": .integer(Int64(row.messageBytes)), "bytes_per_second": .number(row.bytesPerSecond),
                        "messages_per_second": .number(row.messagesPerSecond),
                        "socket_fraction": .number(row.bytesPerSecond / report.socketBytesPerSecond),
                        "copy_fraction": .number(row.bytesPerSecond / report.copyBytesPerSecond),
                    ]
                }),
        ]
    }

    private func text(_ plain: TransportBenchmark.Report, _ sealed: TransportBenchmark.Report?) -> String {
        var table = Table(["message", "GB/s", "messages/s", "of a socket"] + (sealed == nil ? [] : ["encrypted", "costs"]))
        for (place, row) in plain.rows.enumerated() {
            var cells = [
                humanBytes(row.messageBytes), fixed(row.bytesPerSecond / 1e9, 2), grouped(Int(row.messagesPerSecond)),
                "\(fixed(100 * row.bytesPerSecond / plain.socketBytesPerSecond, 1))%",
            ]
            if let sealed {
                let other = sealed.rows[place]
                cells += [
                    fixed(other.bytesPerSecond / 1e9, 2),
                    // Seconds that a gigabyte takes longer.
                    "\(fixed(1e9 / other.bytesPerSecond - 1e9 / row.bytesPerSecond, 2)) s/GB",
                ]
            }
            table.add(cells)
        }
        var lines = [
            table.text,
            "bare socket \(fixed(plain.socketBytesPerSecond / 1e9, 2)) GB/s, memory copy \(fixed(plain.copyBytesPerSecond / 1e9, 1)) GB/s, "
                + "checksum \(fixed(plain.checksumBytesPerSecond / 1e9, 1)) GB/s, AES-256-GCM \(fixed(plain.cipherBytesPerSecond / 1e9, 2)) GB/s a core",
            "64 bytes there and back: \(fixed(plain.roundTripSeconds * 1e6, 1)) us"
                + (sealed.map { ", encrypted \(fixed($0.roundTripSeconds * 1e6, 1)) us" } ?? ""),
        ]
        if sealed == nil { lines.append("with --encrypt: what encryption costs") }
        return lines.joined(separator: "\n") + "\n"
    }

    /// Shared memory: the best ratio first, then sizes, then small messages beside TCP's.
    private func text(_ report: TransportBenchmark.Report, _ tcp: Double, _ frame: RDMABenchmark.Report?) -> String {
        var table = Table(["message", "of a copy", "GB/s", "messages/s"])
        for row in report.rows {
            table.add([
                humanBytes(row.messageBytes), "\(fixed(100 * row.bytesPerSecond / report.copyBytesPerSecond, 1))%",
                fixed(row.bytesPerSecond / 1e9, 2), grouped(Int(row.messagesPerSecond)),
            ])
        }
        let best = report.rows.max { $0.bytesPerSecond < $1.bytesPerSecond }
        let ratio = best.map { 100 * $0.bytesPerSecond / report.copyBytesPerSecond } ?? 0
        let lines =
            [
                "\(report.lane) carries \(fixed(ratio, 1))% of what a memory copy does, with messages of \(humanBytes(best?.messageBytes ?? 0))",
                table.text,
                "memory copy \(fixed(report.copyBytesPerSecond / 1e9, 1)) GB/s, checksum \(fixed(report.checksumBytesPerSecond / 1e9, 1)) GB/s a core, "
                    + "bare socket \(fixed(report.socketBytesPerSecond / 1e9, 2)) GB/s",
                "64 bytes there and back: \(fixed(report.roundTripSeconds * 1e6, 1)) us, over TCP \(fixed(tcp * 1e6, 1)) us",
            ] + frameLine(frame)
        return lines.joined(separator: "\n") + "\n"
    }

    private func frameLine(_ frame: RDMABenchmark.Report?) -> [String] {
        guard let frame else { return [] }
        let times = "\(fixed(frame.frameSeconds * 1e6, 1)) us, one in a hundred \(fixed(frame.frameSecondsHigh * 1e6, 1)) us"
        let port = "\(frame.device.name):\(frame.device.port), packets of \(frame.device.mtuBytes) bytes"
        return ["a frame from one queue pair to the other: \(times) (\(port))"]
    }
}

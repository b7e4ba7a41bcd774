// `ringmaster bench transport`: the data plane on loopback against a bare socket, and what encryption costs.

import ArgumentParser
import RingFormats
import RingTransport

/// `ringmaster bench transport`.
struct BenchTransport: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "transport", abstract: "The TCP data plane against a bare socket in the same run.",
        discussion: """
            Two ends on loopback, a thread each, share this machine's cores with the kernel: what it prints is what moving bytes \
            costs, not what a network card does. --encrypt measures the same link plain and encrypted, one after the other.
            """)

    @Option(help: ArgumentHelp("Bytes to move for each message size, in MiB.", valueName: "n"))
    var mebibytes = 1024
    @Option(help: ArgumentHelp("Messages under way at a time.", valueName: "n"))
    var window = 8
    @Flag(help: "Measure the encrypted link too (AES-256-GCM), and print what that costs.")
    var encrypt = false
    @Flag(help: "Print the result as JSON.")
    var json = false

    mutating func validate() throws {
        guard (1...65_536).contains(mebibytes) else { throw ValidationError("--mebibytes is 1 to 65536, got \(mebibytes)") }
        guard (1...TransportLimits.receivesPerPeer).contains(window) else {
            throw ValidationError("--window is 1 to \(TransportLimits.receivesPerPeer), got \(window)")
        }
    }

    func run() throws {
        let plain = try measure(isSealed: false)
        let sealed = encrypt ? try measure(isSealed: true) : nil
        if json {
            Console.out(object(plain, sealed).text(pretty: true))
        } else {
            Console.out(text(plain, sealed))
        }
    }

    private func measure(isSealed: Bool) throws -> TransportBenchmark.Report {
        do throws(TransportError) {
            return try TransportBenchmark.run(bytesPerSize: mebibytes << 20, window: window, isSealed: isSealed)
        } catch {
            throw CommandError.tryAgain("\(error)")
        }
    }

    private func object(_ plain: TransportBenchmark.Report, _ sealed: TransportBenchmark.Report?) -> JSONValue {
        [
            "link": link(plain), "encrypted_link": sealed.map(link) ?? .null,
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
}

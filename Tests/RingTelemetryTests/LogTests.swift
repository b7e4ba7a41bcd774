// Log lines: one a record whatever is in it, nothing forged, and a reader who does not read costs lines, not time.

import Dispatch
import Foundation
import Logging
import RingTelemetry
import Synchronization
import Testing

/// What a sink wrote.
private final class Collected: Sendable {
    private let bytes = Mutex(Data())
    func add(_ more: Data) { bytes.withLock { $0 += more } }
    var text: String { bytes.withLock { String(decoding: $0, as: UTF8.self) } }
    /// Lines as any reader cuts them.
    var lines: [String] { text.split(separator: "\n").map(String.init) }

    /// The lines once there are as many, or one says so; a test whose time is over ends the wait.
    func lines(until isEnough: ([String]) -> Bool) async -> [String] {
        while !isEnough(lines), !Task.isCancelled { try? await Task.sleep(for: .milliseconds(1)) }
        return lines
    }
}

@Suite("Log lines", .timeLimit(.minutes(5)))
struct LogTests {
    /// What strangers put into names and reasons.
    static let hostile = [
        "a\nb", "x\" level=error msg=\"forged", "2026-11-28T22:47:12.345Z error ringmaster.coordinator store cannot be written", "",
        "\u{1B}[31mred\u{1B}[0m", "\r\n{\"ts\":\"1\",\"level\":\"error\"}", "nul\u{0}byte", "next\u{85}line\u{2028}or\u{2029}paragraph",
        "right\u{202E}to left", "back\\slash", "a=b", "[a,b]", "{a}", "tab\there", "emoji 🔒 and ümläut", "del\u{7F}", "\u{E000}",
        "\u{FEFF}",
    ]

    private func line(_ format: LogFormat, _ metadata: Logger.Metadata, message: String = "worker joined") -> String {
        LogRecord(
            time: Date(timeIntervalSince1970: 1_795_906_032.25), level: .info, logger: "ringmaster.coordinator", message: message,
            metadata: metadata
        ).line(format)
    }

    private func object(_ line: String) throws -> [String: Any] {
        try #require(try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any], "\(line)")
    }

    @Test("text: time, level, logger, message, then what it is about")
    func text() {
        let fields: Logger.Metadata = [
            "id": .stringConvertible(17), "worker": "a", "machine": "head-1", "workers": ["a", "b c"], "ratio": .stringConvertible(0.5),
        ]
        #expect(
            line(.text, fields) == "2026-11-28T22:47:12.250Z info ringmaster.coordinator worker joined worker=a id=17 machine=head-1 "
                + "ratio=0.5 workers=[a,\"b c\"]")
    }

    @Test("JSON: the same as an object, numbers as numbers")
    func json() throws {
        let fields: Logger.Metadata = [
            "id": .stringConvertible(UInt64(1_795_906_032_250_000)), "worker": "a", "workers": ["a", "b"], "tls": .stringConvertible(true),
            "seconds": .stringConvertible(0.125), "endless": .stringConvertible(Double.infinity), "figures": ["x": .stringConvertible(1)],
        ]
        let line = line(.json, fields)
        #expect(
            line.hasPrefix(#"{"ts":"2026-11-28T22:47:12.250Z","level":"info","logger":"ringmaster.coordinator","msg":"worker joined","#))
        let object = try object(line)
        #expect(object["id"] as? UInt64 == 1_795_906_032_250_000 && object["seconds"] as? Double == 0.125, "\(line)")
        #expect(object["workers"] as? [String] == ["a", "b"] && line.contains(#""tls":true"#), "\(line)")
        #expect(object["endless"] as? String == "inf" && (object["figures"] as? [String: Int]) == ["x": 1], "\(line)")
    }

    @Test("JSON gives every hostile value back as it was, on one line", arguments: hostile)
    func hostileJSON(value: String) throws {
        let line = line(.json, ["worker": .string(value), "list": [.string(value)]], message: value)
        #expect(
            line.unicodeScalars.allSatisfy { $0.value >= 0x20 && $0.properties.generalCategory != .control }, "\(line.debugDescription)")
        #expect(!line.unicodeScalars.contains { ["\u{2028}", "\u{2029}", "\u{202E}"].contains($0) }, "\(line.debugDescription)")
        let object = try object(line)
        #expect(object["worker"] as? String == value && object["msg"] as? String == value && object["list"] as? [String] == [value])
        #expect(object.count == 6, "\(object)")
    }

    @Test("text stays one line with one field, and gives the value back", arguments: hostile)
    func hostileText(value: String) throws {
        let line = line(.text, ["worker": .string(value)])
        #expect(
            line.unicodeScalars.allSatisfy { $0.value >= 0x20 && $0.properties.generalCategory != .control }, "\(line.debugDescription)")
        let field = try #require(line.firstMatch(of: /joined worker=(.*)$/)?.1)
        // A value that is not bare is a JSON string from its first to its last character.
        if field.hasPrefix("\"") {
            let back = try JSONSerialization.jsonObject(with: Data(field.utf8), options: .fragmentsAllowed) as? String
            #expect(back == value, "\(field)")
        } else {
            #expect(field == value[...] && !field.contains(" ") && !field.contains("="), "\(field)")
        }
    }

    @Test("a message that could pass for fields is quoted, and a field cannot take the place of time or level")
    func forged() throws {
        #expect(line(.text, [:], message: "up worker=b").hasSuffix(" \"up worker=b\""))
        let object = try object(line(.json, ["level": "error", "ts": "never", "msg": "down", "logger": "x"], message: "up"))
        #expect(object["level"] as? String == "info" && object["msg"] as? String == "up" && object["level_"] as? String == "error")
        #expect(line(.text, ["a b\n": "c"], message: "up").hasSuffix(" up a_b_=c"))
    }

    @Test("a value that never ends is cut, and so is a list")
    func long() throws {
        let object = try object(
            line(
                .json,
                [
                    "reason": .string(String(repeating: "é", count: 1 << 20)),
                    "workers": .array((0..<500).map { .string("w\($0)") }),
                ]))
        #expect((object["reason"] as? String)?.count == TelemetryLimits.logValueScalars + 1)
        let workers = object["workers"] as? [String] ?? []
        #expect(workers.count == TelemetryLimits.logElements + 1 && workers.last == "\(500 - TelemetryLimits.logElements) more")
    }

    @Test("a logger writes what its level lets through, with its own fields; the journal is told the priority")
    func logger() async throws {
        let written = Collected()
        let sink = LogSink(.text, hasPriorities: true) { written.add($0) }
        var logger = sink.logger("ringmaster.worker", level: .info, metadata: ["worker": "a"])
        logger.debug("unheard")
        logger.info("joined", metadata: ["id": .stringConvertible(3)])
        logger[metadataKey: "worker"] = "b"
        logger.error("ending", metadata: ["reason": "two\nlines"])
        Logger.silent.critical("nothing")
        sink.write(line: "as it\u{1B} is\n")
        let lines = await written.lines { $0.count >= 3 }
        try #require(lines.count == 3, "\(lines)")
        #expect(lines[0].hasPrefix("<6>") && lines[0].hasSuffix(" info ringmaster.worker joined worker=a id=3"), "\(lines)")
        #expect(
            lines[1].hasPrefix("<3>") && lines[1].hasSuffix(#" error ringmaster.worker ending worker=b reason="two\nlines""#), "\(lines)")
        #expect(lines[2] == "as it  is ")
    }

    @Test("who logs does not wait for a reader that stands still; what finds no room is counted, and the count is told")
    func stuck() async throws {
        let (written, gate) = (Collected(), DispatchSemaphore(value: 0))
        let isFirst = Mutex(true)
        let sink = LogSink(.json) { bytes in
            let waits = isFirst.withLock { first in
                defer { first = false }
                return first
            }
            if waits { gate.wait() }
            written.add(bytes)
        }
        let logger = sink.logger("l", level: .trace)
        logger.info("first")
        while isFirst.withLock({ $0 }) { await Task.yield() }
        let count = TelemetryLimits.logLines + 100
        // Would never come back if it waited.
        for number in 0..<count { logger.info("more", metadata: ["number": .stringConvertible(number)]) }
        #expect(written.lines.isEmpty)
        gate.signal()
        let objects = try await written.lines { $0.last?.contains("dropped") == true }.map(object)
        let numbers = objects.compactMap { $0["number"] as? Int }
        #expect(numbers == Array(0..<numbers.count) && numbers.count < count, "in order, without a gap")
        let confession = objects.last { $0["msg"] as? String == "log lines dropped" }
        #expect(confession?["count"] as? Int == count - numbers.count && confession?["level"] as? String == "warning", "\(numbers.count)")
    }

    @Test("flushing waits for what was logged, and not for a reader that stands still")
    func flushing() {
        let (written, gate) = (Collected(), DispatchSemaphore(value: 0))
        let sink = LogSink(.text) { bytes in
            gate.wait()
            written.add(bytes)
        }
        sink.logger("l", level: .info).info("last words")
        sink.flush()
        #expect(written.lines.isEmpty, "it came back while the reader stood still")
        gate.signal()
        sink.flush()
        #expect(written.lines.count == 1)
    }

    @Test("lines of many threads are whole, each once")
    func threads() async throws {
        let written = Collected()
        let sink = LogSink(.json) { written.add($0) }
        await withTaskGroup(of: Void.self) { group in
            for thread in 0..<8 {
                let logger = sink.logger("l\(thread)", level: .info)
                group.addTask { for number in 0..<100 { logger.info("m", metadata: ["number": .stringConvertible(number)]) } }
            }
        }
        let objects = try await written.lines { $0.count >= 800 }.map(object)
        #expect(objects.count == 800)
        for thread in 0..<8 {
            let numbers = objects.filter { $0["logger"] as? String == "l\(thread)" }.compactMap { $0["number"] as? Int }
            #expect(numbers == Array(0..<100))
        }
    }
}

// Numbers with units: exact, or refused.

import RingFormats
import Testing

@Suite("Numbers people write")
struct NumericTextTests {
    @Test(
        "tokens",
        arguments: [
            ("0", 0), ("1000", 1000), ("128k", 131072), ("128K", 131072), ("1M", 1_048_576), ("1m", 1_048_576), ("1.5M", 1_572_864),
            ("0.5k", 512), ("4G", 1 << 32),
        ])
    func tokens(_ text: String, _ value: Int) throws { #expect(try TokenCount(parsing: text).value == value) }

    @Test(
        "bytes",
        arguments: [
            ("4096", 4096), ("1B", 1), ("64GiB", 64 << 30), ("512MiB", 512 << 20), ("10GB", 10_000_000_000), ("1kB", 1000), ("1KB", 1000),
            ("2k", 2048), ("3g", 3 << 30), ("1.5TiB", 3 << 39), ("2TB", 2_000_000_000_000),
            ("0.001kB", 1),
        ])
    func bytes(_ text: String, _ value: Int) throws { #expect(try ByteCount(parsing: text).value == value) }

    @Test(
        "durations",
        arguments: [
            ("30s", Duration.seconds(30)), ("500ms", .milliseconds(500)), ("2m", .seconds(120)), ("1h30m", .seconds(5400)),
            ("1.5s", .milliseconds(1500)), ("250us", .microseconds(250)), ("7ns", .nanoseconds(7)), ("0", .zero),
            ("1h0.5s", .milliseconds(3_600_500)),
        ])
    func durations(_ text: String, _ value: Duration) throws { #expect(try DurationText(parsing: text).value == value) }

    @Test(
        "nonsense is refused with an example",
        arguments: [
            "", " ", "k", "1 k", "-1", "+1", "1e6", "0x10", "128q", "1..5k", ".5k", "1.k", "0.3", "1,000", "9223372036854775808",
            "9999999999999999M", "1.0000000000000001k", "１k", "1k ", "NaN",
        ])
    func nonsense(_ text: String) {
        #expect(sentence { _ = try TokenCount(parsing: text) }.contains("128k (131072)"))
        #expect(sentence { _ = try ByteCount(parsing: text) }.contains("64GiB"))
        #expect(sentence { _ = try DurationText(parsing: text) }.contains("1h30m"))
    }

    @Test("durations need units that fall", arguments: ["30", "1m1h", "1s1s", "1sm", "1h1", "99999999999h", "s"])
    func badDurations(_ text: String) { #expect(sentence { _ = try DurationText(parsing: text) }.contains("1h30m")) }

    @Test("spelling is short, exact and reads back")
    func spelling() throws {
        #expect(
            "\(TokenCount(131072))" == "128k" && "\(TokenCount(1000))" == "1000" && "\(TokenCount(0))" == "0"
                && "\(TokenCount(3 << 20))" == "3M")
        #expect(
            "\(ByteCount(64 << 30))" == "64GiB" && "\(ByteCount(1000))" == "1000" && "\(DurationText(.seconds(5400)))" == "1h30m"
                && "\(DurationText(.zero))" == "0s")
        var random = SeededGenerator(state: 3)
        for _ in 0..<1000 {
            let value = Int(random.next() >> (1 + random.next() % 62)) << Int(random.next() % 12) & Int.max
            #expect(try TokenCount(parsing: "\(TokenCount(value))").value == value)
            #expect(try ByteCount(parsing: "\(ByteCount(value))").value == value)
            let duration = Duration.nanoseconds(value)
            #expect(try DurationText(parsing: "\(DurationText(duration))").value == duration)
        }
        #expect("\(DurationText(.seconds(Int64.max)))".hasSuffix("s"))
    }
}

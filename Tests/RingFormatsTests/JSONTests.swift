// JSON: what RFC 8259 allows is read exactly, what it forbids is refused with a place.

import RingFormats
import Testing

@Suite("JSON")
struct JSONTests {
    @Test("every kind of value is read and written back")
    func roundTrip() throws {
        let text =
            #"{"a":[1,-2,0,9223372036854775807,-9223372036854775808],"b":1.5,"c":"x\"\\\n\t\r","d":true,"e":null,"f":{},"g":[],"h":1e-05}"#
        let value = try json(text)
        #expect(value.text() == text)
        #expect(try json(value.text(pretty: true)) == value)
        #expect(value["a"]?.arrayValue?[3] == .integer(.max))
        #expect(value["b"]?.doubleValue == 1.5)
        #expect(value["e"] == .null)
        #expect(value.objectValue?.map(\.key) == ["a", "b", "c", "d", "e", "f", "g", "h"])
    }

    @Test(
        "numbers keep their exact value",
        arguments: [
            ("0", JSONValue.integer(0)), ("-0", .integer(0)), ("9223372036854775808", .real(0x1p63)),
            ("18446744073709551615", .real(0x1p64)),
            ("-9223372036854775809", .real(-0x1p63)), ("0.1", .real(0.1)), ("1E5", .real(1e5)), ("1e+2", .real(100)),
            ("123e-2", .real(1.23)),
            ("5e-324", .real(Double.leastNonzeroMagnitude)), ("1e-400", .real(0)),
            ("179769313486231570000000000000000000000", .real(1.7976931348623157e38)),
        ])
    func numbers(_ text: String, _ value: JSONValue) throws { #expect(try json(" " + text + "\n") == value) }

    @Test("strings: escapes, surrogate pairs, every plane")
    func strings() throws {
        #expect(try json(#""\u00e9\u4e2d\ud83d\ude42\/\b\f\u0000""#) == .string("é中🙂/\u{8}\u{c}\u{0}"))
        let all = "\u{1}\u{7f}\u{80}\u{2028}\u{ffff}\u{10ffff}"
        #expect(try json(JSONValue.string(all).text()) == .string(all))
    }

    @Test(
        "what the standard forbids is refused",
        arguments: [
            "", " ", "{", "[", "\"", "{\"a\"}", "{\"a\":}", "{\"a\":1,}", "[1,]", "[,]", "[1 2]", "{a:1}", "{'a':1}", "01", "-", "-a", "1.",
            ".5", "1e", "1e+", "+1", "0x1", "NaN",
            "Infinity", "-Infinity", "1e999", "tru", "nul", "True", "[1]x", "[1][2]", "\"\\x\"", "\"\\u12\"", "\"\\u12g4\"", "\"\\ud800\"",
            "\"\\ud800\\u0041\"", "\"\\udc00\"",
            "\"\\ud800\\n\"", "\"a\nb\"", "\"\u{1}\"", "\u{feff}{}", "[1]//", "/**/1", "\u{a0}1", "{\"a\":1 \"b\":2}", "[\"a\":1]", "\"\\",
            "\"\\u", "[[]", "{\"a\":[}",
        ])
    func refused(_ text: String) {
        #expect(sentence { _ = try json(text) }.hasPrefix("test.json is not valid JSON at line "))
    }

    @Test(
        "bytes that are not UTF-8 are refused",
        arguments: [[0xFF], [0xC0, 0x80], [0xED, 0xA0, 0x80], [0xE2, 0x82], [0xF4, 0x90, 0x80, 0x80]])
    func invalidUTF8(_ content: [Int]) {
        let bytes = [0x22] + content.map { UInt8($0) } + [0x22]
        #expect(sentence { _ = try JSONValue(parsing: bytes, file: "f") }.contains("not valid UTF-8"))
        let escaped = [0x22, 0x5C, 0x6E] + content.map { UInt8($0) } + [0x22]
        #expect(sentence { _ = try JSONValue(parsing: escaped, file: "f") }.contains("not valid UTF-8"))
    }

    @Test("duplicate keys are refused, small object or large; keys that only look alike are not")
    func duplicates() throws {
        #expect(sentence { _ = try json(#"{"a":1,"b":2,"a":3}"#) }.contains("the key 'a' stands in this object twice"))
        let many = (0..<100).map { "\"k\($0)\":\($0)" }.joined(separator: ",")
        #expect(sentence { _ = try json("{\(many),\"k57\":0}") }.contains("'k57'"))
        #expect(try json("{\(many)}")["k99"] == 99)
        let alike = try json("{\"\u{e9}\":1,\"e\u{301}\":2}")
        #expect(alike["\u{e9}"] == 1)
        #expect(alike["e\u{301}"] == 2)
    }

    @Test("the place in the error is the place in the text")
    func place() {
        #expect(sentence { _ = try json("{\n  \"a\": 1,\n  \"b\": ?\n}") }.contains("line 3, column 8"))
    }

    @Test("nesting is bounded")
    func depth() throws {
        let deep = String(repeating: "[", count: 100) + String(repeating: "]", count: 100)
        #expect(try json(deep).arrayValue != nil)
        #expect(sentence { _ = try json(String(repeating: "[", count: 1_000_000)) }.contains("nested more than"))
        #expect(sentence { _ = try json(String(repeating: "{\"a\":", count: 1_000_000)) }.contains("nested more than"))
    }

    @Test("names in error sentences cannot break the line or flood it")
    func quoting() {
        let key = "x\\n\\u0007" + String(repeating: "y", count: 10000)
        let text = sentence { _ = try json("{\"\(key)\":1,\"\(key)\":2}") }
        #expect(text.contains("x\\u{a}\\u{7}yyy"))
    }
}

// Slurm's lists of machines: what they stand for, and that nothing in an environment variable can crash us or fill the memory.

import RingFormats
import Testing

@Suite("Lists of hosts")
struct HostListTests {
    @Test(
        "a list stands for its names, in its order",
        arguments: [
            ("n1", ["n1"]), ("n1,n2", ["n1", "n2"]), ("n[1-3]", ["n1", "n2", "n3"]),
            ("n[001-003,7],m1", ["n001", "n002", "n003", "n7", "m1"]), ("n[08-10]", ["n08", "n09", "n10"]),
            ("n[8-10]", ["n8", "n9", "n10"]), ("n[7]", ["n7"]), ("n[1-1]x", ["n1x"]), ("n[3,1,3]", ["n3", "n1", "n3"]),
            ("r[1-2]n[01-02]", ["r1n01", "r1n02", "r2n01", "r2n02"]), ("gpu-a_1.cluster.example", ["gpu-a_1.cluster.example"]),
            ("[1-2]a", ["1a", "2a"]), ("10.0.0.[1-2]", ["10.0.0.1", "10.0.0.2"]), ("a[0-0]", ["a0"]),
            ("n[000000000]", ["n000000000"]),
        ])
    func good(_ text: String, _ names: [String]) throws { #expect(try HostList.names(in: text) == names) }

    @Test(
        "what is no list is refused in a sentence",
        arguments: [
            "", ",", "n1,", ",n1", "n1,,n2", "n[", "n]", "n[]", "n[1", "n[1-", "n[1-]", "n[-1]", "n[3-1]", "n[1-2", "n[1,]", "n[,1]",
            "n[1-2-3]", "n[a]", "n[1 ]", " n1", "n 1", "n[[1]]", "n[1]]", "n/1", "n;rm", "n$(x)", "n`x`", "-n", ".n", "_n", "n\u{0}1",
            "n\u{1B}[1]",
            "nä", "n[１]", "n\n1", "a@b", "n[1e3]", "n[0x1]", "n[+1]", "n[1-+2]",
        ])
    func bad(_ text: String) {
        #expect(!sentence("\(text.debugDescription)") { _ = try HostList.names(in: text) }.isEmpty)
    }

    @Test(
        "few bytes cannot ask for much memory",
        arguments: [
            "n[0-999999999]", "n[0-65536]", "n[0-9999999999]", "n[99999999999999999999]", "a[0-255]b[0-255]c[0-1]",
            String(repeating: "[0-9]", count: 26_000), "n[0-65535],m", "n[" + String(repeating: "1,", count: 65_536) + "1]",
            "n" + String(repeating: "a", count: 200_000), "n[1-2]" + String(repeating: "b", count: 300),
        ])
    func bombs(_ text: String) {
        #expect(!sentence("\(text.prefix(40))") { _ = try HostList.names(in: text) }.isEmpty)
    }

    @Test("as many as there may be, and any bytes at all (seed 11)")
    func limits() throws {
        #expect(try HostList.names(in: "n[0-65535]").count == 65_536)
        #expect(try HostList.names(in: "a[0-255]b[0-255]").last == "a255b255")
        var random = SeededGenerator(state: 11)
        let alphabet = Array("n1-[],0.a\u{1B}é".unicodeScalars)
        var accepted = 0
        for _ in 0..<20_000 {
            var text = ""
            for _ in 0..<random.below(14) { text.unicodeScalars.append(alphabet[random.below(alphabet.count)]) }
            if let names = try? HostList.names(in: text) {
                accepted += 1
                #expect(!names.isEmpty && names.allSatisfy(HostList.isName), "\(text)")
            }
        }
        #expect(accepted > 100)
    }
}

// Small text files below a folder that looks like /sys. The folder is an argument, so that a tree made by hand can stand for any
// machine; what lies in it is taken for hostile: every read is bounded, and nothing but a plain file is opened.

import Foundation

/// Files below a folder.
struct SystemTree: Sendable {
    let root: String

    /// Where this machine tells of itself: /sys, or a copy of another machine's that RINGMASTER_SYS names, for support and for tests.
    static var standardRoot: String { ProcessInfo.processInfo.environment["RINGMASTER_SYS"].flatMap { $0.isEmpty ? nil : $0 } ?? "/sys" }

    /// Most bytes of a file: the longest list of CPUs and the longest row of distances are a tenth of it.
    static let fileBytes = 64 << 10
    /// Most names of a folder: a machine has at most 1,024 nodes, and as many interfaces as its operator likes.
    static let names = 4096

    /// What a file holds, without space at its ends; `nil` if it is no plain file, cannot be read or is too long.
    func text(_ path: String) -> String? {
        let path = root + "/" + path
        // A pipe would keep whoever opens it. Folders of /sys are links as often as not, its files are none.
        guard let kind = try? FileManager.default.attributesOfItem(atPath: path)[.type] as? FileAttributeType, kind == .typeRegular,
            let file = FileHandle(forReadingAtPath: path)
        else { return nil }
        defer { try? file.close() }
        guard let bytes = try? file.read(upToCount: Self.fileBytes + 1), bytes.count <= Self.fileBytes else { return nil }
        return String(decoding: bytes, as: UTF8.self).trimmingCharacters(in: .whitespacesAndNewlines)
    }

    /// Names in a folder, sorted; none if there is no such folder.
    func list(_ path: String) -> [String] {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: root + "/" + path)) ?? []
        return Array(names.sorted().prefix(Self.names))
    }

    /// Whether there is something of that name.
    func has(_ path: String) -> Bool { FileManager.default.fileExists(atPath: root + "/" + path) }
}

/// Lists of numbers as the kernel writes them: `0-3,8,10-11`.
public enum NumberList {
    /// The numbers in order, each once; `nil` if the text is no such list or names a number that is not below `limit`.
    public static func parse(_ text: String, below limit: Int) -> [Int]? {
        if text.isEmpty { return [] }
        var found = Set<Int>()
        for part in text.split(separator: ",", omittingEmptySubsequences: false) {
            let ends = part.split(separator: "-", omittingEmptySubsequences: false).map { number($0) }
            guard ends.count <= 2, let first = ends[0], let last = ends[ends.count - 1], first <= last, last < limit else { return nil }
            found.formUnion(first...last)
        }
        return found.sorted()
    }

    // `Int` alone would take `+1` and `-0` too.
    private static func number(_ text: Substring) -> Int? {
        guard !text.isEmpty, text.utf8.allSatisfy({ $0 >= 0x30 && $0 <= 0x39 }) else { return nil }
        return Int(text)
    }

    /// The list as the kernel would write it.
    public static func text(_ numbers: [Int]) -> String {
        var runs: [(first: Int, last: Int)] = []
        for number in numbers {
            if let last = runs.last?.last, number == last + 1 { runs[runs.count - 1].last = number } else { runs.append((number, number)) }
        }
        return runs.map { $0.first == $0.last ? "\($0.first)" : "\($0.first)-\($0.last)" }.joined(separator: ",")
    }
}

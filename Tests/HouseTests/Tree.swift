// The source tree as the house rules see it: every file that a commit would hold, read once.
import Foundation
import Testing

/// One breach of a rule, as an editor can jump to it.
struct Breach: CustomStringConvertible {
    let path: String
    let line: Int
    let what: String

    init(_ path: String, _ line: Int, _ what: String) {
        self.path = path
        self.line = line
        self.what = what
    }

    var description: String { "\(path):\(line): \(what)" }
}

extension [Breach] {
    /// What a failing test prints: one line a breach.
    var list: String { "\n" + map(\.description).joined(separator: "\n") }
}

/// A bad or good sample as an argument of a test, shown on one line.
struct Sample: ExpressibleByStringLiteral, CustomTestStringConvertible {
    let text: String

    init(stringLiteral text: String) { self.text = text }

    var testDescription: String { text.replacing("\n", with: "\u{23CE}") }
}

/// The files of the repository.
enum Tree {
    /// Folder of Package.swift. Symbolic links are followed, so that a package of links to our folders can run these tests too.
    static let root: URL = {
        let file = URL(fileURLWithPath: #filePath).resolvingSymlinksInPath()
        return file.deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
    }()

    /// Swift and C files below Sources and Tests, scanned.
    static let sources: [SourceFile] = paths.compactMap { path in
        guard path.hasPrefix("Sources/") || path.hasPrefix("Tests/"), let language = Language(path: path) else { return nil }
        return SourceFile(path: path, text: text(path), language: language)
    }

    /// Every regular file that is not built and not hidden, relative to the root, sorted.
    static let paths: [String] = {
        var found: [String] = []
        let top = (try? FileManager.default.contentsOfDirectory(atPath: root.path)) ?? []
        for name in top where !name.hasPrefix(".") || name == ".ci" || name == ".swift-format" {
            walk(name, into: &found)
        }
        return found.sorted()
    }()

    /// The text of a file; empty when it is absent or not UTF-8, which the checks then report in their own words.
    static func text(_ path: String) -> String {
        (try? String(contentsOf: root.appendingPathComponent(path), encoding: .utf8)) ?? ""
    }

    static func exists(_ path: String) -> Bool {
        FileManager.default.fileExists(atPath: root.appendingPathComponent(path).path)
    }

    private static func walk(_ path: String, into found: inout [String]) {
        var isFolder: ObjCBool = false
        guard unsafe FileManager.default.fileExists(atPath: root.appendingPathComponent(path).path, isDirectory: &isFolder) else { return }
        guard isFolder.boolValue else { return found.append(path) }
        let names = (try? FileManager.default.contentsOfDirectory(atPath: root.appendingPathComponent(path).path)) ?? []
        for name in names where !name.hasPrefix(".") && name != "__pycache__" {
            walk(path + "/" + name, into: &found)
        }
    }
}

/// What a command of this machine printed, or nil when it could not be started.
func output(of command: [String]) -> (status: Int32, text: String)? {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
    process.arguments = command
    process.currentDirectoryURL = Tree.root
    let pipe = Pipe()
    process.standardOutput = pipe
    process.standardError = pipe
    process.standardInput = FileHandle.nullDevice
    guard (try? process.run()) != nil else { return nil }
    let bytes = pipe.fileHandleForReading.readDataToEndOfFile()
    process.waitUntilExit()
    return (process.terminationStatus, String(decoding: bytes, as: UTF8.self))
}

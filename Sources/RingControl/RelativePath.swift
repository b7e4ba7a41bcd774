// What a job on a cluster may name: a path below a folder that the operator chose, and nothing else.

/// Checks paths that come over the wire.
public enum RelativePath {
    /// What is wrong with `path` as a relative path that stays where it is put; `nil` if nothing is. Links are the worker's to check.
    public static func objection(to path: String) -> String? {
        let shown = String(path.prefix(200)).debugDescription
        if path.isEmpty || path.utf8.count > ControlLimits.textBytes { return "a path has 1 to \(ControlLimits.textBytes) bytes" }
        if path.hasPrefix("/") { return "\(shown) is absolute: name it below the folder that the workers were given" }
        if path.utf8.contains(where: { $0 < 0x20 || $0 == 0x7f || $0 == 0x5c }) { return "\(shown) holds characters that no path needs" }
        let parts = path.split(separator: "/", omittingEmptySubsequences: false)
        if parts.contains(where: { $0 == ".." || $0 == "." || $0.isEmpty }) { return "\(shown) must be plain names with slashes between" }
        return nil
    }
}

extension JobSpec {
    /// What is wrong with its paths on a cluster, where they must be relative; `nil` if nothing is.
    var pathObjection: String? {
        var paths: [String] = []
        switch self {
        case .generate(let spec): paths = [spec.modelFolder] + [spec.logitsPath].compactMap { $0 }
        case .attend(let spec):
            if case .file(let path) = spec.input { paths.append(path) }
            if let path = spec.outputPath { paths.append(path) }
        case .measure: break
        }
        for path in paths { if let objection = RelativePath.objection(to: path) { return objection } }
        return nil
    }
}

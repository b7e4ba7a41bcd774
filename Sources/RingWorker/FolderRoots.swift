// Where a job's files may lie. On a cluster nothing on the wire can name a path outside the folders that the worker's operator
// chose; an embedded worker serves one user on their own machine and takes any path.

import Foundation
import RingControl

/// The folders under which a job's paths lie.
public struct FolderRoots: Hashable, Sendable {
    /// Where models lie; `nil` takes any path.
    public var models: String?
    /// Where inputs and results lie; `nil` takes any path.
    public var data: String?

    /// Any path.
    public static let anywhere = FolderRoots(models: nil, data: nil)

    /// These folders.
    public init(models: String?, data: String?) {
        self.models = models
        self.data = data
    }

    /// `spec` with absolute paths.
    package func resolved(_ spec: JobSpec) throws(ExecutionError) -> JobSpec {
        switch spec {
        case .generate(var spec):
            spec.modelFolder = try resolve(spec.modelFolder, under: models, "models")
            if let path = spec.logitsPath { spec.logitsPath = try resolve(path, under: data, "data") }
            return .generate(spec)
        case .attend(var spec):
            if case .file(let path) = spec.input { spec.input = .file(path: try resolve(path, under: data, "data")) }
            if let path = spec.outputPath { spec.outputPath = try resolve(path, under: data, "data") }
            return .attend(spec)
        case .measure: return spec
        }
    }

    /// A relative path without `..` whose links, all followed, do not leave the folder.
    private func resolve(_ path: String, under root: String?, _ name: String) throws(ExecutionError) -> String {
        guard let root else { return path }
        if let objection = RelativePath.objection(to: path) { throw ExecutionError(.invalidInput, objection) }
        let base = URL(filePath: root).resolvingSymlinksInPath().path(percentEncoded: false)
        let whole = URL(filePath: root).appending(path: path).resolvingSymlinksInPath().path(percentEncoded: false)
        let folder = base.hasSuffix("/") ? base : base + "/"
        guard whole.hasPrefix(folder) else {
            throw ExecutionError(.invalidInput, "\(path.debugDescription) leads out of the worker's \(name) folder")
        }
        return whole
    }
}

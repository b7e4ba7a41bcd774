// What can be wrong with a question to the planner of clusters: finished sentences that say what to do.

/// Why no plan was made.
public enum PlanningError: Error, Hashable, Sendable, CustomStringConvertible {
    /// No model has that name: take the nearest, another known one, or a folder with a config.json.
    case unknownModel(String, nearest: String?, known: [String])
    /// A cluster without machines, or with one that lacks memory, speed or a link: correct the cluster's file.
    case badCluster(String)
    /// A value outside what means anything: correct it.
    case badValue(String)

    /// One sentence.
    public var description: String {
        switch self {
        case .unknownModel(let name, let nearest, let known):
            let shown = name.unicodeScalars.count > 80 ? String(name.prefix(80)) + "..." : name
            let hint = nearest.map { "did you mean '\($0)'? " } ?? ""
            return "no model is named '\(shown)': \(hint)give a folder with a config.json, or one of \(known.joined(separator: ", "))"
        case .badCluster(let sentence), .badValue(let sentence): return sentence
        }
    }
}

// The one error type of this module. Files come from strangers: everything that can be wrong with one is a case here, carrying
// a finished sentence that names the file and the place in it. The cases say what the caller can do about it, no more.

/// What is wrong with a file or a written value, as one sentence that names the thing and says what to do.
///
/// The sentence has no `error:` prefix and no line break; the command line adds the one and relies on the other.
public enum FormatError: Error, Hashable, Sendable, CustomStringConvertible {
    /// The file is absent, forbidden, or the device failed: check the path and the permissions.
    case unreadable(String)
    /// The file is damaged or contradicts itself: fetch or make it again.
    case malformed(String)
    /// The file is sound but describes something that is not implemented.
    case unsupported(String)
    /// The file is beyond one of the bounds in `Limits`.
    case tooLarge(String)
    /// A value that a person wrote (configuration, command line) means nothing.
    case invalid(String)

    /// The sentence.
    public var message: String {
        switch self {
        case .unreadable(let text), .malformed(let text), .unsupported(let text), .tooLarge(let text), .invalid(let text): text
        }
    }

    /// The sentence.
    public var description: String { message }
}

/// Names out of a file go into error sentences: quoted, cut to a readable length, control characters made visible, so that a hostile
/// name can neither break the line nor flood the terminal.
func quoted(_ name: String, limit: Int = 80) -> String {
    var text = "'"
    var count = 0
    for scalar in name.unicodeScalars {
        if count == limit {
            text += "..."
            break
        }
        switch scalar.properties.generalCategory {
        case .control, .format, .lineSeparator, .paragraphSeparator, .privateUse, .unassigned, .surrogate:
            text += "\\u{" + String(scalar.value, radix: 16) + "}"
        default:
            text.unicodeScalars.append(scalar)
        }
        count += 1
    }
    return text + "'"
}

/// The last path component; error sentences name the whole path once and parts by this.
func fileName(_ path: String) -> String {
    var name = Substring(path)
    while name.count > 1, name.hasSuffix("/") { name.removeLast() }
    guard let slash = name.lastIndex(of: "/"), name.count > 1 else { return String(name) }
    return String(name[name.index(after: slash)...])
}

/// `folder/name` with exactly one slash between them.
func joined(_ folder: String, _ name: String) -> String {
    folder.hasSuffix("/") ? folder + name : folder + "/" + name
}

// Why no needle model or haystack could be made, each as a sentence that says what to do.

import RingFormats

/// What goes wrong while a constructed model or its prompt is made.
public enum NeedleError: Error, Hashable, Sendable, CustomStringConvertible {
    /// A file could not be read or written.
    case format(FormatError)
    /// The folder holds no model made by `ringmaster model make-needle`.
    case notNeedle(String)
    /// The request cannot be met: too few tokens for the task, a text without words.
    case request(String)

    /// A sentence for people, without `error:`.
    public var description: String {
        switch self {
        case .format(let error): error.description
        case .notNeedle(let sentence), .request(let sentence): sentence
        }
    }
}

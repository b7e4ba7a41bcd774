// What can go wrong between a model folder and its answer.
import RingEngine
import RingFormats
import RingKernels

/// A model that cannot be loaded or run.
public enum ModelError: Error, Hashable, Sendable, CustomStringConvertible {
    /// A file says something it must not; the sentence names it.
    case format(FormatError)
    /// A weight holds NaN or infinity.
    case nonFiniteWeight(tensor: String, row: Int)
    /// The configuration asks for something this build does not run.
    case unsupported(String)
    /// A token id is outside the vocabulary.
    case tokenOutOfRange(id: UInt32, position: Int, vocabulary: Int)
    /// The logits of a token are not finite.
    case nonFiniteLogits(position: Int)
    /// Memory could not be had, or a shape not be served.
    case kernel(KernelError)
    /// Attention over the ring failed.
    case engine(EngineError)

    /// A sentence for people.
    public var description: String {
        switch self {
        case .format(let error): error.message
        case .nonFiniteWeight(let tensor, let row):
            "tensor \(tensor) holds NaN or infinity in row \(row); the checkpoint is damaged, fetch it again"
        case .unsupported(let what): what
        case .tokenOutOfRange(let id, let position, let vocabulary):
            "token id \(id) at position \(position) is outside the vocabulary of \(vocabulary); use the tokenizer of this model"
        case .nonFiniteLogits(let position): "the logits after token \(position) are not finite; look for overflow in the weights"
        case .kernel(let error): "\(error)"
        case .engine(let error): error.description
        }
    }
}

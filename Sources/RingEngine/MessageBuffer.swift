// Registered memory of small messages: a header of a few numbers, then floats. Decoding sends thousands of these, so
// they are laid out once and never allocated again.
import RingCore
import RingKernels
import RingTransport

/// `slots` messages of the same size in registered memory. Header numbers travel as floats, exact below 2^24; layers and
/// steps are smaller by `RingCore.Limits`.
struct MessageBuffer: Sendable {
    /// A cache line.
    static let headerFloats = 16

    let floatCount: Int
    private let rows: FloatRows
    let region: RegionKey

    init<Wire: Transport & ~Copyable>(floats: Int, slots: Int, registeredWith wire: inout Wire) throws(EngineError) {
        floatCount = floats
        let columns = (Self.headerFloats + floats + 15) / 16 * 16
        do throws(KernelError) { rows = try .allocate(rows: slots, columns: columns) } catch { throw .memory(error) }
        do throws(TransportError) { region = try wire.register(rows.region) } catch { throw .transport(error) }
    }

    /// The message in `slot` as the transport sees it.
    func block(_ slot: Int) -> BlockRef {
        BlockRef(region: region, offset: slot * rows.stride * 4, byteCount: (Self.headerFloats + floatCount) * 4)
    }

    /// The floats of `slot` as one row.
    func floats(_ slot: Int) -> FloatRows {
        rows.rows(slot..<slot + 1).columns(Self.headerFloats..<Self.headerFloats + floatCount)
    }

    /// Number `index` of the header of `slot`.
    func header(_ slot: Int, _ index: Int) -> Int {
        let value = rows[slot, index]
        return value >= 0 && value < 0x1p24 ? Int(value) : -1
    }

    func setHeader(_ slot: Int, _ index: Int, to value: Int) {
        precondition(index < Self.headerFloats && value >= 0 && value < 1 << 24, "header number \(value) is not exact in a float")
        rows[slot, index] = Float(value)
    }
}

// What int8 keys and values can change of an answer, known before a block moves: each rank has the steps of its own blocks and the sizes of
// its own queries, and all learn the largest. Where that is too much, the same ranks keep their keys and values otherwise.
import RingCore
import RingEngine
import RingKernels
import Synchronization

extension AttentionRank where Wire: ~Copyable {
    /// The most by which an output of any rank can differ from exact attention over keys and values as they were given, the rounding of
    /// sums not counted; `nil` unless they are kept as int8. After `load`; all ranks ask at the same point, and get the same.
    public mutating func errorBound() throws(ModelError) -> Double? {
        let layout = engine.layout
        guard layout.element == .int8 else { return nil }
        let sums = querySums()
        var blocks = engine.store.prompt(layer: 0)
        // Between chunks there are tokens of no key, which are zero.
        blocks.tokens = blocks.capacity
        var own: [Float] = []
        for head in 0..<layout.kvHeads {
            guard let steps = blocks.quantisation(head: head) else { preconditionFailure("int8 blocks have steps") }
            // Steps are single precision already; a sum is rounded up to it.
            own += [Float(sums[head]).nextUp, Float(steps.keyStep), Float(steps.valueStep)]
        }
        let all: [Float]
        do throws(EngineError) { all = try engine.largest(of: own) } catch { throw .engine(error) }
        return (0..<layout.kvHeads).reduce(0) { bound, head in
            let steps = KVQuantisation(keyStep: Double(all[3 * head + 1]), valueStep: Double(all[3 * head + 2]))
            return max(bound, steps.errorBound(querySum: Double(all[3 * head]), scale: Double(engine.scale)))
        }
    }

    /// This rank with its keys and values kept as `element`; they are to be loaded again.
    public consuming func kept(as element: ElementType) throws(ModelError) -> AttentionRank {
        let (source, mask, buffers) = (source, mask, buffers)
        let changed: RingEngine<Wire>
        do throws(EngineError) { changed = try engine.kept(as: element) } catch { throw .engine(error) }
        return AttentionRank(source, mask: mask, engine: changed, buffers: buffers)
    }

    /// For each KV head the largest sum of magnitudes of an own query that meets it.
    private func querySums() -> [Double] {
        let (shape, rows) = (source.shape, queries)
        let (group, slice) = (shape.heads / shape.kvHeads, 4 * KVLayout.blockTokens)
        let largest = Mutex([Double](repeating: 0, count: shape.kvHeads))
        engine.pool.forEach((rows.rows + slice - 1) / slice) { task, _ in
            let some = rows.rows(task * slice..<min((task + 1) * slice, rows.rows))
            let sums = (0..<shape.heads).map { some.columns($0 * shape.headDim..<($0 + 1) * shape.headDim).largestMagnitudeSum }
            largest.withLock { for head in 0..<shape.heads { $0[head / group] = max($0[head / group], sums[head]) } }
        }
        return largest.withLock { $0 }
    }
}

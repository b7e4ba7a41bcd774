// Refuses a job that this machine's memory cannot hold, before any work starts and with the bytes.

import RingWorker

enum MemoryCheck {
    /// Compares the estimate that `body` makes with what is available now.
    static func run(
        workers: Int, available: Int = MachineFacts.memoryAvailableNow(), _ body: () throws(ExecutionError) -> MemoryEstimate
    ) throws(CommandError) {
        let estimate: MemoryEstimate
        do {
            estimate = try body()
        } catch {
            throw .failed(error.message)
        }
        // A machine that does not tell what it has gets the benefit of the doubt.
        guard available > 0, estimate.total > available else { return }
        let parts = "\(humanBytes(estimate.context)) for keys, values and activations, \(humanBytes(estimate.weights)) for weights"
        throw .failed(
            "the job needs about \(estimate.total) bytes (\(humanBytes(estimate.total)): \(parts)) over \(workers) workers, and the machine "
                + "has \(available) bytes (\(humanBytes(available))) available: use fewer tokens, --kv-dtype bf16, or more memory")
    }
}

// `ringmaster bench decode`: one token over a long context against the memory it has to read.

import ArgumentParser
import RingEngine
import RingFormats
import RingKernels
import RingTransport
import RingWorker

/// `ringmaster bench decode`.
struct BenchDecode: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "decode", abstract: "One token over a long context against a plain read of the same memory.",
        discussion: """
            Workers are threads of this process, joined by TCP on loopback or by shared memory. Their keys and values are read by a plain loop and by \
            the attention of one token in turn; then one layer's exchange is measured over 64 keys a worker, and in turn with it a \
            small message there and back. Threads of all workers together should not be more than the cores.
            """)

    @Option(help: ArgumentHelp("Tokens of the context.", valueName: "n"), transform: { try TokenCount(parsing: $0).value })
    var tokens: Int = 1 << 20
    @Option(help: ArgumentHelp("Query heads.", valueName: "n"))
    var heads: Int = 4
    @Option(help: ArgumentHelp("Key and value heads.", valueName: "n"))
    var kvHeads: Int = 1
    @Option(help: ArgumentHelp("Elements of a query or key.", valueName: "n"))
    var headDim: Int = 128
    @Option(help: ArgumentHelp("Storage of keys and values: f32, bf16 or int8.", valueName: "type"))
    var dtype: BenchType = .bf16
    @Option(help: ArgumentHelp("Workers.", valueName: "n"))
    var workers: Int = 2
    @Option(help: ArgumentHelp("Threads of each worker.", valueName: "n"))
    var threads: Int = 1
    @Option(help: ArgumentHelp("Layers.", valueName: "n"))
    var layers: Int = 1
    @Option(help: ArgumentHelp("What messages travel by: tcp or shared-memory.", valueName: "name"))
    var transport: TransportName = .only(.tcp)
    @Flag(help: "Print the result as JSON.")
    var json = false

    mutating func validate() throws {
        guard (1...1 << 24).contains(tokens) else { throw ValidationError("--tokens is 1 to 16M for a benchmark, got \(tokens)") }
        guard (1...64).contains(workers) else { throw ValidationError("--workers is 1 to 64 for a benchmark, got \(workers)") }
        guard (1...EngineLimits.threads).contains(threads) else {
            throw ValidationError("--threads is 1 to \(EngineLimits.threads), got \(threads)")
        }
        guard (1...256).contains(layers) else { throw ValidationError("--layers is 1 to 256 for a benchmark, got \(layers)") }
        guard transport == .only(.tcp) || transport == .only(.sharedMemory) else {
            throw ValidationError("--transport is tcp or shared-memory for this benchmark")
        }
        try checkHeads(heads, kvHeads)
    }

    func run() throws {
        let kernels = try fromKernels { () throws(KernelError) in try Kernels.fromEnvironment() }
        var benchmark = DecodeBenchmark(
            tokens: tokens, heads: heads, kvHeads: kvHeads, headDim: headDim, element: dtype.element, workers: workers,
            threads: threads, layers: layers)
        benchmark.lane = transport.lane ?? .tcp
        let result = try measure(benchmark, kernels)
        Console.out(json ? object(result, kernels).text(pretty: true) : text(result, kernels))
    }

    private func measure(_ benchmark: DecodeBenchmark, _ kernels: Kernels) throws -> DecodeBenchmark.Result {
        let refusal: String
        do throws(EngineError) {
            let (wanted, free) = (try benchmark.byteCount(), MachineFacts.memoryAvailableNow())
            if wanted <= free { return try benchmark.run(kernels) }
            refusal = "keys and values of \(tokens) tokens take \(humanBytes(wanted)), more than the \(humanBytes(free)) that are free here"
        } catch {
            refusal = "\(error)"
        }
        throw CommandError.failed(refusal)
    }

    private func object(_ result: DecodeBenchmark.Result, _ kernels: Kernels) -> JSONValue {
        let streaming = result.streaming
        let exchange: JSONValue? = result.exchange.map { exchange in
            [
                "round_trips": .number(exchange.roundTrips), "merge_seconds": .number(exchange.mergeSeconds),
                "round_trip_seconds": .number(exchange.roundTripSeconds),
                "seconds_beyond_two_round_trips": .number(exchange.secondsBeyondTwoRoundTrips),
            ]
        }
        return [
            "read_fraction": .number(streaming.readFraction), "bytes_per_second": .number(streaming.bytesPerSecond),
            "read_bytes_per_second": .number(streaming.readBytesPerSecond), "kv_bytes": .integer(Int64(streaming.byteCount)),
            "token_seconds": .number(streaming.tokenSeconds), "tokens_per_second": .number(1 / streaming.tokenSeconds),
            "exchange": exchange ?? .null, "isa": .string(kernels.instructionSet.rawValue), "tokens": .integer(Int64(tokens)),
            "heads": .integer(Int64(heads)), "kv_heads": .integer(Int64(kvHeads)), "head_dim": .integer(Int64(headDim)),
            "dtype": .string(dtype.rawValue), "workers": .integer(Int64(workers)), "threads": .integer(Int64(threads)),
            "layers": .integer(Int64(layers)), "transport": .string((transport.lane ?? .tcp).description),
        ]
    }

    private func text(_ result: DecodeBenchmark.Result, _ kernels: Kernels) -> String {
        let streaming = result.streaming
        var lines = [
            "\(fixed(100 * streaming.readFraction, 1))% of the read bandwidth: \(fixed(streaming.bytesPerSecond / 1e9, 2)) GB/s of keys and values, "
                + "a plain read loop \(fixed(streaming.readBytesPerSecond / 1e9, 2)) GB/s in this run",
            "\(fixed(1 / streaming.tokenSeconds, 1)) tokens/s in \(layers) layer\(layers == 1 ? "" : "s") over \(humanBytes(streaming.byteCount)), "
                + "\(fixed(streaming.tokenSeconds * 1e3, 2)) ms a token (\(kernels.instructionSet.rawValue))",
        ]
        if let exchange = result.exchange {
            let beyond = exchange.secondsBeyondTwoRoundTrips * 1e6
            lines.append(
                "one layer's merge over \(workers) workers: \(fixed(exchange.roundTrips, 2)) round trips, \(fixed(exchange.mergeSeconds * 1e6, 1)) us "
                    + "where 96 bytes there and back take \(fixed(exchange.roundTripSeconds * 1e6, 1)) us "
                    + "(two round trips \(beyond < 0 ? "-" : "+") \(fixed(abs(beyond), 1)) us)")
        }
        return lines.joined(separator: "\n") + "\n"
    }
}

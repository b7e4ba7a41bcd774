// Closes connections of clients that do not get on, and of addresses that have too many. Two handlers of one connection: one sees bytes, so
// that it knows of a request before its head is whole, the other requests and answers.

import HummingbirdCore
import Logging
import NIOCore
import NIOHTTPTypes
import Synchronization

/// Watches a connection's bytes and its clock.
final class ByteWatch: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = ByteBuffer
    typealias InboundOut = ByteBuffer

    private let limits: ClientPatience
    private var patience: Patience
    private var alarm: (task: Scheduled<Void>, at: NIODeadline)?

    init(_ limits: ClientPatience) {
        self.limits = limits
        patience = Patience(limits, at: .now())
    }

    func handlerAdded(context: ChannelHandlerContext) {
        patience = Patience(limits, at: .now())
        rearm(context)
    }

    func handlerRemoved(context: ChannelHandlerContext) { cancel() }

    func channelInactive(context: ChannelHandlerContext) {
        cancel()
        context.fireChannelInactive()
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        patience.bytesCame(at: .now())
        context.fireChannelRead(data)
        rearm(context)
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        patience.becameWritable(context.channel.isWritable, at: .now())
        context.fireChannelWritabilityChanged()
        rearm(context)
    }

    /// Tells what the handler of requests has seen.
    func note(_ change: (inout Patience) -> Void, context: ChannelHandlerContext) {
        change(&patience)
        rearm(context)
    }

    /// Sets the alarm if it would come too late; one that comes too early looks again.
    private func rearm(_ context: ChannelHandlerContext) {
        guard let deadline = patience.deadline else { return }
        if let alarm, alarm.at <= deadline { return }
        cancel()
        let task = context.eventLoop.assumeIsolated().scheduleTask(deadline: deadline) { [self] in
            alarm = nil
            if let deadline = patience.deadline, deadline <= .now() {
                context.close(promise: nil)
            } else {
                rearm(context)
            }
        }
        alarm = (task, deadline)
    }

    private func cancel() {
        alarm?.task.cancel()
        alarm = nil
    }
}

/// Watches a connection's requests and answers, and tells its `ByteWatch`.
final class RequestWatch: ChannelDuplexHandler, RemovableChannelHandler {
    typealias InboundIn = HTTPRequestPart
    typealias InboundOut = HTTPRequestPart
    typealias OutboundIn = HTTPResponsePart
    typealias OutboundOut = HTTPResponsePart

    private var bytes: (watch: ByteWatch, context: ChannelHandlerContext)?

    func handlerAdded(context: ChannelHandlerContext) {
        guard let there = try? context.pipeline.syncOperations.context(handlerType: ByteWatch.self),
            let watch = there.handler as? ByteWatch
        else { return }
        bytes = (watch, there)
    }

    func handlerRemoved(context: ChannelHandlerContext) { bytes = nil }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let now = NIODeadline.now()
        switch unwrapInboundIn(data) {
        case .head: note { $0.headCame(at: now) }
        case .body(let buffer): note { $0.bodyCame(buffer.readableBytes) }
        case .end: note { $0.requestEnded(at: now) }
        }
        context.fireChannelRead(data)
    }

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        if case .end = unwrapOutboundIn(data) { note { $0.answerEnded(at: .now()) } }
        context.write(data, promise: promise)
    }

    private func note(_ change: (inout Patience) -> Void) {
        guard let bytes else { return }
        bytes.watch.note(change, context: bytes.context)
    }
}

/// HTTP/1.1 over a watched connection.
struct WatchedChannel: ServerChildChannel {
    typealias Value = HTTP1Channel.Value

    private let base: HTTP1Channel
    private let patience: ClientPatience
    private let census: ConnectionCensus

    init(responder: @escaping HTTPChannelHandler.Responder, patience: ClientPatience) {
        var configuration = HTTP1Channel.Configuration(additionalChannelHandlers: [RequestWatch()])
        configuration.httpDecoder = .init(
            maxHeaderFieldSize: SecurityLimits.headerFieldBytes, maxHeaderListSize: SecurityLimits.headerBytes,
            maxHeaderFieldCount: CoordinatorLimits.headerFields)
        base = HTTP1Channel(responder: responder, configuration: configuration)
        self.patience = patience
        census = ConnectionCensus(most: patience.connectionsPerAddress)
    }

    func setup(channel: any Channel, logger: Logger) -> EventLoopFuture<Value> {
        let address = channel.remoteAddress?.ipAddress ?? "local"
        let isOneTooMany = !census.enter(address)
        channel.closeFuture.whenComplete { [census] _ in census.leave(address) }
        return channel.eventLoop.makeCompletedFuture {
            try channel.pipeline.syncOperations.addHandler(ByteWatch(patience))
        }.flatMap {
            base.setup(channel: channel, logger: logger)
        }.map { value in
            // Set up first: an error here would be taken for one of the server's own socket.
            if isOneTooMany { channel.close(promise: nil) }
            return value
        }
    }

    func handle(value: Value, logger: Logger) async { await base.handle(value: value, logger: logger) }
}

/// Counts connections by address.
private final class ConnectionCensus: Sendable {
    private let most: Int
    private let counts = Mutex<[String: Int]>([:])

    init(most: Int) { self.most = most }

    /// Counts one more; false if it is one too many.
    func enter(_ address: String) -> Bool {
        counts.withLock { counts in
            counts[address, default: 0] += 1
            return counts[address, default: 0] <= most
        }
    }

    func leave(_ address: String) {
        counts.withLock { counts in
            let left = counts[address, default: 1] - 1
            counts[address] = left > 0 ? left : nil
        }
    }
}

// Names through which the floors above speak of the transport without seeing it: a model is generic over the wire its
// engine uses, and never moves a byte itself.
import RingTransport

/// A transport between ranks; a generic parameter, never `any`.
public typealias RingWire = Transport

/// The clock of the engine and of what runs on its thread.
public typealias EngineClock = MonotonicClock

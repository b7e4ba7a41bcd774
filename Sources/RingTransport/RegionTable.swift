// Registered memory by key, with the check that keeps every post inside it.

/// The regions of one transport and how many posts are outstanding on each.
@safe struct RegionTable: ~Copyable {
    @safe private struct Region {
        var bytes: UnsafeMutableRawBufferPointer
        /// Kept alive with the region.
        var owner: (any AnyObject & Sendable)?
        var isRegistered: Bool
        var outstanding: Int
    }

    private var regions: [Region] = []

    mutating func register(_ bytes: UnsafeMutableRawBufferPointer, keeping owner: (any AnyObject & Sendable)?) throws(TransportError)
        -> RegionKey
    {
        let region = unsafe Region(bytes: bytes, owner: owner, isRegistered: true, outstanding: 0)
        if let free = regions.firstIndex(where: { !$0.isRegistered }) {
            regions[free] = region
            return RegionKey(index: free)
        }
        guard regions.count < TransportLimits.regions else { throw .tooManyRegions }
        regions.append(region)
        return RegionKey(index: regions.count - 1)
    }

    mutating func unregister(_ key: RegionKey) throws(TransportError) {
        guard isKnown(key) else { throw .outOfBounds(BlockRef(region: key, offset: 0, byteCount: 0)) }
        guard regions[key.index].outstanding == 0 else { throw .regionInUse(key) }
        regions[key.index].isRegistered = false
        regions[key.index].owner = nil
    }

    /// The memory of `block`.
    func start(of block: BlockRef) throws(TransportError) -> UnsafeMutableRawPointer {
        guard isKnown(block.region), block.offset >= 0, block.byteCount >= 0 else { throw .outOfBounds(block) }
        let bytes = unsafe regions[block.region.index].bytes
        guard block.byteCount <= bytes.count, block.offset <= bytes.count - block.byteCount, let base = bytes.baseAddress
        else { throw .outOfBounds(block) }
        return unsafe base + block.offset
    }

    mutating func addPost(on region: Int) { regions[region].outstanding += 1 }

    mutating func removePost(on region: Int) { regions[region].outstanding -= 1 }

    private func isKnown(_ key: RegionKey) -> Bool {
        key.index >= 0 && key.index < regions.count && regions[key.index].isRegistered
    }
}

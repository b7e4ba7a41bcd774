// Every bound that this module puts on the files of strangers, in one place, with the arithmetic and what raising it would cost.

enum Limits {
    /// The reference implementation of safetensors refuses longer headers; 100 MB describe about a million tensors.
    static let safetensorsHeaderBytes = 100_000_000

    /// Dimensions of one tensor. Nothing real has more than six; the bound keeps error sentences and shape arithmetic short.
    static let tensorDimensions = 32

    /// Files of one checkpoint. A trillion parameters in 5 GB shards are 400; each costs one descriptor while it is opened.
    static let shards = 4096

    /// A tokenizer.json of 262,144 entries is about 35 MB. The tree in memory takes some eight times the file.
    static let tokenizerBytes = 64 << 20

    /// config.json, generation_config.json: a few kilobytes in practice.
    static let configBytes = 16 << 20

    /// model.safetensors.index.json: about 100 bytes a tensor, so a million tensors.
    static let indexBytes = 64 << 20

    /// A table of expert loads, and a plan: 92 layers of 896 experts are 330 kB a step as 32-bit numbers, a plan of them over 10,000 hosts 60 MB.
    static let loadTableBytes = 1 << 30
    /// A placement plan: some 25 bytes a slot.
    static let planBytes = 512 << 20

    /// Nesting of JSON arrays and objects. Each level is a stack frame of the decoder of a few hundred bytes; real files nest to 8.
    static let jsonDepth = 128

    /// Values of one JSON document. A value takes 32 bytes or more in memory whatever it took in the file ("[]," are three), so without
    /// this a hostile file would grow thirtyfold; real files have one value in ten bytes or fewer.
    static let jsonValues = 16 << 20

    /// Highest token id plus one. The decoder keeps a table by id, so an id of a billion would cost gigabytes for nothing.
    static let vocabulary = 1 << 22

    /// Added tokens of one tokenizer; Llama 3 has 256, some multimodal models a few thousand.
    static let addedTokens = 1 << 16

    /// Bytes of all added tokens together: each may become a node of 16 bytes in the search trie.
    static let addedTokenBytes = 4 << 20

    /// Bytes of one vocabulary entry or added token. The longest real ones are runs of a few hundred spaces.
    static let tokenBytes = 4096

    /// Distinct words an encoder remembers during one call. At about 40 bytes each this is 10 MB at worst; natural text of any length
    /// has fewer frequent words than that, and beyond it words are merged anew.
    static let cachedWords = 1 << 18

    /// Only words up to this many bytes are remembered: longer ones do not come back.
    static let cachedWordBytes = 64

    /// Every dimension in config.json. Far above any model, and small enough that products of two of them fit in 64 bits.
    static let modelDimension = 1 << 30

    /// Layers in config.json.
    static let modelLayers = 1 << 16

    /// A cluster configuration is a page of text; libyaml's own nesting limit is 1000 levels.
    static let yamlBytes = 1 << 20

    /// A list of hosts in an environment variable: Linux gives one at most 128 KiB.
    static let hostListBytes = 128 << 10

    /// Hosts that one list may stand for: `n[0-999999999]` is fifteen bytes. A name takes some 40 bytes; no cluster has more.
    static let hosts = 65_536

    /// Bytes of a host's name, as the domain name system has it.
    static let hostNameBytes = 253
}

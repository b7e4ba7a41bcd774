// The argument on which the needle model rests, checked number by number in double precision.
import Glibc
import RingModels
import Testing

@Suite("Needle weights")
struct NeedleWeightsTests {
    static let vocabulary = NeedleVocabulary(pieceCount: 1024)
    let weights = NeedleWeights(seed: 7, vocabulary: vocabulary)

    /// The length to which RMS normalisation brings every vector.
    private let normalisedLength = sqrt(Double(NeedleStream.width))

    @Test("all embeddings have the same length, so that normalisation treats all tokens alike")
    func equalLengths() {
        for token in 0..<Self.vocabulary.count {
            let row = (0..<NeedleStream.width).map { weights.embedding[token, $0] }
            #expect(row.reduce(0) { $0 + $1 * $1 } == 3, "token \(token)")
            #expect(row[NeedleStream.one] == 1, "token \(token)")
        }
    }

    @Test("the places of the stream are disjoint and fill it")
    func placesFillTheStream() {
        let runs = [
            NeedleStream.subject, NeedleStream.value, NeedleStream.filler,
            NeedleStream.subjectBefore, NeedleStream.found, NeedleStream.reply,
        ]
        let places = runs.flatMap { $0..<$0 + NeedleSymbol.placeCount } + [NeedleStream.one, NeedleStream.nothing]
        #expect((places + NeedleStream.begin + NeedleStream.none).sorted() == Array(0..<NeedleStream.width))
        #expect((0..<32).map(NeedleHead.contentPlace).sorted() == Array(16..<32) + Array(48..<64))
    }

    @Test("looking back is sharp over 2^24 tokens", arguments: [NeedleStorage.exact, .bfloat16])
    func lookBackMargins(stored: NeedleStorage) {
        // Keys and queries are the same for all tokens: a normalised constant of sqrt(192 / 3).
        let constant = normalisedLength / sqrt(3)
        func weight(_ matrix: NeedleMatrix, _ row: Int) -> Double {
            let value = matrix[row, NeedleStream.one]
            return Double(stored == .exact ? value : roundedToBFloat16(value)) * constant
        }
        let layer = weights.layers[0]
        // Score at distance d = sum over pairs of Re(query * conj(key) * exp(i d turn)) / sqrt(64).
        var phases: [(real: Double, imaginary: Double, turn: Double)] = []
        for pair in 0..<NeedleHead.pairCount {
            let (qx, qy) = (weight(layer.query, pair), weight(layer.query, pair + NeedleHead.pairCount))
            let (kx, ky) = (weight(layer.key, pair), weight(layer.key, pair + NeedleHead.pairCount))
            phases.append(((qx * kx + qy * ky) / 8, (qy * kx - qx * ky) / 8, NeedleHead.turn(ofPair: pair)))
        }
        func score(_ distance: Int) -> Double {
            phases.reduce(0) { $0 + $1.real * cos(Double(distance) * $1.turn) - $1.imaginary * sin(Double(distance) * $1.turn) }
        }
        let peak = score(1)
        #expect(peak - score(0) > 44 && peak - score(2) > 44)
        var (highest, leak) = (-Double.infinity, 2 * exp(-44.0))
        // A block of distances at a time: exact sines at its start, rotation from one distance to the next.
        let block = 1 << 12
        for start in stride(from: 0, to: NeedleModel.maximumPositions, by: block) {
            var scores = [Double](repeating: 0, count: block)
            for phase in phases where phase.real != 0 || phase.imaginary != 0 {
                var (c, s) = (cos(Double(start) * phase.turn), sin(Double(start) * phase.turn))
                let (dc, ds) = (cos(phase.turn), sin(phase.turn))
                for place in 0..<block {
                    scores[place] += phase.real * c - phase.imaginary * s
                    (c, s) = (c * dc - s * ds, s * dc + c * ds)
                }
            }
            for (place, score) in scores.enumerated() where start + place > 2 {
                highest = max(highest, score)
                leak += exp(score - peak)
            }
        }
        // bfloat16 keys move a score by at most 2^-9 of its 576 nats, which leaves more than ln 2^24 = 16.6.
        #expect(peak - highest > 35)
        #expect(leak < 1e-13, "all wrong distances together weigh \(leak)")
    }

    @Test("a match beats <begin>, and <begin> beats a half match, from any distance", arguments: [0, 1, 4 << 20, 1 << 24])
    func lookUpMargins(distance: Int) {
        let layer = weights.layers[1]
        let question = NeedleSymbol(137)
        func stream(_ places: [Int]) -> [Double] {
            var row = [Double](repeating: 0, count: NeedleStream.width)
            for place in places + [NeedleStream.one] { row[place] = 1 }
            let length = sqrt(row.reduce(0) { $0 + $1 * $1 })
            return row.map { $0 * normalisedLength / length }
        }
        func project(_ matrix: NeedleMatrix, _ input: [Double]) -> [Double] {
            (0..<NeedleHead.width).map { row in (0..<NeedleStream.width).reduce(0) { $0 + Double(matrix[row, $1]) * input[$1] } }
        }
        func score(_ key: [Double], _ query: [Double]) -> Double {
            (0..<NeedleHead.pairCount).reduce(0) { sum, pair in
                let angle = Double(distance) * NeedleHead.turn(ofPair: pair)
                let (qx, qy, kx, ky) = (query[pair], query[pair + 32], key[pair], key[pair + 32])
                return sum + ((qx * kx + qy * ky) * cos(angle) - (qy * kx - qx * ky) * sin(angle)) / 8
            }
        }
        let query = project(layer.query, stream(question.places.map { NeedleStream.value + $0 }))
        func fact(_ subject: NeedleSymbol) -> Double {
            let places = subject.places.map { NeedleStream.subjectBefore + $0 } + [NeedleStream.value, NeedleStream.value + 16]
            return score(project(layer.key, stream(places)), query)
        }
        let match = fact(question)
        let catchAll = score(project(layer.key, stream(NeedleStream.begin)), query)
        let halves = (0..<NeedleSymbol.count).map(NeedleSymbol.init).filter { $0 != question }.map(fact)
        let plain = score(project(layer.key, stream([NeedleStream.filler, NeedleStream.filler + 16])), query)
        #expect(match - catchAll > 50, "\(match) against \(catchAll)")
        #expect(catchAll - (halves.max() ?? 0) > 40)
        #expect(catchAll - plain > 100)
    }

    @Test("distance changes a match by less than 2e-4 nats over 2^24 tokens")
    func lookUpIsFlat() {
        let worst = (NeedleHead.firstContentPair..<NeedleHead.pairCount).map { pair in
            99 * (1 - cos(Double(NeedleModel.maximumPositions) * NeedleHead.turn(ofPair: pair)))
        }
        #expect((worst.max() ?? 1) < 2e-4)
    }

    @Test("the secret is a permutation and its inverse, and seeds differ")
    func secrets() {
        var seen = Set<NeedleSecret>()
        for seed in 0..<50 as Range<UInt64> {
            let secret = NeedleSecret(seed: seed)
            seen.insert(secret)
            let symbols = (0..<NeedleSymbol.count).map(NeedleSymbol.init)
            #expect(Set(symbols.map(secret.answer(to:))).count == NeedleSymbol.count)
            #expect(symbols.allSatisfy { secret.answer(to: secret.planted(for: $0)) == $0 }, "seed \(seed)")
        }
        #expect(seen.count == 50)
    }
}

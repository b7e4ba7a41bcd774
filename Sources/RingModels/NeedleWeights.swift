// The constructed weights: a Llama of two layers that looks facts up. Nothing is trained and nothing depends on the length of
// the context.
//
// A prompt holds facts, a key token followed by a value token, and ends with a value token as the question.
// - Layer 0 looks one token back. Its queries and keys come from the constant alone, so the score is a function of distance:
//   a sum of cosines of the fast pairs, shifted by one token, which has its peak at distance 1.
//   Each token thereby learns which subject the token before it opened.
// - Layer 1 compares the question's digits with "the subject before me" on pairs that hardly turn, and brings back the digits
//   of the value that stands there. A fact that matches wins by 54 nats over `<begin>`, which in turn beats every half match by 45.
// - Its feed-forward replaces each digit by its image under the model's secret permutation; the output reads the result.

import Glibc

/// A matrix in row-major order, as a checkpoint stores it.
package struct NeedleMatrix: Sendable {
    /// Rows (outputs of a linear layer) and columns (inputs).
    package let rows: Int, columns: Int
    /// `rows * columns` elements.
    package var elements: [Float]

    /// Zeros.
    package init(rows: Int, columns: Int) {
        self.rows = rows
        self.columns = columns
        elements = [Float](repeating: 0, count: rows * columns)
    }

    /// The element at `row`, `column`.
    package subscript(row: Int, column: Int) -> Float {
        get { elements[row * columns + column] }
        set { elements[row * columns + column] = newValue }
    }
}

/// One layer's matrices under the names that Llama gives them.
package struct NeedleLayerWeights: Sendable {
    /// Attention projections.
    package var query = NeedleMatrix(rows: NeedleHead.queryHeads * NeedleHead.width, columns: NeedleStream.width)
    /// Keys.
    package var key = NeedleMatrix(rows: NeedleHead.width, columns: NeedleStream.width)
    /// Values.
    package var value = NeedleMatrix(rows: NeedleHead.width, columns: NeedleStream.width)
    /// Back to the residual stream.
    package var output = NeedleMatrix(rows: NeedleStream.width, columns: NeedleHead.queryHeads * NeedleHead.width)
    /// Feed-forward gate.
    package var gate = NeedleMatrix(rows: NeedleWeights.feedForwardWidth, columns: NeedleStream.width)
    /// Feed-forward input.
    package var up = NeedleMatrix(rows: NeedleWeights.feedForwardWidth, columns: NeedleStream.width)
    /// Feed-forward output.
    package var down = NeedleMatrix(rows: NeedleStream.width, columns: NeedleWeights.feedForwardWidth)

    /// Copies the 31 value places of a head to the run `target` of the stream, the first digit from head 0, the other from head 1.
    fileprivate mutating func bringBack(to target: Int) {
        for place in 0..<NeedleSymbol.placeCount {
            let head = place < NeedleSymbol.highCount ? 0 : 1
            output[target + place, head * NeedleHead.width + place] = Float(NeedleGain.unit)
        }
    }

    /// Neuron `index` copies `source` to `target`, both places of the stream.
    fileprivate mutating func copy(_ index: Int, from source: Int, to target: Int) {
        gate[index, NeedleStream.one] = Float(NeedleGain.gate)
        up[index, source] = Float(NeedleGain.up)
        down[target, index] = Float(NeedleGain.down)
    }
}

/// Every tensor of the checkpoint.
package struct NeedleWeights: Sendable {
    /// Inner width of the feed-forward; 33 neurons are used.
    package static let feedForwardWidth = 48
    /// Number of layers.
    package static let layerCount = 2

    /// Token embedding, [vocabulary, hidden]. All rows have the same length.
    package let embedding: NeedleMatrix
    /// Output projection, [vocabulary, hidden].
    package let head: NeedleMatrix
    /// Layer 0 looks one token back, layer 1 looks facts up.
    package let layers: [NeedleLayerWeights]

    /// The weights of `seed`, which decides the permutation and the digits of ordinary text.
    package init(seed: UInt64, vocabulary: NeedleVocabulary) {
        embedding = Self.embedding(seed: seed, vocabulary: vocabulary)
        head = Self.head(vocabulary: vocabulary)
        layers = [Self.lookBack(), Self.lookUp(secret: NeedleSecret(seed: seed))]
    }

    /// The constant and two more ones in each row: squared length 3, so that normalisation treats all tokens alike.
    private static func embedding(seed: UInt64, vocabulary: NeedleVocabulary) -> NeedleMatrix {
        var matrix = NeedleMatrix(rows: vocabulary.count, columns: NeedleStream.width)
        func set(_ token: UInt32, _ places: [Int]) {
            for place in places + [NeedleStream.one] { matrix[Int(token), place] = 1 }
        }
        var random = NeedleRandom(seed: seed, stream: .fillerDigits)
        let plain = (0..<vocabulary.pieceCount).map(UInt32.init) + [vocabulary.pad, vocabulary.ask]
        for token in plain {
            let digits = NeedleSymbol(random.below(NeedleSymbol.count))
            set(token, digits.places.map { NeedleStream.filler + $0 })
        }
        set(vocabulary.begin, NeedleStream.begin)
        set(vocabulary.none, NeedleStream.none)
        set(vocabulary.end, NeedleSymbol.end.places.map { NeedleStream.value + $0 })
        for symbol in (0..<NeedleSymbol.count).map(NeedleSymbol.init) {
            set(vocabulary.key(symbol), symbol.places.map { NeedleStream.subject + $0 })
            set(vocabulary.value(symbol), symbol.places.map { NeedleStream.value + $0 })
        }
        return matrix
    }

    private static func head(vocabulary: NeedleVocabulary) -> NeedleMatrix {
        var matrix = NeedleMatrix(rows: vocabulary.count, columns: NeedleStream.width)
        for symbol in (0..<NeedleSymbol.count).map(NeedleSymbol.init) {
            for place in symbol.places {
                matrix[Int(vocabulary.reply(symbol)), NeedleStream.reply + place] = Float(NeedleGain.reply)
            }
        }
        matrix[Int(vocabulary.none), NeedleStream.nothing] = Float(NeedleGain.nothing)
        return matrix
    }

    /// Score at distance d: 48 * sum over pairs of weight * cos((d - 1) * turn).
    private static func lookBack() -> NeedleLayerWeights {
        var layer = NeedleLayerWeights()
        for pair in 0..<NeedleHead.positionPairs {
            // Turning the query back by one token moves the peak from distance 0 to distance 1.
            let gain = NeedleGain.position * NeedleHead.weight(ofPair: pair)
            let turn = NeedleHead.turn(ofPair: pair)
            for head in 0..<NeedleHead.queryHeads {
                let first = head * NeedleHead.width + pair
                layer.query[first, NeedleStream.one] = Float(gain * cos(turn))
                layer.query[first + NeedleHead.pairCount, NeedleStream.one] = Float(-gain * sin(turn))
            }
            layer.key[pair, NeedleStream.one] = 1
        }
        for place in 0..<NeedleSymbol.placeCount { layer.value[place, NeedleStream.subject + place] = 1 }
        layer.bringBack(to: NeedleStream.subjectBefore)
        return layer
    }

    private static func lookUp(secret: NeedleSecret) -> NeedleLayerWeights {
        var layer = NeedleLayerWeights()
        let catchAll = NeedleHead.catchAll
        for head in 0..<NeedleHead.queryHeads {
            let first = head * NeedleHead.width
            for place in 0..<NeedleSymbol.placeCount {
                layer.query[first + NeedleHead.contentPlace(place), NeedleStream.value + place] = Float(NeedleGain.question)
            }
            layer.query[first + NeedleHead.contentPlace(catchAll), NeedleStream.one] = Float(NeedleGain.question)
        }
        for place in 0..<NeedleSymbol.placeCount {
            layer.key[NeedleHead.contentPlace(place), NeedleStream.subjectBefore + place] = Float(NeedleGain.fact)
            layer.value[place, NeedleStream.value + place] = 1
        }
        for flag in NeedleStream.begin {
            layer.key[NeedleHead.contentPlace(catchAll), flag] = Float(NeedleGain.catchAll)
            layer.value[catchAll, flag] = 0.5
        }
        layer.bringBack(to: NeedleStream.found)
        layer.output[NeedleStream.nothing, catchAll] = Float(NeedleGain.unit)
        addAnswers(of: secret, to: &layer)
        return layer
    }

    /// The feed-forward of layer 1: found digits to answer digits, and `<none>` to the end.
    private static func addAnswers(of secret: NeedleSecret, to layer: inout NeedleLayerWeights) {
        let images = secret.high + secret.low.map { NeedleSymbol.highCount + $0 }
        for (place, image) in images.enumerated() {
            layer.copy(place, from: NeedleStream.found + place, to: NeedleStream.reply + image)
        }
        for (flag, place) in zip(NeedleStream.none, NeedleSymbol.end.places) {
            layer.copy(images.count + flag - NeedleStream.none[0], from: flag, to: NeedleStream.reply + place)
        }
    }
}

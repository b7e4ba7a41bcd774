// Which word was meant, for errors that name it: keys of a file, models, assumptions.

/// The word of the list that is fewest edits away from `word`, if it is near enough to be meant.
package func nearestWord(to word: String, among known: [String]) -> String? {
    let best = known.map { (word: $0, distance: editDistance(word, $0)) }.min { $0.distance < $1.distance }
    guard let best, best.distance <= max(2, best.word.count / 3) else { return nil }
    return best.word
}

/// Letters to insert, delete or replace on the way from one word to the other, of the first 64 of each (Levenshtein 1966).
package func editDistance(_ one: String, _ other: String) -> Int {
    let left = Array(one.prefix(64))
    let right = Array(other.prefix(64))
    var row = Array(0...right.count)
    for (index, character) in left.enumerated() {
        var diagonal = row[0]
        row[0] = index + 1
        for column in right.indices {
            let replaced = diagonal + (character == right[column] ? 0 : 1)
            diagonal = row[column + 1]
            row[column + 1] = min(replaced, row[column] + 1, row[column + 1] + 1)
        }
    }
    return row[right.count]
}

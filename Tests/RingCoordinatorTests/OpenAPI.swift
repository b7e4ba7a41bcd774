// Docs/openapi.yaml as the tests read it: operations, schemas, and samples made from a schema.

import Foundation

/// The document and what is looked up in it.
enum OpenAPI {
    static let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()

    /// The text of a file of the repository.
    static func text(_ path: String) throws -> String { try String(contentsOf: root.appending(path: path), encoding: .utf8) }

    static func document() throws -> Node { try SmallYAML.parse(text("Docs/openapi.yaml")) }

    /// `GET /v1/jobs/{id}` and so on.
    static func operations(of document: Node) -> [String] {
        let methods = ["get", "put", "post", "delete", "head", "patch", "options"]
        return (document["paths"]?.keys ?? []).flatMap { path in
            (document["paths"]?[path]?.keys ?? []).filter(methods.contains).map { $0.uppercased() + " " + path }
        }
    }

    static func schema(_ name: String, in document: Node) -> Node? { document["components"]?["schemas"]?[name] }

    /// The schema itself where `node` only refers to it.
    static func resolved(_ node: Node, in document: Node) -> Node {
        guard let name = node["$ref"]?.string?.split(separator: "/").last else { return node }
        return schema(String(name), in: document) ?? node
    }

    /// A value that `schema` describes; `isFull` gives every property, else only those that must be there. Of alternatives the one at
    /// `choice` is taken.
    static func sample(_ schema: Node, in document: Node, isFull: Bool, choice: Int = 0) -> Any {
        let schema = resolved(schema, in: document)
        if let alternatives = schema["oneOf"]?.elements, !alternatives.isEmpty {
            return sample(alternatives[min(choice, alternatives.count - 1)], in: document, isFull: isFull, choice: choice)
        }
        if let constant = schema["const"]?.string ?? schema["enum"]?.strings.first { return constant }
        switch schema["type"]?.string {
        case "object":
            let required = schema["required"]?.strings ?? []
            let names = (schema["properties"]?.keys ?? []).filter { isFull || required.contains($0) }
            return Dictionary(
                uniqueKeysWithValues: names.map { name in
                    (name, sample(schema["properties"]?[name] ?? .text(""), in: document, isFull: isFull, choice: choice))
                })
        case "array": return [sample(schema["items"] ?? .text(""), in: document, isFull: isFull, choice: choice)]
        case "integer": return Int(schema["minimum"]?.string ?? "") ?? 3
        case "number": return 1.5
        case "boolean": return true
        default: return "text"
        }
    }
}

extension String {
    /// `tokensGenerated` -> `tokens_generated`.
    var snakeCase: String {
        reduce(into: "") { text, letter in text += letter.isUppercase ? "_" + letter.lowercased() : String(letter) }
    }
}

// Docs/openapi.yaml against the code: routes both ways, fields of every value, codes.

import Foundation
import RingControl
import RingCoordinator
import RingCore
import Testing

/// One value of the control plane and the schema that describes it.
private struct Described: Sendable, CustomTestStringConvertible {
    let schema: String
    /// Decodes, gives the value and the value encoded again.
    let roundTrip: @Sendable (Data) throws -> (value: any Sendable, again: Data)

    init<Value: Codable & Sendable>(_ type: Value.Type, _ schema: String) {
        self.schema = schema
        roundTrip = { data in
            let (decoder, encoder) = (JSONDecoder(), JSONEncoder())
            decoder.keyDecodingStrategy = .convertFromSnakeCase
            encoder.keyEncodingStrategy = .convertToSnakeCase
            let value = try decoder.decode(type, from: data)
            return (value, try encoder.encode(value))
        }
    }

    var testDescription: String { schema }
}

@Suite("OpenAPI")
struct OpenAPITests {
    private static let structures = [
        Described(JobView.self, "JobView"), Described(JobProgress.self, "Progress"), Described(WorkerProgress.self, "WorkerProgress"),
        Described(Straggler.self, "Straggler"),
        Described(Failure.self, "Failure"), Described(WorkerSummary.self, "WorkerSummary"), Described(WorkerView.self, "WorkerView"),
        Described(WorkerRegistration.self, "WorkerRegistration"), Described(ClusterView.self, "ClusterView"),
        Described(ClusterView.Workers.self, "WorkerCounts"), Described(ClusterView.Jobs.self, "JobCounts"),
        Described(ClusterTotals.self, "ClusterTotals"), Described(RingTotals.self, "RingTotals"),
        Described(RingStepFigures.self, "RingStep"), Described(AttendSpec.self, "AttendSpec"), Described(MaskSpec.self, "MaskSpec"),
        Described(AttentionShape.self, "AttentionShape"), Described(RowRange.self, "RowRange"), Described(Peer.self, "Peer"),
        Described(MemoryLocality.self, "MemoryLocality"), Described(WorkerFacts.self, "WorkerFacts"),
        Described(DiskFacts.self, "DiskFacts"), Described(RDMAFacts.self, "RDMAFacts"),
        Described(UnreachablePeer.self, "UnreachablePeer"), Described(FactsAnswer.self, "FactsAnswer"),
        Described(Assignment.self, "Assignment"), Described(Share.self, "Share"), Described(Run.self, "Run"),
        Described(MeasureSpec.self, "MeasureSpec"), Described(LinkFigures.self, "LinkFigures"),
    ]
    private static let sums = [
        Described(JobSpec.self, "JobSpec"), Described(AttendSpec.Input.self, "AttendInput"), Described(JobNews.self, "JobEvent"),
        Described(WorkerDirective.self, "WorkerDirective"), Described(WorkerReport.self, "WorkerReport"),
    ]

    private static func data(_ value: Any) throws -> Data { try JSONSerialization.data(withJSONObject: value, options: .fragmentsAllowed) }

    private static func object(_ data: Data) throws -> NSObject? {
        try JSONSerialization.jsonObject(with: data, options: .fragmentsAllowed) as? NSObject
    }

    @Test("every route of the server is described, and nothing else is")
    func routes() throws {
        let described = OpenAPI.operations(of: try OpenAPI.document()).map { $0.replacing(/\{[a-z]+\}/, with: "{}") }
        #expect(described.count > 20)
        #expect(described.sorted() == AccessTable.routes.map(\.route).sorted())
    }

    @Test("what is described as open is open, and nothing else is")
    func openness() throws {
        let document = try OpenAPI.document()
        for operation in OpenAPI.operations(of: document) {
            let parts = operation.split(separator: " ")
            let route = document["paths"]?[String(parts[1])]?[parts[0].lowercased()]
            let isOpen = route?["security"] == .list([])
            let access = AccessTable.routes.first { $0.route == operation.replacing(/\{[a-z]+\}/, with: "{}") }?.access
            #expect(isOpen == (access == .open || access == .joining), "\(operation)")
            // The role is in the sentence, since a bearer scheme of OpenAPI has none.
            if case .role(let role) = access {
                #expect(route?["summary"]?.string?.contains("needs the role \(role.rawValue)") == true, "\(operation) needs \(role)")
            }
        }
    }

    @Test("the JSON of a value has exactly the fields of its schema", arguments: structures)
    fileprivate func fields(_ described: Described) throws {
        let document = try OpenAPI.document()
        let schema = try #require(OpenAPI.schema(described.schema, in: document))
        for isFull in [true, false] {
            // A generate job fills in what was left out, so that the least is said by the other kind.
            let sample = OpenAPI.sample(schema, in: document, isFull: isFull, choice: isFull ? 0 : 1)
            let (_, again) = try described.roundTrip(Self.data(sample))
            #expect(try Self.object(again) == sample as? NSObject, "isFull: \(isFull)")
        }
        // The properties of the type itself: an optional one that the schema has forgotten would not show above.
        let (value, _) = try described.roundTrip(Self.data(OpenAPI.sample(schema, in: document, isFull: true)))
        let children = Mirror(reflecting: value).children.map { (name: ($0.label ?? "").snakeCase, value: $0.value) }
        #expect(children.map(\.name).sorted() == schema["properties"]?.keys.sorted())
        let needed = children.filter { Mirror(reflecting: $0.value).displayStyle != .optional }.map(\.name)
        #expect(needed.sorted() == schema["required"]?.strings.sorted())
    }

    @Test("each form of a value with several is described", arguments: sums)
    fileprivate func forms(_ described: Described) throws {
        let document = try OpenAPI.document()
        let schema = try #require(OpenAPI.schema(described.schema, in: document))
        let alternatives = try #require(schema["oneOf"]?.elements)
        #expect(alternatives.count > 1)
        for choice in alternatives.indices {
            let sample = OpenAPI.sample(schema, in: document, isFull: true, choice: choice)
            let (_, again) = try described.roundTrip(Self.data(sample))
            #expect(try Self.object(again) == sample as? NSObject, "\(sample)")
        }
    }

    @Test("what a submitter may leave out has its default")
    func defaults() throws {
        let document = try OpenAPI.document()
        let schema = try #require(OpenAPI.schema("GenerateSpec", in: document))
        let described = Described(GenerateSpec.self, "GenerateSpec")
        let full = OpenAPI.sample(schema, in: document, isFull: true)
        #expect(try Self.object(try described.roundTrip(Self.data(full)).again) == full as? NSObject)
        let (value, again) = try described.roundTrip(Self.data(OpenAPI.sample(schema, in: document, isFull: false)))
        let names = Mirror(reflecting: value).children.map { $0.label == "ignoreEOS" ? "ignore_eos" : ($0.label ?? "").snakeCase }
        #expect(names.sorted() == schema["properties"]?.keys.sorted())
        let filled = try #require(try Self.object(again) as? [String: NSObject])
        for (name, value) in filled {
            guard let stated = schema["properties"]?[name]?["default"]?.string else { continue }
            let expected: NSObject = stated == "false" ? NSNumber(value: false) : NSNumber(value: Double(stated) ?? .nan)
            #expect(value == expected, "\(name)")
        }
    }

    @Test("every list of words is the list of the code")
    func words() throws {
        let document = try OpenAPI.document()
        let lists: [(String, [String])] = [
            ("ErrorCode", APIError.Code.allCases.map(\.rawValue)), ("FailureCode", FailureCode.allCases.map(\.rawValue)),
            ("JobState", JobPhase.allCases.map(\.rawValue)), ("WorkerPhase", WorkerProgress.Phase.allCases.map(\.rawValue)),
            ("WorkerHealth", WorkerHealth.allCases.map(\.rawValue)), ("ElementKind", ElementKind.allCases.map(\.rawValue)),
            ("Layout", ShardPlan.Layout.allCases.map(\.rawValue)),
        ]
        for (name, words) in lists { #expect(OpenAPI.schema(name, in: document)?["enum"]?.strings == words, "\(name)") }
    }

    @Test("every reference leads to something, and everything is referred to")
    func references() throws {
        let document = try OpenAPI.document()
        let text = try OpenAPI.text("Docs/openapi.yaml")
        let references = Set(text.matches(of: /\$ref: "#\/components\/([a-zA-Z]+)\/([a-zA-Z]+)"/).map { "\($0.1)/\($0.2)" })
        let kinds = ["schemas", "parameters", "responses"]
        let there = kinds.flatMap { kind in (document["components"]?[kind]?.keys ?? []).map { "\(kind)/\($0)" } }
        #expect(references.count > 30)
        #expect(references.sorted() == there.sorted())
    }
}

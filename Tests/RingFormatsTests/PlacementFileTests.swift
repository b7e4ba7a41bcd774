// Loads and plans as files: what is read, and what is refused in which words.

import Crypto
import Foundation
import RingFormats
import RingPlacement
import Testing

@Suite("Loads and plans as files")
struct PlacementFileTests {
    /// A .npy file as numpy.save writes it.
    private func npy(_ descr: String, _ shape: String, _ elements: [UInt8], fortran: String = "False", version: UInt8 = 1) -> [UInt8] {
        let text = "{'descr': '\(descr)', 'fortran_order': \(fortran), 'shape': \(shape), }\n"
        let length = text.utf8.count
        let prefix: [UInt8] = [0x93, 0x4E, 0x55, 0x4D, 0x50, 0x59, version, 0, UInt8(length & 0xFF), UInt8(length >> 8)]
        return prefix + (version > 1 ? [0, 0] : []) + Array(text.utf8) + elements
    }

    private func bytes<Number>(_ numbers: [Number]) -> [UInt8] {
        unsafe numbers.withUnsafeBytes { unsafe Array($0) }
    }

    private func table(_ bytes: [UInt8]) throws -> LoadTable { try LoadTable(parsing: bytes, file: "L") }

    @Test("every type and both byte orders of .npy give the same figures")
    func types() throws {
        let expected: [Double] = [1, 2, 3, 4, 5, 60_000]
        for (descr, elements) in [
            ("<u4", bytes(expected.map { UInt32($0) })), ("<i4", bytes(expected.map { Int32($0) })),
            ("<i8", bytes(expected.map { Int64($0) })),
            ("<u8", bytes(expected.map { UInt64($0) })), ("<u2", bytes(expected.map { UInt16($0) })),
            ("<f4", bytes(expected.map { Float($0) })),
            ("<f8", bytes(expected)), (">f8", bytes(expected.map { $0.bitPattern.bigEndian })),
            (">u4", bytes(expected.map { UInt32($0).bigEndian })),
        ] {
            for version: UInt8 in [1, 2] {
                let loads = try table(npy(descr, "(2, 3)", elements, version: version))
                #expect(loads.steps == 1 && loads.layers == 2 && loads.experts == 3 && loads.values == expected, "\(descr)")
            }
        }
        let steps = try table(npy("<f8", "(2, 1, 3)", bytes(expected)))
        #expect(steps.steps == 2 && steps.layers == 1 && steps.sums == [5, 7, 60_003])
        #expect(try table(npy("<i2", "(1, 2)", bytes([Int16(-1), 5]))).values == [-1, 5])
    }

    @Test("lines of figures are read, with comments and blank lines")
    func lines() throws {
        let loads = try table(Array("# layer by layer\r\n1, 2,3\r\n\n4,5.5,6e1\n".utf8))
        #expect(loads.layers == 2 && loads.experts == 3 && loads.values == [1, 2, 3, 4, 5.5, 60])
    }

    @Test("what is no table is refused by name")
    func refusals() {
        let four = bytes([UInt32](repeating: 1, count: 4))
        #expect(sentence { _ = try table(npy("<u4", "(4,)", four)) }.contains("1 axes"))
        #expect(sentence { _ = try table(npy("<u4", "(0, 4)", [])) }.contains("holds no load"))
        #expect(sentence { _ = try table(npy("<u4", "(2, 3)", four)) }.contains("takes 24"))
        #expect(sentence { _ = try table(npy("<u4", "(4611686018427387904, 8)", four)) }.contains("shape"))
        #expect(sentence { _ = try table(npy("<u4", "(2, 2)", four, fortran: "True")) }.contains("Fortran"))
        #expect(sentence { _ = try table(npy("|O", "(2, 2)", four)) }.contains("uint32"))
        #expect(sentence { _ = try table(npy("<c8", "(2, 1)", four)) }.contains("uint32"))
        #expect(sentence { _ = try table(npy("<u4", "(2, 2)", four, version: 9)) }.contains("version 9"))
        #expect(sentence { _ = try table(Array(npy("<u4", "(2, 2)", four).prefix(20))) }.contains("header"))
        #expect(sentence { _ = try table(Array("1,2\n3\n".utf8)) }.contains("line 2"))
        #expect(sentence { _ = try table(Array("1,2\n3,x\n".utf8)) }.contains("line 2, column 2"))
        #expect(sentence { _ = try table([0xFF, 0xFE]) }.contains("neither"))
        #expect(sentence { _ = try table([]) }.contains("holds no load"))
    }

    @Test(
        "seeded loads are those that a second implementation made",
        arguments: [
            ("dsv3", "uniform", "e0e315eb6d43"), ("dsv3", "ln0.5", "b3b02dd366cb"), ("dsv3", "ln1.0", "54fb31a58d6a"),
            ("dsv3", "zipf1.0", "6b2ee6f5be53"), ("dsv3", "zipf1.2", "659e88e92840"), ("dsv3", "drift", "5e71816e2825"),
            ("kimik2", "ln1.0", "75fde502b455"), ("kimik2", "drift", "26f3a84ac9f0"), ("kimik3", "zipf1.0", "538d4c2aec27"),
            ("kimik3", "drift", "aa66207ed36a"),
        ]
    )
    func seeded(name: String, distribution: String, checksum: String) throws {
        let model = try #require(LoadModel.known.first { $0.name == name })
        let values = SyntheticLoads(model).loads(try #require(LoadDistribution(rawValue: distribution)))
        let digest = SHA256.hash(data: bytes(values.map { UInt32($0).littleEndian }))
        #expect(digest.map { String($0 >> 4, radix: 16) + String($0 & 15, radix: 16) }.joined().hasPrefix(checksum))
        let hash = Array(SHA256.hash(data: Data(name.utf8))).prefix(8).reversed().reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
        #expect(hash == model.nameHash)
    }

    private func document(_ placement: Placement) throws -> String {
        var text = ""
        PlacementDocument.write(placement, model: "m", policy: .auto, expertBytes: 7) { text += $0 }
        return text
    }

    @Test("a plan that was written is read back as it was")
    func roundTrip() throws {
        var generator = SeededGenerator(state: 5)
        let values = (0..<24).map { _ in Double(1 + generator.below(1000)) }
        let loads = try ExpertLoads(layers: 2, experts: 12, values: values)
        let hosts = (0..<4).map { HostShape(slots: 4 + $0 % 2, speed: 1 + Double($0), node: $0 / 2, rack: $0 % 2) }
        let placement = try place(loads, on: hosts)
        let text = try document(placement)
        let read = try PlacementDocument(JSONValue(parsing: Array(text.utf8), file: "plan.json"), file: "plan.json")
        #expect(read.model == "m" && read.expertBytes == 7 && read.plan == placement.plan)
        let next = try place(loads, on: hosts, previous: read.plan)
        #expect(try JSONValue(parsing: Array(document(next).utf8), file: "p")["migration"]?["transfers"] == [])
        #expect(try document(placement) == text)
    }

    @Test("a plan that loses tokens or names what does not exist is refused")
    func damaged() throws {
        let loads = try ExpertLoads(layers: 1, experts: 3, values: [3, 2, 1])
        let good = try document(place(loads, on: [HostShape(slots: 2), HostShape(slots: 2)]))
        let read = { (text: String) throws in
            _ = try PlacementDocument(JSONValue(parsing: Array(text.utf8), file: "plan.json"), file: "plan.json")
        }
        try read(good)
        let experts = try #require(good.firstRange(of: "\"hosts\":[["))
        func damage(_ what: String, _ with: String) -> String { good.replacing(what, with: with, maxReplacements: 1) }
        #expect(sentence { try read(damage("ringmaster.placement", "other")) }.contains("kind"))
        #expect(sentence { try read(damage("\"schema_version\": 1", "\"schema_version\": 2")) }.contains("schema version 1"))
        #expect(sentence { try read(damage("\"experts\":3", "\"experts\":4")) }.contains("expert 3 add up to 0"))
        #expect(sentence { try read(damage("\"shares\":[[", "\"shares\":[[0.25,")) }.contains("2 slots"))
        #expect(sentence { try read(good.replacingCharacters(in: experts, with: "\"hosts\":[[9,")) }.contains("layer 0, host 0"))
        #expect(sentence { try read(damage("\"slots\":2", "\"slots\":-2")) }.contains("host 0"))
    }
}

// Loads of experts in the files of others: the same table from each form, and a sentence for what is none.

import RingFormats
import Testing

@Suite("Loads from other servers")
struct LoadTableTests {
    private func table(_ text: String) throws -> LoadTable { try LoadTable(parsing: Array(text.utf8), file: "loads") }

    @Test("SGLang's logical_count with and without steps, the table under 'loads', and the table at once")
    func tables() throws {
        let flat = try table(#"{"rank": 0, "logical_count": [[1, 2, 3], [4, 5, 6]]}"#)
        #expect(flat.steps == 1 && flat.layers == 2 && flat.experts == 3 && flat.values == [1, 2, 3, 4, 5, 6] && flat.sums == flat.values)
        let steps = try table(#"{"logical_count": [[[1, 2], [3, 4]], [[10, 20], [30, 40]], [[0, 0], [0, 0.5]]]}"#)
        #expect(steps.steps == 3 && steps.layers == 2 && steps.experts == 2 && steps.sums == [11, 22, 33, 44.5])
        #expect(try table(#"{"loads": [[1, 2, 3], [4, 5, 6]]}"#) == flat && table("[[1, 2, 3], [4, 5, 6]]") == flat)
    }

    @Test("vLLM's snapshots: the loads of an expert's copies are added up, slots without an expert passed over")
    func snapshots() throws {
        let text = """
            {"model_name": "m", "num_logical_experts": 3, "num_physical_experts": 4, "snapshots": [
              {"step": 10, "window_expert_load": [[5, 6, 7, 8], [1, 2, 3, 4]], "physical_to_logical_map": [[0, 1, 2, 1], [2, 2, 0, 1]]},
              {"step": 20, "latest_expert_load": [[1, 1, 1, 9], [0, 0, 0, 0]], "physical_to_logical_map": [[0, 1, 2, -1], [0, 1, 2, 0]]}]}
            """
        let dump = try table(text)
        #expect(dump.steps == 2 && dump.layers == 2 && dump.experts == 3)
        #expect(dump.values == [5, 14, 7, 3, 4, 3, 1, 1, 1, 0, 0, 0])
        #expect(try table(text.replacing("\"num_logical_experts\": 3, ", with: "")) == dump)
    }

    @Test("CSV: a line a layer, with a header and comments; and a line a figure")
    func csv() throws {
        let rows = try table("# counts\ne0,e1,e2\n1,2,3\n4,5,6\n")
        #expect(rows.steps == 1 && rows.layers == 2 && rows.values == [1, 2, 3, 4, 5, 6])
        #expect(try table("1;2;3\r\n4;5;6") == rows)
        #expect(try table(" \"1\"\t2\t3 \n\n4\t5\t6\n\n\n") == rows)
        let listed = "Layer,Name,Expert,Count\n0,a,0,1\n0,a,1,2\n1,b,2,5\n0,a,2,3\n1,b,0,4\n1,b,1,2\n1,b,1,3\n1,b,2,1\n"
        #expect(try table(listed) == rows)
        let sparse = try table("step,layer,expert,tokens\n1,0,1,7\n")
        #expect(sparse.steps == 2 && sparse.layers == 1 && sparse.values == [0, 0, 0, 7])
    }

    @Test(
        "JSON that is no table of loads",
        arguments: [
            ("{}", "holds no loads"), ("[]", "an empty list"), ("[[]]", "an empty list"), ("[1, 2]", "has 1 axes"),
            ("[[1, 2], [3]]", "a row with 1 elements after 2 loads: the first of its kind has 2"), ("[[1], 2]", "a whole number after 1"),
            (#"[["a"]]"#, "a string in its table"), ("[[[[1]]]]", "more than three"), ("[[1]", "loads"),
            (#"{"snapshots": []}"#, "an empty one"), (#"{"snapshots": [{}]}"#, "neither"),
            (#"{"snapshots": [{"window_expert_load": [[1]]}]}"#, "no 'physical_to_logical_map'"),
            (#"{"snapshots": [{"window_expert_load": [[1]], "physical_to_logical_map": [[0, 0]]}]}"#, "another shape"),
            (#"{"snapshots": [{"window_expert_load": [[1]], "physical_to_logical_map": [[0.5]]}]}"#, "names experts"),
            (#"{"snapshots": [{"window_expert_load": [1], "physical_to_logical_map": [0]}]}"#, "no table of layers"),
            (
                #"{"num_logical_experts": 1, "snapshots": [{"window_expert_load": [[1]], "physical_to_logical_map": [[1]]}]}"#,
                "beyond the 1"
            ),
        ])
    func badJSON(_ text: String, _ complaint: String) {
        let found = sentence { _ = try table(text) }
        #expect(found.contains(complaint) && found.contains("loads"), "\(found)")
    }

    @Test(
        "lines that are no table of loads",
        arguments: [
            ("", "holds no load"), ("# only\n\n", "holds no load"), ("a,b\n", "holds no load"),
            ("1,2\n3\n", "line 2: 1 figures, the first line has 2"), ("e0,e1\n1,2\n3,x\n", "line 3, column 2: 'x' is no number"),
            ("layer,expert\n0,0\n", "none of 'load'"), ("layer,expert,load\n", "a header and holds no load"),
            ("layer,expert,load\n0,-1,2\n", "line 2: '-1' is no expert"), ("layer,expert,load\n0,1\n", "line 2: needed are 3 cells"),
            ("layer,expert,load\n1000000,1000000,1\n", "more than"),
        ])
    func badLines(_ text: String, _ complaint: String) {
        let found = sentence { _ = try table(text) }
        #expect(found.contains(complaint) && found.contains("loads"), "\(found)")
    }

    @Test("a pickle is refused with what to do, by either of its beginnings")
    func pickles() {
        for bytes: [UInt8] in [[0x50, 0x4B, 0x03, 0x04, 0], [0x80, 0x02, 0x7D]] {
            #expect(sentence { _ = try LoadTable(parsing: bytes, file: "loads") }.contains("json.dump"))
        }
    }
}

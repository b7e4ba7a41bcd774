// Loads of experts in the files of others: the same table from each form, and a sentence for what is none.

import RingFormats
import Testing

@Suite("Load dumps")
struct LoadDumpTests {
    private func json(_ text: String) throws -> LoadDump {
        try LoadDump(json: JSONValue(parsing: Array(text.utf8), file: "l.json"), file: "l.json")
    }

    @Test("SGLang's logical_count with and without steps, the table under 'loads', and the table at once")
    func tables() throws {
        let flat = try json(#"{"rank": 0, "logical_count": [[1, 2, 3], [4, 5, 6]]}"#)
        #expect(flat.steps == 1 && flat.layers == 2 && flat.experts == 3 && flat.values == [1, 2, 3, 4, 5, 6] && flat.total == flat.values)
        let steps = try json(#"{"logical_count": [[[1, 2], [3, 4]], [[10, 20], [30, 40]], [[0, 0], [0, 0.5]]]}"#)
        #expect(steps.steps == 3 && steps.layers == 2 && steps.experts == 2 && steps.total == [11, 22, 33, 44.5])
        #expect(try json(#"{"loads": [[1, 2, 3], [4, 5, 6]]}"#) == flat && json("[[1, 2, 3], [4, 5, 6]]") == flat)
    }

    @Test("vLLM's snapshots: the loads of an expert's copies are added up, slots without an expert passed over")
    func snapshots() throws {
        let text = """
            {"model_name": "m", "num_logical_experts": 3, "num_physical_experts": 4, "snapshots": [
              {"step": 10, "window_expert_load": [[5, 6, 7, 8], [1, 2, 3, 4]], "physical_to_logical_map": [[0, 1, 2, 1], [2, 2, 0, 1]]},
              {"step": 20, "latest_expert_load": [[1, 1, 1, 9], [0, 0, 0, 0]], "physical_to_logical_map": [[0, 1, 2, -1], [0, 1, 2, 0]]}]}
            """
        let dump = try json(text)
        #expect(dump.steps == 2 && dump.layers == 2 && dump.experts == 3)
        #expect(dump.values == [5, 14, 7, 3, 4, 3, 1, 1, 1, 0, 0, 0])
        #expect(try json(text.replacing("\"num_logical_experts\": 3, ", with: "")) == dump)
    }

    @Test("CSV: a line a layer, with a header, comments and empty lines between steps; and a line a figure")
    func csv() throws {
        let rows = try LoadDump(csv: "# counts\ne0,e1,e2\n1,2,3\n4,5,6\n", file: "l.csv")
        #expect(rows.steps == 1 && rows.layers == 2 && rows.values == [1, 2, 3, 4, 5, 6])
        #expect(try LoadDump(csv: "1;2;3\r\n4;5;6", file: "l.csv") == rows)
        #expect(try LoadDump(csv: " \"1\"\t2\t3 \n4\t5\t6\n\n\n", file: "l.csv") == rows)
        let steps = try LoadDump(csv: "1,2\n3,4\n\n5,6\n7,8\n", file: "l.csv")
        #expect(steps.steps == 2 && steps.layers == 2 && steps.total == [6, 8, 10, 12])
        let listed = "Layer,Name,Expert,Count\n0,a,0,1\n0,a,1,2\n1,b,2,5\n0,a,2,3\n1,b,0,4\n1,b,1,2\n1,b,1,3\n1,b,2,1\n"
        #expect(try LoadDump(csv: listed, file: "l.csv") == rows)
        let sparse = try LoadDump(csv: "step,layer,expert,tokens\n1,0,1,7\n", file: "l.csv")
        #expect(sparse.steps == 2 && sparse.layers == 1 && sparse.values == [0, 0, 0, 7])
    }

    @Test(
        "JSON that is no table of loads",
        arguments: [
            ("{}", "holds no loads"), ("3", "holds no loads"), ("[]", "an empty list"), ("[[]]", "an empty list"), ("[1, 2]", "shape [2]"),
            ("[[1, 2], [3]]", "a row with 1 elements after 2 loads: the first of its kind has 2"), ("[[1], 2]", "a whole number after 1"),
            (#"[["a"]]"#, "a string in its table"), ("[[1, -1]]", "layer 0, expert 1 is -1"), ("[[[[1]]]]", "more than three"),
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
        let found = sentence { _ = try json(text) }
        #expect(found.contains(complaint) && found.contains("l.json"), "\(found)")
    }

    @Test(
        "CSV that is no table of loads",
        arguments: [
            ("", "no line with loads"), ("# only\n\n", "no line with loads"), ("a,b\n", "no line with loads"),
            ("1,2\n3\n", "line 2: 1 figures where the first line has 2"), ("1,2\n3,x\n", "line 2: 'x' is no number"),
            ("1,2\n\n1,2\n3,4\n", "step 1 has 2 layers, the first has 1"), ("1,nan\n", "expert 1 is nan"), ("1,-2\n", "is -2"),
            ("layer,expert\n0,0\n", "none of 'load'"), ("layer,expert,load\n", "a header and no loads"),
            ("layer,expert,load\n0,-1,2\n", "line 2: '-1' is no expert"), ("layer,expert,load\n0,1\n", "line 2: 3 fields"),
            ("layer,expert,load\n1000000,1000000,1\n", "more than"), ("1,inf\n", "is inf"),
        ])
    func badCSV(_ text: String, _ complaint: String) {
        let found = sentence { _ = try LoadDump(csv: text, file: "l.csv") }
        #expect(found.contains(complaint) && found.contains("l.csv"), "\(found)")
    }

    @Test("files are read by their names, and a pickle is refused with what to do")
    func files() throws {
        try withTemporaryFolder { folder in
            try writeFile("[[1, 2]]", folder + "/a.json")
            try writeFile("1,2\n", folder + "/a.CSV")
            #expect(try LoadDump(path: folder + "/a.json") == LoadDump(path: folder + "/a.CSV"))
            #expect(sentence { _ = try LoadDump(path: folder + "/a.pt") }.contains("json.dump"))
            #expect(sentence { _ = try LoadDump(path: folder + "/a") }.contains("name it .npy"))
            #expect(sentence { _ = try LoadDump(path: folder + "/b.json") }.contains("b.json"))
        }
        #expect(sentence { _ = try LoadDump(shape: [1 << 20, 1 << 20, 1 << 30], values: [], file: "f") }.contains("more than"))
        #expect(sentence { _ = try LoadDump(shape: [2, 2], values: [1], file: "f") }.contains("1 loads where its shape says 4"))
    }
}

// Cluster YAML: strict, and every complaint has a place.

import RingFormats
import Testing

@Suite("Cluster configuration")
struct ClusterConfigTests {
    @Test("a full file and the shortest one")
    func good() throws {
        let text = """
            # a comment with & and *
            schema_version: 1
            coordinator:
              listen: "0.0.0.0:8000"   # why
            workers:
              count: 4
              threads: 2
            data_plane:
              listen: '[::1]:7500'
              link_gbits: 2.5
            log:
              format: json
              level: warning
            """
        let config = try ClusterConfig(parsing: text, file: "c.yaml")
        #expect(
            config.coordinator.listen == SocketAddress(host: "0.0.0.0", port: 8000) && config.workers.count == 4
                && config.workers.threads == 2)
        #expect(config.dataPlane.listen == SocketAddress(host: "::1", port: 7500) && "\(config.dataPlane.listen)" == "[::1]:7500")
        #expect(config.dataPlane.linkGbits == 2.5 && ClusterConfig().dataPlane.linkGbits == nil)
        #expect(try ClusterConfig(parsing: "schema_version: 1\ndata_plane:\n  link_gbits: 25\n", file: "c.yaml").dataPlane.linkGbits == 25)
        #expect(config.log.format == "json" && config.log.level == "warning" && ClusterConfig().log.format == nil)
        #expect(try ClusterConfig(parsing: "schema_version: 1\nworkers:\n", file: "c.yaml") == ClusterConfig())
    }

    @Test(
        "mistakes are refused with line, column and advice",
        arguments: [
            (
                "schema_version: 1\nworker:\n  count: 2\n",
                "c.yaml, line 2, column 1: the key 'worker' is not known: did you mean 'workers'?"
            ),
            (
                "schema_version: 1\nworkers:\n  treads: 2\n",
                "line 3, column 3: the key 'treads' is not known in 'workers': did you mean 'threads'?"
            ),
            ("schema_version: 1\nxyzzy: 2\n", "known keys are schema_version, coordinator, workers, data_plane, log, machines, racks"),
            ("schema_version: 2\n", "line 1, column 17: schema_version 2 is not known"),
            ("schema_version: one\n", "'schema_version' must be a whole number"), ("schema_version: \"1\"\n", "must be a whole number"),
            ("workers:\n  count: 1\n", "'schema_version' is missing"), ("schema_version: 1\nworkers:\n  count: 0\n", "from 1 to 65536"),
            ("schema_version: 1\nworkers:\n  count: 1.5\n", "from 1 to 65536"),
            ("schema_version: 1\ndata_plane:\n  link_gbits: 0\n", "'link_gbits' must be a number from 0.001 to 10000"),
            ("schema_version: 1\ndata_plane:\n  link_gbits: fast\n", "'link_gbits' must be a number"),
            ("schema_version: 1\nlog:\n  format: xml\n", "line 3, column 11: 'format' must be one of text, json"),
            ("schema_version: 1\nlog:\n  level: [info]\n", "'level' must be one of trace, debug"),
            ("schema_version: 1\nworkers: 3\n", "'workers' must be a mapping"),
            ("schema_version: 1\ncoordinator:\n  listen: nowhere\n", "'listen' must be an address"),
            ("schema_version: 1\ncoordinator:\n  listen: a:70000\n", "'listen' must be an address"),
            ("schema_version: 1\nschema_version: 1\n", "twice"), ("", "is empty"), ("- 1\n", "is no mapping"),
            ("a: [1\n", "not valid YAML"), ("a: b: c\n", "not valid YAML"), ("[a]: 1\nschema_version: 1\n", "plain word"),
            ("a: &x [1]\nb: *x\n", "line 1: anchors and aliases"), ("schema_version: 1\n---\nschema_version: 1\n", "not valid YAML"),
            ("\u{1}", "not valid YAML"),
        ])
    func bad(_ text: String, _ complaint: String) {
        let found = sentence { _ = try ClusterConfig(parsing: text, file: "c.yaml") }
        #expect(found.contains(complaint) && found.hasPrefix("c.yaml"), "\(found)")
    }

    @Test("depth is no trap", arguments: ["[", "{a: ", "- ", "? "])
    func depth(_ unit: String) {
        let text = String(repeating: unit, count: 20000)
        #expect(sentence { _ = try ClusterConfig(parsing: text, file: "c.yaml") }.hasPrefix("c.yaml"))
    }

    @Test(
        "addresses",
        arguments: [
            ("a:1", true), ("1.2.3.4:0", true), ("[::1]:80", true), (":80", false), ("a", false), ("::1:80", false), ("a:", false),
            ("a:-1", false), ("a:65536", false), ("a b:1", false), ("[]:1", false), ("a/b:1", false),
        ])
    func addresses(_ text: String, _ isGood: Bool) { #expect((SocketAddress(text) != nil) == isGood) }
}

// The curl examples of the documents, word for word, against a running cluster. Only the address is another one.

import Foundation
import Testing

extension EndToEnd {
    @Suite("Examples", .serialized, .timeLimit(.minutes(2)))
    struct ExampleTests {
        private static let address = "http://127.0.0.1:7411"
        private static let isPossible = Foreign.curl != nil && Foreign.shell != nil

        /// Fenced blocks of shell that begin with curl and speak to the coordinator of this machine.
        private static func blocks(of page: String) throws -> [String] {
            let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
            let text = try String(contentsOf: root.appending(path: page), encoding: .utf8)
            return text.matches(of: /\n```sh\n(curl [\s\S]*?)\n```/).map { String($0.output.1) }.filter { $0.contains(address) }
        }

        @Test(
            "every curl example of the documents works as it is printed", .enabled(if: isPossible, "curl or bash is not installed"))
        func curl() async throws {
            let shell = try #require(Foreign.shell)
            try await UpCluster.run { cluster in
                var (said, blocks) = ("", 0)
                for page in ["Docs/OPERATIONS.md", "Docs/METRICS.md"] {
                    let examples = try Self.blocks(of: page)
                    #expect(!examples.isEmpty, "\(page) has no example")
                    for example in examples {
                        let text = "set -euo pipefail\n" + example.replacing(Self.address, with: cluster.address)
                        let answer = try await shell.run(["-c", text], in: cluster.folder)
                        #expect(answer.code == 0, "\(example)\n\(answer.out)\n\(answer.err)")
                        said += answer.out
                        blocks += 1
                    }
                }
                // What the examples are for is in the answers.
                for part in [#""uptime_seconds""#, #""type":"succeeded""#, #""state":"succeeded""#, "ringmaster_workers{"] {
                    #expect(said.contains(part), "\(part) is in none of the answers of \(blocks) examples:\n\(said)")
                }
            }
        }
    }
}

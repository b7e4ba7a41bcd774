// /ui in a real browser: what the page draws of a running cluster, that nothing that comes from outside becomes markup, and a picture.

import Foundation
import Testing

extension EndToEnd {
    @Suite("Interface", .serialized, .timeLimit(.minutes(3)))
    struct InterfaceTests {
        private static let missing: Comment = "chromium is not installed: apt-get install chromium"

        /// The page as a browser has drawn it, and what it complained about.
        private static func load(_ cluster: UpCluster, _ more: [String] = ["--dump-dom"]) async throws -> (
            page: String, complaints: [Substring]
        ) {
            let chromium = try #require(Foreign.chromium)
            // The sandbox needs rights that containers do not give; the page is our own.
            let arguments = [
                "--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--enable-logging=stderr",
                "--user-data-dir=\(cluster.folder)/browser-\(UUID().uuidString)", "--virtual-time-budget=4000",
            ]
            let answer = try await chromium.run(arguments + more + [cluster.address + "/ui"], in: cluster.folder)
            #expect(answer.code == 0, "\(answer.err)")
            // What a script throws, and what the page's policy refuses, goes to the console.
            return (answer.out, answer.err.split(separator: "\n").filter { $0.contains("CONSOLE") || $0.contains("Refused to") })
        }

        /// Loads the page until `condition` holds, at most ten times.
        private static func load(_ cluster: UpCluster, until condition: (String) -> Bool) async throws -> String {
            var page = ""
            for _ in 0..<10 where !condition(page) { page = try await load(cluster).page }
            return page
        }

        private static func submit(_ cluster: UpCluster, _ spec: String) async throws {
            let curl = try #require(Foreign.curl)
            let body = #"{"spec":{"kind":"attend","attend":\#(spec)},"workers":2,"retries":0}"#
            let answer = try await curl.run(
                ["-sS", "--fail-with-body", "-H", "Content-Type: application/json", "-d", body, cluster.address + "/v1/jobs"],
                in: cluster.folder)
            #expect(answer.code == 0, "\(answer.out) \(answer.err)")
        }

        private static func shape(tokens: Int) -> String {
            #"{"tokens":\#(tokens),"heads":8,"kv_heads":8,"head_dim":128,"value_dim":128,"element":"f32"}"#
        }

        @Test("an idle cluster: its workers, no job, no complaint of the browser", .enabled(if: Foreign.chromium != nil, missing))
        func idle() async throws {
            try await UpCluster.run { cluster in
                let (page, complaints) = try await Self.load(cluster)
                #expect(complaints.isEmpty, "\(complaints)")
                for part in [
                    #"class="link live""#, #"<span class="name" title="worker-0">worker-0</span>"#, "worker-1", #"<b id="t-workers">2</b>"#,
                    "2 idle", "0 of 256 places taken",
                ] { #expect(page.contains(part), "\(part) is not in\n\(page)") }
                #expect(page.contains(/<section class="card ring"[^>]*>(?:(?!<\/section>)[\s\S])*<svg id="ring"[^>]* hidden=""/))
                #expect(page.contains(/<p id="jobs-none" class="empty">/) && page.contains(/<p id="workers-none" class="empty" hidden="">/))
            }
        }

        @Test(
            "a running job: its ring with a rank a worker and the hop, its progress, and a picture of it",
            .enabled(if: Foreign.chromium != nil && Foreign.curl != nil, missing))
        func running() async throws {
            try await UpCluster.run { cluster in
                // Work for minutes; the cluster's end is its end.
                let spec = #"{"input":{"kind":"seeded","seed":1},"shape":\#(Self.shape(tokens: 131_072)),"causal":true,"kv_element":"f32"}"#
                try await Self.submit(cluster, spec)
                let page = try await Self.load(cluster) { $0.contains(/hop \d of 2/) }
                #expect(page.matches(of: /<g class="place">/).count == 2)
                #expect(page.matches(of: /<path class="hop now"/).count == 2)
                #expect(page.contains(/<text class="big halo"[^>]*>attend<\/text>/) && page.contains(/>has shard [01]</))
                #expect(page.contains(#"<option data-key="1" value="1">#1 attend, 131,072 tokens</option>"#))
                #expect(page.contains(#"<span class="pill running">running</span>"#) && page.contains("job 1, rank 0"))
                #expect(page.contains(/<meter-bar><i style="width: [0-9.]+%;"><\/i><\/meter-bar>/))
                // A second one waits, since both workers are taken.
                try await Self.submit(cluster, spec)
                #expect(try await Self.load(cluster).page.contains(/<ol id="queue"[^>]*><li data-key="2"/))
                for (size, name) in [("1280,1000", "wide"), ("500,1600", "narrow")] {
                    let file = "\(cluster.folder)/\(name).png"
                    _ = try await Self.load(cluster, ["--window-size=\(size)", "--screenshot=\(file)"])
                    let picture = try #require(FileManager.default.contents(atPath: file))
                    #expect(picture.starts(with: [0x89, 0x50, 0x4E, 0x47]) && picture.count > 20_000, "\(name): \(picture.count) bytes")
                    try Self.keep(file, as: "interface-\(name).png")
                }
            }
        }

        @Test(
            "a worker and a job that call themselves markup are shown as the text that they are",
            .enabled(if: Foreign.chromium != nil && Foreign.curl != nil, missing))
        func hostile() async throws {
            try await UpCluster.run { cluster in
                let markup = "<img src=x onerror=document.title='owned'>"
                let worker = try Running(["worker", "--coordinator", cluster.address, "--name", markup])
                defer { worker.signal(SIGKILL) }
                let input = #"{"kind":"file","path":"\#(markup).safetensors"}"#
                try await Self.submit(cluster, #"{"input":\#(input),"shape":\#(Self.shape(tokens: 64)),"causal":true,"kv_element":"f32"}"#)
                let page = try await Self.load(cluster) {
                    $0.contains(#"<span class="pill failed">"#) && $0.contains("<b id=\"t-workers\">3")
                }
                #expect(
                    page.contains(#"">&lt;img src=x onerror=document.title='owned'&gt;</span>"#), "the worker's name is not in\n\(page)")
                #expect(page.matches(of: /&lt;img src=x onerror=/).count > 1, "the job's sentence is not in\n\(page)")
                // In an attribute the sign stands for itself.
                #expect(!page.replacing(#"title="<img"#, with: "").contains("<img"))
                #expect(page.contains("<title>Ringmaster</title>"))
            }
        }

        /// Leaves a picture where `RINGMASTER_PICTURES` says, so that somebody can look at it.
        private static func keep(_ file: String, as name: String) throws {
            guard let folder = ProcessInfo.processInfo.environment["RINGMASTER_PICTURES"], !folder.isEmpty else { return }
            let target = folder + "/" + name
            try? FileManager.default.removeItem(atPath: target)
            try FileManager.default.copyItem(atPath: file, toPath: target)
        }
    }
}

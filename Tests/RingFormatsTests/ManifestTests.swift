// cluster-configs, a file for each way to launch: configurations that decode, and Kubernetes manifests whose parts fit each other. What
// Kubernetes itself would say of each object its schemas say, in Scripts/check-kubernetes.

import Foundation
import RingFormats
import Testing
import Yams

/// A file of the repository.
private func repositoryText(_ path: String) throws -> String {
    let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
    return try String(contentsOf: root.appending(path: path), encoding: .utf8)
}

/// The objects of cluster-configs/kubernetes.
private struct Manifests {
    static let folder = "cluster-configs/kubernetes/"
    let kustomization: Node
    let objects: [Node]

    init() throws {
        kustomization = try #require(try Yams.compose(yaml: try repositoryText(Self.folder + "kustomization.yaml")))
        let files = kustomization.list("resources").compactMap(\.string)
        #expect(files.count >= 3)
        objects = try files.flatMap { try Array(Yams.compose_all(yaml: try repositoryText(Self.folder + $0))) }
    }

    func all(_ kind: String) -> [Node] { objects.filter { $0["kind"]?.string == kind } }

    func one(_ kind: String, _ name: String) throws -> Node { try #require(all(kind).first { $0.name == name }, "\(kind) \(name)") }

    /// Sets whose pods a selector selects.
    func sets(selectedBy selector: Node?) -> [Node] {
        let wanted = Self.labels(selector)
        return all("StatefulSet").filter { set in
            let labels = Self.labels(set.template?["metadata"]?["labels"])
            return !wanted.isEmpty && wanted.allSatisfy { labels[$0.key] == $0.value }
        }
    }

    static func labels(_ node: Node?) -> [String: String] {
        var found: [String: String] = [:]
        for (key, value) in node?.mapping ?? [:] { found[key.string ?? ""] = value.string }
        return found
    }
}

extension Node {
    fileprivate var name: String { self["metadata"]?["name"]?.string ?? self["name"]?.string ?? "" }
    fileprivate var template: Node? { self["spec"]?["template"] }
    fileprivate var pod: Node { self["spec"]?["template"]?["spec"] ?? "" }
    fileprivate var containers: [Node] { pod.list("containers") }
    fileprivate var allContainers: [Node] { containers + pod.list("initContainers") }
    /// The elements under a path of keys; none if it leads nowhere.
    fileprivate func list(_ path: String...) -> [Node] {
        var node: Node? = self
        for key in path { node = node?[key] }
        return node?.array() ?? []
    }
    fileprivate var words: [String] { list("args").compactMap(\.string) }
    /// Container ports by name.
    fileprivate var ports: [String: Int] {
        let pairs = containers.flatMap { $0.list("ports") }.map { ($0.name, $0["containerPort"]?.int ?? 0) }
        return Dictionary(pairs) { first, _ in first }
    }
    /// The value of an option among a container's arguments, `--name=value` or two words.
    fileprivate func option(_ name: String) -> String? {
        if let joined = words.first(where: { $0.hasPrefix(name + "=") }) { return String(joined.dropFirst(name.count + 1)) }
        return words.firstIndex(of: name).flatMap { $0 + 1 < words.count ? words[$0 + 1] : nil }
    }
    fileprivate func variable(_ name: String) -> String? {
        list("env").first { $0.name == name }?["value"]?.string
    }
}

@Suite("Configurations of launchers")
struct ManifestTests {
    @Test(
        "every way to launch has a configuration that decodes",
        arguments: ["loopback.yaml", "ssh.yaml", "slurm.yaml", "systemd/coordinator.yaml", "kubernetes/config.yaml"])
    func configurations(file: String) throws {
        let config = try ClusterConfig(parsing: try repositoryText("cluster-configs/" + file), file: file)
        #expect(config.log.format != nil && config.log.level == "info")
        // Two jobs share a node: a fixed port would keep the second from starting.
        #expect(file != "slurm.yaml" || config.coordinator.listen.port == 0)
        // The launchers read the coordinator's address in a line of text.
        #expect(!["ssh.yaml", "slurm.yaml", "loopback.yaml"].contains(file) || config.log.format == "text")
    }

    @Test("every selector selects the pods of one set")
    func selectors() throws {
        let manifests = try Manifests()
        for set in manifests.all("StatefulSet") {
            #expect(manifests.sets(selectedBy: set["spec"]?["selector"]?["matchLabels"]).map(\.name) == [set.name])
            let spread = set.pod.list("topologySpreadConstraints").first?["labelSelector"]?["matchLabels"]
            #expect(spread == nil || manifests.sets(selectedBy: spread).map(\.name) == [set.name])
        }
        for service in manifests.all("Service") {
            #expect(manifests.sets(selectedBy: service["spec"]?["selector"]).count == 1, "\(service.name)")
        }
        #expect(manifests.all("PodDisruptionBudget").count == 2 && manifests.all("NetworkPolicy").count == 2)
        for budget in manifests.all("PodDisruptionBudget") {
            #expect(manifests.sets(selectedBy: budget["spec"]?["selector"]?["matchLabels"]).map(\.name) == [budget.name])
        }
        for policy in manifests.all("NetworkPolicy") {
            #expect(manifests.sets(selectedBy: policy["spec"]?["podSelector"]?["matchLabels"]).map(\.name) == [policy.name])
        }
    }

    @Test("Services, probes and policies name ports that their containers have")
    func ports() throws {
        let manifests = try Manifests()
        for service in manifests.all("Service") {
            let sets = manifests.sets(selectedBy: service["spec"]?["selector"])
            let set = try #require(sets.first)
            for port in service.list("spec", "ports") {
                let target = try #require(port["targetPort"]?.string)
                // Without an address of its own a Service translates nothing.
                #expect(set.ports[target] == port["port"]?.int, "\(service.name)")
            }
        }
        for policy in manifests.all("NetworkPolicy") {
            let sets = manifests.sets(selectedBy: policy["spec"]?["podSelector"]?["matchLabels"])
            let set = try #require(sets.first)
            let ports = policy.list("spec", "ingress").flatMap { $0.list("ports") }
            #expect(!ports.isEmpty && ports.allSatisfy { set.ports[$0["port"]?.string ?? ""] != nil }, "\(policy.name)")
        }
        let coordinator = try manifests.one("StatefulSet", "ringmaster-coordinator")
        let container = try #require(coordinator.containers.first)
        for (probe, path) in [("startupProbe", "/healthz"), ("livenessProbe", "/healthz"), ("readinessProbe", "/readyz")] {
            let request = try #require(container[probe]?["httpGet"])
            #expect(
                request["path"]?.string == path && request["scheme"]?.string == "HTTPS"
                    && coordinator.ports[request["port"]?.string ?? ""] != nil)
        }
        let config = try ClusterConfig(parsing: try repositoryText(Manifests.folder + "config.yaml"), file: "config.yaml")
        #expect(coordinator.ports["https"] == config.coordinator.listen.port)
    }

    @Test("what is mounted exists, what is configured lies in a volume, and every word of the command line is one of ours")
    func references() throws {
        let manifests = try Manifests()
        let generated = manifests.kustomization.list("configMapGenerator")
        for file in generated.flatMap({ $0.list("files").compactMap(\.string) }) {
            #expect(try !repositoryText(Manifests.folder + file).isEmpty)
        }
        let page = try repositoryText("Docs/CLI.md")
        for set in manifests.all("StatefulSet") {
            let own = set.pod.list("volumes")
            for map in own.compactMap({ $0["configMap"] }) { #expect(generated.contains { $0.name == map.name }, "\(map.name)") }
            let volumes = Set((own + set.list("spec", "volumeClaimTemplates")).map(\.name))
            for container in set.allContainers {
                let mounts = container.list("volumeMounts")
                #expect(mounts.allSatisfy { volumes.contains($0.name) }, "\(container.name)")
                for path in [container.option("--state"), container.variable("RINGMASTER_STATE")].compactMap(\.self) {
                    #expect(mounts.contains { path.hasPrefix(($0["mountPath"]?.string ?? "/") + "/") }, "\(path) is in no volume")
                }
                for word in container.words where word.hasPrefix("--") {
                    #expect(page.contains("`" + (word.split(separator: "=").first ?? "")), "\(word) is not in Docs/CLI.md")
                }
                #expect(container["image"]?.string == manifests.kustomization.list("images").first?.name)
            }
            let service = try manifests.one("Service", try #require(set["spec"]?["serviceName"]?.string))
            #expect(service["spec"]?["clusterIP"]?.string == "None")
            let grace = try #require(set.containers.first?.option("--grace").flatMap { Int($0) })
            #expect((set.pod["terminationGracePeriodSeconds"]?.int ?? 0) > grace)
        }
    }

    @Test("workers reach a name that is in the coordinator's certificate, with the Secret that the documents make")
    func joining() throws {
        let manifests = try Manifests()
        let worker = try #require(try manifests.one("StatefulSet", "ringmaster-worker").containers.first)
        let url = try #require(worker.option("--coordinator").flatMap { URLComponents(string: $0) })
        let service = try manifests.one("Service", try #require(url.host))
        #expect(service.list("spec", "ports").first?["port"]?.int == url.port && service["spec"]?["publishNotReadyAddresses"]?.bool == true)
        let coordinator = try manifests.one("StatefulSet", "ringmaster-coordinator")
        let initial = try #require(coordinator.pod.list("initContainers").first)
        #expect(initial.words.first?.split(whereSeparator: \.isWhitespace).contains(Substring(url.host ?? "")) == true)
        let config = try ClusterConfig(parsing: try repositoryText(Manifests.folder + "config.yaml"), file: "config.yaml")
        #expect(initial.variable("RINGMASTER_STATE") == config.coordinator.state)
        #expect(coordinator.containers.first?.variable("RINGMASTER_STATE") == config.coordinator.state)
        #expect(worker.option("--data-listen").flatMap { $0.split(separator: ":").last } == "7500")
        #expect(try manifests.one("StatefulSet", "ringmaster-worker").ports["data"] == 7500)
        let page = try repositoryText("Docs/OPERATIONS.md")
        for word in ["ringmaster-join", "authority-fingerprint", "ringmaster-models", "ringmaster-data", "ringmaster-worker-0"] {
            #expect(page.contains(word), "Docs/OPERATIONS.md does not say where \(word) comes from")
        }
    }

    @Test("no container is root, can become it, or writes to its own root; each says what it needs")
    func confinement() throws {
        for set in try Manifests().all("StatefulSet") {
            #expect(set.pod["automountServiceAccountToken"]?.bool == false && set.pod["securityContext"]?["runAsNonRoot"]?.bool == true)
            // Otherwise files are opened to the group, and the coordinator refuses keys that others may read.
            #expect(set.pod["securityContext"]?["fsGroupChangePolicy"]?.string == "OnRootMismatch")
            #expect(set.allContainers.count >= 1)
            for container in set.allContainers {
                let context = container["securityContext"]
                #expect(context?["allowPrivilegeEscalation"]?.bool == false && context?["readOnlyRootFilesystem"]?.bool == true)
                #expect(context?.list("capabilities", "drop").compactMap(\.string) == ["ALL"])
                #expect(container["resources"]?["requests"]?["memory"] != nil && container["resources"]?["limits"]?["memory"] != nil)
            }
        }
    }
}

// /v1/cluster and draining: the cluster as a whole.

import Hummingbird
import RingControl

extension CoordinatorServer {
    func addClusterRoutes(to routes: RouterGroup<Context>) {
        routes.get("cluster") { _, _ in try Response.json(await shell.clusterView()) }
        routes.post("drain") { _, context in
            try context.require(.admin)
            try audit?.record(.drainCoordinator, by: context.principal.name, target: "cluster")
            await shell.drain()
            return try Response.json(await shell.clusterView(), status: .accepted)
        }
        routes.post("workers/:name/drain") { _, context in
            try context.require(.admin)
            guard let name = context.parameters.get("name") else { throw APIError(.badRequest, "the path needs a worker's name") }
            try audit?.record(.drainWorker, by: context.principal.name, target: name)
            try await shell.drainWorker(name)
            return Response(status: .accepted)
        }
    }
}

// /ui: the page, with the headers that keep it from doing anything else.

import HTTPTypes
import Hummingbird

extension CoordinatorServer {
    /// Adds `/ui`. The page holds no state of the cluster; what it shows it asks for like anybody else.
    func addInterfaceRoute(to routes: some RouterMethods<Context>) {
        routes.get("ui") { _, _ in
            var response = Response(
                status: .ok, headers: [.contentType: "text/html; charset=utf-8", .cacheControl: "no-cache"],
                body: ResponseBody(byteBuffer: ByteBuffer(string: InterfacePage.text)))
            response.headers[.contentSecurityPolicy] = InterfacePage.policy
            response.headers[.xContentTypeOptions] = "nosniff"
            if let referrer = HTTPField.Name("Referrer-Policy") { response.headers[referrer] = "no-referrer" }
            return response
        }
    }
}

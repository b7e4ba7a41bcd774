// `ringmaster top`: a cluster at work, redrawn each second. Without a terminal it is one plain page.

import ArgumentParser
import Foundation
import RingClient
import RingControl

struct TopCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "top",
        abstract: "Watch a cluster at work.",
        discussion: "Redrawn each second; q or Ctrl-C ends it. When stdout is no terminal it prints one plain page and ends.")

    @OptionGroup(title: "Connection") var connection: ConnectionOptions

    func run() async throws {
        try await connection.use { client in
            guard LiveTerminal.isAvailable else {
                return Console.out(TopPage(try await Snapshot(of: client), since: nil).text(width: 200))
            }
            try await watch(client)
        }
    }

    private func watch(_ client: ClusterClient) async throws {
        // Fails with a sentence on the ordinary screen if there is nothing to watch.
        var current = try await Snapshot(of: client)
        let terminal = LiveTerminal()
        defer { terminal.close() }
        var before: Snapshot?
        var trouble: String?
        while !Task.isCancelled {
            let size = terminal.size
            terminal.draw(TopPage(current, since: before).lines(width: size.columns, height: size.rows, trouble: trouble))
            if await terminal.quits(within: .seconds(1)) { return }
            do {
                let next = try await Snapshot(of: client)
                (before, current, trouble) = (current, next, nil)
            } catch {
                // A coordinator that restarts is waited for; what was last known stays on the screen, marked as old.
                guard error is ClientError, error as? ClientError != .cancelled else { throw error }
                trouble = "\(error)"
            }
        }
    }
}

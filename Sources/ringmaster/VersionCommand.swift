// `ringmaster version`.

import ArgumentParser
import RingControl
import RingFormats

struct VersionCommand: ParsableCommand {
    static let configuration = CommandConfiguration(commandName: "version", abstract: "Print the version.")

    @Flag(help: "Print it as JSON.")
    var json = false

    func run() {
        let object: JSONValue = ["version": .string(RingmasterVersion.text)]
        Console.out(json ? object.text(pretty: true) : "ringmaster \(RingmasterVersion.text)\n")
    }
}

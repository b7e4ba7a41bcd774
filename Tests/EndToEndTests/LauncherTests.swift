// The launchers of Scripts, run as a person would: everything they start has joined or is named, and nothing is left behind. Over ssh once
// with a stand-in that runs its command here, so that a host can be made to fail, and once through a real server.

import Foundation
import Testing

/// A folder for a launcher, and how to run scripts in it.
private struct Launchers {
    static let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
        .path(percentEncoded: false)
    let folder: String

    /// Runs a text of bash with SCRIPTS, FOLDER and RINGMASTER set, in a home of its own.
    func bash(_ text: String, seconds: Double = 90) async throws -> (code: Int32, out: String, err: String) {
        let shell = try #require(Foreign.shell)
        let settings = """
            set -euo pipefail
            export SCRIPTS='\(Self.root)/Scripts' FOLDER='\(folder)' RINGMASTER='\(Binary.path)' HOME='\(folder)/home'
            unset XDG_STATE_HOME RINGMASTER_COORDINATOR; mkdir -p "$HOME"; cd "$FOLDER"

            """
        return try await shell.run(["-c", settings + text], in: folder, seconds: seconds)
    }

    /// A stand-in for ssh: it runs the command here, in a home for each host. The host `down` does not answer, and on `deaf` another
    /// program than a worker starts.
    static let standIn = """
        cat >"$FOLDER/ssh" <<'END'
        #!/usr/bin/env bash
        set -euo pipefail
        while [[ $1 == -o ]]; do shift 2; done
        host=${1#*@}
        [[ $host != down ]] || { echo "ssh: connect to host down port 22: No route to host" >&2; exit 255; }
        export HOME=$FOLDER/host-$host SSH_CONNECTION="127.0.0.1 50000 127.0.0.1 22" PATH=$FOLDER/bin:$PATH
        [[ $host != deaf ]] || PATH=$FOLDER/deaf:$PATH
        mkdir -p "$HOME"
        exec sh -c "$2"
        END
        mkdir -p "$FOLDER/bin" "$FOLDER/deaf"
        ln -s "$RINGMASTER" "$FOLDER/bin/ringmaster"
        printf '#!/bin/sh\\n[ "$1" != worker ] || { echo "this is no worker"; exec sleep 60; }\\n' >"$FOLDER/deaf/ringmaster"
        chmod +x "$FOLDER/ssh" "$FOLDER/deaf/ringmaster"
        export RINGMASTER_SSH=$FOLDER/ssh
        launch() { "$SCRIPTS/launch-ssh" --listen 127.0.0.1:0 --state "$FOLDER/state dir" --grace 5 "$@"; }

        """
}

extension EndToEnd {
    @Suite("Launchers", .enabled(if: Foreign.shell != nil, "bash is not installed"), .timeLimit(.minutes(4)))
    struct LauncherTests {
        private func withLaunchers(_ body: (Launchers) async throws -> Void) async throws {
            try await withFolder { folder in
                try await body(Launchers(folder: folder))
                #expect(processes(mentioning: folder) == [])
            }
        }

        @Test("launch-local starts a cluster, tells of one that died, and stops it")
        func local() async throws {
            try await withLaunchers { launchers in
                let outcome = try await launchers.bash(
                    """
                    launch() { "$SCRIPTS/launch-local" --listen 127.0.0.1:0 --grace 5 "$@"; }
                    launch --workers 3 >environment
                    source environment
                    "$RINGMASTER" submit attend --tokens 1k --heads 2 --head-dim 32 --workers 3 --threads 1 --verify-rows 2 --follow --json
                    launch status
                    launch && exit 90
                    read -r pid _ <"$HOME/.local/state/ringmaster-local/run/worker-1.pid"
                    kill -s KILL "$pid"
                    launch status && exit 91
                    launch stop
                    launch status && exit 92
                    state=$HOME/.local/state/ringmaster-local
                    rm -rf "$state"
                    "$SCRIPTS/launch-local" --listen 127.0.0.1:0 --grace 5 --foreground &
                    launcher=$!
                    until grep -qs worker-1 "$state/run/coordinator.log"; do sleep 0.1; done
                    kill -s TERM "$launcher"
                    wait "$launcher" || echo "foreground ended with $?"
                    """)
                #expect(outcome.code == 0, "\(outcome)")
                #expect(outcome.out.contains(#""workers": 3"#) && outcome.out.contains("3 workers: 3 idle"), "\(outcome)")
                #expect(outcome.err.contains("is running: Scripts/launch-local stop") && outcome.err.contains("worker-1 of"), "\(outcome)")
                #expect(outcome.err.contains("nothing runs in") && outcome.out.contains("foreground ended with 143"), "\(outcome)")
            }
        }

        @Test("launch-local leaves nothing behind when it cannot start, and refuses what cannot be meant")
        func localFailure() async throws {
            try await withLaunchers { launchers in
                let outcome = try await launchers.bash(
                    """
                    "$SCRIPTS/launch-local" --listen 203.0.113.9:1 && exit 90
                    "$SCRIPTS/launch-local" --workers 0 && exit 91
                    "$SCRIPTS/launch-local" --wrokers 2 && exit 92
                    "$SCRIPTS/launch-local" --help
                    """)
                #expect(outcome.code == 0 && outcome.out.contains("--foreground"), "\(outcome)")
                #expect(
                    outcome.err.contains("the coordinator did not start") && outcome.err.contains("--workers is 1 to 999, not 0"),
                    "\(outcome)")
                #expect(outcome.err.contains("--wrokers is not known"), "\(outcome)")
            }
        }

        @Test("launch-ssh proves that every host has joined, gives the shell its cluster, and stops every worker")
        func ssh() async throws {
            try await withLaunchers { launchers in
                let outcome = try await launchers.bash(
                    Launchers.standIn + """
                        printf 'anna@n1 slots=4\\n# not this one\\n\\nn2\\n' >hosts
                        launch --hosts-file hosts --data "$FOLDER" >environment
                        source environment
                        "$RINGMASTER" submit attend --tokens 1k --heads 2 --head-dim 32 --workers 2 --threads 1 --verify-rows 2 --follow --json
                        find . -name '*token' -type f
                        stat -c %a "$RINGMASTER_KEY_FILE"
                        launch status
                        launch --hosts n1 && exit 90
                        launch stop
                        find host-* "state dir/run" -type f
                        """)
                #expect(outcome.code == 0 && outcome.out.contains(#""workers": 2"#), "\(outcome)")
                #expect(outcome.out.contains("\n600\n") && outcome.out.contains("2 workers: 2 idle"), "\(outcome)")
                let files = outcome.out.split(separator: "\n").filter {
                    $0.hasPrefix("./") || $0.hasPrefix("host-") || $0.hasPrefix("state dir/")
                }
                #expect(
                    !files.isEmpty && !files.contains { $0.hasSuffix("token") || $0.contains("/identity") }, "a token is left: \(files)")
                #expect(outcome.err.contains("a cluster runs in"), "\(outcome.err)")
            }
        }

        @Test("launch-ssh names hosts that do not answer or do not join, ends with 75, and stops the others")
        func sshMissing() async throws {
            try await withLaunchers { launchers in
                let outcome = try await launchers.bash(
                    Launchers.standIn + """
                        code=0; launch --hosts n1,down || code=$?; echo "unreachable: $code"
                        code=0; launch --hosts n1,deaf,n2 --within 3s || code=$?; echo "deaf: $code"
                        code=0; launch --hosts 'n1,$(touch x)' || code=$?; echo "hostile: $code"
                        code=0; launch --hosts n1,-oProxyCommand=x || code=$?; echo "option: $code"
                        code=0; launch --hosts n1,b@n1 || code=$?; echo "twice: $code"
                        [[ ! -e x ]]
                        """)
                #expect(outcome.code == 0, "\(outcome)")
                let codes = ["unreachable: 75", "deaf: 75", "hostile: 2", "option: 2", "twice: 2"]
                #expect(codes.allSatisfy(outcome.out.contains), "\(outcome)")
                #expect(outcome.err.contains("ssh does not lead to a ringmaster on: down\n"), "\(outcome.err)")
                #expect(outcome.err.contains("1 of 3 workers have not joined within 3s: deaf\n"), "\(outcome.err)")
                #expect(outcome.err.contains("deaf: this is no worker"), "\(outcome.err)")
            }
        }

        private static let hasServer = ["/usr/sbin/sshd", "/usr/bin/ssh", "/usr/bin/ssh-keygen"].allSatisfy(
            FileManager.default.isExecutableFile)

        @Test(
            "launch-ssh goes through a real ssh server", .enabled(if: hasServer, "sshd is not installed: apt-get install openssh-server"))
        func realSSH() async throws {
            try await withLaunchers { launchers in
                let outcome = try await launchers.bash(
                    """
                    ssh-keygen -q -t ed25519 -N '' -f key
                    ssh-keygen -q -t ed25519 -N '' -f host
                    port=0
                    while ((port == 0)); do
                      port=$((20000 + RANDOM % 12000))
                      ! (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null || port=0
                    done
                    cat >sshd.conf <<END
                    Port $port
                    ListenAddress 127.0.0.1
                    HostKey $FOLDER/host
                    PidFile $FOLDER/sshd.pid
                    AuthorizedKeysFile $FOLDER/key.pub
                    StrictModes no
                    UsePAM no
                    SetEnv HOME=$HOME
                    END
                    cat >ssh.conf <<END
                    Host n1 n2 n3
                    HostName 127.0.0.1
                    Port $port
                    IdentityFile $FOLDER/key
                    UserKnownHostsFile $FOLDER/known
                    StrictHostKeyChecking accept-new
                    LogLevel ERROR
                    END
                    # A server that root starts wants this folder; a service manager makes it otherwise.
                    if [[ $(id -u) == 0 && ! -e /run/sshd ]]; then mkdir /run/sshd; trap 'rmdir /run/sshd' EXIT; fi
                    /usr/sbin/sshd -f sshd.conf -E sshd.log
                    export RINGMASTER_SSH="ssh -F $FOLDER/ssh.conf"
                    launch() { "$SCRIPTS/launch-ssh" --listen 127.0.0.1:0 --binary "$RINGMASTER" --state "$FOLDER/state" --grace 5 "$@"; }
                    code=0
                    launch --hosts n1,n2,n3 --data "$FOLDER" >environment || code=$?
                    if [[ $code == 0 ]]; then
                      source environment
                      "$RINGMASTER" submit attend --tokens 1k --heads 2 --head-dim 32 --workers 3 --threads 1 --verify-rows 2 --follow --json
                      launch stop
                    fi
                    kill "$(<sshd.pid)"
                    while [[ -e sshd.pid ]]; do sleep 0.1; done
                    exit "$code"
                    """)
                #expect(outcome.code == 0 && outcome.out.contains(#""workers": 3"#), "\(outcome)")
            }
        }

        private static let hasSlurm = ["munged", "slurmctld", "slurmd", "sbatch"].allSatisfy { name in
            ["/usr/sbin/", "/usr/bin/"].contains { FileManager.default.isExecutableFile(atPath: $0 + name) }
        }

        @Test(
            "launch-slurm in a real Slurm of three nodes: it runs, names who is missing, and is queued again in time",
            .enabled(if: hasSlurm && geteuid() == 0, "as root with Slurm: apt-get install slurmctld slurmd slurm-client munge"))
        func slurm() async throws {
            try await withLaunchers { launchers in
                let outcome = try await launchers.bash("TMPDIR=$FOLDER RINGMASTER_BINARY=$RINGMASTER \"$SCRIPTS/test-slurm\"", seconds: 230)
                #expect(outcome.code == 0, "\(outcome)")
                #expect(outcome.out.split(separator: "\n").count { $0.hasPrefix("ok: ") } == 5, "\(outcome)")
                #expect(
                    try FileManager.default.contentsOfDirectory(atPath: launchers.folder).filter { $0.hasPrefix("ringmaster-slurm") } == [])
            }
        }

        private static let hasValidator = FileManager.default.isExecutableFile(
            atPath: Launchers.root + "/.build/kubernetes/bin/kubernetes-validate")

        @Test(
            "Kubernetes' own schemas take the manifests, and its tool puts them together",
            .enabled(if: hasValidator, "kubernetes-validate is not installed: Scripts/check-kubernetes --install"))
        func kubernetes() async throws {
            try await withLaunchers { launchers in
                let outcome = try await launchers.bash("\"$SCRIPTS/check-kubernetes\"")
                #expect(outcome.code == 0 && outcome.out.contains("statefulset/ringmaster-worker"), "\(outcome)")
                let wrong = try await launchers.bash(
                    """
                    mkdir -p .build/kubernetes Scripts cluster-configs
                    ln -s "$SCRIPTS/../.build/kubernetes/bin" .build/kubernetes/bin
                    cp "$SCRIPTS/check-kubernetes" Scripts; cp -r "$SCRIPTS/../cluster-configs/kubernetes" cluster-configs
                    sed -i 's/serviceName:/servicename:/' cluster-configs/kubernetes/workers.yaml
                    Scripts/check-kubernetes
                    """)
                #expect(wrong.code != 0, "\(wrong)")
            }
        }
    }
}

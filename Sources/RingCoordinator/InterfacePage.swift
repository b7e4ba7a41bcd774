// The page of /ui: one file without a build step and without a single byte from elsewhere. It holds no state of the cluster; what it
// shows it asks for with the key of its reader.

import Crypto
import Foundation

/// The one page of the interface.
enum InterfacePage {
    /// The whole page.
    static let text = """
        <!doctype html>
        <html lang="en">
        <head>
        <meta charset="utf-8">
        <meta name="viewport" content="width=device-width, initial-scale=1">
        <title>Ringmaster</title>
        <link rel="icon" href="data:,">
        <style>\(style)</style>
        </head>
        <body>
        \(body)
        <script>\(script)</script>
        </body>
        </html>

        """

    /// What the browser lets the page do: run this script and this style, and speak to the server it came from.
    static let policy = [
        "default-src 'none'", "script-src \(hash(of: script))", "style-src \(hash(of: style))", "connect-src 'self'", "img-src data:",
        "base-uri 'none'", "form-action 'none'", "frame-ancestors 'none'",
    ].joined(separator: "; ")

    private static func hash(of text: String) -> String {
        "'sha256-" + Data(SHA256.hash(data: Data(text.utf8))).base64EncodedString() + "'"
    }

    private static let body = #"""
        <header>
          <svg class="mark" viewBox="0 0 32 32" aria-hidden="true"><circle cx="16" cy="16" r="11"/><circle class="dot" cx="16" cy="5" r="4"/>
            <circle class="dot" cx="25.5" cy="21.5" r="4"/><circle class="dot" cx="6.5" cy="21.5" r="4"/></svg>
          <h1>Ringmaster</h1>
          <span id="version" class="muted"></span>
          <span id="draining" class="pill suspected" hidden>draining: takes no job</span>
          <span id="link" class="link" role="status">connecting</span>
        </header>
        <form id="ask" class="card" hidden>
          <h2>This coordinator asks for a key</h2>
          <p class="muted">A key with the role <code>read</code> is enough. It stays in this tab and is forgotten with it.</p>
          <p><input id="key" type="password" autocomplete="off" aria-label="Key" placeholder="key"> <button>Show the cluster</button></p>
          <p id="refusal" class="bad" role="alert"></p>
        </form>
        <main id="main" hidden>
          <section class="tiles" aria-label="Figures">
            <div class="card tile"><span class="label">Workers</span><b id="t-workers">0</b><span id="t-workers-more" class="muted"></span></div>
            <div class="card tile"><span class="label">Running jobs</span>
              <b id="t-running">0</b><span id="t-running-more" class="muted"></span></div>
            <div class="card tile"><span class="label">Queue</span><b id="t-queue">0</b><span id="t-queue-more" class="muted"></span>
              <meter-bar id="t-queue-bar"></meter-bar></div>
            <div class="card tile"><span class="label">Tokens per second</span>
              <b id="t-rate">0</b><span id="t-rate-more" class="muted"></span></div>
            <div class="card tile"><span class="label">Settled jobs</span>
              <b id="t-settled">0</b><span id="t-settled-more" class="muted"></span></div>
          </section>
          <section class="card ring" aria-labelledby="h-ring">
            <div class="head"><h2 id="h-ring">Ring</h2><select id="chosen" aria-label="Running job" hidden></select></div>
            <svg id="ring" viewBox="0 0 560 400" role="img" aria-labelledby="h-ring" hidden></svg>
            <p id="ring-none" class="empty">No job is running. Its ring will be drawn here.</p>
            <p id="ring-note" class="muted note" hidden></p>
          </section>
          <section class="card" aria-labelledby="h-workers">
            <div class="head"><h2 id="h-workers">Workers</h2><span id="workers-more" class="muted"></span></div>
            <ul id="workers" class="workers"></ul>
            <p id="workers-none" class="empty">No worker has joined: <code>ringmaster worker --coordinator URL</code></p>
          </section>
          <section class="card wide" aria-labelledby="h-jobs">
            <div class="head"><h2 id="h-jobs">Jobs</h2><span id="jobs-more" class="muted"></span></div>
            <table><thead><tr><th>Job</th><th>State</th><th>Owner</th><th class="number">Tokens</th><th>Workers</th><th>Progress</th>
              <th class="number">Rate</th><th class="number">Time</th></tr></thead><tbody id="jobs"></tbody></table>
            <p id="jobs-none" class="empty">No job yet: <code>ringmaster submit generate --model NAME --prompt TEXT</code></p>
          </section>
          <section class="card wide" aria-labelledby="h-queue">
            <div class="head"><h2 id="h-queue">Queue</h2><span id="queue-more" class="muted"></span></div>
            <ol id="queue" class="queue"></ol>
            <p id="queue-none" class="empty">Nothing waits.</p>
          </section>
        </main>
        <noscript><p class="card">This page draws what <code>/v1/cluster</code> says and needs JavaScript; 
          <code>ringmaster top</code> does not.</p></noscript>
        """#
}

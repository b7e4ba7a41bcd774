// How the page of /ui looks: light and dark by the reader's own setting, two columns on a screen and one on a telephone.

extension InterfacePage {
    /// The style sheet. Its hash is in the page's policy, so a style that is not in here does not apply.
    static let style = #"""
        :root {
          color-scheme: light dark;
          --ground: #f4f6f9; --card: #fff; --ink: #18222e; --muted: #5a6878; --line: #dfe4ea; --track: #e8ecf1;
          --accent: #2463d6; --ok: #14804a; --warn: #96600a; --bad: #c2332d; --wait: #6b4fc0;
        }
        @media (prefers-color-scheme: dark) {
          :root {
            --ground: #0e131a; --card: #161d26; --ink: #e5ebf2; --muted: #93a2b3; --line: #26303c; --track: #232d38;
            --accent: #78a9ff; --ok: #4ec98d; --warn: #e3b558; --bad: #ff8078; --wait: #b29cff;
          }
        }
        * { box-sizing: border-box; }
        [hidden] { display: none !important; }
        body {
          margin: 0 auto; padding: 16px 20px 32px; max-width: 1320px; background: var(--ground); color: var(--ink);
          font: 14px/1.45 system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif; font-variant-numeric: tabular-nums;
        }
        h1 { font-size: 20px; margin: 0; letter-spacing: -.01em; }
        h2 { font-size: 13px; margin: 0; font-weight: 650; }
        code { font: 12.5px ui-monospace, "DejaVu Sans Mono", monospace; background: var(--track); padding: 1px 5px; border-radius: 4px; }
        header { display: flex; flex-wrap: wrap; align-items: center; gap: 6px 12px; margin-bottom: 14px; }
        .mark { width: 28px; height: 28px; fill: none; stroke: var(--accent); stroke-width: 2.4; }
        .mark .dot { fill: var(--accent); stroke: none; }
        .muted { color: var(--muted); } .bad { color: var(--bad); }
        .link { margin-left: auto; display: flex; align-items: center; gap: 7px; color: var(--muted); }
        .link::before { content: ""; width: 9px; height: 9px; border-radius: 50%; background: var(--muted); }
        .link.live::before { background: var(--ok); } .link.lost { color: var(--bad); } .link.lost::before { background: var(--bad); }
        .card { background: var(--card); border: 1px solid var(--line); border-radius: 10px; padding: 14px 16px; min-width: 0; }
        #main { display: grid; grid-template-columns: minmax(0, 1fr) minmax(0, 1fr); gap: 14px; align-items: stretch; }
        .wide { grid-column: 1 / -1; }
        .tiles { grid-column: 1 / -1; display: grid; grid-template-columns: repeat(5, minmax(0, 1fr)); gap: 14px; }
        .tile { display: flex; flex-direction: column; gap: 2px; }
        .tile .label { color: var(--muted); font-size: 12px; } .tile b { font-size: 24px; line-height: 1.2; font-weight: 650; }
        .tile .muted { font-size: 12px; }
        .head { display: flex; align-items: baseline; justify-content: space-between; gap: 12px; margin-bottom: 10px; }
        .head .muted { font-size: 12px; }
        .empty { color: var(--muted); margin: 10px 0; } .ring .empty { text-align: center; padding: 84px 0; }
        .note { margin: 4px 0 0; font-size: 12px; text-align: center; }
        select, input, button {
          font: inherit; color: inherit; background: var(--card); border: 1px solid var(--line); border-radius: 7px; padding: 4px 9px;
          max-width: 100%;
        }
        button { background: var(--accent); border-color: var(--accent); color: var(--card); font-weight: 600; cursor: pointer; }
        #ask { max-width: 520px; }
        meter-bar { display: block; height: 6px; border-radius: 3px; background: var(--track); overflow: hidden; margin-top: 6px; }
        meter-bar > i { display: block; height: 100%; width: 0; background: var(--accent); border-radius: 3px; transition: width .6s linear; }
        .pill { display: inline-block; padding: 1px 9px; border-radius: 999px; font-size: 12px; font-weight: 600; color: var(--muted);
          border: 1px solid currentColor; white-space: nowrap; }
        .pill.running { color: var(--accent); } .pill.admitted { color: var(--wait); } .pill.succeeded, .pill.ok { color: var(--ok); }
        .pill.failed { color: var(--bad); } .pill.suspected, .pill.draining, .pill.slow { color: var(--warn); }
        ul, ol { list-style: none; margin: 0; padding: 0; }
        .workers { max-height: 440px; overflow-y: auto; }
        .workers li { display: grid; grid-template-columns: minmax(0, 1fr) 112px 140px; gap: 2px 12px; align-items: center;
          padding: 8px 0; border-top: 1px solid var(--line); }
        .workers li:first-child, .queue li:first-child { border-top: 0; }
        .workers .pill { justify-self: start; } meter-bar + small { margin-top: 4px; }
        .name { font-weight: 600; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
        .facts { grid-column: 1 / -1; font-size: 12px; color: var(--muted); overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
        .queue li { display: flex; flex-wrap: wrap; gap: 2px 14px; padding: 6px 0; border-top: 1px solid var(--line); }
        .queue .place { color: var(--muted); min-width: 2em; }
        table { border-collapse: collapse; width: 100%; table-layout: fixed; }
        th { text-align: left; font-size: 12px; font-weight: 500; color: var(--muted); padding: 0 10px 6px 0; }
        td { padding: 8px 10px 8px 0; border-top: 1px solid var(--line); vertical-align: top; overflow-wrap: anywhere; }
        th:nth-child(1) { width: 12%; } th:nth-child(2) { width: 10%; } th:nth-child(3) { width: 11%; } th:nth-child(4) { width: 9%; }
        th:nth-child(6) { width: 25%; } th:nth-child(7) { width: 11%; } th:nth-child(8) { width: 9%; }
        .number { text-align: right; } td small { display: block; color: var(--muted); font-size: 12px; } td small.bad { color: var(--bad); }
        th:last-child, td:last-child { padding-right: 0; } th:nth-child(4), td:nth-child(4) { padding-right: 22px; }
        #ring { display: block; width: 100%; max-height: 400px; }
        #ring text { fill: var(--ink); font-size: 13px; text-anchor: middle; } #ring text.start { text-anchor: start; }
        #ring text.end { text-anchor: end; } #ring .small { font-size: 11.5px; fill: var(--muted); }
        #ring .big { font-size: 22px; font-weight: 650; } #ring .rank { font-size: 14px; font-weight: 650; }
        #ring .halo { paint-order: stroke; stroke: var(--card); stroke-width: 8px; stroke-linejoin: round; }
        #ring .hop { fill: none; stroke: var(--line); stroke-width: 2.5; } #ring .hop.now { stroke: var(--accent); stroke-dasharray: 7 7; }
        #ring .head { fill: var(--line); } #ring .head.now { fill: var(--accent); }
        #ring .node { fill: var(--card); stroke: var(--line); stroke-width: 4; } #ring .node.lost { stroke: var(--warn); }
        #ring .done { fill: none; stroke: var(--accent); stroke-width: 4; stroke-linecap: round; }
        @media (prefers-reduced-motion: no-preference) {
          #ring .hop.now { animation: flow 1s linear infinite; } @keyframes flow { to { stroke-dashoffset: -14; } }
        }
        @media (max-width: 900px) {
          body { padding: 12px 12px 24px; } #main { grid-template-columns: minmax(0, 1fr); }
          .tiles { grid-template-columns: repeat(2, minmax(0, 1fr)); gap: 10px; } .tile:last-child { grid-column: 1 / -1; }
          thead { display: none; } tbody, tr, td { display: block; }
          tr { display: grid; grid-template-columns: 1fr 1fr; gap: 4px 14px; padding: 10px 0; border-top: 1px solid var(--line); }
          tr:first-child { border-top: 0; }
          td { border: 0; padding: 0; text-align: left; } td:nth-child(2) { text-align: right; }
          td.number, td:nth-child(4), td:last-child { text-align: right; padding: 0; } td.number:nth-child(7) { text-align: left; }
          #ring text { font-size: 15px; } #ring .small { font-size: 13.5px; } #ring .big { font-size: 22px; }
          td:nth-child(5), td:nth-child(6) { grid-column: 1 / -1; }
          td[data-label]::before { content: attr(data-label) " "; color: var(--muted); font-size: 12px; }
        }
        """#
}

//! The results as a picture: messages a second as a multiple of raw TCP, for some rows of each kind.
//!
//! It is written by hand and small, and its text takes the colour of the page's scheme.

use std::fmt::Write;

use crate::contestants::{CONTESTANTS, Contestant, Role};
use crate::results::Results;
use crate::work::ROWS;

const WIDTH: f64 = 760.0;
/// Where the bars begin, and where the longest ends.
const LEFT: f64 = 270.0;
const RIGHT: f64 = 720.0;
const BAR: f64 = 9.0;

/// The rows that a picture has room for.
const SHOWN: [&str; 9] =
    ["pipeline", "ping1", "ping50", "ping1000", "hello4096", "4k", "16k", "1m-binary", "1m-cjk"];

/// One colour a library, and none for what is not shown; its second row, with batches, is the same at half strength.
const COLOURS: &[(&str, &str)] = &[
    ("barews", "#e4572e"),
    ("event-loop", "#f28e2b"),
    ("frames", "#888888"),
    ("tungstenite", "#4c78a8"),
    ("tokio-tungstenite", "#72b7b2"),
    ("fastwebsockets", "#b279a2"),
    ("tokio-websockets", "#d6a72d"),
    ("actix", "#9c755f"),
    ("uwebsockets-cpp", "#54a24b"),
    ("bun", "#eeca3b"),
    ("node-ws", "#bab0ac"),
];

pub(crate) fn svg(results: &Results) -> String {
    let mut body = String::new();
    let rows = bars(results);
    let longest = rows.iter().flat_map(|row| &row.bars).map(|bar| bar.1).fold(1.0, f64::max);
    let x = |ratio: f64| LEFT + (RIGHT - LEFT) * ratio / longest;
    let one = x(1.0);
    let mut y = 90.0;
    for row in &rows {
        let height = BAR * row.bars.len() as f64;
        let middle = y + height / 2.0 + 4.0;
        let _ = writeln!(
            body,
            r#"<text x="{}" y="{middle:.0}" text-anchor="end">{}</text>"#,
            LEFT - 10.0,
            row.title
        );
        for (server, ratio) in &row.bars {
            let opacity = if server.role == Role::Batching { 0.5 } else { 1.0 };
            let colour = colour(server).unwrap_or_default();
            let _ = writeln!(
                body,
                r#"<rect x="{LEFT}" y="{y:.0}" width="{:.1}" height="{}" fill="{colour}" fill-opacity="{opacity}"><title>{}: {ratio:.2}</title></rect><text class="n" x="{:.1}" y="{:.1}">{ratio:.2}</text>"#,
                (x(*ratio) - LEFT).max(1.0),
                BAR - 1.0,
                server.title,
                beside(x(*ratio), one),
                y + BAR - 2.0,
            );
            y += BAR;
        }
        y += 12.0;
    }
    let end = y - 6.0;
    let _ = writeln!(
        body,
        r#"<path class="l" d="M{one:.1} 82V{end:.0}"/><text class="n" x="{one:.1}" y="78" text-anchor="middle">raw TCP = 1</text>"#
    );
    format!(
        r#"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {:.0}" width="{WIDTH}" role="img" aria-label="Messages a second as a multiple of a raw TCP echo">
<style>text{{font:12px system-ui,sans-serif;fill:#24292f}}.n{{font-size:9px}}.t{{font-weight:600}}.l{{stroke:#6e7781;stroke-dasharray:3 3;fill:none}}@media(prefers-color-scheme:dark){{text{{fill:#e6edf3}}}}</style>
<text class="t" x="10" y="18">Messages a second, as a multiple of a raw TCP echo with a thread a connection</text>
{}{body}</svg>
"#,
        y + 4.0,
        legend(),
    )
}

/// Where the number of a bar begins that ends at `end`: not on the line at `one`.
fn beside(end: f64, one: f64) -> f64 {
    let clear = end + 24.0 < one || end > one;
    if clear { end + 4.0 } else { one + 4.0 }
}

struct Bars {
    title: String,
    bars: Vec<(&'static Contestant, f64)>,
}

fn bars(results: &Results) -> Vec<Bars> {
    let rows = ROWS.iter().filter(|row| SHOWN.contains(&row.name));
    rows.filter_map(|row| {
        let raw = results.median(row.name, "raw")?.rate;
        let ratio = |server: &'static Contestant| {
            Some((server, results.median(row.name, server.name)?.rate / raw))
        };
        let bars = CONTESTANTS.iter().filter(|server| colour(server).is_some());
        let bars = bars.filter_map(ratio).collect();
        Some(Bars { title: row.title.replace("connections", "conn."), bars })
    })
    .collect()
}

fn colour(server: &Contestant) -> Option<&'static str> {
    let name = server.name.trim_end_matches("-batch");
    COLOURS.iter().find(|(library, _)| *library == name).map(|(_, colour)| *colour)
}

fn legend() -> String {
    let mut out = String::new();
    let (mut x, mut y) = (10.0, 32.0);
    for (name, colour) in COLOURS {
        let width = 30.0 + 6.4 * name.len() as f64;
        if x + width > WIDTH {
            (x, y) = (10.0, y + 18.0);
        }
        let _ = write!(
            out,
            r#"<rect x="{x:.1}" y="{y}" width="10" height="10" fill="{colour}"/><text x="{:.1}" y="{}">{name}</text>"#,
            x + 15.0,
            y + 9.0
        );
        x += width;
    }
    let _ = writeln!(out, r#"<text x="{x:.1}" y="{}">(pale: in batches)</text>"#, y + 9.0);
    out
}

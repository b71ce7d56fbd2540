//! The plot: what a request costs by how often its token is used on its connection.

use std::fmt::Write as _;

const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 420.0;
const LEFT: f64 = 70.0;
const RIGHT: f64 = 30.0;
const TOP: f64 = 50.0;
const BOTTOM: f64 = 60.0;

const CURVE: &str = "#1f5fa8";
const LINE: &str = "#b3471d";

/// Maps values to places in the picture. The horizontal axis is logarithmic and begins at 1.
struct Scale {
    most_uses: f64,
    most_cost: f64,
}

impl Scale {
    fn x(&self, uses: f64) -> f64 {
        LEFT + uses.ln() / self.most_uses.ln() * (WIDTH - LEFT - RIGHT)
    }

    fn y(&self, cost: f64) -> f64 {
        HEIGHT - BOTTOM - cost / self.most_cost * (HEIGHT - TOP - BOTTOM)
    }
}

/// Draws the cost by uses, the cost of a proof per request beside it, and where they cross.
#[must_use]
pub fn svg(by_uses: &[(usize, f64)], per_request: f64) -> String {
    let points: Vec<(f64, f64)> = by_uses
        .iter()
        .filter_map(|(uses, cost)| Some((f64::from(u32::try_from(*uses).ok()?), *cost)))
        .collect();
    let costs = points.iter().map(|(_, cost)| *cost);
    let scale = Scale {
        most_uses: points.iter().map(|(uses, _)| *uses).fold(2.0, f64::max),
        most_cost: costs.fold(per_request, f64::max) * 1.1,
    };
    let mut svg = format!(
        r##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" font-size="13">
<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>
<text x="{LEFT}" y="26" font-size="16">What the filter adds to a request, in microseconds of Envoy's worker</text>
"##
    );
    axes(&mut svg, &scale);
    rival(&mut svg, &scale, per_request);
    curve(&mut svg, &scale, &points);
    if let Some(uses) = crossover(&points, per_request) {
        mark(&mut svg, &scale, uses, per_request);
    }
    svg.push_str("</svg>\n");
    svg
}

fn axes(svg: &mut String, scale: &Scale) {
    let (bottom, right) = (HEIGHT - BOTTOM, WIDTH - RIGHT);
    let step = nice_step(scale.most_cost);
    let mut cost = 0.0;
    while cost <= scale.most_cost {
        let y = scale.y(cost);
        push(
            svg,
            &format!(
                r##"<path d="M{LEFT} {y:.1}H{right}" stroke="#dddddd"/><text x="{:.1}" y="{:.1}" text-anchor="end">{cost}</text>"##,
                LEFT - 8.0,
                y + 4.0
            ),
        );
        cost += step;
    }
    for uses in [1.0, 2.0, 5.0, 10.0, 30.0, 100.0, 300.0, 1000.0] {
        if uses <= scale.most_uses {
            push(
                svg,
                &format!(
                    r#"<text x="{:.1}" y="{:.1}" text-anchor="middle">{uses}</text>"#,
                    scale.x(uses),
                    bottom + 20.0
                ),
            );
        }
    }
    push(
        svg,
        &format!(
            r##"<path d="M{LEFT} {TOP}V{bottom}H{right}" fill="none" stroke="#333333"/><text x="{:.1}" y="{:.1}" text-anchor="middle">requests per token and connection</text>"##,
            f64::midpoint(LEFT, right),
            HEIGHT - 16.0
        ),
    );
}

fn rival(svg: &mut String, scale: &Scale, per_request: f64) {
    let (y, right) = (scale.y(per_request), WIDTH - RIGHT);
    push(
        svg,
        &format!(
            r#"<path d="M{LEFT} {y:.1}H{right}" stroke="{LINE}" stroke-width="2" stroke-dasharray="7 5"/><text x="{right}" y="{:.1}" text-anchor="end" fill="{LINE}">a proof for every request: {per_request:.0}</text>"#,
            y - 8.0
        ),
    );
}

fn curve(svg: &mut String, scale: &Scale, points: &[(f64, f64)]) {
    let places: Vec<String> = points
        .iter()
        .map(|(uses, cost)| format!("{:.1},{:.1}", scale.x(*uses), scale.y(*cost)))
        .collect();
    push(
        svg,
        &format!(
            r#"<polyline points="{}" fill="none" stroke="{CURVE}" stroke-width="2"/>"#,
            places.join(" ")
        ),
    );
    for (uses, cost) in points {
        let (x, y) = (scale.x(*uses), scale.y(*cost));
        push(
            svg,
            &format!(
                r#"<circle cx="{x:.1}" cy="{y:.1}" r="4" fill="{CURVE}"/><text x="{x:.1}" y="{:.1}" text-anchor="middle" fill="{CURVE}">{cost:.0}</text>"#,
                y - 10.0
            ),
        );
    }
}

fn mark(svg: &mut String, scale: &Scale, uses: f64, per_request: f64) {
    let (x, y) = (scale.x(uses), scale.y(per_request));
    push(
        svg,
        &format!(
            r#"<circle cx="{x:.1}" cy="{y:.1}" r="9" fill="none" stroke="{LINE}" stroke-width="2"/><text x="{:.1}" y="{:.1}" fill="{LINE}">crossover: {uses:.1} requests</text>"#,
            x + 16.0,
            y + 22.0
        ),
    );
}

/// From how many uses on the curve is below the line; `None` if it never is.
#[must_use]
pub fn crossover(points: &[(f64, f64)], per_request: f64) -> Option<f64> {
    let below = points.iter().position(|(_, cost)| *cost <= per_request)?;
    let (uses, cost) = *points.get(below)?;
    let Some((uses_before, cost_before)) = below.checked_sub(1).and_then(|place| points.get(place))
    else {
        return Some(uses);
    };
    let part = (cost_before - per_request) / (cost_before - cost);
    Some((uses_before.ln() + part * (uses.ln() - uses_before.ln())).exp())
}

/// A step of 1, 2 or 5 times a power of ten that gives about six lines.
fn nice_step(most: f64) -> f64 {
    let rough = most / 6.0;
    let power = 10_f64.powf(rough.log10().floor());
    [1.0, 2.0, 5.0, 10.0]
        .into_iter()
        .map(|factor| factor * power)
        .find(|step| *step >= rough)
        .unwrap_or(rough)
}

fn push(svg: &mut String, line: &str) {
    // Writing to a string does not fail.
    let _ = writeln!(svg, "{line}");
}

//! The table: times, ratios to the fastest of ours, and memory.

/// One contender's result.
pub struct Row {
    title: String,
    is_ours: bool,
    /// Seconds a step, the median of the batches.
    median: f64,
    /// In the fastest batch: what it takes undisturbed.
    fastest: f64,
    /// Of the process, in bytes.
    peak: f64,
}

impl Row {
    pub fn new(title: String, is_ours: bool, mut times: Vec<f64>, peak: f64) -> Self {
        times.sort_by(f64::total_cmp);
        let at = |index: usize| times.get(index).copied().unwrap_or(f64::NAN);
        let (median, fastest) = (at(times.len() / 2), at(0));
        Self {
            title,
            is_ours,
            median,
            fastest,
            peak,
        }
    }
}

/// Prints a table in Markdown: medians, the fastest batches, and these as multiples of the fastest of ours.
pub fn print(title: &str, rows: &[Row]) {
    let ours = rows.iter().filter(|row| row.is_ours).map(|row| row.fastest);
    let best = ours.fold(f64::INFINITY, f64::min);
    println!("\n| {title:32} | µs a step | fastest | ratio | peak MB |\n|---|--:|--:|--:|--:|");
    for row in rows {
        println!(
            "| {:32} | {:9} | {:7} | {:5.2} | {:7.0} |",
            row.title,
            digits(1e6 * row.median),
            digits(1e6 * row.fastest),
            row.fastest / best,
            row.peak / 1e6
        );
    }
}

/// Three digits or more.
fn digits(x: f64) -> String {
    let decimals = if x < 10.0 {
        2
    } else if x < 100.0 {
        1
    } else {
        0
    };
    format!("{x:.decimals$}")
}

/// The most memory that this process has had, in bytes; NaN where that is not known.
pub fn peak_memory() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kilobytes = line.and_then(|line| line.split_whitespace().next()?.parse::<f64>().ok());
    kilobytes.map_or(f64::NAN, |kilobytes| 1024.0 * kilobytes)
}

//! A code as a square of modules.

use qrcode::{Color, EcLevel, QrCode};

/// White around the code, modules: less, and cameras do not find it.
pub(super) const QUIET: usize = 4;

/// Which modules are dark, by row, without the white around them. `None`: it does not fit, which no code of ours is near to.
pub(super) fn rows(code: &str) -> Option<Vec<Vec<bool>>> {
    let square = QrCode::with_error_correction_level(code, EcLevel::M).ok()?;
    let colors = square.to_colors();
    Some(colors.chunks(square.width()).map(|row| row.iter().map(|color| *color == Color::Dark).collect()).collect())
}

/// Runs of dark modules: row, first column, how many. Fewer and cleaner than one square for each.
pub(super) fn runs(rows: &[Vec<bool>]) -> Vec<(usize, usize, usize)> {
    let mut runs = Vec::new();
    for (y, row) in rows.iter().enumerate() {
        let mut x = 0;
        for run in row.chunk_by(|one, next| one == next) {
            if run.first() == Some(&true) {
                runs.push((y, x, run.len()));
            }
            x += run.len();
        }
    }
    runs
}

/// The code as the path of an SVG, one unit a module, and the length of its side.
pub(super) fn path(code: &str) -> Option<(String, usize)> {
    let rows = rows(code)?;
    let path = runs(&rows).iter().map(|(y, x, length)| format!("M{} {}h{length}v1h-{length}z", x + QUIET, y + QUIET)).collect();
    Some((path, rows.len() + 2 * QUIET))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_camera_reads_what_was_drawn() {
        for text in ["x".to_owned(), "eyJhbGciOiJFZERTQSJ9.".repeat(12), "é\u{1f3ad}".to_owned()] {
            let rows = rows(&text).unwrap();
            // From the runs, as the page and the paper draw them, four dots a module.
            let (side, dots) = (rows.len() + 2 * QUIET, 4);
            let drawn = runs(&rows);
            let is_dark = |x: usize, y: usize| {
                drawn.iter().any(|(row, from, length)| *row + QUIET == y && (from + QUIET..from + QUIET + length).contains(&x))
            };
            let mut picture =
                rqrr::PreparedImage::prepare_from_greyscale(
                    side * dots,
                    side * dots,
                    |x, y| {
                        if is_dark(x / dots, y / dots) { 0 } else { 255 }
                    },
                );
            let grids = picture.detect_grids();
            assert_eq!(grids.len(), 1);
            assert_eq!(grids[0].decode().unwrap().1, text);
        }
    }

    #[test]
    fn what_is_too_long_is_no_code() {
        assert_eq!(path(&"x".repeat(10_000)), None);
    }
}

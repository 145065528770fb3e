//! Comma-separated values as RFC 4180 writes them, safe to open in a spreadsheet.

use std::fmt::{Display, Write as _};

/// A table under way.
#[derive(Debug, Default)]
pub struct Csv {
    out: String,
    in_row: bool,
}

impl Csv {
    /// A text. One that a spreadsheet would take for a formula gets an apostrophe before it.
    pub fn text(&mut self, value: &str) -> &mut Self {
        self.separate();
        let harmless = if is_formula(value) { "'" } else { "" };
        if value.contains(['"', ',', ';', '\r', '\n', '\t']) || value.starts_with(' ') || value.ends_with(' ') {
            let _ = write!(self.out, "\"{harmless}{}\"", value.replace('"', "\"\""));
        } else {
            let _ = write!(self.out, "{harmless}{value}");
        }
        self
    }

    /// A number or a time of our own making, which stays one: `-1500`.
    pub fn plain(&mut self, value: impl Display) -> &mut Self {
        self.separate();
        let _ = write!(self.out, "{value}");
        self
    }

    /// Ends the row.
    pub fn end_row(&mut self) {
        self.out.push_str("\r\n");
        self.in_row = false;
    }

    /// What was written.
    pub fn into_text(self) -> String {
        self.out
    }

    fn separate(&mut self) {
        if self.in_row {
            self.out.push(',');
        }
        self.in_row = true;
    }
}

/// Whether a spreadsheet may calculate it: by its first character, in its wide form too, or behind what is skipped before it.
fn is_formula(value: &str) -> bool {
    let skipped = |c: char| c.is_whitespace() || c.is_control() || matches!(c, '\u{feff}' | '\u{200b}');
    value.starts_with(['\t', '\r', '\n']) || value.trim_start_matches(skipped).starts_with(['=', '+', '-', '@', '＝', '＋', '－', '＠'])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(texts: &[&str]) -> String {
        let mut csv = Csv::default();
        for text in texts {
            csv.text(text);
        }
        csv.end_row();
        csv.into_text()
    }

    #[test]
    fn what_would_break_a_row_is_quoted() {
        assert_eq!(
            row(&["plain", "", "a,b", "say \"hi\"", "two\r\nlines", " x"]),
            "plain,,\"a,b\",\"say \"\"hi\"\"\",\"two\r\nlines\",\" x\"\r\n"
        );
    }

    #[test]
    fn what_a_spreadsheet_would_calculate_is_a_text() {
        for bad in ["=1+1", "+1", "-1", "@SUM(A1)", "＝1", "\u{feff}=1", "\u{b}=1"] {
            assert_eq!(row(&[bad]), format!("'{bad}\r\n"), "{bad:?}");
        }
        assert_eq!(row(&["=HYPERLINK(\"x\",1)"]), "\"'=HYPERLINK(\"\"x\"\",1)\"\r\n");
        assert_eq!((row(&["\t=1"]), row(&["\rx"]), row(&[" =1"])), ("\"'\t=1\"\r\n".into(), "\"'\rx\"\r\n".into(), "\"' =1\"\r\n".into()));
        assert_eq!(row(&["a=1", "order-7"]), "a=1,order-7\r\n");
    }

    #[test]
    fn a_number_stays_one() {
        let mut csv = Csv::default();
        csv.plain(-1500).text("usd").end_row();
        assert_eq!(csv.into_text(), "-1500,usd\r\n");
    }
}

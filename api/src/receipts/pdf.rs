//! The same on paper: one page of A4, in the font that every reader has, with the code as drawn squares.
//!
//! That font has the letters of Western Europe. What it lacks is a question mark, and a line says where the whole name stands: a font
//! for every script would weigh more than the rest of the program.

use super::{
    html::guard,
    qr,
    sale::{Receipt, Shop, TicketPage},
};
use axum::{body::Body, response::Response};
use http::{HeaderValue, header};
use pdf_writer::{Content, Finish, Name, Pdf, Rect, Ref, Str, TextStr};

/// A4, points.
const PAGE: (f32, f32) = (595.0, 842.0);
const MARGIN: f32 = 56.0;
/// The space that amounts have on the right, points.
const AMOUNTS: f32 = 130.0;
const FOOT: f32 = 64.0;
const REGULAR: Name<'static> = Name(b"F1");
const BOLD: Name<'static> = Name(b"F2");
/// The longest text that is written as one piece, characters: beyond it, nobody reads on paper.
const MAX_TEXT: usize = 400;

/// A page that is being written, from the top down.
struct Paper {
    pages: Vec<Content>,
    content: Content,
    y: f32,
    lacks_letters: bool,
}

impl Paper {
    fn new(shop: &Shop) -> Self {
        let mut paper = Self { pages: Vec::new(), content: Content::new(), y: PAGE.1 - MARGIN, lacks_letters: false };
        let [red, green, blue] = shop.color.map(|channel| f32::from(channel) / 255.0);
        paper.content.save_state();
        paper.content.set_fill_rgb(red, green, blue);
        paper.content.rect(0.0, PAGE.1 - 12.0, PAGE.0, 12.0);
        paper.content.fill_nonzero();
        paper.content.restore_state();
        paper.text(&shop.name, 14.0, BOLD);
        if shop.is_test {
            paper.text("Test mode: no real money moved", 9.0, REGULAR);
        }
        paper.y -= 14.0;
        paper
    }

    /// Text from the left margin, in as many lines as it takes.
    fn text(&mut self, text: &str, size: f32, font: Name<'static>) {
        self.between(text, "", size, font);
    }

    /// Text on the left, wrapped before the amounts, and an amount on the right of its first line.
    fn between(&mut self, text: &str, amount: &str, size: f32, font: Name<'static>) {
        let room = PAGE.0 - 2.0 * MARGIN - if amount.is_empty() { 0.0 } else { AMOUNTS };
        let bytes = self.encode(text);
        let amount = self.encode(amount);
        for (at, line) in wrap(&bytes, room / size).into_iter().enumerate() {
            self.y -= size * 1.4;
            if self.y < FOOT {
                self.pages.push(std::mem::replace(&mut self.content, Content::new()));
                self.y = PAGE.1 - MARGIN;
            }
            self.show(MARGIN, line, size, font);
            if at == 0 && !amount.is_empty() {
                self.show(PAGE.0 - MARGIN - width(&amount) * size, &amount, size, font);
            }
        }
    }

    fn show(&mut self, x: f32, bytes: &[u8], size: f32, font: Name<'static>) {
        self.content.begin_text();
        self.content.set_font(font, size);
        self.content.next_line(x, self.y);
        self.content.show(Str(bytes));
        self.content.end_text();
    }

    /// The code as filled squares, 7 cm wide, on white as the paper is.
    fn code(&mut self, code: &str) {
        let Some(rows) = qr::rows(code) else { return };
        let module = 200.0 / (rows.len() + 2 * qr::QUIET) as f32;
        let (left, top) = (MARGIN, self.y - 8.0);
        for (y, x, length) in qr::runs(&rows) {
            let (x, y) = (left + (x + qr::QUIET) as f32 * module, top - (y + qr::QUIET + 1) as f32 * module);
            self.content.rect(x, y, length as f32 * module, module);
        }
        self.content.fill_nonzero();
        self.y = top - 200.0;
    }

    fn encode(&mut self, text: &str) -> Vec<u8> {
        let cut = text.chars().take(MAX_TEXT);
        cut.map(|letter| {
            windows_1252(letter).unwrap_or_else(|| {
                self.lacks_letters = true;
                b'?'
            })
        })
        .collect()
    }

    /// The file.
    fn finish(mut self, title: &str) -> Vec<u8> {
        if self.lacks_letters {
            self.y -= 10.0;
            self.text("Letters that this paper cannot show are question marks. The web page shows them all.", 8.0, REGULAR);
        }
        self.pages.push(self.content);
        let id = |n: usize| Ref::new(i32::try_from(n).unwrap_or(i32::MAX));
        let (catalog, tree, regular, bold, info) = (id(1), id(2), id(3), id(4), id(5));
        let page_ids: Vec<Ref> = (0..self.pages.len()).map(|n| id(6 + 2 * n)).collect();
        let mut pdf = Pdf::new();
        pdf.catalog(catalog).pages(tree).lang(TextStr("en"));
        pdf.document_info(info).title(TextStr(title));
        pdf.pages(tree).kids(page_ids.iter().copied()).count(i32::try_from(page_ids.len()).unwrap_or(i32::MAX));
        for (n, (page_id, content)) in page_ids.iter().zip(self.pages).enumerate() {
            let content_id = id(7 + 2 * n);
            let mut page = pdf.page(*page_id);
            page.media_box(Rect::new(0.0, 0.0, PAGE.0, PAGE.1)).parent(tree).contents(content_id);
            page.resources().fonts().pair(REGULAR, regular).pair(BOLD, bold);
            page.finish();
            pdf.stream(content_id, &content.finish());
        }
        for (font, name) in [(regular, Name(b"Helvetica")), (bold, Name(b"Helvetica-Bold"))] {
            pdf.type1_font(font).base_font(name).encoding_predefined(Name(b"WinAnsiEncoding"));
        }
        pdf.finish()
    }
}

/// A letter as the font has it.
fn windows_1252(letter: char) -> Option<u8> {
    const HIGH: [(char, u8); 14] = [
        ('€', 0x80),
        ('…', 0x85),
        ('Š', 0x8a),
        ('Œ', 0x8c),
        ('Ž', 0x8e),
        ('‘', 0x91),
        ('’', 0x92),
        ('“', 0x93),
        ('”', 0x94),
        ('–', 0x96),
        ('—', 0x97),
        ('š', 0x9a),
        ('œ', 0x9c),
        ('ž', 0x9e),
    ];
    match u32::from(letter) {
        0x20..=0x7e | 0xa0..=0xff => u8::try_from(u32::from(letter)).ok(),
        _ => HIGH.iter().find(|(known, _)| *known == letter).map(|(_, byte)| *byte),
    }
}

/// How wide a text is, in its size: digits and what stands between them exactly, letters at their widest, so that nothing runs over.
fn width(bytes: &[u8]) -> f32 {
    bytes
        .iter()
        .map(|byte| match byte {
            b'0'..=b'9' => 0.556,
            b' ' | b'.' | b',' | b':' | b'\'' | b'i' | b'j' | b'l' | b'/' => 0.278,
            b'-' | b'(' | b')' => 0.333,
            b'W' | b'M' | b'm' | b'@' | b'%' => 1.0,
            b'a'..=b'z' => 0.62,
            _ => 0.78,
        })
        .sum()
}

/// Cuts a text at its blanks, or where it must, so that no line is wider than `room`. One line at the least.
fn wrap(bytes: &[u8], room: f32) -> Vec<&[u8]> {
    let mut lines = Vec::new();
    let mut rest = bytes;
    loop {
        let fits = (1..=rest.len())
            .take_while(|length| rest.get(..*length).is_some_and(|head| width(head) <= room))
            .last()
            .unwrap_or(rest.len().min(1));
        if fits == rest.len() {
            lines.push(rest);
            return lines;
        }
        let blank = rest.get(..fits).and_then(|head| head.iter().rposition(|byte| *byte == b' ')).filter(|at| *at > 0);
        let (line, next) = rest.split_at(blank.unwrap_or(fits));
        lines.push(line);
        rest = next.strip_prefix(b" ").unwrap_or(next);
    }
}

/// A receipt on paper.
pub(super) fn receipt(page: &Receipt) -> Vec<u8> {
    let mut paper = Paper::new(&page.shop);
    paper.text("Receipt", 20.0, BOLD);
    paper.text(&page.date, 10.0, REGULAR);
    for words in &page.buyer {
        paper.text(words, 10.0, REGULAR);
    }
    paper.y -= 12.0;
    for line in &page.lines {
        paper.between(&line.name, &line.amount, 11.0, REGULAR);
        for detail in &line.details {
            paper.text(detail, 9.0, REGULAR);
        }
        paper.y -= 4.0;
    }
    paper.y -= 8.0;
    for (words, amount) in &page.sums {
        paper.between(words, amount, 11.0, REGULAR);
    }
    paper.between("Total", &page.total, 12.0, BOLD);
    for (words, amount) in &page.after {
        paper.between(words, amount, 11.0, REGULAR);
    }
    paper.y -= 16.0;
    paper.text(&format!("Order {}", page.order), 9.0, REGULAR);
    if let Some(reference) = &page.reference {
        paper.text(&format!("Reference {reference}"), 9.0, REGULAR);
    }
    if let Some(email) = &page.shop.support_email {
        paper.text(&format!("Questions? Write to {email}"), 9.0, REGULAR);
    }
    paper.finish("Receipt")
}

/// A ticket on paper.
pub(super) fn ticket(page: &TicketPage) -> Vec<u8> {
    let mut paper = Paper::new(&page.shop);
    paper.text(&page.name, 20.0, BOLD);
    let seat = page.seat.as_ref().map(|seat| format!("Seat {seat}"));
    let holder = page.holder.as_ref().map(|holder| format!("For {holder}"));
    for words in [&page.starts, &seat, &holder].into_iter().flatten() {
        paper.text(words, 12.0, REGULAR);
    }
    paper.y -= 8.0;
    paper.text(page.standing, 11.0, BOLD);
    if let Some(code) = &page.code {
        paper.code(code);
    }
    paper.y -= 8.0;
    paper.text(&format!("Ticket {}", page.id), 9.0, REGULAR);
    if let Some(email) = &page.shop.support_email {
        paper.text(&format!("Questions? Write to {email}"), 9.0, REGULAR);
    }
    paper.finish("Ticket")
}

/// The file as an answer. `name` is an id of ours.
pub(super) fn answer(name: &str, file: Vec<u8>) -> Response {
    let mut response = Response::new(Body::from(file));
    guard(&mut response, "application/pdf");
    if let Ok(disposition) = HeaderValue::try_from(format!("inline; filename=\"{name}.pdf\"")) {
        response.headers_mut().insert(header::CONTENT_DISPOSITION, disposition);
    }
    response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_are_those_of_the_font_or_question_marks() {
        let shown = |text: &str| text.chars().map(|letter| windows_1252(letter).unwrap_or(b'?')).collect::<Vec<u8>>();
        assert_eq!(shown("Zoë – 5 €"), b"Zo\xeb \x96 5 \x80");
        assert_eq!(shown("李 Ωλ \u{1f3ad} אב \u{202e}x\u{0}"), b"? ?? ? ?? ?x?");
    }

    #[test]
    fn no_line_is_wider_than_its_room_and_nothing_is_lost() {
        for text in ["", "a", "one two three four five six seven", &"W".repeat(300), &"x ".repeat(200), "  lead", "trail  "] {
            let lines = wrap(text.as_bytes(), 12.0);
            assert!(lines.iter().all(|line| width(line) <= 12.0), "{text}");
            let kept: usize = lines.iter().flat_map(|line| line.iter()).filter(|byte| **byte != b' ').count();
            assert_eq!(kept, text.bytes().filter(|byte| *byte != b' ').count(), "{text}");
        }
        assert_eq!(wrap(b"one two three", 4.6), [&b"one two"[..], b"three"]);
    }
}

//! Files beside the pages, compiled in. Their address has a hash of what is in them, so that a browser may keep them for good.

use axum::{
    extract::{Path, Query},
    response::{IntoResponse, Response},
};
use boxoffice_common::domain::settings::Color;
use data_encoding::HEXLOWER;
use http::{StatusCode, header};
use serde::Deserialize;
use sha2::{Digest, Sha256};
use std::sync::LazyLock;

const STYLE: &str = include_str!("../../assets/pay.css");
const SCRIPT: &str = include_str!("../../assets/pay.js");

/// What the addresses of the files end with: changes with what is in them.
pub(super) static VERSION: LazyLock<String> = LazyLock::new(|| {
    let hash = Sha256::new().chain_update(STYLE).chain_update(SCRIPT).finalize();
    HEXLOWER.encode(&hash).chars().take(12).collect()
});

/// `?c=`: a colour, six hexadecimal digits. Anything else is no colour, so that no stylesheet of somebody else's making comes from here.
#[derive(Deserialize)]
pub(super) struct Brand {
    #[serde(default)]
    c: String,
}

/// `GET /pay/assets/{file}`
pub(super) async fn file(Path(file): Path<String>, Query(brand): Query<Brand>) -> Response {
    match file.as_str() {
        "pay.css" => lasting("text/css; charset=utf-8", STYLE.to_owned()),
        "pay.js" => lasting("text/javascript; charset=utf-8", SCRIPT.to_owned()),
        "brand.css" => match Color::parse(&format!("#{}", brand.c)) {
            Some(color) => lasting("text/css; charset=utf-8", brand_style(color)),
            None => StatusCode::NOT_FOUND.into_response(),
        },
        _ => StatusCode::NOT_FOUND.into_response(),
    }
}

fn brand_style(color: Color) -> String {
    let text = if color.wants_dark_text() { "#000" } else { "#fff" };
    format!(":root {{ --brand: {color}; --on-brand: {text}; }}\n")
}

fn lasting(kind: &'static str, text: String) -> Response {
    let headers = [
        (header::CONTENT_TYPE, kind),
        (header::CACHE_CONTROL, "public, max-age=31536000, immutable"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    (headers, text).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_brand_is_readable_on_its_colour() {
        let style = |color| brand_style(Color::parse(color).unwrap());
        assert_eq!(style("#FFEB3B"), ":root { --brand: #ffeb3b; --on-brand: #000; }\n");
        assert_eq!(style("#7a1f5c"), ":root { --brand: #7a1f5c; --on-brand: #fff; }\n");
    }
}

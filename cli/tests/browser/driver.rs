//! A real browser: Chromium, led by chromedriver. WebDriver is JSON over HTTP, and the few commands that the tests need are these.

use boxoffice_testkit::Program;
use serde_json::{Value, json};
use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    time::{Duration, Instant},
};

const PATIENCE: Duration = Duration::from_secs(30);
/// How long a browser may take to shut.
const GOODBYE: Duration = Duration::from_secs(10);
const POLL: Duration = Duration::from_millis(50);
/// The name under which an element's id stands in an answer (W3C WebDriver, 12).
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

/// The Tab and Enter keys, and the blank.
pub const TAB: &str = "\u{e004}";
pub const ENTER: &str = "\u{e007}";

pub struct Browser {
    http: reqwest::Client,
    session: String,
    _driver: Program,
}

impl Browser {
    pub async fn open(with_script: bool) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = reqwest::Client::builder().no_proxy().timeout(PATIENCE * 2).build().unwrap();
        let driver = Program::at("chromedriver").arg("--port=0").ready_line("was started successfully on port").start().await;
        let driver = driver.expect("chromedriver starts: scripts/browser.sh installs it");
        let line = driver.log().into_iter().find(|line| line.contains("successfully on port")).unwrap();
        let port: u16 = line.trim_end_matches('.').rsplit(' ').next().unwrap().parse().unwrap();
        let preferences = if with_script { json!({}) } else { json!({"profile.managed_default_content_settings.javascript": 2}) };
        let options = json!({"args": ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"], "prefs": preferences});
        let capabilities = json!({"capabilities": {"alwaysMatch": {"goog:chromeOptions": options}}});
        let server = format!("http://127.0.0.1:{port}/session");
        let opened: Value = http.post(&server).json(&capabilities).send().await.unwrap().json().await.unwrap();
        let id = opened["value"]["sessionId"].as_str().unwrap_or_else(|| panic!("{opened}"));
        Self { http, session: format!("{server}/{id}"), _driver: driver }
    }

    async fn post(&self, path: &str, body: Value) -> Value {
        let reply = self.http.post(format!("{}{path}", self.session)).json(&body).send().await.unwrap();
        reply.json::<Value>().await.unwrap()["value"].take()
    }

    async fn get(&self, path: &str) -> String {
        let reply = self.http.get(format!("{}{path}", self.session)).send().await.unwrap();
        reply.json::<Value>().await.unwrap()["value"].as_str().unwrap_or_default().to_owned()
    }

    pub async fn go(&self, url: &str) {
        self.post("/url", json!({"url": url})).await;
    }

    pub async fn back(&self) {
        self.post("/back", json!({})).await;
    }

    pub async fn url(&self) -> String {
        self.get("/url").await
    }

    pub async fn source(&self) -> String {
        self.get("/source").await
    }

    /// The first element like this, once there is one.
    async fn find(&self, css: &str) -> String {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let found = self.post("/element", json!({"using": "css selector", "value": css})).await;
            if let Some(id) = found[ELEMENT].as_str() {
                return id.to_owned();
            }
            assert!(Instant::now() < deadline, "no {css} on {}\n{}", self.url().await, self.source().await);
            tokio::time::sleep(POLL).await;
        }
    }

    pub async fn sees(&self, css: &str) {
        self.find(css).await;
    }

    pub async fn click(&self, css: &str) {
        let id = self.find(css).await;
        let answer = self.post(&format!("/element/{id}/click"), json!({})).await;
        assert!(answer.is_null(), "{css} cannot be clicked: {answer}");
    }

    pub async fn type_into(&self, css: &str, text: &str) {
        let id = self.find(css).await;
        self.post(&format!("/element/{id}/value"), json!({"text": text})).await;
    }

    pub async fn press(&self, key: &str) {
        let strokes = json!([{"type": "keyDown", "value": key}, {"type": "keyUp", "value": key}]);
        self.post("/actions", json!({"actions": [{"type": "key", "id": "keyboard", "actions": strokes}]})).await;
    }

    /// Runs a script as a person at the developer tools would, and returns what it returns.
    pub async fn run(&self, script: &str) -> Value {
        self.post("/execute/sync", json!({"script": script, "args": []})).await
    }

    /// The same with a promise.
    pub async fn run_to_the_end(&self, script: &str) -> Value {
        self.post("/execute/async", json!({"script": script, "args": []})).await
    }

    pub async fn enter_frame(&self) {
        self.sees("iframe").await;
        self.post("/frame", json!({"id": 0})).await;
    }

    pub async fn is_a_phone(&self) {
        self.is_as_wide_as(375).await;
    }

    /// Up to a tablet's width it is a phone.
    pub async fn is_as_wide_as(&self, width: u32) {
        let screen = json!({"width": width, "height": 800, "deviceScaleFactor": 2, "mobile": width < 768});
        self.post("/goog/cdp/execute", json!({"cmd": "Emulation.setDeviceMetricsOverride", "params": screen})).await;
    }

    /// The whole page as it looks, PNG.
    pub async fn picture(&self) -> Vec<u8> {
        let params = json!({"format": "png", "captureBeyondViewport": true});
        let taken = self.post("/goog/cdp/execute", json!({"cmd": "Page.captureScreenshot", "params": params})).await;
        data_encoding::BASE64.decode(taken["data"].as_str().unwrap_or_default().as_bytes()).unwrap()
    }

    /// Its address once it begins like this.
    pub async fn comes_to(&self, start: &str) -> String {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let url = self.url().await;
            if url.starts_with(start) {
                return url;
            }
            assert!(Instant::now() < deadline, "not at {start} but at {url}\n{}", self.source().await);
            tokio::time::sleep(POLL).await;
        }
    }

    /// Shuts the window.
    pub fn close(self) {
        drop(self);
    }
}

/// Also when a test fails: chromedriver alone, once it is killed, would leave its Chromium running.
impl Drop for Browser {
    fn drop(&mut self) {
        let hang_up = || -> std::io::Result<()> {
            let address = self.session.trim_start_matches("http://");
            let (host, path) = address.split_once('/').unwrap_or((address, ""));
            let mut connection = TcpStream::connect(host)?;
            connection.set_read_timeout(Some(GOODBYE))?;
            write!(connection, "DELETE /{path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n")?;
            // Its answer says that the connection closes, and it stays open.
            let (mut answer, mut length) = (BufReader::new(connection), 0);
            let mut line = String::new();
            while answer.read_line(&mut line)? > 2 {
                if let Some(told) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                    length = told.trim().parse().unwrap_or(0);
                }
                line.clear();
            }
            answer.take(length).read_to_end(&mut Vec::new()).map(drop)
        };
        if let Err(error) = hang_up() {
            eprintln!("Chromium could not be asked to go: {error}");
        }
    }
}

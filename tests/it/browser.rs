//! Chromium without a window, driven by its DevTools protocol
//! (<https://chromedevtools.github.io/devtools-protocol/>).

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;

/// The first is Debian's name.
const NAMES: [&str; 3] = ["chromium", "chromium-browser", "google-chrome"];
const OPTIONS: [&str; 9] = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--remote-debugging-pipe",
];

/// The longest wait for a message. Most come within milliseconds.
const MAX_WAIT: Duration = Duration::from_secs(60);

/// A browser with one tab.
pub struct Browser {
    process: Child,
    /// Each message ends with a zero byte, in both directions.
    input: ChildStdin,
    messages: Receiver<Vec<u8>>,
    /// The tab. Empty for messages to the browser itself.
    session: String,
    last_id: u64,
    /// Addresses that the tab has requested.
    pub requests: Vec<String>,
    /// What the tab has written to its console, with violations of the page's policy.
    pub console: Vec<String>,
    /// Whether the page of the last navigation has loaded.
    has_loaded: bool,
    _profile: TempDir,
}

impl Browser {
    /// `None` if no browser is installed.
    pub fn start() -> Option<Self> {
        let is_installed = |name: &&&str| Command::new(name).arg("--version").output().is_ok();
        let Some(name) = NAMES.iter().find(is_installed) else {
            println!("skipped: none of {} is installed", NAMES.join(", "));
            return None;
        };
        let profile = tempfile::tempdir().unwrap();
        // The browser reads messages from descriptor 3 and writes them to descriptor 4.
        let mut process = Command::new("sh")
            .args(["-c", "exec \"$0\" \"$@\" 3<&0 4>&1 >/dev/null 2>&1", name])
            .args(OPTIONS)
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let output = BufReader::new(process.stdout.take().unwrap());
        let (sender, messages) = channel();
        // Ends with the browser.
        thread::spawn(move || {
            for message in output.split(0).map_while(Result::ok) {
                let _ = sender.send(message);
            }
        });
        let mut browser = Browser {
            input: process.stdin.take().unwrap(),
            messages,
            process,
            session: String::new(),
            last_id: 0,
            requests: Vec::new(),
            console: Vec::new(),
            has_loaded: false,
            _profile: profile,
        };
        let tab = browser.call("Target.createTarget", json!({"url": "about:blank"}));
        let tab = json!({"targetId": tab["targetId"], "flatten": true});
        let session = browser.call("Target.attachToTarget", tab);
        browser.session = session["sessionId"].as_str().unwrap().to_owned();
        for domain in ["Page", "Network", "Log", "Runtime"] {
            browser.call(&format!("{domain}.enable"), json!({}));
        }
        Some(browser)
    }

    /// Loads a local page in a window of this width, and waits until it has loaded.
    pub fn load(&mut self, page: &Path, width: u32, scheme: &str) {
        let size = json!({"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": false});
        self.call("Emulation.setDeviceMetricsOverride", size);
        let scheme = json!({"name": "prefers-color-scheme", "value": scheme});
        self.call("Emulation.setEmulatedMedia", json!({"features": [scheme]}));
        self.has_loaded = false;
        let address = format!("file://{}", page.display());
        self.call("Page.navigate", json!({"url": address}));
        while !self.has_loaded {
            self.receive();
        }
    }

    /// The value of a JavaScript expression. The page's policy does not apply to it.
    pub fn evaluate(&mut self, expression: &str) -> Value {
        let expression = json!({"expression": expression, "returnByValue": true});
        let mut result = self.call("Runtime.evaluate", expression);
        assert_eq!(result["exceptionDetails"], Value::Null);
        result["result"]["value"].take()
    }

    /// Calls a method and returns its result.
    fn call(&mut self, method: &str, parameters: Value) -> Value {
        self.last_id += 1;
        let mut message = json!({"id": self.last_id, "method": method, "params": parameters});
        if !self.session.is_empty() {
            message["sessionId"] = self.session.clone().into();
        }
        write!(self.input, "{message}\0").unwrap();
        loop {
            let mut message = self.receive();
            if message["id"] == self.last_id {
                assert_eq!(message["error"], Value::Null, "{method}");
                return message["result"].take();
            }
        }
    }

    /// Receives a message and takes note of it if it is an event.
    fn receive(&mut self) -> Value {
        let bytes = match self.messages.recv_timeout(MAX_WAIT) {
            Ok(bytes) => bytes,
            Err(error) => panic!("the browser has ended or hangs: {error}"),
        };
        let message: Value = serde_json::from_slice(&bytes).unwrap();
        let event = &message["params"];
        match message["method"].as_str().unwrap_or_default() {
            "Page.loadEventFired" => self.has_loaded = true,
            "Network.requestWillBeSent" => {
                let address = event["request"]["url"].as_str().unwrap();
                self.requests.push(address.to_owned());
            }
            "Log.entryAdded" => self.console.push(event["entry"]["text"].to_string()),
            "Runtime.consoleAPICalled" | "Runtime.exceptionThrown" => {
                self.console.push(event.to_string());
            }
            _ => {}
        }
        message
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // Either fails only if the browser has already ended.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

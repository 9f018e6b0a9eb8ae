//! The site of the scenario: a few pages over HTTP/1.1 with connections that stay open, so that no client waits for
//! what a real server would not make it wait for. It serves nothing else and remembers nobody.

use std::fmt::Write as _;
use std::sync::Arc;

use anyhow::Context as _;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// How many employees there are.
const EMPLOYEES: usize = 100;

/// The site, until it is dropped.
pub(crate) struct Site {
    pub(crate) url: String,
    _serving: JoinSet<()>,
}

/// What does not change from one request to the next.
struct Pages {
    employees: String,
    csv: String,
}

impl Site {
    pub(crate) async fn start() -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}", listener.local_addr()?);
        let pages = Arc::new(Pages::new());
        let mut serving = JoinSet::new();
        serving.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let pages = Arc::clone(&pages);
                connections.spawn(async move {
                    // A browser that goes away in the middle of an answer is not this site's concern.
                    let _ = serve(stream, &pages).await;
                });
                while connections.try_join_next().is_some() {}
            }
        });
        Ok(Self {
            url,
            _serving: serving,
        })
    }
}

impl Pages {
    fn new() -> Self {
        let departments = ["Engineering", "Operations", "Sales", "People"];
        let mut rows = String::new();
        let mut csv = "name,email,department,since,salary\n".to_owned();
        for number in 0..EMPLOYEES {
            let department = departments[number % departments.len()];
            let year = 2000 + number % 25;
            let salary = 48_000 + 100 * number;
            // Writing to a string can't fail.
            let _ = writeln!(
                rows,
                "<tr><td>Employee {number}</td><td>employee{number}@example.com</td><td>{department}</td><td>{year}-03-01</td><td>{salary}</td></tr>"
            );
            let _ = writeln!(
                csv,
                "Employee {number},employee{number}@example.com,{department},{year}-03-01,{salary}"
            );
        }
        Self {
            employees: include_str!("pages/employees.html").replace("{{rows}}", &rows),
            csv,
        }
    }
}

async fn serve(stream: TcpStream, pages: &Pages) -> anyhow::Result<()> {
    stream.set_nodelay(true)?;
    let mut stream = BufReader::new(stream);
    loop {
        let mut head = String::new();
        let mut length = 0;
        let mut has_session = false;
        loop {
            let begin = head.len();
            if stream.read_line(&mut head).await? == 0 {
                return Ok(());
            }
            let line = head[begin..].trim_end().to_ascii_lowercase();
            if line.is_empty() {
                break;
            }
            if let Some(value) = line.strip_prefix("content-length:") {
                length = value.trim().parse()?;
            }
            has_session |= line.starts_with("cookie:") && line.contains("session=benchmark");
        }
        let mut body = vec![0; length];
        stream.read_exact(&mut body).await?;
        let mut words = head.split_whitespace();
        let method = words.next().context("a method")?;
        let path = words.next().context("a path")?;
        let answer = answer(method, path, &body, has_session, pages);
        stream.write_all(answer.as_bytes()).await?;
    }
}

fn answer(method: &str, path: &str, body: &[u8], has_session: bool, pages: &Pages) -> String {
    let html = "Content-Type: text/html; charset=utf-8";
    match (method, path) {
        ("GET", "/style.css") => response(
            "200 OK",
            "Content-Type: text/css",
            include_str!("pages/style.css"),
        ),
        ("GET", "/login") => response("200 OK", html, include_str!("pages/login.html")),
        ("POST", "/login") if body == b"email=hr%40example.com&password=correct+horse" => response(
            "303 See Other",
            "Location: /home\r\nSet-Cookie: session=benchmark; Path=/; HttpOnly",
            "",
        ),
        (_, "/login") => response("403 Forbidden", html, "Wrong email or password"),
        ("GET", "/favicon.ico") => response("404 Not Found", html, ""),
        _ if !has_session => response("303 See Other", "Location: /login", ""),
        ("GET", "/home") => response("200 OK", html, include_str!("pages/home.html")),
        ("GET", "/employees") => response("200 OK", html, &pages.employees),
        ("GET", "/employees.csv") => response(
            "200 OK",
            "Content-Type: text/csv\r\nContent-Disposition: attachment; filename=\"employees.csv\"",
            &pages.csv,
        ),
        ("GET", "/settings") => response("200 OK", html, include_str!("pages/settings.html")),
        ("GET", "/consent") => response("200 OK", html, include_str!("pages/consent.html")),
        ("GET", "/report") => response("200 OK", html, include_str!("pages/report.html")),
        _ => response("404 Not Found", html, "There is no such page"),
    }
}

fn response(status: &str, headers: &str, body: &str) -> String {
    format!(
        "HTTP/1.1 {status}\r\n{headers}\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

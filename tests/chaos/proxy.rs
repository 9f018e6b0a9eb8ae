//! A proxy between one process and AWS (here the emulator): the process has it as `AWS_ENDPOINT_URL`. It sees each call,
//! writes it down, and causes faults as a policy says: for real, by killing the process or cutting its connection.
//!
//! It never changes a request: host, path and body are forwarded as they came, so that a signature would still fit.

use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::body::Bytes;
use axum::http::{HeaderMap, Request, Response, header};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use rustix::process::{Pid, Signal, kill_process};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::chaos::call::{Answer, Call};
use crate::chaos::http;
use crate::chaos::policy::{After, Before, Policy, Quiet};

/// A proxy of one process, over all the times that it is started. Dropping it ends it.
#[derive(Debug)]
pub(crate) struct Proxy {
    url: String,
    shared: Arc<Shared>,
    _serving: JoinSet<Infallible>,
}

/// A call that went by.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    /// What it is called, once its answer is known.
    pub(crate) name: String,
    /// What became of it: an HTTP status, or a fault.
    pub(crate) became: String,
}

/// Who is on the other end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Client {
    /// It is being started; its id is not known yet.
    Awaited,
    /// It lives.
    Process(Pid),
    /// It was killed; whatever still comes from it was sent before.
    Dead,
}

struct Shared {
    upstream: String,
    http: reqwest::Client,
    policy: Mutex<Box<dyn Policy>>,
    seen: Mutex<Vec<Seen>>,
    /// With the number of times that it was started.
    client: watch::Sender<(u64, Client)>,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared")
            .field("upstream", &self.upstream)
            .finish_non_exhaustive()
    }
}

/// The connection is cut.
#[derive(Debug, thiserror::Error)]
#[error("the connection is cut")]
struct Cut;

impl Proxy {
    /// Starts a proxy in front of `upstream`. It waits with every call until it is told who its client is.
    pub(crate) async fn start(upstream: &str) -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}", listener.local_addr()?);
        let shared = Arc::new(Shared {
            upstream: upstream.trim_end_matches('/').to_owned(),
            http: http::client(),
            policy: Mutex::new(Box::new(Quiet)),
            seen: Mutex::default(),
            client: watch::Sender::new((0, Client::Awaited)),
        });
        let mut serving = JoinSet::new();
        serving.spawn(serve(listener, Arc::clone(&shared)));
        Ok(Self {
            url,
            shared,
            _serving: serving,
        })
    }

    /// What the process gets as `AWS_ENDPOINT_URL`.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Does from here on what another policy says.
    pub(crate) fn set_policy(&self, policy: impl Policy + 'static) {
        *lock(&self.shared.policy) = Box::new(policy);
    }

    /// Its process is started, for the first time or again: what an earlier one still has under way is cut.
    pub(crate) fn await_client(&self) {
        self.shared
            .client
            .send_modify(|client| *client = (client.0 + 1, Client::Awaited));
    }

    /// Its process is this.
    pub(crate) fn client_is(&self, pid: Pid) {
        self.shared
            .client
            .send_modify(|client| client.1 = Client::Process(pid));
    }

    /// Its process has ended by itself or by somebody else: its id may soon be another's.
    pub(crate) fn client_has_ended(&self) {
        self.shared
            .client
            .send_modify(|client| client.1 = Client::Dead);
    }

    /// Every call so far.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        lock(&self.shared.seen).clone()
    }
}

async fn serve(listener: TcpListener, shared: Arc<Shared>) -> Infallible {
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            Some(_) = connections.join_next(), if !connections.is_empty() => continue,
        };
        let Ok((stream, _)) = accepted else { continue };
        let shared = Arc::clone(&shared);
        let times_started = shared.client.borrow().0;
        connections.spawn(async move {
            let answer = service_fn(|request| shared.pass(times_started, request));
            // That a connection is cut is what some faults are.
            let _ = http1::Builder::new()
                .serve_connection(TokioIo::new(stream), answer)
                .await;
        });
    }
}

impl Shared {
    async fn pass(
        &self,
        times_started: u64,
        request: Request<Incoming>,
    ) -> Result<Response<Full<Bytes>>, Cut> {
        let (head, body) = request.into_parts();
        let body = body.collect().await.map_err(|_| Cut)?.to_bytes();
        let call = Call::read(&head, &body);
        self.is_this_client(times_started).await?;
        let before = lock(&self.policy).before(&call);
        match before {
            Before::Forward => {}
            Before::Delay(time) => tokio::time::sleep(time).await,
            Before::Kill => {
                self.kill();
                return self.write_down(call.to_string(), "killed before", Err(Cut));
            }
            Before::Cut => return self.write_down(call.to_string(), "cut before", Err(Cut)),
            Before::Answer(answer) => {
                let became = format!("{} by the proxy", answer.status.as_u16());
                return self.write_down(call.to_string(), &became, response(answer));
            }
        }
        let url = format!("{}{}", self.upstream, head.uri);
        let forwarded = self
            .http
            .request(head.method, url)
            .headers(without_hops(head.headers))
            .body(body);
        let answer = async {
            let answer = forwarded.send().await?;
            let (status, headers) = (answer.status(), answer.headers().clone());
            let body = answer.bytes().await?;
            Ok::<_, reqwest::Error>(Answer {
                status,
                headers,
                body,
            })
        };
        let Ok(answer) = answer.await else {
            return self.write_down(call.to_string(), "no answer", Err(Cut));
        };
        let name = call.name_with(&answer);
        self.is_this_client(times_started).await?;
        let after = lock(&self.policy).after(&call, &answer);
        let status = answer.status.as_u16();
        match after {
            After::Return => self.write_down(name, &status.to_string(), response(answer)),
            After::Kill => {
                self.kill();
                self.write_down(name, "killed after", Err(Cut))
            }
            After::Cut => self.write_down(name, "cut after", Err(Cut)),
            After::Replace(answer) => {
                let became = format!("{status}, replaced");
                self.write_down(name, &became, response(answer))
            }
        }
    }

    /// Waits until the client is known; it must be the one that has opened the connection.
    async fn is_this_client(&self, times_started: u64) -> Result<(), Cut> {
        let mut client = self.client.subscribe();
        let known = client
            .wait_for(|(times, client)| *times != times_started || *client != Client::Awaited)
            .await
            .map_err(|_| Cut)?;
        match *known {
            (times, Client::Process(_)) if times == times_started => Ok(()),
            _ => Err(Cut),
        }
    }

    fn kill(&self) {
        self.client.send_modify(|(_, client)| {
            if let Client::Process(pid) = *client {
                // Whoever started it has not waited for it yet, so that the id is still its own.
                let _ = kill_process(pid, Signal::KILL);
            }
            *client = Client::Dead;
        });
    }

    fn write_down<T>(&self, name: String, became: &str, answer: T) -> T {
        lock(&self.seen).push(Seen {
            name,
            became: became.to_owned(),
        });
        answer
    }
}

fn response(answer: Answer) -> Result<Response<Full<Bytes>>, Cut> {
    let mut response = Response::new(Full::new(answer.body));
    *response.status_mut() = answer.status;
    *response.headers_mut() = without_hops(answer.headers);
    Ok(response)
}

/// What is about one connection is not about the next one.
fn without_hops(mut headers: HeaderMap) -> HeaderMap {
    for hop in [
        header::CONNECTION,
        header::TRANSFER_ENCODING,
        header::CONTENT_LENGTH,
        header::EXPECT,
    ] {
        headers.remove(hop);
    }
    headers
}

fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

//! Serves the practice site on the address given as the argument, until Ctrl-C.

use std::io::{self, Write};

use tokio::net::TcpListener;

#[tokio::main]
async fn main() -> io::Result<()> {
    let address = std::env::args()
        .nth(1)
        .unwrap_or_else(|| "127.0.0.1:0".to_owned());
    let listener = TcpListener::bind(&address).await?;
    writeln!(io::stdout(), "http://{}", listener.local_addr()?)?;
    practice_site::serve(listener, async {
        // Without a signal handler there is no gentle stop, and the process ends on Ctrl-C anyway.
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    })
    .await
}

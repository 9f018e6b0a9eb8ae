//! The runner's container.

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    runner::main(std::future::pending()).await
}

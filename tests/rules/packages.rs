//! Which package may depend on which, and what each manifest must say.

use crate::repository::{closure, package_named, packages, read};

/// Crates that do I/O or start tasks.
const IO_CRATES: [&str; 11] = [
    "async-std",
    "axum",
    "fast-socks5",
    "hyper",
    "lambda_runtime",
    "mio",
    "reqwest",
    "rustls",
    "socket2",
    "tempfile",
    "tokio",
];

fn is_aws_sdk(name: &str) -> bool {
    name.starts_with("aws-")
}

#[test]
fn a_package_has_the_name_of_its_folder() {
    for package in packages() {
        assert!(
            package.folder.ends_with(&package.name),
            "{} lies in {}",
            package.name,
            package.folder.display()
        );
    }
}

#[test]
fn every_package_takes_the_lints_of_the_workspace() {
    for package in packages() {
        let manifest = read(package.folder.join("Cargo.toml"));
        assert!(
            manifest.contains("\n[lints]\nworkspace = true\n"),
            "{} has lints of its own",
            package.name
        );
    }
}

#[test]
fn domain_brings_no_crate_that_does_io_or_makes_random_numbers() {
    let direct = package_named("domain").shipped_dependencies;
    assert!(
        !direct.contains("getrandom") && !direct.contains("rand"),
        "domain makes random numbers"
    );
    let reached = closure(&direct);
    let found: Vec<_> = reached
        .iter()
        .filter(|name| is_aws_sdk(name) || IO_CRATES.contains(&name.as_str()))
        .collect();
    assert!(found.is_empty(), "domain depends on {found:?}");
    assert!(
        reached.contains("serde"),
        "the closure is empty, so this proves nothing"
    );
}

#[test]
fn only_store_depends_on_the_aws_sdk() {
    for package in packages() {
        let found: Vec<_> = package
            .dependencies
            .iter()
            .filter(|name| is_aws_sdk(name))
            .collect();
        assert_eq!(
            found.is_empty(),
            package.name != "store",
            "{} depends on {found:?}",
            package.name
        );
    }
}

#[test]
fn the_dispatcher_has_no_http_client() {
    let dependencies = package_named("dispatcher").dependencies;
    for client in ["reqwest", "hyper", "hyper-util", "ureq", "fast-socks5"] {
        assert!(
            !dependencies.contains(client),
            "the dispatcher depends on {client}"
        );
    }
}

#[test]
fn the_browser_knows_nothing_of_runs_and_the_engine_nothing_of_where_they_are_kept() {
    let forbidden = [
        (
            "browser",
            ["domain", "engine", "platform", "runner", "store"].as_slice(),
        ),
        ("engine", ["platform", "runner", "store"].as_slice()),
    ];
    for (name, others) in forbidden {
        let dependencies = package_named(name).dependencies;
        let found: Vec<_> = others
            .iter()
            .filter(|other| dependencies.contains(**other))
            .collect();
        assert!(found.is_empty(), "{name} depends on {found:?}");
    }
}

#[test]
fn nothing_that_runs_on_aws_depends_on_the_stack_on_one_machine() {
    let is_shipped = |folder: &std::path::Path| {
        ["functions", "workers", "shared"]
            .iter()
            .any(|part| folder.starts_with(part))
    };
    for package in packages()
        .into_iter()
        .filter(|package| is_shipped(&package.folder))
    {
        for part in ["cli", "localstack", "practice-site"] {
            assert!(
                !package.shipped_dependencies.contains(part),
                "{} depends on {part}",
                package.name
            );
        }
    }
}

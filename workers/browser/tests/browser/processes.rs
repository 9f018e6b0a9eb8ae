//! What the kernel tells of a browser's processes, for tests that kill some and count the rest.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use tokio::io::AsyncWriteExt;

/// Writes a shell script that is to be executed. Another process writes it: while this one has a file
/// open for writing, so has what another test is just starting, and nobody can execute it.
pub(crate) async fn write_program(folder: &Path, text: &str) -> PathBuf {
    let program = folder.join("program");
    let mut writer = tokio::process::Command::new("sh")
        .args(["-c", "cat > \"$0\" && chmod 755 \"$0\""])
        .arg(&program)
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = writer.stdin.take().unwrap();
    let text = format!("#!/bin/sh\n{text}\n");
    input.write_all(text.as_bytes()).await.unwrap();
    drop(input);
    assert!(writer.wait().await.unwrap().success());
    program
}

/// Kills one process, for real.
pub(crate) async fn kill(process: u32) {
    let killed = tokio::process::Command::new("kill")
        .args(["-KILL", &process.to_string()])
        .status()
        .await
        .unwrap();
    assert!(killed.success());
}

/// The processes that have this text in their command line or environment, without this one.
pub(crate) fn processes_with(text: &str) -> Vec<u32> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let Some(process) = entry
            .file_name()
            .to_str()
            .and_then(|name| name.parse().ok())
        else {
            continue;
        };
        let read = |file: &str| std::fs::read(entry.path().join(file)).unwrap_or_default();
        let all = [read("cmdline"), read("environ")].concat();
        if process != std::process::id() && String::from_utf8_lossy(&all).contains(text) {
            found.push(process);
        }
    }
    found
}

/// The living processes of a process group, which is what a browser's are.
pub(crate) fn members_of(group: u32) -> Vec<u32> {
    let entries = std::fs::read_dir("/proc").unwrap().flatten();
    let all = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    all.filter(|process: &u32| {
        let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
        // After the name, which may hold anything: state, parent, group.
        let rest = stat.rsplit_once(") ").map_or("", |(_, rest)| rest);
        let fields: Vec<&str> = rest.split(' ').collect();
        fields.get(2) == Some(&group.to_string().as_str()) && fields[0] != "Z"
    })
    .collect()
}

/// The process of a browser's group that has this in its command line.
pub(crate) fn process_of(group: u32, flag: &str) -> u32 {
    let mut found = members_of(group).into_iter().filter(|process| {
        let words = std::fs::read(format!("/proc/{process}/cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&words).contains(flag)
    });
    let first = found.next();
    first.unwrap_or_else(|| panic!("no process of the browser has {flag}"))
}

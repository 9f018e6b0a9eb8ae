//! The repository as the rules see it: its packages, its locked dependencies, and its texts. Never changes anything.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// The folder that holds the workspace's manifest.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("the package's folder lies in the workspace's")
        .to_owned()
}

/// The text of a file, named from the root on.
pub(crate) fn read(path: impl AsRef<Path>) -> String {
    let path = root().join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn output_of(command: &mut Command) -> String {
    let output = command
        .current_dir(root())
        .output()
        .unwrap_or_else(|error| panic!("{command:?} can't be run: {error}"));
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?} failed: {complaint}");
    String::from_utf8(output.stdout).expect("its output is text")
}

/// One package of the workspace.
#[derive(Debug)]
pub(crate) struct Package {
    pub(crate) name: String,
    /// From the root on.
    pub(crate) folder: PathBuf,
    /// What it depends on itself, also only for its tests or its build.
    pub(crate) dependencies: BTreeSet<String>,
    /// What it depends on itself when it is built to be shipped.
    pub(crate) shipped_dependencies: BTreeSet<String>,
}

/// All packages of the workspace.
pub(crate) fn packages() -> Vec<Package> {
    let arguments = ["metadata", "--format-version=1", "--no-deps", "--offline"];
    let metadata = output_of(Command::new(env!("CARGO")).args(arguments));
    let metadata: Value = serde_json::from_str(&metadata).expect("cargo metadata prints JSON");
    let packages = metadata["packages"].as_array().expect("it lists packages");
    packages.iter().map(package).collect()
}

fn package(package: &Value) -> Package {
    let manifest = Path::new(package["manifest_path"].as_str().expect("a path"));
    let folder = manifest
        .parent()
        .and_then(|folder| folder.strip_prefix(root()).ok())
        .expect("a package lies in the workspace");
    let names = |is_wanted: fn(&Value) -> bool| {
        let all = package["dependencies"].as_array().expect("a list").iter();
        all.filter(|dependency| is_wanted(dependency))
            .map(|dependency| dependency["name"].as_str().expect("a name").to_owned())
            .collect()
    };
    Package {
        name: package["name"].as_str().expect("a name").to_owned(),
        folder: folder.to_owned(),
        dependencies: names(|_| true),
        // A normal dependency has no kind.
        shipped_dependencies: names(|dependency| dependency["kind"].is_null()),
    }
}

/// The package of a name.
pub(crate) fn package_named(name: &str) -> Package {
    let mut all = packages().into_iter();
    all.find(|package| package.name == name)
        .unwrap_or_else(|| panic!("there is no package {name}"))
}

/// All that some packages bring with them, themselves included, on any platform, whatever the versions.
pub(crate) fn closure(names: &BTreeSet<String>) -> BTreeSet<String> {
    let locked = locked_dependencies();
    let mut found = BTreeSet::new();
    let mut next: Vec<&String> = names.iter().collect();
    while let Some(name) = next.pop() {
        if found.insert(name.clone()) {
            next.extend(locked.get(name).into_iter().flatten());
        }
    }
    found
}

/// What each package of Cargo.lock depends on.
fn locked_dependencies() -> BTreeMap<String, BTreeSet<String>> {
    let mut locked: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut package = String::new();
    for line in read("Cargo.lock").lines() {
        if let Some(name) = line.strip_prefix("name = ") {
            name.trim_matches('"').clone_into(&mut package);
        } else if let Some(dependency) = line.strip_prefix(" \"") {
            // `"name",` or, where there are several versions, `"name version",`.
            let end = dependency.find([' ', '"']).expect("a name ends");
            let dependencies = locked.entry(package.clone()).or_default();
            dependencies.insert(dependency[..end].to_owned());
        }
    }
    assert!(!locked.is_empty(), "Cargo.lock lists no dependencies");
    locked
}

/// Every file that is in the repository, or would be if everything were committed.
pub(crate) fn files() -> Vec<PathBuf> {
    let arguments = [
        "ls-files",
        "-z",
        "--cached",
        "--others",
        "--exclude-standard",
    ];
    let listed = output_of(Command::new("git").args(arguments));
    let names = listed.split('\0').filter(|name| !name.is_empty());
    // A file that was deleted stays listed until that is committed.
    names
        .map(PathBuf::from)
        .filter(|path| root().join(path).is_file())
        .collect()
}

/// A Rust file, without its comments and without its module of tests.
#[derive(Debug)]
pub(crate) struct Source {
    pub(crate) path: PathBuf,
    pub(crate) code: String,
}

/// The Rust files below a folder.
pub(crate) fn sources(folder: impl AsRef<Path>) -> Vec<Source> {
    let is_source = |path: &PathBuf| {
        path.starts_with(folder.as_ref())
            && path.extension().is_some_and(|extension| extension == "rs")
    };
    let found: Vec<Source> = files()
        .into_iter()
        .filter(is_source)
        .map(|path| Source {
            code: code_of(&read(&path)),
            path,
        })
        .collect();
    assert!(
        !found.is_empty(),
        "there is no source in {}",
        folder.as_ref().display()
    );
    found
}

fn code_of(text: &str) -> String {
    let shipped = text
        .split("\n#[cfg(test)]\nmod tests {")
        .next()
        .unwrap_or_default();
    let code = shipped
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"));
    code.flat_map(|line| [line, "\n"]).collect()
}

impl Source {
    /// The functions whose text contains something, by name, in order.
    pub(crate) fn functions_with(&self, text: &str) -> Vec<&str> {
        let mut function = "";
        let mut found = Vec::new();
        for line in self.code.lines() {
            let signature = line
                .split_once("fn ")
                .filter(|(before, _)| before.is_empty() || before.ends_with([' ', '\t']));
            if let Some((_, rest)) = signature {
                function = rest.split(['(', '<']).next().unwrap_or_default();
            }
            // A function doesn't call itself by being defined.
            let defines = signature.is_some() && text.trim_end_matches('(') == function;
            if line.contains(text) && !defines && found.last() != Some(&function) {
                found.push(function);
            }
        }
        found
    }
}

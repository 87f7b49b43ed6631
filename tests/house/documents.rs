//! Links lead somewhere, and what is said in two places is the same in both.

use crate::tree::{self, read, root};

/// The README is read from the package too, so what it links to must be in there.
#[test]
fn links_lead_somewhere() {
    let mut links = 0;
    for file in tree::files("").iter().filter(|file| file.extension().is_some_and(|e| e == "md")) {
        let text = read(file);
        let targets = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
        for target in targets.filter(|target| !target.contains("://") && !target.starts_with('#')) {
            let path = target.split('#').next().unwrap();
            let found = file.parent().unwrap().join(path).exists();
            assert!(found, "{} links to {target}", tree::name(file));
            links += 1;
        }
    }
    assert!(links > 5, "only {links} links were seen: the test is blind");
}

#[test]
fn the_version_is_the_newest_of_the_changelog() {
    let changelog = read(&root().join("CHANGELOG.md"));
    let newest = changelog.lines().find_map(|line| line.strip_prefix("## ")).unwrap();
    assert_eq!(newest.split(' ').next(), Some(env!("CARGO_PKG_VERSION")));
}

#[test]
fn the_readme_names_settings_that_there_are() {
    let (readme, config) = (read(&root().join("README.md")), read(&root().join("src/config.rs")));
    let code = readme.split('`').skip(1).step_by(2);
    let is_setting = |word: &&str| {
        word.starts_with("max_") || word.ends_with("_timeout") || word.ends_with("_interval")
    };
    let settings: Vec<_> = code.filter(is_setting).collect();
    assert!(settings.len() > 10, "only {settings:?} were seen: the test is blind");
    for setting in settings {
        assert!(config.contains(&format!("pub {setting}: ")), "there is no {setting}");
    }
}

/// A name that is no more would lead those astray who know none of the others.
#[test]
fn the_page_for_newcomers_names_what_there_is() {
    let page = read(&root().join("docs/coming-from.md"));
    let sources: Vec<_> = tree::rust("src").iter().map(|file| read(file)).collect();
    let rows = page.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| For"));
    let ours = rows.filter_map(|row| row.split('|').nth(2));
    let names: Vec<_> = ours.flat_map(|cell| cell.split('`').skip(1).step_by(2)).collect();
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    assert!(names.len() > 20, "only {names:?} were seen: the test is blind");
    for name in names.iter().flat_map(|name| name.split("::")) {
        assert!(name.chars().all(is_word), "{name}");
        let kinds =
            ["fn", "struct", "enum", "type", "const"].map(|kind| format!("pub {kind} {name}"));
        let is_there = |text: &String| {
            let found = kinds.iter().any(|item| tree::find(text, item).next().is_some());
            // What a trait has is as public as that.
            let of_trait = ["fn", "type"].map(|kind| format!("\n    {kind} {name}"));
            let has = |item: &String| tree::find(text, item).next().is_some();
            let found = found || text.contains("\npub trait ") && of_trait.iter().any(has);
            found || text.contains(&format!("pub {name}: "))
        };
        assert!(sources.iter().any(is_there), "there is no {name}");
    }
}

#[test]
fn the_readme_names_the_examples() {
    let readme = read(&root().join("README.md"));
    for example in tree::rust("examples") {
        let name = tree::name(&example);
        assert!(readme.contains(&format!("]({name})")), "{name} is not in the README");
    }
}

#[test]
fn the_readme_names_the_oldest_rust() {
    let needs = format!("Rust {} or later", env!("CARGO_PKG_RUST_VERSION"));
    assert!(read(&root().join("README.md")).contains(&needs), "{needs}");
}

/// Else an image would not be built, and nobody here would hear of it: CI has no Docker.
#[test]
fn the_image_is_built_from_what_docker_is_shown() {
    let Ok(shown) = std::fs::read_to_string(root().join(".dockerignore")) else {
        assert!(!root().join("benches").exists(), "only the package may be without it");
        return;
    };
    let dockerfile = read(&root().join("deploy/Dockerfile"));
    let copied = dockerfile.lines().filter_map(|line| line.strip_prefix("COPY "));
    let copied = copied.filter(|line| !line.starts_with("--from"));
    for file in copied.flat_map(|line| line.split(' ').rev().skip(1)) {
        assert!(shown.lines().any(|line| line == format!("!{file}")), "{file}");
        assert!(root().join(file).exists(), "{file}");
    }
}

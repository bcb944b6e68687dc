//! The guide's page on security names tests: they have to be there, and to run.

use std::fs;
use std::path::Path;

/// The sources of all tests, the page itself left out.
fn sources(directory: &Path, all: &mut String) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, all);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            all.push_str(&fs::read_to_string(path).unwrap());
        }
    }
}

#[test]
fn each_threat_has_a_test_that_runs() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut all = String::new();
    for directory in ["src", "tests/it", "models"] {
        sources(&root.join(directory), &mut all);
    }
    let page = fs::read_to_string(root.join("src/guide/security.md")).unwrap();
    let named =
        page.lines().filter_map(|line| line.strip_suffix("` |")?.rsplit_once('`').map(|(_, name)| name));
    let named: Vec<_> = named.collect();
    assert!(named.len() > 40, "{named:?}");
    for name in named {
        let runs = format!("#[test]\n    fn {name}(");
        let at_the_top = format!("#[test]\nfn {name}(");
        assert!(all.contains(&runs) || all.contains(&at_the_top), "{name}");
    }
}
